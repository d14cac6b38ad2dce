"""What tests of lessons look into them with."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text as Drawn

from eyesight.cli import main
from eyesight.report.document import Block, Card, Grid, Lesson, Line, Only, Table
from eyesight.report.terminal import text_lines


def text_of(lesson: Lesson, width: int = 80) -> str:
    return "\n".join(line.plain for line in text_lines(lesson, width))


def told(topic: str, *options: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the program prints for a topic."""
    assert main(["lesson", topic, *options]) == 0
    return capsys.readouterr().out


def everything(block: Block | Lesson) -> list[Block]:
    """Return all blocks of a lesson, whatever they stand in."""
    if isinstance(block, Only):
        return everything(block.block)
    inside = block.blocks if isinstance(block, Lesson | Line | Card) else ()
    found = [deeper for child in inside for deeper in everything(child)]
    return found if isinstance(block, Lesson) else [block, *found]


def grids(lesson: Lesson) -> list[Grid]:
    return [block for block in everything(lesson) if isinstance(block, Grid)]


def table(lesson: Lesson) -> list[tuple[str, ...]]:
    return list(next(block for block in everything(lesson) if isinstance(block, Table)).rows)


def drawn_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Drawn) if text.get_text().strip()]


def worth(text: str) -> float:
    """Compute a sum such as "10×1 + 2×(-1)"."""
    plain = text.replace("×", "*")
    assert re.fullmatch(r"[-+*/().\d\s]+", plain), text
    return float(eval(plain))


def assert_tidy(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Drawn) if text.get_text().strip()]
    boxes = np.array([text.get_window_extent(canvas.get_renderer()).extents for text in texts])
    assert len(boxes) > 5
    low, high = boxes[:, :2], boxes[:, 2:]
    assert low.min() >= 0
    assert (high <= figure.bbox.size + 1).all()
    depth = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).min(axis=2)  # pixels that two share
    np.fill_diagonal(depth, 0)
    i, j = np.unravel_index(int(depth.argmax()), depth.shape)
    assert depth[i, j] < 3, f"{texts[i].get_text()!r} lies over {texts[j].get_text()!r}"  # boxes are taller than ink
