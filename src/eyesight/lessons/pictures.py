"""Lessons on what comes in: a picture as numbers, and how many numbers a layer needs for it.

In: a picture, or a size. Out: `Lesson`s. Parameters are counted by the layers themselves.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import UsageError
from ..models import network_spec
from ..models.layers import Conv, Linear
from ..report.document import Bars, Block, Floats, Grid, Lesson, Shade, Table, Words, card, line, number
from .convolution import by

_CHANNELS: tuple[Shade, ...] = ("red", "green", "blue")
_DRAWN_SIDE = 8  # of the picture on which weights are numbered
_COLOR_SIDE = 6  # pixels of the photo once it is small enough to read its numbers
_PHOTO_CUT = (40, 400, 160, 520)  # top, bottom, left, right of the flower in scikit-learn's photo


def picture(*, planes: Floats | None = None) -> Lesson:
    """Show that a picture is numbers: one matrix of grey, three of colour.

    Args:
        planes: (1, H, W) grey or (3, H, W) colour, 0 to 255; a real digit and a real photo where not given.

    Raises:
        UsageError: another number of channels, or values outside 0 to 255.
    """
    if planes is not None and (len(planes) not in (1, 3) or planes.min() < 0 or planes.max() > 255):
        raise UsageError(
            "expected one matrix (grey) or three parted by | (red, green, blue), with numbers from 0 to 255; "
            f"received: {len(planes)} with numbers from {number(planes.min())} to {number(planes.max())}",
            field="input",
        )
    blocks: list[Block] = []
    if planes is None or len(planes) == 1:
        blocks += _grey(_digit() if planes is None else planes[0])
    if planes is None or len(planes) == 3:
        blocks += _color(_flower() if planes is None else planes)
    return Lesson("picture", "A picture is numbers", tuple(blocks))


def _digit() -> Floats:
    """Return the first test picture of the embedded digits, (8, 8)."""
    from ..data import catalog

    test = catalog.load("digits").split("test")
    return test.gather([0])[0, ..., 0].astype(np.float64)


def _flower() -> Floats:
    """Return a flower of scikit-learn's photo, (3, side, side)."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    top, bottom, left, right = _PHOTO_CUT
    photo = Image.fromarray(load_sample_image("flower.jpg")[top:bottom, left:right])
    small = photo.resize((_COLOR_SIDE, _COLOR_SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float64).transpose(2, 0, 1)


def _grey(values: Floats) -> list[Block]:
    height, width = values.shape
    i, j = np.unravel_index(int(values.argmax()), values.shape)
    return [
        Words("Grey: every pixel is one number from 0 (black) to 255 (white). The picture is a matrix of them."),
        line(
            Grid(values, "what you see", shade="grey", numbers=False, size=3.2),
            "→",
            Grid(values, "what the network gets", shade="grey"),
        ),
        Words(
            f"{height} rows × {width} columns = {values.size} numbers; the brightest, {number(values[i, j])}, "
            f"is in row {i + 1}, column {j + 1}; the mean is {float(values.mean()):.1f}.",
            "result",
        ),
    ]


def _color(planes: Floats) -> list[Block]:
    _, height, width = planes.shape
    row, column = height // 2, width // 2
    red, green, blue = (number(v) for v in planes[:, row, column])
    window = (row, column, 1, 1)
    matrices = [
        Grid(plane, f"{name} matrix", shade=name, window=window) for name, plane in zip(_CHANNELS, planes, strict=True)
    ]
    return [
        Words("Colour: three matrices of the same size, one each for red, green and blue light."),
        line(
            Grid(planes.transpose(1, 2, 0), "what you see", shade="color", window=window, numbers=False, size=2.6),
            "→",
            *matrices,
        ),
        Words(
            f"{height} × {width} × 3 = {planes.size} numbers. The framed pixel, row {row + 1}, column {column + 1}, is "
            f"red {red}, green {green}, blue {blue}.",
            "result",
        ),
    ]


def parameters(
    *, shape: tuple[int, int, int] = (200, 200, 3), units: int = 64, filters: int = 32, size: int = 3
) -> Lesson:
    """Count what a dense and what a convolutional first layer need for pictures of several sizes.

    Args:
        shape: (H, W, C), shown beside 100×100×3 and 200×200×3.
        units: neurons of the dense layer.
        filters: of the convolutional layer.
        size: side of a kernel.

    Raises:
        UsageError: a number that makes no layer.
    """
    if min(shape[:2]) < size:
        raise UsageError(f"expected at most the picture's {by(shape[:2])}; received: {size}", field="size")
    shapes = sorted({(28, 28, 1), (100, 100, 3), (200, 200, 3), shape}, key=math.prod)
    dense, conv = Linear(out=units), Conv(out=filters, kernel=size)
    rows = [
        (by((h, w, c)), h * w * c, dense.parameters((h * w * c,)), conv.parameters((c, h, w))) for h, w, c in shapes
    ]
    here = rows[shapes.index(shape)]
    channels, ratio = shape[2], here[2] / here[3]
    times = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2f}"
    return Lesson(
        "parameters",
        "Why not only dense layers? Count the parameters",
        (
            Words(
                "Every neuron of a dense layer has one weight for every number of the picture, and a bias. A filter of "
                f"a convolutional layer has one weight for every cell of its window ({size}×{size}, in each channel) "
                "and a bias, and is used at every place of the picture."
            ),
            Bars(
                tuple(f"{row[0]} picture" for row in rows),
                tuple(row[1] for row in rows),
                tuple(f"{row[0].replace('×', ' × ')} = {row[1]:,} inputs" for row in rows),
                marked=rows.index(here),
                title="inputs of every neuron of a dense layer",
            ),
            card(
                f"one layer for a {by(shape)} picture",
                Words(f"dense, {units} neurons:  {units} × ({here[1]:,} + 1) = {here[2]:,} parameters", "sum"),
                Words(
                    f"convolution, {filters} filters of {size}×{size}:  {filters} × ({size} × {size} × {channels} + 1) "
                    f"= {filters} × {size * size * channels + 1} = {here[3]:,} parameters",
                    "sum",
                ),
                Words(f"The dense layer has {times} times as many.", "result"),
            ),
            Table(
                ("picture", "inputs", f"dense {units}", f"conv {filters} of {size}×{size}"),
                tuple((row[0], *(f"{n:,}" for n in row[1:])) for row in rows),
            ),
            *_number_weights(size),
            Words("Whole networks, for 32×32 colour pictures in 10 classes:"),
            _networks(),
        ),
    )


