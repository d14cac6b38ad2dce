"""Lessons on what comes after the feature maps: flatten, ReLU, softmax and argmax.

In: the reader's numbers. Out: `Lesson`s.
"""

from __future__ import annotations

import numpy as np

from ..errors import UsageError
from ..metrics import softmax as probabilities
from ..report.document import Bars, Block, Curve, Floats, Grid, Lesson, Only, Sign, Table, Words, card, line, number
from .convolution import by

_POOLED = np.array([[[35, 3], [41, 4]]], float)
_TWO_MAPS = np.array([[[35, 3], [41, 4]], [[0, 8], [1, 6]]], float)
_FEATURES = np.array([[35, -3, 0], [-41, 4, 2], [7, -1, -12]], float)
_LOGITS = np.array([2.0, 1.0, 0.1])
_LONGEST = 12  # numbers in one row
_LARGEST_LOGIT = 700.0  # exp of more is infinite in float64


def flatten(*, planes: Floats | None = None) -> Lesson:
    """Lay feature maps out in one row, in the order channel, row, column.

    Args:
        planes: (C, H, W); a map of 2×2, and then two of them, where not given.

    Raises:
        UsageError: more numbers than fit a row.
    """
    examples = [_POOLED, _TWO_MAPS] if planes is None else [planes]
    blocks: list[Block] = [
        Words(
            "A dense layer takes a row of numbers. Flatten lays the feature maps out row by row, one map after the "
            "other. No number changes and nothing is learned."
        )
    ]
    for maps in examples:
        flat = maps.reshape(1, -1)
        if flat.size > _LONGEST * _LONGEST:
            raise UsageError(
                f"expected at most {_LONGEST * _LONGEST} numbers in all; received: {flat.size}", field="input"
            )
        rows = [Grid(flat[:, k : k + _LONGEST]) for k in range(0, flat.size, _LONGEST)]
        grids = [Grid(m, f"map {k}" if len(maps) > 1 else by(m.shape)) for k, m in enumerate(maps, 1)]
        blocks.append(
            card(
                f"{by((*maps.shape[1:], len(maps)))} → {flat.size}",
                line(*grids, Sign("→", "flatten"), *(rows if len(rows) == 1 else ())),
                *(rows if len(rows) > 1 else ()),
                Words(f"{' × '.join(map(str, (len(maps), *maps.shape[1:])))} = {flat.size} numbers", "sum"),
            )
        )
    return Lesson("flatten", "Flatten: from feature maps to a row of numbers", tuple(blocks))


def relu(*, values: Floats = _FEATURES) -> Lesson:
    """Replace everything below zero by zero.

    Args:
        values: (H, W).
    """
    result = np.maximum(values, 0.0)
    below = frozenset((int(i), int(j)) for i, j in np.argwhere(values < 0))
    shown = values.ravel()[:4]
    return Lesson(
        "relu",
        "ReLU: what is below zero becomes zero",
        (
            Words(
                "ReLU(x) = max(0, x), for every cell by itself. Without such a bend between them, two layers that only "
                "multiply and add would be no more than one."
            ),
            line(
                Grid(values, f"before {by(values.shape)}", marked=below),
                Sign("→", "ReLU"),
                Grid(result, f"after {by(result.shape)}", marked=below),
                Only("sheet", _bend(values)),
            ),
            Words(";  ".join(f"max(0, {number(v)}) = {number(max(v, 0.0))}" for v in shown.tolist()), "sum"),
            Words(f"{len(below)} of {values.size} cells were below zero and are 0 now (marked).", "result"),
        ),
    )


def _bend(values: Floats) -> Curve:
    """Draw max(0, x) from the largest number below zero to the largest above."""
    reach = max(1.0, float(np.abs(values).max()))
    x = np.array([-reach, 0.0, reach])
    points = tuple((float(v), max(float(v), 0.0)) for v in values.ravel())
    return Curve((("", x, np.maximum(x, 0.0)),), points, "max(0, x), with these numbers on it", "x", "max(0, x)")


def softmax(*, logits: Floats = _LOGITS) -> Lesson:
    """Turn logits into probabilities, step by step, and take the largest.

    Args:
        logits: (K,), one for each class.

    Raises:
        UsageError: one number, too many, or one whose exponential is too large to write down.
    """
    if not 2 <= logits.size <= _LONGEST or np.abs(logits).max() > _LARGEST_LOGIT:
        expected = f"2 to {_LONGEST} numbers from -{_LARGEST_LOGIT:g} to {_LARGEST_LOGIT:g}"
        low, high = number(logits.min()), number(logits.max())
        received = f"{logits.size} from {low} to {high}"
        raise UsageError(f"expected one row of {expected}; received: {received}", field="input")
    shares = probabilities(logits[None])[0]
    best = int(shares.argmax())
    powers = np.exp(logits).tolist()
    whole = sum(powers)
    names = tuple(f"class {k}" for k in range(logits.size))
    rows = tuple(
        (name, number(z), _power(e), f"{_power(e)} / {_power(whole)}", f"{p:.4f}")
        for name, z, e, p in zip(names, logits, powers, shares, strict=True)
    )
    answer = rows[best][-1] + " (the first of equals)" * (int((shares == shares[best]).sum()) > 1)
    return Lesson(
        "softmax",
        "Softmax makes probabilities, argmax the answer",
        (
            Words(
                "The last layer gives one number z for every class, a logit: any size, any sign. Softmax takes "
                "exp(z), which is above zero, and divides by the sum: shares that add up to 1."
            ),
            Grid(logits[None], "logits", shade="signed"),
            Table(("class", "logit z", "exp(z)", "exp(z) / sum", "probability"), rows),
            Words(f"sum of exp(z) = {' + '.join(map(_power, powers))} = {_power(whole)}", "sum"),
            Bars(names, tuple(shares.tolist()), tuple(row[-1] for row in rows), best, full=1.0, title="probabilities"),
            Words(f"They add up to {number(shares.sum())}.", "sum"),
            Words(f"argmax: the place of the largest = class {best}, with probability {answer}.", "result"),
            Words(
                "Softmax keeps the order, so the largest logit is the largest probability: the answer needs no "
                "softmax, the certainty does. Programs subtract the largest logit first, which changes no share and "
                f"keeps exp small: here exp(z - {number(logits.max())})."
            ),
        ),
    )


def _power(value: float) -> str:
    return f"{value:.4f}" if 0.001 <= value < 100_000 else f"{value:.3e}"
