"""The lesson on padding: what stands around a picture, and what that does to its edges.

In: the reader's picture and kernel. Out: a `Lesson`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..report.document import Block, Floats, Grid, Lesson, Line, Table, Words, card, line, number
from .convolution import Padding, border, by, correlate, output_shape, pad

_PICTURE = np.array([[9, 7, 5, 4, 4], [8, 6, 4, 3, 2], [6, 5, 3, 2, 1], [4, 3, 2, 1, 1]], float)
_MEAN = np.full((3, 3), 1 / 9)
_LAYERS = 6
_SIDE = 28  # of the picture whose size is followed through several layers
_KINDS: dict[str, tuple[Literal["constant", "reflect", "edge"], str]] = {
    "zeros": ("constant", "what networks do: padding same in Keras and here"),
    "reflected": ("reflect", "the picture mirrored at its edge"),
    "repeated": ("edge", "the edge's own pixels once more"),
}


def padding(*, picture: Floats = _PICTURE, kernel: Floats = _MEAN) -> Lesson:
    """Show what padding is for, and what each kind of it does at the edges.

    Args:
        picture: (H, W).
        kernel: (h, w) with odd sides.

    Raises:
        UsageError: a kernel that is larger than the picture, or has no middle.
    """
    valid = output_shape(picture.shape, kernel.shape, name="kernel")
    output_shape(picture.shape, kernel.shape, padding="same", name="kernel")
    return Lesson(
        "padding",
        "Padding: what stands around a picture",
        (
            Words(
                f"A {by(kernel.shape)} window that stays inside a {by(picture.shape)} picture has {by(valid)} places: "
                "the map is smaller than the picture, and pixels at the edge are seen by fewer windows than those in "
                "the middle. Padding puts a frame around the picture, so that every pixel can be the middle of a "
                "window."
            ),
            _seen(picture, kernel),
            _sizes(kernel),
            Words("What stands in the frame is made up. Three ways, with the same kernel:"),
            *(_way(name, mode, about, picture, kernel) for name, (mode, about) in _KINDS.items()),
            *_compare(picture, kernel),
        ),
    )


def _seen(picture: Floats, kernel: Floats) -> Line:
    """Count the windows that see each pixel, without a frame and with one."""
    grids = []
    kinds: tuple[Padding, Padding] = ("valid", "same")
    for kind in kinds:
        ring = border(picture.shape, kernel.shape, padding=kind, stride=1)
        seen = count_windows(picture.shape, kernel.shape, ring)
        edge = frozenset((int(i), int(j)) for i, j in np.argwhere(seen < seen.max()))
        grids.append(Grid(seen, f"windows that see it, {kind}", marked=edge, note=f"corner: {number(seen[0, 0])}"))
    return line(*grids)


def count_windows(
    picture: tuple[int, ...], kernel: tuple[int, ...], ring: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Floats:
    """Return (H, W): how many windows contain each pixel of a picture with a ring around it.

    >>> count_windows((1, 4), (1, 3))
    array([[1., 2., 2., 1.]])
    """
    top, bottom, left, right = ring
    height, width = picture[0] + top + bottom, picture[1] + left + right
    seen = np.zeros((height, width))
    for i in range(height - kernel[0] + 1):
        for j in range(width - kernel[1] + 1):
            seen[i : i + kernel[0], j : j + kernel[1]] += 1
    return seen[top : height - bottom, left : width - right]


def _sizes(kernel: Floats) -> Table:
    """Follow the size of a picture through several layers."""
    sizes = {"valid": [(_SIDE, _SIDE)], "same": [(_SIDE, _SIDE)]}
    for kind, shapes in sizes.items():
        for _ in range(_LAYERS):
            height, width = (n - k + 1 for n, k in zip(shapes[-1], kernel.shape, strict=True))
            if kind == "same":
                shapes.append(shapes[-1])
            elif min(height, width) >= 1:
                shapes.append((height, width))
    rows = tuple((kind, *map(by, shapes), *("–",) * (_LAYERS + 1 - len(shapes))) for kind, shapes in sizes.items())
    return Table(("padding", "picture", *(f"layer {k}" for k in range(1, _LAYERS + 1))), rows)


def _way(name: str, mode: Literal["constant", "reflect", "edge"], about: str, picture: Floats, kernel: Floats) -> Block:
    ring = border(picture.shape, kernel.shape, padding="same", stride=1)
    framed = _framed(picture, ring, mode)
    result = correlate(framed, kernel)
    return card(
        f"{name}: {about}",
        line(
            Grid(framed, f"with a frame {by(framed.shape)}", border=ring, window=(0, 0, *kernel.shape)),
            "×",
            Grid(kernel, by(kernel.shape), shade="signed"),
            "→",
            Grid(result, by(result.shape), marked=frozenset([(0, 0)])),
        ),
    )


def _framed(picture: Floats, ring: tuple[int, int, int, int], mode: Literal["constant", "reflect", "edge"]) -> Floats:
    above, below, left, right = ring
    if mode == "constant":
        return pad(picture, ring)
    return np.pad(picture, ((above, below), (left, right)), mode=mode)


def _compare(picture: Floats, kernel: Floats) -> list[Block]:
    """Say what the first corner becomes, each way."""
    ring = border(picture.shape, kernel.shape, padding="same", stride=1)
    corners = [
        f"{name} {number(correlate(_framed(picture, ring, mode), kernel)[0, 0])}" for name, (mode, _) in _KINDS.items()
    ]
    return [
        Words(f"The first corner becomes, with a frame of: {'; '.join(corners)}.", "result"),
        Words(
            "Zeros are not part of the picture, so a kernel answers to the frame as to an edge. Networks are trained "
            "with the frame, and learn to allow for it."
        ),
    ]
