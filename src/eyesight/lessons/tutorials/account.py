"""An account of something that happens: plain paragraphs, the output that belongs to them, and figures.

In: text, tables, matplotlib figures. Out: lines on stdout, and PNG files in a folder once that exists. It does not know
what is told.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...formats import write_bytes
from ...report.drawing import png
from ...report.terminal import align_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 80  # columns of a paragraph and of a table


class Account:
    """What is told, in order.

    Args:
        folder: where figures go. It need not exist yet: they are written by `save`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stdout = sys.stdout
        self.steps = 0
        self._figures: dict[Path, bytes] = {}

    def heading(self, text: str) -> None:
        """Begin the next step."""
        self.steps += 1
        self.show(f"\n{self.steps}. {text}", "")

    def say(self, text: str) -> None:
        """Tell a paragraph in plain words."""
        self.show(*textwrap.wrap(" ".join(text.split()), WIDTH, break_on_hyphens=False), "")

    def show(self, *lines: str) -> None:
        """Print lines as they are, such as those that the tutorial prints."""
        # While a progress bar is shown, rich puts its own stdout in place, which prints above the bar, but on the bar's
        # stream: right on a terminal, wrong where the output goes into a file.
        stream = sys.stdout if self.stdout.isatty() else self.stdout
        print(*lines, sep="\n", file=stream, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
        """Print a table and a blank line; the columns named in `numbers` are aligned to the right."""
        self.show(*align_columns(columns, rows, numbers=numbers, width=WIDTH), "")

    def figure(self, name: str, figure: Figure, about: str) -> None:
        """Draw a figure, to be written as `name`.png, and say where it will be."""
        path = self.folder / f"{name}.png"
        self._figures[path] = png(figure)
        self.show(f"figure: {path} ({about})", "")

    def save(self) -> None:
        """Write the figures drawn so far."""
        for path, data in self._figures.items():
            write_bytes(path, data)
        self._figures.clear()
