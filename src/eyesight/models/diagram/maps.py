"""A chain of layers as stacks of feature maps at their true proportions, and columns of neurons.

In: a `NetworkSpec` and its parts. Out: a `Drawing`. Every stack is as far from the next as their words need. Source of
the form: LeCun et al., "Gradient-based learning applied to document recognition", 1998, figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...report.drawing import text_width
from ...report.vector import Drawing, Label, Point, Shape, Strokes, line_height, rectangle
from ..layers import Conv, Linear, Whitening
from ..network import NetworkSpec
from ..pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from .parts import Part
from .shapes import TITLE, Column, Stack, by, heading, headline, short_names

_LARGEST = 1.7  # inches, side of the largest map
_APART, _AIR = 0.36, 0.12  # inches between stacks, between words
_PIXEL = 0.03  # inches, least side of the one number that comes of a window
_EDGE = 0.2
_SIZE, _CLASS = 9.0, 7.5
_MOST_CLASSES = 12


@dataclass(frozen=True)
class _Node:
    """The picture, or what a part makes of what came before.

    Attributes:
        part: None for the picture.
        above: lines over it: its name and size.
        below: lines under the way to it: what computes it.
        form: how it is drawn.
    """

    part: Part | None
    above: tuple[str, ...]
    below: tuple[str, ...]
    form: Stack | Column


def draw_maps(spec: NetworkSpec, chain: Sequence[Part], classes: Sequence[str]) -> Drawing:
    """Draw a network that is one chain of layers.

    Args:
        spec: the network.
        chain: its parts.
        classes: their names, shown beside the last column where there are few.
    """
    nodes = _nodes(spec, chain)
    places = _place(nodes)
    high = max(node.form.size[1] for node in nodes)
    top = _EDGE + line_height(TITLE) + 0.12 + _lines_height(max(len(node.above) for node in nodes)) + 0.1
    middle = top + high / 2
    corners = [(x, middle - node.form.size[1] / 2) for x, node in zip(places, nodes, strict=True)]
    shapes: list[Shape] = [heading(spec, _EDGE)]
    for node, corner in zip(nodes, corners, strict=True):
        shapes += _draw_node(node, corner, top)
    for k in range(1, len(nodes)):
        shapes += _connect(nodes[k - 1], corners[k - 1], nodes[k], corners[k])
        shapes += _words_below(nodes, places, k, top + high + 0.12)
    shapes += _name_classes(nodes[-1], corners[-1], classes)
    boxes = [shape.box() for shape in shapes if isinstance(shape, Label)]
    width = max(*(box[2] for box in boxes), places[-1] + nodes[-1].form.size[0]) + _EDGE
    height = max(top + high, *(box[3] for box in boxes)) + _EDGE
    return Drawing(width, height, tuple(shapes), headline(spec))


def _nodes(spec: NetworkSpec, chain: Sequence[Part]) -> list[_Node]:
    scale = _LARGEST / max(max(shape[1:]) for shape in (spec.input, *(part.out for part in chain)) if len(shape) == 3)
    names = short_names([part.paths[0] for part in chain])
    nodes = [_Node(None, ("picture", by(spec.input)), (), Stack(spec.input, scale))]
    for name, part in zip(names, chain, strict=True):
        form = Stack(part.out, scale) if len(part.out) == 3 else Column(part.out[0])
        below = (part.title, *(layer.describe() for layer in part.after))
        below += (f"{part.parameters:,} parameters",) if part.parameters else ()
        nodes.append(_Node(part, (name, by(part.out)), below, form))
    return nodes


def _place(nodes: Sequence[_Node]) -> list[float]:
    """Return the left edge of each node: as near as the stacks and the words above and below allow."""
    places: list[float] = []
    right, above_end, below_end = 0.0, 0.0, 0.0
    for k, node in enumerate(nodes):
        wide = node.form.size[0]
        above = max(_word_width(text, first=i == 0) for i, text in enumerate(node.above))
        left = max(_EDGE if k == 0 else right + _APART, above_end + (above - wide) / 2)
        if k:
            below = max(_word_width(text, first=i == 0) for i, text in enumerate(node.below))
            # the words stand in the middle between the two stacks
            left = max(left, 2 * (below_end + below / 2) - right)
            below_end = (right + left + below) / 2 + _AIR
        else:
            left = max(left, _EDGE + (above - wide) / 2)
        above_end = left + (wide + above) / 2 + _AIR
        right = left + wide
        places.append(left)
    return places


def _word_width(text: str, *, first: bool) -> float:
    return text_width(text, _SIZE, "bold" if first else "normal")


def _lines_height(count: int) -> float:
    return count * line_height(_SIZE)


def _draw_node(node: _Node, corner: Point, top: float) -> list[Shape]:
    x, y = corner
    wide, _ = node.form.size
    first = top - 0.1 - _lines_height(len(node.above))
    shapes: list[Shape] = [
        Label(x + wide / 2, first + (i + 0.5) * line_height(_SIZE), text, _SIZE, "quiet" if i else "ink", bold=i == 0)
        for i, text in enumerate(node.above)
    ]
    form = node.form
    if isinstance(form, Column):
        neurons = node.part is not None and isinstance(node.part.layer, Linear)
        return [*shapes, *form.draw(x, y, neurons=neurons)]
    if node.part is not None:
        pooled = not isinstance(node.part.layer, Conv | Whitening)
        return [*shapes, *form.draw(x, y, fill="grey" if pooled else "pale", edge="quiet" if pooled else "blue")]
    return [*shapes, *form.draw_picture(x, y)]


def _words_below(nodes: Sequence[_Node], places: Sequence[float], k: int, y: float) -> list[Shape]:
    """Write what computes node `k` between it and the one before."""
    x = (places[k - 1] + nodes[k - 1].form.size[0] + places[k]) / 2
    return [
        Label(x, y + (i + 0.5) * line_height(_SIZE), text, _SIZE, "quiet" if i else "ink", bold=i == 0)
        for i, text in enumerate(nodes[k].below)
    ]


def _connect(before: _Node, corner: Point, after: _Node, target: Point) -> list[Shape]:
    """Draw how what comes out hangs on what goes in: a window and its one result, or all on all."""
    part = after.part
    assert part is not None
    if isinstance(before.form, Stack):
        window = _window(part)
        if window is not None:
            return _draw_window(before.form, corner, after.form, target, window)
        if isinstance(after.form, Stack):
            return []
        wide, high = before.form.front
        x, y = before.form.front_corner(*corner)
        column = after.form.centres(*target)
        return [Strokes((((x + wide, y), column[0]), ((x + wide, y + high), column[-1])), "faint")]
    assert isinstance(after.form, Column)
    starts, ends = before.form.centres(*corner), after.form.centres(*target)
    if not isinstance(part.layer, Linear):
        return []
    reach = 0.06  # lines end outside of the circles
    lines = tuple(((x + reach, y), (u - reach, v)) for x, y in starts for u, v in ends)
    return [Strokes(lines, "faint", 0.4)]


def _window(part: Part) -> tuple[float, float] | None:
    """Return (height, width) in pixels of what one result looks at; None where there is no such window."""
    layer = part.layer
    _, height, width = part.given if len(part.given) == 3 else (0, 0, 0)
    if isinstance(layer, Conv | Whitening):
        return layer.kernel, layer.kernel
    if isinstance(layer, MaxPool):
        return layer.size, layer.size
    if isinstance(layer, AdaptiveAveragePool):
        return height / layer.size, width / layer.size
    if isinstance(layer, GlobalMaxPool | GlobalAveragePool):
        return height, width
    return None


def _draw_window(
    before: Stack, corner: Point, after: Stack | Column, target: Point, window: tuple[float, float]
) -> list[Shape]:
    """Draw a window on the first map, and lines from its corners to the one number that comes of it."""
    x, y = before.front_corner(*corner)
    wide, high = before.front
    _, rows, columns = before.shape
    tall, broad = min(window[0] / rows, 1) * high, min(window[1] / columns, 1) * wide
    left, top = x + 0.72 * (wide - broad), y + 0.6 * (high - tall)
    pixel: list[Shape] = []
    if isinstance(after, Stack):
        u, v = after.front_corner(*target)
        end = (u + 0.35 * after.front[0], v + 0.45 * after.front[1])
        side = max(after.scale, _PIXEL)
        pixel.append(rectangle(end[0] - side / 2, end[1] - side / 2, side, side, fill="orange", edge=None))
    else:
        end = after.centres(*target)[-2 if after.shown > 2 else -1]
    frame = ((left, top), (left + broad, top), (left + broad, top + tall), (left, top + tall), (left, top))
    rays = tuple((point, end) for point in ((left + broad, top), (left + broad, top + tall)))
    return [Strokes((frame,), "orange", 1.4), Strokes(rays, "orange", 0.7), *pixel]


def _name_classes(last: _Node, corner: Point, classes: Sequence[str]) -> list[Shape]:
    """Write the names of the classes beside their neurons."""
    form = last.form
    if not isinstance(form, Column) or not 0 < len(classes) <= _MOST_CLASSES or len(classes) != form.shown:
        return []
    names = [" ".join(name.split())[:24] for name in classes]
    return [
        Label(x + 0.1, y, name, _CLASS, align="left") for (x, y), name in zip(form.centres(*corner), names, strict=True)
    ]
