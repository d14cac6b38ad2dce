"""A deep network as rows: a stage each, or a block and how often it is repeated; beside it what comes out.

In: a `NetworkSpec`. Out: a `Drawing`. Feature maps have their true proportions.
"""

from __future__ import annotations

from ...report.drawing import text_width
from ...report.vector import Circles, Drawing, Label, Shape, Strokes, line_height, rectangle
from ..layer import Shape as Sizes
from ..layers import Linear
from ..network import NetworkSpec
from .blocks import Piece, lines_of
from .parts import Part, Row, rows
from .shapes import TITLE, Stack, by, heading, headline

_EDGE, _GAP, _BETWEEN = 0.2, 0.22, 0.3  # around everything, between rows, between columns
_NAME, _SMALL = 10.0, 8.0
_LARGEST = 0.9  # inches, side of the picture
_WIDEST = 7.6  # of a row's layers
_FRAME = 0.08
_NEURONS = 7


def draw_rows(spec: NetworkSpec) -> Drawing:
    """Draw a network row by row, from the picture down to the classes."""
    found = rows(spec)
    scale = _LARGEST / max(spec.input[1:])
    blocks = [_block(row) for row in found]
    icons = [_picture(spec.input, scale), *(_icon(row.out, scale, neurons=_is_dense(row)) for row in found)]
    names = max(text_width(text, size, weight) for row in found for text, size, weight in _name_texts(row))
    left = _EDGE + names + _BETWEEN
    middle = left + max(block.width for block in blocks) + _BETWEEN + max(icon.width for icon in icons) / 2
    words = middle + max(icon.width for icon in icons) / 2 + 0.15
    texts = [(by(spec.input), ""), *((by(row.out), _count(row)) for row in found)]
    right = max(text_width(text, _NAME, "bold") for pair in texts for text in pair)
    shapes: list[Shape] = [heading(spec, _EDGE)]
    y = _EDGE + line_height(TITLE) + 0.15
    last = None  # the lower end of the icon above
    for k, (icon, (size, note)) in enumerate(zip(icons, texts, strict=True)):
        block = blocks[k - 1] if k else None
        height = max(icon.height, 2 * line_height(_NAME), block.height if block else 0.0)
        line = y + height / 2
        shapes += icon.draw(middle - icon.width / 2, line - icon.height / 2)
        shapes += _two_lines(words, line, size, note)
        if k and block:
            shapes += _name(found[k - 1], line)
            shapes += block.draw(left, line - block.height / 2)
            shapes.append(
                Strokes((((left + block.width + 0.06, line), (middle - icon.width / 2 - 0.06, line)),), "faint")
            )
        if last is not None:
            shapes.append(Strokes((((middle, last + 0.04), (middle, line - icon.height / 2 - 0.04)),), arrow=True))
        last = line + icon.height / 2
        y += height + _GAP
    return Drawing(words + right + _EDGE, y - _GAP + _EDGE, tuple(shapes), headline(spec))


def _block(row: Row) -> Piece:
    """Draw the layers of a row; repeated ones in a frame, with how often."""
    inner = lines_of(row.items, _WIDEST)
    if row.times == 1:
        return inner
    text = f"× {row.times}"
    sign = text_width(text, TITLE, "bold") + 0.2

    def draw(x: float, y: float) -> list[Shape]:
        wide, high = inner.width + 2 * _FRAME, inner.height + 2 * _FRAME
        label = Label(x + wide + 0.1, y + high / 2, text, TITLE, "orange", bold=True, align="left")
        return [rectangle(x, y, wide, high, fill="ground", edge="faint"), *inner.draw(x + _FRAME, y + _FRAME), label]

    return Piece(inner.width + 2 * _FRAME + sign, inner.height + 2 * _FRAME, inner.flow + _FRAME, draw)


def _picture(shape: Sizes, scale: float) -> Piece:
    stack = Stack(shape, scale, small=True)
    return Piece(*stack.size, stack.size[1] / 2, lambda x, y: [*stack.draw_picture(x, y)])


def _icon(shape: Sizes, scale: float, *, neurons: bool) -> Piece:
    """Draw what comes out: feature maps, or a row of numbers or neurons."""
    if len(shape) == 3:
        stack = Stack(shape, scale, small=True)
        wide, high = stack.size
        return Piece(wide, high, high / 2, lambda x, y: [*stack.draw(x, y, fill="pale", edge="blue")])
    count = min(shape[0], _NEURONS)
    step, radius = 0.13, 0.045

    def draw(x: float, y: float) -> list[Shape]:
        centres = tuple((x + (k + 0.5) * step, y + step / 2) for k in range(count))
        gap = count // 2 if count < shape[0] else None
        shown = tuple(centre for k, centre in enumerate(centres) if k != gap)
        drawn: list[Shape] = [Circles(shown, radius) if neurons else Circles(shown, radius, "pale", "blue")]
        if gap is not None:
            dots = tuple((centres[gap][0] + k * step / 4, centres[gap][1]) for k in (-1, 0, 1))
            drawn.append(Circles(dots, 0.008, fill="quiet", edge="quiet", width=0.3))
        return drawn

    return Piece(count * step, step, step / 2, draw)


def _is_dense(row: Row) -> bool:
    return any(isinstance(item, Part) and isinstance(item.layer, Linear) for item in row.items)


def _count(row: Row) -> str:
    return f"{row.parameters:,} parameters" if row.parameters else ""


def _name_texts(row: Row) -> list[tuple[str, float, str]]:
    return [(row.name, _NAME, "bold"), *([(row.blocks, _SMALL, "normal")] if row.blocks else [])]


def _name(row: Row, line: float) -> list[Shape]:
    texts = _name_texts(row)
    y = line - sum(line_height(size) for _, size, _ in texts) / 2
    shapes: list[Shape] = []
    for text, size, weight in texts:
        bold = weight == "bold"
        middle = y + line_height(size) / 2
        shapes.append(Label(_EDGE, middle, text, size, "ink" if bold else "quiet", bold=bold, align="left"))
        y += line_height(size)
    return shapes


def _two_lines(x: float, line: float, size: str, note: str) -> list[Shape]:
    step = line_height(_NAME) / 2 if note else 0.0
    shapes: list[Shape] = [Label(x, line - step, size, _NAME, align="left")]
    return [*shapes, Label(x, line + step, note, _SMALL, "quiet", align="left")] if note else shapes
