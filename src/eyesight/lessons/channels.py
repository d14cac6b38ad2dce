"""The lesson that goes the whole way: a colour picture, one kernel per channel, pooling, dense, an answer.

In: three matrices, three kernels, the dense layer's weights. Out: a `Lesson` whose every number is computed here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..metrics import softmax
from ..report.document import Bars, Block, Floats, Grid, Lesson, Shade, Sign, Words, card, line, number, products, total
from .convolution import by, correlate, pool

ANSWERS = ("dog", "no dog")
PICTURE = np.array(
    [
        [[1, 0, 0, 5], [4, 0, 5, 5], [0, 0, 0, 0], [4, 4, 4, 5]],
        [[3, 3, 4, 0], [4, 4, 2, 0], [1, 0, 0, 2], [2, 1, 0, 1]],
        [[4, 0, 3, 4], [3, 2, 0, 4], [2, 1, 4, 5], [3, 5, 5, 5]],
    ],
    float,
)
KERNELS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, -1], [-1, 1]]], float)
_PATTERN = np.array([[0.2, -0.1, 0.3, -0.1], [-0.1, 0.2, -0.2, 0.3]])  # of the dense layer; repeated for more inputs
_NAMES = ("red", "green", "blue")
_SHADES: tuple[Shade, ...] = ("pale-red", "pale-green", "pale-blue")
_FIRST = frozenset([(0, 0)])


class Way(NamedTuple):
    """Everything that is computed between the picture and the answer."""

    parts: Floats  # (C, H', W') what each channel's kernel gives
    summed: Floats  # (H', W') their sum, the feature map
    pooled: Floats  # (H'', W'') after 2×2 max pooling with stride 1
    flat: Floats  # (F,)
    weights: Floats  # (2, F) of the dense layer, whose biases are 0
    logits: Floats  # (2,) of dog and no dog
    shares: Floats  # (2,)


def go(planes: Floats, kernels: Floats, weights: Floats | None = None) -> Way:
    """Compute the whole way; see `channels`."""
    parts = np.stack([correlate(plane, kernel) for plane, kernel in zip(planes, kernels, strict=True)])
    summed = parts.sum(axis=0)
    pooled = pool(summed, size=2, stride=1, kind="max")
    flat = pooled.ravel()
    if weights is None:
        weights = np.stack([np.resize(row, flat.size) for row in _PATTERN])
    elif weights.shape != (2, flat.size):
        raise UsageError(
            f"expected 2 rows (dog, no dog) of {flat.size} numbers, one for each pooled cell; "
            f"received: {by(weights.shape)}",
            field="weights",
        )
    logits = weights @ flat
    return Way(parts, summed, pooled, flat, weights, logits, softmax(logits[None])[0])


def channels(*, planes: Floats = PICTURE, kernels: Floats = KERNELS, weights: Floats | None = None) -> Lesson:
    """Take a colour picture through convolution, pooling, flatten and dense to "dog" or "no dog".

    Args:
        planes: (3, H, W).
        kernels: (3, h, w), one for each channel.
        weights: (2, F) of the dense layer; a pattern of ours where not given.

    Raises:
        UsageError: shapes that do not fit together.
    """
    _check(planes, kernels)
    way = go(planes, kernels, weights)
    return Lesson(
        "channels",
        'The whole way: from three channels to "dog" or "no dog"',
        (
            Words(
                f"A {by((*planes.shape[1:], 3))} picture; one {by(kernels.shape[1:])} kernel for each channel, stride "
                "1; the three results are added up to one feature map. Max pooling, flatten, a dense layer with two "
                "neurons, softmax, argmax. The weights are made up: training would find them."
            ),
            _convolution(planes, kernels, way),
            _pooling(way),
            line(_dense(way), _answer(way)),
        ),
    )


def _check(planes: Floats, kernels: Floats) -> None:
    for field, given in (("input", planes), ("kernel", kernels)):
        if len(given) != 3:
            raise UsageError(
                f"expected three matrices parted by | (red, green, blue); received: {len(given)}", field=field
            )
    out = [n - k + 1 for n, k in zip(planes.shape[1:], kernels.shape[1:], strict=True)]
    if min(out) == 1:
        raise UsageError(
            f"expected a feature map of at least 2×2, to be pooled; {by(kernels.shape[1:])} on "
            f"{by(planes.shape[1:])} gives {by(tuple(out))}",
            field="kernel",
        )


def _convolution(planes: Floats, kernels: Floats, way: Way) -> Block:
    height, width = kernels.shape[1:]
    rows: list[Block] = []
    sums: list[Block] = []
    added: list[Block | str] = []
    for name, shade, plane, kernel, part in zip(_NAMES, _SHADES, planes, kernels, way.parts, strict=True):
        whole = Grid(plane, f"{name} {by(plane.shape)}", shade=shade, window=(0, 0, height, width))
        result = Grid(part, f"from {name}", shade=shade)
        rows.append(line(whole, "×", Grid(kernel, "kernel", shade="signed"), "→", replace(result, marked=_FIRST)))
        sums.append(Words(f"{name}: {products(plane[:height, :width], kernel)} = {number(part[0, 0])}", "sum"))
        added += ["+", result]
    return card(
        f"1  convolution: {by((*planes.shape[1:], 3))} → {by(way.summed.shape)}",
        *rows,
        line(*added[1:], "=", Grid(way.summed, "feature map", marked=_FIRST)),
        *sums,
        Words(f"first cell: {total(way.parts[:, 0, 0])} = {number(way.summed[0, 0])}", "sum"),
        Words(f"parameters: 3 × {by((height, width))} weights + 1 bias (0 here) = {kernels.size + 1}", "sum"),
    )


def _pooling(way: Way) -> Block:
    cells = []
    for i, j in np.ndindex(*way.pooled.shape):
        window = way.summed[i : i + 2, j : j + 2]
        cells.append(f"largest of {', '.join(map(number, window.ravel()))} = {number(float(way.pooled[i, j]))}")
    return card(
        f"2  max pooling 2×2, stride 1: {by(way.summed.shape)} → {by(way.pooled.shape)}; flatten → {way.flat.size}",
        line(
            Grid(way.summed, "feature map", window=(0, 0, 2, 2)),
            Sign("→", "max pooling"),
            Grid(way.pooled, "pooled", marked=_FIRST),
            Sign("→", "flatten"),
            Grid(way.flat[None], "in a row"),
        ),
        Words("; ".join(cells[:4]), "sum"),
    )


def _dense(way: Way) -> Block:
    sums = [
        Words(f"{name}: {products(way.flat, row)} = {number(logit)}", "sum")
        for name, row, logit in zip(ANSWERS, way.weights, way.logits.tolist(), strict=True)
    ]
    return card(
        f"3  dense: {way.flat.size} → 2 logits, {way.weights.size} weights + 2 biases (0 here)",
        line(
            Grid(way.weights, "weights", shade="signed", names=ANSWERS),
            "×",
            Grid(way.flat[:, None], "input"),
            "=",
            Grid(way.logits[:, None], "logits", names=ANSWERS),
        ),
        *sums,
    )


def _answer(way: Way) -> Block:
    best = int(way.logits.argmax())
    rest = " + ".join(f"exp({number(z)})" for z in way.logits.tolist())
    return card(
        "4  softmax and argmax",
        Bars(ANSWERS, tuple(way.shares.tolist()), tuple(f"{p:.4f}" for p in way.shares), best, full=1.0),
        Words(f"{ANSWERS[best]}: exp({number(way.logits[best])}) / ({rest}) = {way.shares[best]:.4f}", "sum"),
        Words(f'The answer: "{ANSWERS[best]}", with probability {way.shares[best]:.4f}.', "result"),
    )
