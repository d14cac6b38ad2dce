"""The sheet of `eyesight convolve`: the photo, and for each kernel its result, its numbers and what they do.

In: a `Convolved`. Out: a matplotlib figure. It computes nothing that it draws.

All places are in inches from the top left: equal cards in rows, so that no text meets another, whatever is shown.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..report.drawing import BLUE, ORANGE, show_picture, signed_colors
from .convolution import by
from .convolve import Convolved, Result, shrink
from .convolve_words import brightness, number
from .kernels import Kernel, denominator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AREA = 14.5  # square inches of a picture
_WIDTHS, _HEIGHTS = (4.1, 8.0), (0.3, 6.0)  # between these, so that text fits beside a slim picture's kernel
_TITLE, _SECOND, _KERNEL, _GAP, _MARGIN = 0.5, 0.22, 1.6, 0.35, 0.25
_FACTS = 1.5  # from the left of a card to the text beside a kernel
_MATRIX = 1.3  # side of a kernel's heat map
_LINE = 0.168  # height of a line of 9 points
_CHARACTER = 0.069  # width of a character of 9 points, with room to spare
_LARGEST_WRITTEN = 7  # sides of a kernel whose numbers are legible
_GREY = "#555555"


@dataclass
class _Sheet:
    """A figure that is drawn on from the top left, in inches."""

    figure: Figure
    width: float
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes without frame."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        return axes

    def text(
        self, left: float, top: float, text: str, *, size: float = 9, color: str = "black", bold: bool = False
    ) -> None:
        """Write lines, the first one's top at `top`; at equal distances, which matplotlib's own lines do not keep."""
        for i, line in enumerate(text.splitlines()):
            base = top + (i + 0.8) * size * _LINE / 9
            place = (left / self.width, 1 - base / self.height)
            self.figure.text(*place, line, size=size, color=color, weight="bold" if bold else "normal")


def draw(done: Convolved) -> Figure:
    """Draw the sheet: a single result below the photo, several in a grid with it."""
    from matplotlib.figure import Figure

    cards = 1 + len(done.results)
    wide, high = _picture_size(done.photo.shape)
    columns = _columns(cards, wide, high)
    rows = -(-cards // columns)
    first_below = 0.0 if columns == 1 else _KERNEL  # a photo by itself has no kernel below it
    tops = [1.0 + row * (_TITLE + high + _KERNEL + _GAP) - (_KERNEL - first_below) * (row > 0) for row in range(rows)]
    hint = textwrap.wrap(done.hint or "", int((columns * (wide + _GAP) - _GAP) / _CHARACTER))
    bottom = tops[-1] + _TITLE + high + _KERNEL
    height = bottom + _MARGIN + (_LINE * len(hint) + 0.15 if hint else 0)
    width = 2 * _MARGIN + columns * (wide + _GAP) - _GAP
    sheet = _Sheet(Figure(figsize=(width, height)), width, height)
    _heading(sheet, done)
    for place in range(cards):
        left, top = _MARGIN + place % columns * (wide + _GAP), tops[place // columns]
        if place:
            _result(sheet, done, done.results[place - 1], (left, top), (wide, high))
        else:
            _photo(sheet, done, (left, top), (wide, high))
    sheet.text(_MARGIN, bottom + 0.15, "\n".join(hint), color=ORANGE)
    return sheet.figure


def _picture_size(shape: tuple[int, int]) -> tuple[float, float]:
    """Return width and height in inches that all pictures get."""
    width = float(np.clip(math.sqrt(_AREA * shape[1] / shape[0]), *_WIDTHS))
    return width, float(np.clip(width * shape[0] / shape[1], *_HEIGHTS))


def _columns(cards: int, wide: float, high: float) -> int:
    """Return how many cards stand side by side: photo above result; of more, a sheet of 7:5 with few empty places."""

    def misfit(columns: int) -> float:
        rows = -(-cards // columns)
        shape = columns * wide / (rows * (_TITLE + high + _KERNEL + _GAP))
        return abs(math.log(shape / 1.4)) + (rows * columns - cards) / cards

    return 1 if cards == 2 else min(range(1, cards + 1), key=misfit)


def _heading(sheet: _Sheet, done: Convolved) -> None:
    sheet.text(_MARGIN, _MARGIN, "A convolution over a photo", size=14, bold=True)
    how = f"padding {done.padding}, stride {done.stride}; each pixel: window times kernel, added up"
    sheet.text(_MARGIN, _MARGIN + 0.34, how, color=_GREY)


def _photo(sheet: _Sheet, done: Convolved, corner: tuple[float, float], size: tuple[float, float]) -> None:
    (left, top), (wide, high), photo = corner, size, done.photo
    sheet.text(left, top, f"original, {_short(photo.name, 22)}: {by(photo.shape)}", size=11, bold=True)
    _picture(sheet.axes(left, top + _TITLE, wide, high), shrink(photo.pixels))
    kind = "color, each of 3 channels by itself" if photo.pixels.shape[2] == 3 else "grey, 0 black and 255 white"
    sheet.text(left, top + _SECOND, f"{kind}; mean {number(photo.pixels.mean())}")


def _result(
    sheet: _Sheet, done: Convolved, result: Result, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    (left, top), (wide, high), kernel = corner, size, result.kernel
    title = f"{_short(kernel.name, 18)}: {by(done.photo.shape)} → {by(result.shape)}"
    sheet.text(left, top, title, size=11, bold=True, color=BLUE)
    sheet.text(
        left, top + _SECOND, f"{kernel.parameters:,} parameters: {by(kernel.shape)} weights + 1 bias", color=BLUE
    )
    _picture(sheet.axes(left, top + _TITLE, wide, high), result.picture)
    below = top + _TITLE + high + 0.12
    _numbers(sheet, kernel, left, below)
    facts = (
        f"sum {number(kernel.sum)}: {brightness(kernel)}",
        "from {} to {}, mean {}".format(*result.numbers),
        result.shown,
    )
    characters = int((wide - _FACTS) / _CHARACTER)
    lines = [line for fact in facts for line in textwrap.wrap(fact, characters, subsequent_indent="  ")]
    sheet.text(left + _FACTS, below, "\n".join(lines).replace("-", "−"), color=_GREY)


def _picture(axes: Axes, picture: np.ndarray) -> None:
    show_picture(axes, picture)
    axes.set_anchor("NW")
    if max(picture.shape) < 100:
        axes.images[0].set_interpolation("nearest")  # few pixels are there to be counted


def _numbers(sheet: _Sheet, kernel: Kernel, left: float, top: float) -> None:
    """Draw a kernel as a heat map, orange above and blue below 0 as in lessons, with its numbers where legible."""
    parts = denominator(kernel.values)
    caption = f"numbers × 1/{parts:,}" if parts and parts > 1 else ""
    height, width = kernel.shape
    cell = min(_MATRIX / height, _MATRIX / width)
    largest = float(np.abs(kernel.values).max()) or 1.0
    texts = [_cell(value, parts) for value in kernel.values.flat]
    size = min(11.0, 72 * cell * 0.6, 72 * cell * 0.85 / (0.62 * max(map(len, texts))))
    written = max(kernel.shape) <= _LARGEST_WRITTEN and size >= 5
    axes = sheet.axes(left, top, cell * width, cell * height)
    axes.imshow(signed_colors(kernel.values, pale=written), aspect="auto")
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")
    if written:
        for line in range(1, max(height, width)):
            axes.axhline(line - 0.5, color="white", lw=0.8)
            axes.axvline(line - 0.5, color="white", lw=0.8)
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
        for (i, j), text in zip(np.ndindex(kernel.shape), texts, strict=True):
            axes.text(j, i, text, size=size, ha="center", va="center")
    elif not caption:
        caption = " to ".join(number(v, beside=largest) for v in (kernel.values.min(), kernel.values.max()))
    sheet.text(left, top + cell * height + 0.06, caption.replace("-", "−"), size=8, color=_GREY)


def _cell(value: float, parts: int | None) -> str:
    text = f"{value:.2f}" if parts is None else str(round(value * parts))
    return text.replace("-", "−")


def _short(name: str, length: int) -> str:
    name = " ".join(name.split())
    return name if len(name) <= length else name[: length - 1] + "…"
