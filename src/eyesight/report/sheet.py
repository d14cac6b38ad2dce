"""A lesson as a sheet for the wall.

In: blocks of a lesson. Out: a matplotlib figure in which every block has a box of its own, measured before anything is
drawn, so that nothing overlaps. It computes nothing that it draws. All lengths are inches, all font sizes points; y
grows downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .document import (
    Bars,
    Block,
    Card,
    Curve,
    Diagram,
    Grid,
    Lesson,
    Line,
    Only,
    Sign,
    Table,
    Words,
    number,
    typographic,
)
from .drawing import BLUE, ORANGE, text_width, wrap
from .sheet_grid import draw_cells, draw_pixels, grid_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, PAPER = "#1b1f24", "#6b7280", "#f3f6fa"
_LINES = (BLUE, ORANGE, "#5b8f29", "#7a3e9d")  # of curves, in this order
_WIDTH = 13.0
_GAP = 0.28
_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # of grids that would not fit side by side; else they take two rows
_BODY = 13.0
_ROLES = {"plain": (_BODY, "normal", INK), "sum": (14.0, "normal", INK), "result": (15.0, "bold", ORANGE)}


@dataclass(frozen=True)
class Box:
    """Something measured, ready to be drawn.

    Attributes:
        width, height: what it needs.
        draw: puts it at (x, y), in a place (width, height) at least as large.
        middle: height of the line on which neighbours are centred.
        flush: starts at the left, where others are centred.
        leads: goes to the next row with what follows it.
    """

    width: float
    height: float
    draw: Callable[[Axes, float, float, float, float], None]
    middle: float
    flush: bool = False
    leads: bool = False


def sheet(lesson: Lesson) -> Figure:
    """Draw a lesson on one sheet."""
    from matplotlib.figure import Figure

    head = _text_box(lesson.title, _WIDTH, size=25, weight="bold", color=BLUE)
    foot = _text_box(f"eyesight lesson {lesson.name}", _WIDTH, size=10, color=QUIET)
    content = _stack([head, *_boxes(lesson.blocks, _WIDTH), foot], gap=0.32)
    width = max(_WIDTH, content.width)
    figure = Figure(figsize=(width + 0.5, content.height + 0.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    content.draw(axes, 0.25, 0.25, width, content.height)
    axes.set_aspect("auto")
    axes.set_xlim(0, width + 0.5)
    axes.set_ylim(content.height + 0.5, 0)
    return figure


def _boxes(blocks: Sequence[Block], width: float, *, scale: float = 1.0) -> list[Box]:
    return [box for block in blocks if (box := _box(block, width, scale=scale)) is not None]


def _box(block: Block, width: float, *, scale: float) -> Box | None:
    """Measure one block, its grids shrunk by `scale`; None for what only the terminal shows."""
    if isinstance(block, Only):
        return None if block.where == "terminal" else _box(block.block, width, scale=scale)
    if isinstance(block, Words):
        size, weight, color = _ROLES[block.role]
        return _text_box(typographic(block.text), width, size=size, weight=weight, color=color)
    if isinstance(block, Grid):
        return _grid_box(block, scale)
    if isinstance(block, Sign):
        return _sign_box(block, scale)
    if isinstance(block, Table):
        return _table_box(block)
    if isinstance(block, Bars):
        return _bars_box(block)
    if isinstance(block, Curve):
        return _curve_box(block)
    if isinstance(block, Diagram):
        return _diagram_box(block, width)
    if isinstance(block, Card):
        return _card_box(block, width)
    return _line_box(block, width)


def _text_box(
    text: str, width: float, *, size: float, weight: str = "normal", color: str = INK, centred: bool = False
) -> Box:
    lines = wrap(text, width, size, weight)
    step = 1.42 * size / 72
    needed = max(text_width(part, size, weight) for part in lines)

    def draw(axes: Axes, x: float, y: float, place: float, _: float) -> None:
        for k, part in enumerate(lines):
            axes.text(x + place / 2 if centred else x, y + (k + 0.5) * step, part, fontsize=size, color=color,
                      fontweight=weight, ha="center" if centred else "left", va="center_baseline")  # fmt: skip

    return Box(needed, step * len(lines), draw, step * len(lines) / 2, flush=not centred)


def _stack(boxes: Sequence[Box], *, gap: float = _GAP) -> Box:
    """Put boxes below each other."""
    height = sum(box.height for box in boxes) + gap * max(len(boxes) - 1, 0)

    def draw(axes: Axes, x: float, y: float, place: float, _: float) -> None:
        for box in boxes:
            room = place if box.flush else box.width
            box.draw(axes, x if box.flush else x + (place - box.width) / 2, y, room, box.height)
            y += box.height + gap

    return Box(max((box.width for box in boxes), default=0.0), height, draw, height / 2)


def _grid_box(grid: Grid, scale: float) -> Box:
    """Measure a grid with its title above and its note below."""
    width, height = grid_size(grid, scale)
    room = max(width, 2.3 * scale)
    title = _text_box(grid.title, room, size=12, weight="bold", centred=True) if grid.title else None
    note = _text_box(typographic(grid.note), room, size=11, color=QUIET, centred=True) if grid.note else None
    above = title.height + 0.06 if title else 0.0
    below = note.height + 0.06 if note else 0.0
    needed = max(width, *(box.width for box in (title, note) if box), 0.0)

    def draw(axes: Axes, x: float, y: float, place: float, _: float) -> None:
        if title:
            title.draw(axes, x, y, place, title.height)
        paint = draw_cells if grid.numbers else draw_pixels
        paint(axes, grid, x + (place - width) / 2, y + above, scale)
        if note:
            note.draw(axes, x, y + above + height + 0.06, place, note.height)

    return Box(needed, above + height + below, draw, above + height / 2)


def _sign_box(sign: Sign, scale: float) -> Box:
    arrow = sign.text == "→"
    word = text_width(sign.word, 11) if sign.word else 0.0
    width = max(scale * 0.75 if arrow else text_width(sign.text, 24) + 0.1, word + 0.1)

    def draw(axes: Axes, x: float, y: float, place: float, height: float) -> None:
        middle = y + height / 2
        if arrow:
            tip, tail = (x + place / 2 + scale * 0.35, middle), (x + place / 2 - scale * 0.35, middle)
            style = {"arrowstyle": "-|>,head_width=0.5,head_length=0.8", "color": ORANGE, "lw": 2.5}
            axes.annotate("", tip, xytext=tail, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})
        else:
            axes.text(x + place / 2, middle, sign.text, fontsize=24, color=INK, ha="center", va="center")
        if sign.word:
            axes.text(x + place / 2, middle - 0.22, sign.word, fontsize=11, color=QUIET, ha="center", va="center")

    return Box(width, 0.8, draw, 0.4, leads=True)


def _table_box(table: Table) -> Box:
    rows = [typographic("\n".join(row)).split("\n") for row in table.rows]
    columns = list(zip(table.columns, *rows, strict=True))
    widths = [
        max(text_width(column[0], _BODY, "bold"), *(text_width(t, _BODY) for t in column[1:])) for column in columns
    ]
    step, space = 0.32, 0.34
    width = sum(widths) + space * (len(widths) - 1)

    def draw(axes: Axes, x: float, y: float, _: float, __: float) -> None:
        axes.plot([x, x + width], [y + step, y + step], color=QUIET, lw=1)
        left = x
        for k, (column, wide) in enumerate(zip(columns, widths, strict=True)):
            for i, text in enumerate(column):
                at, side = (left, "left") if k < table.words else (left + wide, "right")
                weight = "normal" if i else "bold"
                axes.text(at, y + (i + 0.5) * step, text, fontsize=_BODY, fontweight=weight, color=INK,
                          ha=side, va="center")  # fmt: skip
            left += wide + space

    height = step * (len(rows) + 1)
    return Box(width, height, draw, height / 2)


def _bars_box(bars: Bars) -> Box:
    names = max(text_width(name, _BODY) for name in bars.names)
    texts = max(text_width(text, _BODY, "bold") for text in bars.texts)
    longest, step = 4.2, 0.36
    width = names + longest + texts + 0.35
    above = 0.32 if bars.title else 0.0
    height = step * len(bars.names) + above

    def draw(axes: Axes, x: float, y: float, _: float, __: float) -> None:
        from matplotlib.patches import Rectangle

        if bars.title:
            axes.text(x, y + 0.13, bars.title, fontsize=12, fontweight="bold", color=INK, va="center")
        for k, share in enumerate(bars.shares()):
            middle = y + above + (k + 0.5) * step
            color = ORANGE if k == bars.marked else BLUE
            axes.text(x + names, middle, bars.names[k], fontsize=_BODY, color=INK, ha="right", va="center")
            axes.add_patch(Rectangle((x + names + 0.12, middle - 0.12), longest * share, 0.24, color=color, lw=0))
            axes.text(x + names + 0.22 + longest * share, middle, typographic(bars.texts[k]), fontsize=_BODY,
                      fontweight="bold", color=color, va="center")  # fmt: skip

    return Box(width, height, draw, height / 2)


def _curve_box(curve: Curve) -> Box:
    """Measure a plot: its title above, the axes' ends and names around it, the lines' names to the right."""
    width, height, above, below = 3.6, 2.4, 0.36, 0.52
    low, high = curve_range(curve)
    ends = [number(low[1]), number(high[1])]
    left = max(text_width(typographic(end), 11) for end in ends) + 0.12
    names = [text_width(name, 12, "bold") + 0.1 for name, _, _ in curve.lines if name]
    right = max(names, default=0.15)

    def draw(axes: Axes, x: float, y: float, _: float, __: float) -> None:
        x += left

        def place(point: tuple[float, float]) -> tuple[float, float]:
            across, up = ((point[k] - low[k]) / ((high[k] - low[k]) or 1.0) for k in (0, 1))
            return x + across * width, y + above + (1 - up) * height

        axes.text(x + width / 2, y + 0.13, curve.title, fontsize=12, fontweight="bold", color=INK,
                  ha="center", va="center")  # fmt: skip
        for line in (((low[0], low[1]), (high[0], low[1])), ((low[0], low[1]), (low[0], high[1]))):
            axes.plot(*zip(*map(place, line), strict=True), color=QUIET, lw=1)
        if low[0] < 0 < high[0]:
            axes.plot(*zip(*map(place, ((0.0, low[1]), (0.0, high[1]))), strict=True), color=QUIET, lw=0.8, ls=":")
        _write_ends(axes, curve, (x, y + above), (width, height), (low, high))
        heights = spread([place((0, float(py[-1])))[1] for _, _, py in curve.lines], 0.22)
        for (name, px, py), color, tall in zip(curve.lines, _LINES, heights, strict=False):
            axes.plot(*zip(*map(place, zip(px, py, strict=True)), strict=True), color=color, lw=3)
            axes.text(x + width + 0.1, tall, name, fontsize=12, fontweight="bold", color=color, va="center")
        for point in curve.points:
            axes.plot(*place(point), "o", color=ORANGE, markersize=9)

    return Box(left + width + right, above + height + below, draw, above + height / 2)


def _write_ends(
    axes: Axes,
    curve: Curve,
    corner: tuple[float, float],
    size: tuple[float, float],
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Write the ends and the names of both axes around a plot."""
    (x, y), (width, height), (low, high) = corner, size, ends
    small: dict[str, Any] = {"fontsize": 11, "color": QUIET}
    under = y + height + 0.14
    axes.text(x, under, typographic(number(low[0])), ha="left", va="center", **small)
    axes.text(x + width, under, typographic(number(high[0])), ha="right", va="center", **small)
    axes.text(x + width / 2, under + 0.2, curve.across, ha="center", va="center", **small)
    axes.text(x - 0.08, y + height - 0.08, typographic(number(low[1])), ha="right", va="center", **small)
    axes.text(x - 0.08, y + 0.08, typographic(number(high[1])), ha="right", va="center", **small)
    if curve.up:
        axes.text(x + 0.08, y + 0.02, curve.up, ha="left", va="center", **small)


