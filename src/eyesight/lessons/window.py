"""What the lessons with a sliding window share: pictures with a border, pooling, results half done.

In: arrays and sizes. Out: arrays. It does not know lessons.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import UsageError
from ..report.document import Floats
from .convolution import Border, by


def padded(picture: Floats, ring: Border) -> Floats:
    """Return the picture (H, W) with zeros around it."""
    above, below, left, right = ring
    return np.pad(picture, ((above, below), (left, right)))


def so_far(result: Floats, cell: tuple[int, int]) -> Floats:
    """Return a result (H, W) as it stands once `cell` is computed, row by row: NaN after it."""
    partial = result.astype(np.float64).ravel()
    partial[np.ravel_multi_index(cell, result.shape) + 1 :] = np.nan
    return partial.reshape(result.shape)


def pool(values: Floats, *, size: int, stride: int, kind: Literal["max", "average"]) -> Floats:
    """Pool (H, W) with windows of size × size that stay inside: (H', W') with H' = (H − size) // stride + 1.

    Raises:
        UsageError: size or stride below 1, or a window larger than the picture.

    >>> pool(np.array([[1.0, 2.0], [3.0, 6.0]]), size=2, stride=2, kind="average")
    array([[3.]])
    """
    if size < 1 or stride < 1:
        name, received = ("--size", size) if size < 1 else ("--stride", stride)
        raise UsageError(f"{name}: expected 1 or more; received: {received}")
    if size > min(values.shape):
        raise UsageError(
            f"--size: expected a pooling window within {by(values.shape)} numbers; received: {size}×{size}"
        )
    windows = np.lib.stride_tricks.sliding_window_view(values, (size, size))[::stride, ::stride]
    pooled: Floats = windows.max(axis=(2, 3)) if kind == "max" else windows.mean(axis=(2, 3))
    return pooled