def _number_weights(size: int) -> list[Block]:
    """Number the weights that the pixels of a small picture meet, for one neuron and for one filter."""
    if size > _DRAWN_SIDE:
        return []
    every = np.arange(1.0, _DRAWN_SIDE**2 + 1).reshape(_DRAWN_SIDE, _DRAWN_SIDE)
    few = np.full_like(every, np.nan)
    top = left = min(1, _DRAWN_SIDE - size)
    few[top : top + size, left : left + size] = np.arange(1.0, size**2 + 1).reshape(size, size)
    where = "for one neuron and for one filter at one place"
    return [
        Words(f"Which weight each pixel of an {by(every.shape)} picture meets, {where}:"),
        line(
            Grid(every, f"dense: {every.size} weights", window=(0, 0, *every.shape)),
            Grid(few, f"convolution: {size**2}, moved", window=(top, left, size, size), blank="·"),
        ),
    ]


def _networks() -> Bars:
    names = {"mlp": "dense", "small-cnn": "convolutional"}
    counts = [network_spec(name, shape=(32, 32, 3), classes=10).parameters() for name in names]
    return Bars(
        tuple(f"{name} ({kind})" for name, kind in names.items()),
        tuple(map(float, counts)),
        tuple(f"{count:,} parameters" for count in counts),
        title="parameters of two whole networks",
    )
