"""Lessons on pooling: cell by cell, and what it does to a picture that moves.

In: the reader's picture, window and stride. Out: `Lesson`s.
"""

from __future__ import annotations

import math

import numpy as np

from ..report.document import (
    Block,
    Card,
    Floats,
    Grid,
    Lesson,
    Only,
    Words,
    card,
    count,
    hide_after,
    line,
    number,
    total,
)
from .convolution import by, correlate, pool

PICTURE = np.array([[1, 3, 2, 1], [4, 6, 5, 0], [7, 2, 9, 8], [0, 1, 3, 4]], float)
_DRAWN = 16  # steps of one stride; of more only the result is shown
_DIGITS = 100

# an L, which both the kernel's rows and columns meet
MOVED = np.zeros((8, 8))
MOVED[1:6, 3] = 9
MOVED[5, 3:6] = 9
UPRIGHT = np.array([[-1, 2, -1], [-1, 2, -1], [-1, 2, -1]], float)


def pooling(*, picture: Floats = PICTURE, size: int = 2, stride: int | None = None) -> Lesson:
    """Pool a picture by its maximum and by its average, cell by cell.

    Args:
        picture: (H, W).
        size: side of the window.
        stride: from one window to the next; where not given, the window's size, and then 1.

    Raises:
        UsageError: the window does not fit.
    """
    strides = (stride,) if stride is not None else tuple(dict.fromkeys((size, 1)))
    blocks: list[Block] = [
        Words(
            f"A window of {size}×{size} slides over the feature map, as in a convolution, but without weights: max "
            "pooling keeps the largest number in it, average pooling their mean. There is nothing to learn."
        )
    ]
    for step in strides:
        blocks += _one_stride(picture, size, step)
    return Lesson("pooling", "Max pooling and average pooling, cell by cell", tuple(blocks))


def _one_stride(picture: Floats, size: int, stride: int) -> list[Block]:
    largest = pool(picture, size=size, stride=stride, kind="max")
    mean = pool(picture, size=size, stride=stride, kind="average")
    what = f"{size}×{size}, stride {stride}"
    shapes = f"{by(picture.shape)} → {by(largest.shape)}"
    steps = [_step(picture, largest, mean, (i, j), size, stride) for i, j in np.ndindex(*largest.shape)]
    shown: list[Block] = [Only("terminal", step) for step in steps if len(steps) <= _DRAWN]
    if len(steps) <= 4:
        shown.append(Only("sheet", line(*steps)))
    return [
        Words(f"{what}: {shapes}", "result"),
        line(
            Grid(picture, f"feature map {by(picture.shape)}", window=(0, 0, size, size)),
            "→",
            Grid(largest, f"max, stride {stride}", marked=frozenset([(0, 0)])),
            Grid(mean, f"average, stride {stride}", marked=frozenset([(0, 0)])),
        ),
        *shown,
        Words(f"{what}: max {_rows(largest)}; average {_rows(mean)}", "sum"),
    ]


def _rows(values: Floats) -> str:
    return " / ".join(" ".join(map(number, row)) for row in values)


def _step(picture: Floats, largest: Floats, mean: Floats, cell: tuple[int, int], size: int, stride: int) -> Card:
    top, left = cell[0] * stride, cell[1] * stride
    window = picture[top : top + size, left : left + size]
    best = np.unravel_index(int(window.argmax()), window.shape)
    largest_place = frozenset([(top + int(best[0]), left + int(best[1]))])
    marked = frozenset([cell])
    return card(
        f"stride {stride}, row {cell[0] + 1}, column {cell[1] + 1}",
        line(
            Grid(picture, window=(top, left, size, size), marked=largest_place),
            "→",
            Grid(hide_after(largest, cell), "max", marked=marked),
            Grid(hide_after(mean, cell), "average", marked=marked),
        ),
        Words(f"largest of {', '.join(map(number, window.ravel()))} = {number(largest[cell])}", "sum"),
        Words(f"({total(window)}) / {window.size} = {number(mean[cell])}", "sum"),
    )


