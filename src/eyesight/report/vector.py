"""A drawing as data: polygons, lines, circles and labels, which a page shows as SVG and a sheet paints.

In: shapes. Out: `Drawing`: SVG that follows the reader's light or dark scheme, a PNG, or artists on matplotlib axes. It
does not know what is drawn. Lengths are inches, font sizes points; y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UsageError
from ..formats import write_bytes
from .drawing import save as save_figure
from .drawing import text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
Color = Literal["ink", "quiet", "ground", "panel", "blue", "pale", "orange", "tint", "grey", "red", "green", "faint"]

COLORS: dict[Color, tuple[str, str]] = {  # on light ground, on dark ground
    "ink": ("#1b1f24", "#ececee"),
    "quiet": ("#5f6673", "#a6adb8"),
    "ground": ("#ffffff", "#161618"),
    "panel": ("#f3f6fa", "#232a33"),
    "blue": ("#1f5fa8", "#7fb2f0"),
    "pale": ("#dce8f6", "#26415f"),
    "orange": ("#d1600a", "#ff9a57"),
    "tint": ("#fde8d6", "#5a3517"),
    "grey": ("#d5dae1", "#4a5058"),
    "red": ("#f4cfcf", "#6e3030"),
    "green": ("#cfe8d5", "#2d5a3a"),
    "faint": ("#c3cad4", "#474e58"),
}
_FONT = "'DejaVu Sans', Verdana, system-ui, sans-serif"  # widths are measured in the first, which is wide
_LINE = 1.3  # height of a line of text, in font sizes
_PER_INCH = 96  # pixels of a browser


@dataclass(frozen=True)
class Polygon:
    """A closed shape; `edge` None draws none."""

    points: tuple[Point, ...]
    fill: Color
    edge: Color | None = "blue"
    width: float = 0.9


@dataclass(frozen=True)
class Strokes:
    """Lines of one kind, each through its points; `arrow` puts a head at the end of each."""

    paths: tuple[tuple[Point, ...], ...]
    color: Color = "quiet"
    width: float = 1.0
    arrow: bool = False


@dataclass(frozen=True)
class Circles:
    """Circles of one size."""

    centres: tuple[Point, ...]
    radius: float
    fill: Color = "tint"
    edge: Color = "orange"
    width: float = 0.9


@dataclass(frozen=True)
class Label:
    """A line of text; `y` is its middle."""

    x: float
    y: float
    text: str
    size: float = 9.0
    color: Color = "ink"
    bold: bool = False
    align: Literal["left", "center", "right"] = "center"

    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom."""
        width, height = text_width(self.text, self.size, "bold" if self.bold else "normal"), _LINE * self.size / 72
        left = self.x - {"left": 0.0, "center": 0.5, "right": 1.0}[self.align] * width
        return left, self.y - height / 2, left + width, self.y + height / 2


Shape = Polygon | Strokes | Circles | Label


def rectangle(
    x: float, y: float, width: float, height: float, *, fill: Color, edge: Color | None = "blue", line: float = 0.9
) -> Polygon:
    """Return a rectangle by its top left corner and its size."""
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return Polygon(corners, fill, edge, line)


def line_height(size: float) -> float:
    """Return the height of a line of text in inches; `size` in points."""
    return _LINE * size / 72


@dataclass(frozen=True)
class Drawing:
    """Shapes on a ground of a size; the first are painted first.

    Attributes:
        title: what is drawn, for those who do not see it.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str

    def svg(self) -> str:
        """Return the drawing as SVG, as wide as its page allows."""
        parts = "\n".join(_svg(shape) for shape in self.shapes)
        wide, high = self.width * _PER_INCH, self.height * _PER_INCH
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="eyesight-drawing" viewBox="0 0 {wide:.0f} {high:.0f}" '
            f'width="{wide:.0f}" role="img" aria-label="{_escape(self.title)}" style="max-width:100%;height:auto">\n'
            f"<title>{_escape(self.title)}</title>\n<style>{_style()}</style>\n"
            f'<rect class="f-ground" width="{wide:.0f}" height="{high:.0f}"/>\n{parts}\n</svg>\n'
        )

    def save(self, path: str | Path) -> Path:
        """Write the drawing, as SVG or PNG by the name's end.

        Raises:
            UsageError: another end.
        """
        path = Path(path)
        if path.suffix.lower() == ".svg":
            write_bytes(path, self.svg().encode())
            return path
        if path.suffix.lower() != ".png":
            raise UsageError(f"expected a name that ends in .svg or .png; received: {path}", field="diagram")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width, self.height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        self.paint(axes, 0, 0)
        return save_figure(figure, path)

    def paint(self, axes: Axes, x: float, y: float, scale: float = 1.0) -> None:
        """Draw on axes in inches whose y grows downwards, with the top left corner at (x, y)."""
        for shape in self.shapes:
            _paint(axes, shape, x, y, scale)

    def _repr_html_(self) -> str:
        return self.svg()


def _escape(text: str) -> str:
    """Return text for XML, which has no place for control characters."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in text))


