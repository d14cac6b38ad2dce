"""What a lesson is made of: words, grids of numbers, signs between them, tables and bars.

In: arrays and words from a lesson. Out: a tree of blocks that `terminal` prints and `sheet` draws, so that both show
the same numbers. It does not know how either does it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .vector import Drawing

Floats = npt.NDArray[np.float64]
Shade = Literal["none", "grey", "red", "green", "blue", "pale-red", "pale-green", "pale-blue", "signed", "color"]

WIDEST_GRID = 12  # rows and columns of a reader's own numbers; more are unreadable in a terminal and on a sheet


@dataclass(frozen=True)
class Words:
    """A paragraph. `role`: plain words, a sum worked out, or the conclusion."""

    text: str
    role: Literal["plain", "sum", "result"] = "plain"


@dataclass(frozen=True, eq=False)
class Grid:
    """A matrix, cell by cell.

    Attributes:
        values: (H, W); NaN is a cell not yet computed. For the shade "color" (H, W, 3), drawn as pixels.
        title: above the grid.
        note: below it, smaller.
        window: (top, left, height, width) of the cells looked at now.
        marked: cells that matter: the one being computed, the largest, those that changed.
        shade: what colours the cells: a picture's grey or one channel of colour (0 to 255), a channel's name alone
            (pale), the sign of a number, or a colour picture's own pixels.
        border: how many rows and columns of padding stand (top, bottom, left, right).
        numbers: False draws pixels only.
        size: side of a sheet's whole drawing in inches, where pixels only; numbers choose their own.
        names: of the rows, where they have any.
        blank: what stands in a cell without a number.
        cell: side of a cell on a sheet in inches, for grids that are to be compared; 0 for one that fits the matrix.
    """

    values: Floats
    title: str = ""
    note: str = ""
    window: tuple[int, int, int, int] | None = None
    marked: frozenset[tuple[int, int]] = frozenset()
    shade: Shade = "none"
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    numbers: bool = True
    size: float = 1.8
    names: tuple[str, ...] = ()
    blank: str = "?"
    cell: float = 0.0

    def padding_cell(self, row: int, column: int) -> bool:
        """Tell whether a cell belongs to the border."""
        top, bottom, left, right = self.border
        height, width = self.values.shape[:2]
        return not (top <= row < height - bottom and left <= column < width - right)

    def in_window(self, row: int, column: int) -> bool:
        """Tell whether a cell lies in the window."""
        if self.window is None:
            return False
        top, left, height, width = self.window
        return top <= row < top + height and left <= column < left + width


@dataclass(frozen=True)
class Sign:
    """What stands between two grids: "×", "=", "→"; with a word above the arrow."""

    text: str
    word: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under column names; the first `words` columns are aligned to the left, numbers to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True)
class Bars:
    """Named values as bars, the numbers beside them.

    Attributes:
        names, values, texts: one for each bar.
        marked: the bar that matters.
        full: the value of a bar of full length; the largest one where not given.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    texts: tuple[str, ...]
    marked: int | None = None
    full: float | None = None
    title: str = ""

    def shares(self) -> list[float]:
        """Return the length of every bar, from 0 to 1."""
        full = max(self.values) if self.full is None else self.full
        return [max(value, 0.0) / full if full > 0 else 0.0 for value in self.values]


@dataclass(frozen=True, eq=False)
class Curve:
    """Functions as lines, with points on them and the ends of both axes written; only a sheet draws it.

    Attributes:
        lines: (name, x, y) with x and y (N,); names are written beside the lines.
        points: (x, y) that matter.
        title: above it.
        across, up: what the axes are.
    """

    lines: tuple[tuple[str, Floats, Floats], ...]
    points: tuple[tuple[float, float], ...] = ()
    title: str = ""
    across: str = ""
    up: str = ""


