"""What both kinds of diagram draw: stacks of feature maps, columns of numbers and of neurons, and words on sizes.

In: shapes of arrays, places in inches. Out: shapes of a drawing. It knows no layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...report.vector import Circles, Color, Label, Point, Polygon, line_height, rectangle
from ..layer import Shape
from ..network import NetworkSpec
from ..summary import channels_last

TITLE = 12.0  # points
_MOST_SHEETS = 16
_SHEETS_APART = 0.035  # inches at least
_SMALLEST = 0.05  # inches; a map of one pixel must be seen
_SHORT, _DEEP = 0.05, 0.13  # inches that a stack reaches back for every doubling of its channels, small and large
_MOST_SHOWN = 12  # neurons of which all are shown
_STEP, _RADIUS = 0.14, 0.05  # of neurons in a column


def by(shape: Shape) -> str:
    """Write a shape as tables have it: height×width×channels."""
    return "×".join(f"{n:,}" for n in channels_last(shape))


def short_names(paths: Sequence[str]) -> list[str]:
    """Return the last word of each path, or the last two where the last is not its own.

    >>> short_names(["features.stage1.conv", "features.stage2.conv", "head.flatten"])
    ['stage1.conv', 'stage2.conv', 'flatten']
    """
    last = [path.rsplit(".", 1)[-1] for path in paths]
    return [
        name if last.count(name) == 1 else ".".join(path.split(".")[-2:])
        for name, path in zip(last, paths, strict=True)
    ]


def headline(spec: NetworkSpec) -> str:
    """Say in one line what is drawn."""
    many = "class" if spec.classes == 1 else "classes"
    return f"{spec.name}: {by(spec.input)} → {spec.classes:,} {many}, {spec.parameters():,} parameters"


def heading(spec: NetworkSpec, edge: float) -> Label:
    """Return the headline at the top left, so far from the edges."""
    return Label(edge, edge + line_height(TITLE) / 2, headline(spec), TITLE, bold=True, align="left")


@dataclass(frozen=True)
class Stack:
    """Feature maps (C, H, W) one behind the other, the first at the bottom right.

    Attributes:
        shape: (C, H, W).
        scale: inches for a pixel.
        small: reaches back less.
    """

    shape: Shape
    scale: float
    small: bool = False

    @property
    def front(self) -> tuple[float, float]:
        """Width and height of one map."""
        _, height, width = self.shape
        return max(width * self.scale, _SMALLEST), max(height * self.scale, _SMALLEST)

    @property
    def depth(self) -> float:
        """How far the stack reaches back, to the left and up."""
        return (_SHORT if self.small else _DEEP) * math.log2(self.shape[0])

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the whole."""
        wide, high = self.front
        return wide + self.depth, high + self.depth

    def draw(self, x: float, y: float, *, fill: Color, edge: Color) -> list[Polygon]:
        """Draw it with its top left corner at (x, y)."""
        count = min(self.shape[0], _MOST_SHEETS, 1 + math.ceil(self.depth / _SHEETS_APART))
        return self._sheets(x, y, [fill] * count, edge)

    def draw_picture(self, x: float, y: float) -> list[Polygon]:
        """Draw it as the picture that goes in: three channels in their colours, red in front."""
        colors: list[Color] = ["pale", "green", "red"] if self.shape[0] == 3 else ["grey"] * self.shape[0]
        return self._sheets(x, y, colors, "ink")

    def _sheets(self, x: float, y: float, fills: list[Color], edge: Color) -> list[Polygon]:
        backs = [self.depth * k / max(len(fills) - 1, 1) for k in range(len(fills))]
        return [
            rectangle(x + back, y + back, *self.front, fill=fill, edge=edge, line=0.6)
            for back, fill in zip(backs, fills, strict=True)
        ]

    def front_corner(self, x: float, y: float) -> Point:
        """Return the top left corner of the first map."""
        return x + self.depth, y + self.depth


@dataclass(frozen=True)
class Column:
    """Numbers or neurons below each other; of many only some, with dots where others are left out."""

    count: int

    @property
    def shown(self) -> int:
        """How many places there are: more for more numbers, slowly."""
        return self.count if self.count <= _MOST_SHOWN else min(2 * round(math.log2(self.count)), 24) + 1

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return 2 * _RADIUS, self.shown * _STEP

    def centres(self, x: float, y: float) -> list[Point]:
        """Return the middles of what is shown, for a column with its top left corner at (x, y)."""
        gap = None if self.shown == self.count else self.shown // 2
        return [(x + _RADIUS, y + (k + 0.5) * _STEP) for k in range(self.shown) if k != gap]

    def draw(self, x: float, y: float, *, neurons: bool) -> list[Polygon | Circles]:
        """Draw it: neurons as circles, numbers as squares."""
        centres = self.centres(x, y)
        drawn: list[Polygon | Circles] = []
        if neurons:
            drawn.append(Circles(tuple(centres), _RADIUS))
        else:
            side = 2 * _RADIUS
            drawn += [rectangle(cx - _RADIUS, cy - _RADIUS, side, side, fill="pale", line=0.6) for cx, cy in centres]
        if self.shown < self.count:
            middle = y + (self.shown // 2 + 0.5) * _STEP
            dots = tuple((x + _RADIUS, middle + k * _STEP / 4) for k in (-1, 0, 1))
            drawn.append(Circles(dots, 0.009, fill="quiet", edge="quiet", width=0.3))
        return drawn