def curve_range(curve: Curve) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the smallest x and y of all lines, and the largest."""
    xs, ys = (np.concatenate([line[k] for line in curve.lines]) for k in (1, 2))
    return (float(xs.min()), float(ys.min())), (float(xs.max()), float(ys.max()))


def spread(places: Sequence[float], least: float) -> list[float]:
    """Move places apart, downwards, until neighbours are `least` from each other; their order stays.

    >>> spread([1.0, 0.5, 1.1], 0.25)
    [1.0, 0.5, 1.25]
    """
    result, before = list(places), -np.inf
    for k in sorted(range(len(places)), key=places.__getitem__):
        result[k] = before = max(places[k], before + least)
    return result


def _diagram_box(diagram: Diagram, width: float) -> Box:
    """Measure a drawing, made smaller where it would not fit."""
    drawing = diagram.drawing
    scale = min(diagram.scale, width / drawing.width)

    def draw(axes: Axes, x: float, y: float, _: float, __: float) -> None:
        drawing.paint(axes, x, y, scale)

    height = scale * drawing.height
    return Box(scale * drawing.width, height, draw, height / 2)


def _card_box(card: Card, width: float) -> Box:
    edge = 0.18
    title = _text_box(typographic(card.title), width - 2 * edge, size=14, weight="bold", color=BLUE)
    inside = _stack([title, *_boxes(card.blocks, width - 2 * edge)], gap=0.14)

    def draw(axes: Axes, x: float, y: float, place: float, height: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        style = "round,pad=0,rounding_size=0.12"
        axes.add_patch(FancyBboxPatch((x, y), place, height, boxstyle=style, fc=PAPER, ec="#d5dce6", lw=1, zorder=0))
        inside.draw(axes, x + edge, y + edge, place - 2 * edge, inside.height)

    height = inside.height + 2 * edge
    return Box(max(width, inside.width + 2 * edge), height, draw, height / 2, flush=True)


def _line_box(line: Line, width: float) -> Box:
    """Measure blocks side by side: grids shrunk until they fit, else in two rows; cards two to a row."""
    if sum(isinstance(block, Card) for block in line.blocks) > 1:
        boxes = _boxes(line.blocks, (width - _GAP) / 2)
        return _stack([_row(row, same_height=True) for row in _rows(boxes, width, _GAP)])
    for scale in _SCALES:
        boxes = _boxes(line.blocks, width, scale=scale)
        if sum(box.width for box in boxes) + scale * _GAP * (len(boxes) - 1) <= width:
            break
    return _stack([_row(row, gap=scale * _GAP) for row in _rows(boxes, width, scale * _GAP)])


def _rows(boxes: Sequence[Box], width: float, gap: float) -> list[list[Box]]:
    """Part boxes into rows of a width."""
    rows: list[list[Box]] = [[]]
    for box in boxes:
        row = rows[-1]
        if row and sum(b.width for b in row) + box.width + gap * len(row) > width + 0.01:
            rows.append([row.pop()] if len(row) > 1 and row[-1].leads else [])
        rows[-1].append(box)
    return rows


def _row(boxes: Sequence[Box], *, gap: float = _GAP, same_height: bool = False) -> Box:
    """Put boxes beside each other, their middles on one line; cards get equal heights."""
    width = sum(box.width for box in boxes) + gap * max(len(boxes) - 1, 0)
    above = max(box.middle for box in boxes)
    height = max(above + box.height - box.middle for box in boxes)

    def draw(axes: Axes, x: float, y: float, _: float, __: float) -> None:
        for box in boxes:
            top, tall = (y, height) if same_height else (y + above - box.middle, box.height)
            box.draw(axes, x, top, box.width, tall)
            x += box.width + gap

    return Box(width, height, draw, above)