def _style() -> str:
    """Return the classes of colours: f- fills, s- strokes, once for light ground and once for dark."""

    def classes(dark: int) -> str:
        rules = (
            f".eyesight-drawing .f-{name}{{fill:{pair[dark]}}}.eyesight-drawing .s-{name}{{stroke:{pair[dark]}}}"
            for name, pair in COLORS.items()
        )
        return "".join(rules)

    text = f".eyesight-drawing text{{font-family:{_FONT};dominant-baseline:central}}.eyesight-drawing .n{{fill:none}}"
    return f"{text}{classes(0)}@media (prefers-color-scheme: dark){{{classes(1)}}}"


def _svg(shape: Shape) -> str:
    if isinstance(shape, Label):
        x, y, size = shape.x * _PER_INCH, shape.y * _PER_INCH, shape.size * _PER_INCH / 72
        anchor = {"left": "start", "center": "middle", "right": "end"}[shape.align]
        weight = ' font-weight="bold"' if shape.bold else ""
        return (
            f'<text class="f-{shape.color}" x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" '
            f'text-anchor="{anchor}"{weight}>{_escape(shape.text)}</text>'
        )
    width = f'stroke-width="{shape.width * _PER_INCH / 72:.2f}"'
    if isinstance(shape, Polygon):
        edge = f"s-{shape.edge}" if shape.edge else ""
        return f'<path class="f-{shape.fill} {edge}" {width} d="{_path(shape.points)}Z"/>'
    if isinstance(shape, Circles):
        style = f'class="f-{shape.fill} s-{shape.edge}" {width} r="{shape.radius * _PER_INCH:.2f}"'
        return "".join(f'<circle {style} cx="{x * _PER_INCH:.2f}" cy="{y * _PER_INCH:.2f}"/>' for x, y in shape.centres)
    drawn = "".join(_path(points) for points in shape.paths)
    lines = f'<path class="n s-{shape.color}" {width} d="{drawn}"/>'
    heads = "".join(f"{_path(_head(points))}Z" for points in shape.paths) if shape.arrow else ""
    return lines + (f'<path class="f-{shape.color}" d="{heads}"/>' if heads else "")


def _path(points: tuple[Point, ...]) -> str:
    return "M" + "L".join(f"{x * _PER_INCH:.1f} {y * _PER_INCH:.1f}" for x, y in points)


def _head(points: tuple[Point, ...]) -> tuple[Point, Point, Point]:
    """Return the triangle at the end of a line."""
    (x0, y0), (x, y) = points[-2:]
    length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1.0
    along, across = ((x - x0) / length, (y - y0) / length), ((y0 - y) / length, (x - x0) / length)
    long, half = 0.09, 0.04
    return (
        (x, y),
        (x - long * along[0] + half * across[0], y - long * along[1] + half * across[1]),
        (x - long * along[0] - half * across[0], y - long * along[1] - half * across[1]),
    )


def _paint(axes: Axes, shape: Shape, left: float, top: float, scale: float) -> None:
    """Draw one shape; many lines or circles are one artist, as each one costs time."""
    from matplotlib.collections import LineCollection, PatchCollection, PolyCollection
    from matplotlib.patches import Circle

    def put(points: tuple[Point, ...]) -> list[Point]:
        return [(left + x * scale, top + y * scale) for x, y in points]

    def color(name: Color | None) -> str:
        return COLORS[name][0] if name else "none"

    if isinstance(shape, Label):
        weight = "bold" if shape.bold else "normal"
        axes.text(*put(((shape.x, shape.y),))[0], shape.text, fontsize=shape.size * scale, color=color(shape.color),
                  fontweight=weight, ha=shape.align, va="center_baseline", zorder=5)  # fmt: skip
        return
    style: dict[str, Any] = {"linewidths": shape.width * scale, "zorder": 3}
    artist: Any
    if isinstance(shape, Polygon):
        artist = PolyCollection(
            [put(shape.points)], facecolors=color(shape.fill), edgecolors=color(shape.edge), **style
        )
    elif isinstance(shape, Circles):
        circles = [Circle(centre, shape.radius * scale) for centre in put(shape.centres)]
        artist = PatchCollection(circles, facecolors=color(shape.fill), edgecolors=color(shape.edge), **style)
    else:
        if shape.arrow:
            heads = [put(_head(points)) for points in shape.paths]
            axes.add_collection(PolyCollection(heads, facecolors=color(shape.color), linewidths=0, zorder=3), False)
        artist = LineCollection([put(points) for points in shape.paths], colors=color(shape.color), **style)
    axes.add_collection(artist, autolim=False)