@dataclass(frozen=True)
class Diagram:
    """A drawing on a sheet, its own lines of text in a terminal.

    Attributes:
        drawing: for the sheet.
        lines: that say the same.
        scale: how much larger it is drawn, where there is room.
    """

    drawing: Drawing
    lines: tuple[str, ...]
    scale: float = 1.0


@dataclass(frozen=True)
class Line:
    """Blocks side by side; what does not fit goes to the next line."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Card:
    """One step: a heading and the blocks under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Only:
    """A block for the terminal or for the sheet alone."""

    where: Literal["terminal", "sheet"]
    block: Block


Block = Words | Grid | Sign | Table | Bars | Curve | Diagram | Line | Card | Only


@dataclass(frozen=True)
class Lesson:
    """One topic, worked out.

    Attributes:
        name: of the topic.
        title: what the sheet says at its top.
        blocks: in reading order.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]


def line(*blocks: Block | str) -> Line:
    """Return blocks side by side; text stands for a sign."""
    return Line(tuple(Sign(block) if isinstance(block, str) else block for block in blocks))


def card(title: str, *blocks: Block) -> Card:
    """Return a step."""
    return Card(title, blocks)


def number(value: float) -> str:
    """Write a number as briefly as it can be read.

    >>> [number(value) for value in (35.0, 4.75, -0.5, 2 / 3, 1234567.0, 0.00001)]
    ['35', '4.75', '-0.5', '0.667', '1,234,567', '1e-05']
    """
    if abs(value - round(value)) < 1e-9 and abs(value) < 1e9:
        return f"{round(value):,}"
    if 0.001 <= abs(value) < 10_000:
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:.3g}"


def count(n: int, thing: str) -> str:
    """Write how many things there are.

    >>> count(1, "epoch"), count(2000, "update")
    ('1 epoch', '2,000 updates')
    """
    return f"{n:,} {thing}{'s' * (n != 1)}"


def factor(value: float) -> str:
    """Write a number inside a sum or a product: negative ones in brackets.

    >>> factor(-1.0), factor(25.0)
    ('(-1)', '25')
    """
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def cells(grid: Grid, *, short: bool = False) -> list[list[str]]:
    """Write all numbers of a grid (H, W) with equally many decimals; `short` ones with three digits."""
    values = grid.values
    known = values[np.isfinite(values)]
    most = 3 if known.size and np.abs(known).max() < 1 else 2
    decimals = next((d for d in range(most) if np.allclose(known, known.round(d), rtol=0, atol=1e-9)), most)
    short = short or (bool(known.size) and float(np.abs(known).max()) >= 1e6)
    return [
        [grid.blank if np.isnan(v) else f"{v:.3g}" if short else f"{v + 0.0:,.{decimals}f}" for v in row]
        for row in values
    ]


def hide_after(result: Floats, cell: tuple[int, int]) -> Floats:
    """Return a result (H, W) as it stands once `cell` is computed, row by row: NaN after it."""
    partial = result.astype(np.float64).ravel()
    partial[np.ravel_multi_index(cell, result.shape) + 1 :] = np.nan
    return partial.reshape(result.shape)


def products(window: Floats, kernel: Floats) -> str:
    """Write the products of a window and a kernel of the same shape as a sum, without its result.

    >>> products(np.array([[10.0, 2.0]]), np.array([[1.0, -1.0]]))
    '10×1 + 2×(-1)'
    """
    pairs = zip(window.ravel().tolist(), kernel.ravel().tolist(), strict=True)
    return " + ".join(f"{factor(a)}×{factor(b)}" for a, b in pairs)


def total(values: Floats) -> str:
    """Write numbers as a sum, without its result."""
    return " + ".join(factor(v) for v in values.ravel().tolist())


def typographic(text: str) -> str:
    """Return the text with minus signs in place of hyphens before numbers, for print."""
    return re.sub(r"(?<![\w×])-(?=[\d.])|(?<= )-(?= )", "−", text)
