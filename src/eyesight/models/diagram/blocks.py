"""Layers as boxes that follow each other, and residuals as a way around them.

In: parts of a network. Out: `Piece`s, measured before they are drawn, so that nothing overlaps. All lengths are inches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...report.drawing import text_width
from ...report.vector import Circles, Color, Drawing, Label, Shape, Strokes, line_height, rectangle
from ..layers import Conv, Linear, Whitening
from .parts import Item, Joint, Part

_TITLE, _SMALL = 9.0, 8.0
_ARROW, _INSIDE = 0.26, 0.1
_PLUS = 0.1  # radius of the sign where two ways are added


@dataclass(frozen=True)
class Piece:
    """Something measured: `flow` is the height of the line on which neighbours are joined."""

    width: float
    height: float
    flow: float
    draw: Callable[[float, float], list[Shape]]


def block_drawing(items: Sequence[Item], title: str) -> Drawing:
    """Draw some layers by themselves, with an arrow into them and one out of them."""
    piece = sequence(items)
    edge = 0.15

    def arrow(x: float) -> Strokes:
        return Strokes((((x, edge + piece.flow), (x + _ARROW, edge + piece.flow)),), arrow=True)

    start = edge + _ARROW
    shapes = (arrow(edge), *piece.draw(start, edge), arrow(start + piece.width))
    return Drawing(piece.width + 2 * (edge + _ARROW), piece.height + 2 * edge, shapes, title)


def sequence(items: Sequence[Item]) -> Piece:
    """Put parts one after the other, an arrow between them."""
    return _joined([_joint(item) if isinstance(item, Joint) else box(item) for item in items])


def lines_of(items: Sequence[Item], width: float) -> Piece:
    """Put parts one after the other, in as many lines as a width needs."""
    pieces = [_joint(item) if isinstance(item, Joint) else box(item) for item in items]
    rows: list[list[Piece]] = [[]]
    for piece in pieces:
        if rows[-1] and sum(p.width + _ARROW for p in rows[-1]) + piece.width > width:
            rows.append([])
        rows[-1].append(piece)
    joined = [_joined(row) for row in rows]
    if len(joined) == 1:
        return joined[0]
    gap = 0.2

    def draw(x: float, y: float) -> list[Shape]:
        shapes: list[Shape] = []
        for piece in joined:
            shapes += piece.draw(x, y)
            y += piece.height + gap
        return shapes

    height = sum(piece.height for piece in joined) + gap * (len(joined) - 1)
    return Piece(max(piece.width for piece in joined), height, height / 2, draw)


def box(part: Part) -> Piece:
    """Draw a layer as a box with its words."""
    words = [(part.title, _TITLE, True)] + [(text, _SMALL, False) for text in (part.detail, part.follow) if text]
    width = max(text_width(text, size, "bold" if bold else "normal") for text, size, bold in words) + 2 * _INSIDE
    heights = [line_height(size) for _, size, _ in words]
    height = sum(heights) + 0.12

    def draw(x: float, y: float) -> list[Shape]:
        fill, edge = _colors(part)
        shapes: list[Shape] = [rectangle(x, y, width, height, fill=fill, edge=edge)]
        down = y + 0.06
        for (text, size, bold), tall in zip(words, heights, strict=True):
            shapes.append(Label(x + width / 2, down + tall / 2, text, size, "ink" if bold else "quiet", bold=bold))
            down += tall
        return shapes

    return Piece(width, height, height / 2, draw)


def _colors(part: Part) -> tuple[Color, Color]:
    if isinstance(part.layer, Conv | Whitening):
        return "pale", "blue"
    if isinstance(part.layer, Linear):
        return "tint", "orange"
    return "panel", "quiet"


def _joined(pieces: Sequence[Piece]) -> Piece:
    """Put pieces beside each other on one flow line."""
    if not pieces:
        return Piece(0.0, 0.0, 0.0, lambda _, __: [])
    flow = max(piece.flow for piece in pieces)
    height = flow + max(piece.height - piece.flow for piece in pieces)
    width = sum(piece.width for piece in pieces) + _ARROW * (len(pieces) - 1)

    def draw(x: float, y: float) -> list[Shape]:
        shapes: list[Shape] = []
        for k, piece in enumerate(pieces):
            if k:
                shapes.append(Strokes((((x, y + flow), (x + _ARROW, y + flow)),), arrow=True))
                x += _ARROW
            shapes += piece.draw(x, y + flow - piece.flow)
            x += piece.width
        return shapes

    return Piece(width, height, flow, draw)


def _joint(joint: Joint) -> Piece:
    """Draw a branch, and above it the way around it, which may hold layers of its own."""
    branch, around = sequence(joint.branch), sequence(joint.shortcut)
    side, gap = 0.16, 0.14
    inside = max(branch.width, around.width)
    top = around.flow if around.height else 0.05
    below = max(around.height, 0.05) + gap
    width = side + _ARROW + inside + _ARROW + 2 * _PLUS

    def draw(x: float, y: float) -> list[Shape]:
        line, way = y + below + branch.flow, y + top
        start, end = x + side, x + width - _PLUS
        first = start + _ARROW + (inside - branch.width) / 2
        shapes: list[Shape] = [
            Strokes((((x, line), (start, line)),)),
            Strokes((((start, line), (first, line)), ((first + branch.width, line), (end - _PLUS, line))), arrow=True),
        ]
        up, down = (start, line), (end, line - _PLUS)
        if around.height:
            own = start + _ARROW + (inside - around.width) / 2
            shapes.append(Strokes(((up, (start, way), (own, way)),), arrow=True))
            shapes.append(Strokes((((own + around.width, way), (end, way), down),), arrow=True))
            shapes += around.draw(own, y)
        else:
            shapes.append(Strokes(((up, (start, way), (end, way), down),), arrow=True))
        shapes += branch.draw(first, y + below)
        sign = 0.06
        shapes.append(Circles(((end, line),), _PLUS, fill="ground", edge="ink"))
        cross = (((end - sign, line), (end + sign, line)), ((end, line - sign), (end, line + sign)))
        return [*shapes, Strokes(cross, "ink", 1.2)]

    return Piece(width, below + branch.height, below + branch.flow, draw)