def shift(*, picture: Floats = MOVED, kernel: Floats = UPRIGHT, size: int = 2) -> Lesson:
    """Move a picture by one pixel, then by two, and count what changes before and after pooling.

    Args:
        picture: (H, W).
        kernel: (h, w) of the convolution before the pooling.
        size: side of the pooling window, and its stride.

    Raises:
        UsageError: kernel or window do not fit.
    """
    pictures = [move(picture, pixels) for pixels in (0, 1, 2)]
    maps = [feature_map(p, kernel) for p in pictures]
    pooled = [pool(m, size=size, stride=size, kind="max") for m in maps]
    stages = {"picture": pictures, "feature map": maps, "max pooled": pooled}
    return Lesson(
        "shift",
        "Pooling makes small movements matter less",
        (
            Words(
                f"The picture moves to the right. A convolution with {by(kernel.shape)} numbers ({_rows(kernel)}) and "
                f"ReLU makes the feature map; {size}×{size} max pooling with stride {size} follows. Cells that differ "
                "from those of the picture at rest are marked."
            ),
            *(_moved_card(stages, pixels) for pixels in (0, 1, 2)),
            Words(
                f"Cells that change when it moves by 1 pixel: {_counts(stages, 1)}; by 2: {_counts(stages, 2)}.",
                "result",
            ),
            Words(
                "A large number that moves inside its pooling window leaves the maximum as it is; once it leaves the "
                "window, the pooled cells change too. So pooling makes small movements matter less, not nothing."
            ),
            Words(_on_digits(kernel, size)),
        ),
    )


def move(picture: Floats, pixels: int) -> Floats:
    """Return a picture (H, W) moved to the right, with zeros coming in at the left.

    >>> move(np.array([[1.0, 2.0, 3.0]]), 1)
    array([[0., 1., 2.]])
    """
    return np.pad(picture, ((0, 0), (pixels, 0)))[:, : picture.shape[1]]


def feature_map(picture: Floats, kernel: Floats) -> Floats:
    """Return a convolution (padding valid, stride 1) followed by ReLU."""
    return np.maximum(correlate(picture, kernel), 0.0)


def find_changes(before: Floats, after: Floats) -> frozenset[tuple[int, int]]:
    """Return the cells (row, column) that differ."""
    return frozenset((int(i), int(j)) for i, j in np.argwhere(before != after))


def relative_change(before: Floats, after: Floats) -> float:
    """Return Σ|after − before| / Σ|before|; NaN where there was nothing.

    >>> relative_change(np.array([2.0, 2.0]), np.array([2.0, 0.0]))
    0.5
    """
    there = float(np.abs(before).sum())
    return float(np.abs(after - before).sum()) / there if there else math.nan


def _moved_card(stages: dict[str, list[Floats]], pixels: int) -> Card:
    grids = [
        Grid(now[pixels], f"{name} {by(now[0].shape)}", marked=find_changes(now[0], now[pixels]))
        for name, now in stages.items()
    ]
    where = f"moved by {count(pixels, 'pixel')}" if pixels else "at rest"
    return card(where, line(grids[0], "→", grids[1], "→", grids[2]))


def _counts(stages: dict[str, list[Floats]], pixels: int) -> str:
    """Say how many cells of every stage differ."""
    return ", ".join(
        f"{name} {len(find_changes(now[0], now[pixels]))} of {now[0].size}" for name, now in stages.items()
    )


def _on_digits(kernel: Floats, size: int) -> str:
    """Say how much real digits change when they move by one pixel, before and after pooling."""
    from ..data import catalog

    changes = []
    for digit in catalog.load("digits").split("test").gather(np.arange(_DIGITS))[..., 0]:
        roomy = np.pad(digit.astype(np.float64), 2)  # so that nothing leaves the picture
        maps = [feature_map(move(roomy, pixels), kernel) for pixels in (0, 1)]
        if min(maps[0].shape) >= size:
            pooled = [pool(m, size=size, stride=size, kind="max") for m in maps]
            changes.append((relative_change(*maps), relative_change(*pooled)))
    if not changes or not np.isfinite(changes).any(axis=0).all():
        return "On real digits this kernel and window leave nothing to compare."
    before, after = np.nanmean(changes, axis=0)
    verdict = "less" if after < before else "no less"
    return (
        f"On {_DIGITS} real handwritten digits, moved by one pixel, the sum of all differences over the sum of all "
        f"values is {before:.0%} in the feature maps and {after:.0%} after pooling: {verdict}. "
        "(The place that a value has left and the place that it has come to both differ: up to 200%.)"
    )
