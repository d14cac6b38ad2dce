"""A matrix on a sheet: its cells with their numbers, or its pixels alone.

In: a `Grid` and the place of its top left corner, in inches. Out: drawn cells. It does not know what is around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .document import Floats, Grid, cells, typographic
from .drawing import BLUE, ORANGE, signed_colors, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Color = tuple[float, float, float]

_WINDOW_TINT: Color = (0.82, 0.89, 0.97)
_MARKED_TINT: Color = (0.99, 0.85, 0.72)
_BORDER_TINT: Color = (0.92, 0.92, 0.92)
_WHITE: Color = (1.0, 1.0, 1.0)
_CHANNELS = {"red": 0, "green": 1, "blue": 2}
_PALE = {"pale-red": (1.0, 0.9, 0.9), "pale-green": (0.89, 0.97, 0.89), "pale-blue": (0.89, 0.92, 1.0)}
_YELLOW = "#ffd400"
_NAMES_SIZE = 12.0


def grid_size(grid: Grid, scale: float) -> tuple[float, float]:
    """Return width and height of the drawing in inches."""
    height, width = grid.values.shape[:2]
    if not grid.numbers:
        return scale * grid.size * min(1.0, width / height), scale * grid.size * min(1.0, height / width)
    side = scale * cell_side(grid)
    return _names_width(grid) + side * width, side * height


def cell_side(grid: Grid) -> float:
    """Return the side of a cell in inches: large for small matrices."""
    if grid.cell:
        return grid.cell
    most = max(grid.values.shape[:2])
    return 0.6 if most <= 4 else 0.52 if most <= 6 else 0.44 if most <= 8 else 0.36


def _names_width(grid: Grid) -> float:
    return max((text_width(name, _NAMES_SIZE) + 0.12 for name in grid.names), default=0.0)


def draw_cells(axes: Axes, grid: Grid, x: float, y: float, scale: float) -> None:
    """Draw every cell with its number; the window framed, marked cells orange, padding hatched."""
    side, written = scale * cell_side(grid), cells(grid)
    size = _font_size(written, side)
    for i, name in enumerate(grid.names):
        axes.text(x, y + (i + 0.5) * side, name, fontsize=_NAMES_SIZE, va="center")
    x += _names_width(grid)
    colors = _cell_colors(grid)
    _draw_fields(axes, grid, colors, x, y, side)
    for i, row in enumerate(written):
        for j, text in enumerate(row):
            quiet = text == grid.blank or grid.padding_cell(i, j)
            ink = "white" if _dark(colors[i][j]) else "#9aa3af" if quiet else "#1b1f24"
            weight = "bold" if (i, j) in grid.marked else "normal"
            axes.text(x + (j + 0.5) * side, y + (i + 0.5) * side, typographic(text), fontsize=size, color=ink,
                      fontweight=weight, ha="center", va="center_baseline", zorder=4)  # fmt: skip


def _draw_fields(axes: Axes, grid: Grid, colors: list[list[Color]], x: float, y: float, side: float) -> None:
    """Fill the cells and draw their frames; in few artists, as each one costs time."""
    from matplotlib.collections import PolyCollection

    def square(top: float, left: float, tall: float = 1, wide: float = 1) -> list[tuple[float, float]]:
        right, bottom = left + wide, top + tall
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        return [(x + across * side, y + down * side) for across, down in corners]

    height, width = grid.values.shape[:2]
    places = [(i, j) for i in range(height) for j in range(width)]
    fills = [color for row in colors for color in row]
    around = [square(*place) for place in places if grid.padding_cell(*place)]
    thin: dict[str, Any] = {"edgecolors": "#b8c0cc", "linewidths": 0.8, "zorder": 1}
    fields = [PolyCollection([square(*p) for p in places], facecolors=fills, **thin)]
    if around:
        fields.append(PolyCollection(around, facecolors="none", hatch="////", **thin))
    frames = [(square(0, 0, height, width), "#1b1f24", 1.4), *((square(i, j), ORANGE, 2.6) for i, j in grid.marked)]
    frames += [(square(*grid.window), _frame_color(grid), 3.4)] if grid.window else []
    for corners, color, thick in frames:
        fields.append(PolyCollection([corners], facecolors="none", edgecolors=color, linewidths=thick, zorder=3))
    for field in fields:
        axes.add_collection(field, autolim=False)


def _font_size(written: list[list[str]], side: float) -> float:
    """Return the font size in points at which the widest number fits its cell."""
    widest = max(text_width(typographic(text), 10.0, "bold") for row in written for text in row)
    return min(28 * side, 10 * 0.84 * side / widest)


def _cell_colors(grid: Grid) -> list[list[Color]]:
    shaded = _shade(grid)
    height, width = grid.values.shape[:2]

    def color(i: int, j: int) -> Color:
        if (i, j) in grid.marked and grid.shade not in ("grey", *_CHANNELS):
            return _MARKED_TINT
        if (grid.shade == "none" or grid.shade in _PALE) and grid.in_window(i, j):
            return _WINDOW_TINT
        if grid.padding_cell(i, j):
            return _BORDER_TINT
        red, green, blue = shaded[i, j].tolist()
        return red, green, blue

    return [[color(i, j) for j in range(width)] for i in range(height)]


def _frame_color(grid: Grid) -> str:
    """Return what stands out from the cells: yellow on a picture's own colours."""
    return _YELLOW if grid.shade in ("grey", "color", *_CHANNELS) else BLUE


def _dark(color: Color) -> bool:
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] < 0.5


def _shade(grid: Grid) -> Floats:
    """Return a colour (H, W, 3), 0 to 1, for every cell."""
    values = np.nan_to_num(grid.values)
    if grid.shade == "color":
        return np.clip(values / 255, 0, 1)
    colors = np.ones((*values.shape, 3))
    if grid.shade in _PALE:
        colors[:] = _PALE[grid.shade]
    if grid.shade == "grey":
        colors[:] = np.clip(values / 255, 0, 1)[..., None]
    elif grid.shade in _CHANNELS:
        colors[:] = 0
        colors[..., _CHANNELS[grid.shade]] = np.clip(values / 255, 0, 1)
    elif grid.shade == "signed":
        return signed_colors(values, pale=grid.numbers)
    return colors


def draw_pixels(axes: Axes, grid: Grid, x: float, y: float, scale: float) -> None:
    """Draw the values as pixels, without smoothing."""
    from matplotlib.patches import Rectangle

    width, height = grid_size(grid, scale)
    axes.imshow(_shade(grid), extent=(x, x + width, y + height, y), interpolation="nearest", zorder=1)
    axes.add_patch(Rectangle((x, y), width, height, fill=False, ec="#1b1f24", lw=1, zorder=3))
    if grid.window:
        rows, columns = grid.values.shape[:2]
        top, left, tall, wide = grid.window
        corner, size = (
            (x + left * width / columns, y + top * height / rows),
            (wide * width / columns, tall * height / rows),
        )
        axes.add_patch(Rectangle(corner, *size, fill=False, ec=_frame_color(grid), lw=3.4, zorder=3))
