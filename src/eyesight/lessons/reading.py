"""The reader's own numbers, from text.

In: what was typed after an option. Out: arrays small enough to be drawn, or one line that says what is wrong.
"""

from __future__ import annotations

import numpy as np

from ..errors import UsageError
from ..report.document import WIDEST_GRID, Floats
from .convolution import by
from .kernels import parse_kernel, parse_numbers

_LARGEST_KERNEL = 7  # rows and columns; the sum of a cell has as many products as the kernel has numbers


def matrix(text: str, *, option: str = "--input") -> Floats:
    """Return (H, W) of rows parted by semicolons.

    >>> matrix("1 2; 3 4")
    array([[1., 2.],
           [3., 4.]])
    """
    values = parse_numbers(text, source=option)
    return _check_side(values, option, WIDEST_GRID)


def kernel(text: str) -> Floats:
    """Return the kernel (h, w) that a name such as `edge`, a file or numbers mean."""
    return _check_side(parse_kernel(text).values, "--kernel", _LARGEST_KERNEL)


def planes(text: str) -> Floats:
    """Return (C, H, W) of matrices parted by |.

    >>> planes("1 2; 3 4 | 5 6; 7 8").shape
    (2, 2, 2)
    """
    return _stack([matrix(part) for part in text.split("|")], "--input")


def kernels(text: str) -> Floats:
    """Return (C, h, w) of kernels parted by |; one alone is taken for each of three channels."""
    parts = [kernel(part) for part in text.split("|")]
    return _stack(parts * 3 if len(parts) == 1 else parts, "--kernel")


def row(text: str) -> Floats:
    """Return (N,) numbers of one row.

    >>> row("2 1 0.1")
    array([2. , 1. , 0.1])
    """
    values = matrix(text)
    if len(values) > 1:
        raise UsageError(f"--input: expected one row of numbers; received: {len(values)} rows")
    return values.ravel()


def _check_side(values: Floats, option: str, most: int) -> Floats:
    if max(values.shape) > most:
        raise UsageError(f"{option}: a lesson can draw at most {most}×{most} numbers; received: {by(values.shape)}")
    return values


def _stack(matrices: list[Floats], option: str) -> Floats:
    shapes = [values.shape for values in matrices]
    if len(set(shapes)) > 1:
        raise UsageError(f"{option}: expected matrices of one shape; received: {', '.join(map(by, shapes))}")
    return np.stack(matrices)
