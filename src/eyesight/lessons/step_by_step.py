"""Lessons on the sliding window: a convolution cell by cell, and the size of what comes out.

In: the reader's picture and kernel, or sizes. Out: `Lesson`s. The feature map is computed by `correlate`, the steps are
its sums written out.
"""

from __future__ import annotations

import numpy as np

from ..report.document import (
    WIDEST_GRID,
    Block,
    Card,
    Floats,
    Grid,
    Lesson,
    Only,
    Table,
    Words,
    card,
    hide_after,
    line,
    number,
    products,
    total,
)
from .convolution import Border, Padding, border, by, correlate, output_shape, pad

# nine of these pixels, the kernel and the cell they give are the tutorial's; the other seven pixels are ours
PICTURE = np.array([[10, 2, 0, 3], [50, 7, 7, 1], [0, 0, 25, 4], [9, 8, 7, 6]], float)
KERNEL = np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], float)

_LARGE = 64  # cells of a picture; a step with a larger one takes the whole width of a sheet
_ON_SHEET, _LARGE_ON_SHEET = 6, 2  # steps; a sheet with more is a carpet
_IN_TERMINAL, _LARGE_IN_TERMINAL = 16, 3  # steps drawn
_SUMS = 16  # steps whose sums are written out in a terminal
_LISTED = 36  # cells of a feature map that are also given in a line
_DRAWN_PIXELS = 6  # of a row too long to be drawn
_PLACE = 0.42  # inches; side of a pixel in such rows, the same in all of them


def convolution(
    *, picture: Floats = PICTURE, kernel: Floats = KERNEL, stride: int = 1, padding: Padding = "valid"
) -> Lesson:
    """Slide a kernel over a picture and write every cell of the feature map out.

    Args:
        picture: (H, W).
        kernel: (h, w).
        stride: pixels from one window to the next.
        padding: `valid` or `same`.

    Raises:
        UsageError: the kernel does not fit; see `output_shape`.
    """
    sides = (picture.shape[0], picture.shape[1]), (kernel.shape[0], kernel.shape[1])
    output_shape(*sides, padding=padding, stride=stride, name="kernel")
    result = correlate(picture, kernel, padding=padding, stride=stride)
    ring = border(*sides, padding=padding, stride=stride)
    whole = pad(picture, ring)
    around = f", with a border of zeros: {by(whole.shape)}" if any(ring) else ""
    start = f"{by(kernel.shape)} kernel, stride {stride}, padding {padding}"
    steps = [_step(whole, kernel, result, (i, j), stride, ring) for i, j in np.ndindex(*result.shape)]
    shape = by(result.shape)
    return Lesson(
        "convolution",
        f"A convolution, cell by cell: {by(picture.shape)} → {shape}",
        (
            Words(
                f"A window of the kernel's size slides over the picture from top left to bottom right ({start}). "
                "At every place the pixels in the window are multiplied by the numbers of the kernel that lie on them, "
                "and the products are added up: one cell of the feature map."
            ),
            line(
                Grid(whole, f"picture {by(picture.shape)}{around}", border=ring),
                "×",
                Grid(kernel, f"kernel {by(kernel.shape)}", shade="signed"),
                "→",
                Grid(result, f"feature map {shape}"),
            ),
            *_show_steps(steps, picture),
            Words(_sizes(picture.shape, kernel.shape, result.shape, stride, padding), "sum"),
            Words(_result(result), "result"),
            Words(
                f"The numbers of this kernel add up to {number(kernel.sum())}: the sum sets the brightness of "
                "what comes out; 1 keeps it, 0 leaves only differences. On a photo: eyesight convolve."
            ),
        ),
    )


def _step(whole: Floats, kernel: Floats, result: Floats, cell: tuple[int, int], stride: int, ring: Border) -> Card:
    """Return the step that computes one cell (row, column) from the picture with its border."""
    i, j = cell
    height, width = kernel.shape
    top, left = i * stride, j * stride
    window = whole[top : top + height, left : left + width]
    return card(
        f"row {i + 1}, column {j + 1}: {number(result[cell])}",
        line(
            Grid(whole, window=(top, left, height, width), border=ring),
            "×",
            Grid(kernel, shade="signed"),
            "→",
            Grid(hide_after(result, cell), marked=frozenset([cell])),
        ),
        Words(products(window, kernel), "sum"),
        Words(f"= {total(window * kernel)} = {number(result[cell])}", "sum"),
    )


def _show_steps(steps: list[Card], picture: Floats) -> list[Block]:
    """Return the steps: those that can be drawn, the sums of some more, and how many there are."""
    large = picture.size > _LARGE
    first = _LARGE_ON_SHEET if large else _ON_SHEET
    chosen = steps if len(steps) <= first else [*steps[: first - 1], steps[-1]]
    on_sheet: list[Block] = list(chosen) if large else [line(*chosen)]
    drawn = _LARGE_IN_TERMINAL if large else _IN_TERMINAL
    sums = [Card(step.title, tuple(b for b in step.blocks if isinstance(b, Words))) for step in steps[drawn:_SUMS]]
    left = len(steps) - max(drawn, _SUMS)
    blocks = [*(Only("sheet", b) for b in on_sheet), *(Only("terminal", b) for b in (*steps[:drawn], *sums))]
    if len(chosen) < len(steps):
        blocks.append(Only("sheet", Words(f"Shown: {len(chosen)} of {len(steps)} cells; the others go the same way.")))
    if left > 0:
        blocks.append(Only("terminal", Words(f"The other {left} cells go the same way.")))
    return list(blocks)


def _result(values: Floats) -> str:
    if values.size <= _LISTED:
        return f"Feature map, row by row: {'; '.join(' '.join(map(number, row)) for row in values)}"
    low, high = (number(v) for v in (values.min(), values.max()))
    return f"Feature map: {by(values.shape)} = {values.size} cells, from {low} to {high}"


def _sizes(
    picture: tuple[int, ...], kernel: tuple[int, ...], result: tuple[int, ...], stride: int, padding: Padding
) -> str:
    """Write the rule for the size with its numbers."""
    return "; ".join(
        f"{what}: {_rule(n, k, stride, padding)} = {out}"
        for what, n, k, out in zip(("rows", "columns"), picture, kernel, result, strict=True)
    )


def _rule(n: int, k: int, stride: int, padding: Padding) -> str:
    if padding == "same":
        return f"{n} / 1" if stride == 1 else f"{n} / {stride} rounded up"
    return f"{n} - {k} + 1" if stride == 1 else f"({n} - {k}) / {stride} rounded down, + 1"


def output_size(*, picture: tuple[int, int] = (28, 28), size: int = 3, stride: int = 2) -> Lesson:
    """Show where the window can stand, and the size that follows.

    Args:
        picture: (H, W) in pixels.
        size: side of the kernel, k.
        stride: the one shown beside stride 1.

    Raises:
        UsageError: the kernel does not fit; see `output_shape`.
    """
    strides = sorted({1, stride})
    paddings: list[Padding] = ["valid", "same"] if size % 2 else ["valid"]  # an even kernel has no middle
    ways = [(way, s) for s in strides for way in paddings]
    drawn = picture[1] if picture[1] <= WIDEST_GRID else max(_DRAWN_PIXELS, size)
    kernels = sorted({k for k in (1, 3, 5, 7) if k <= min(picture)} | {size})
    rows = tuple((f"{k}×{k}", *(_write_size(picture, k, way, s) for way, s in ways)) for k in kernels)
    return Lesson(
        "output-size",
        "How large is the feature map?",
        (
            Words(
                "Of n pixels a kernel of k can start on the first n - k + 1 (padding valid). Padding same puts zeros "
                "around the picture, so that stride 1 keeps n. A stride s takes only every s-th place."
            ),
            Words("valid: (n - k) / s rounded down, + 1", "sum"),
            Words("same: n / s rounded up", "sum"),
            *([line(*(_places(drawn, size, s, way) for way, s in ways))] if drawn <= WIDEST_GRID else []),
            Words(f"A picture of {by(picture)} pixels gives:"),
            Table(("kernel", *(f"{way}, stride {s}" for way, s in ways)), rows),
            Words(
                f"{by(picture)} pixels, kernel {size}×{size}: "
                + "; ".join(f"{way} stride {s}: {_write_size(picture, size, way, s)}" for way, s in ways),
                "result",
            ),
        ),
    )


def _write_size(picture: tuple[int, int], size: int, padding: Padding, stride: int) -> str:
    return by(output_shape(picture, (size, size), padding=padding, stride=stride, name="size"))


def _places(n: int, k: int, stride: int, padding: Padding) -> Card:
    """Draw a row of n pixels once for every place of the window."""
    _, count = output_shape((1, n), (1, k), padding=padding, stride=stride)
    ring = border((1, n), (1, k), padding=padding, stride=stride)
    row = pad(np.arange(1.0, n + 1)[None], ring)
    grids = [Grid(row, window=(0, place * stride, 1, k), border=ring, cell=_PLACE) for place in range(count)]
    return card(
        f"{padding}, stride {stride}: {n} pixels, {count} places",
        *grids,
        Words(f"{_rule(n, k, stride, padding)} = {count}", "sum"),
    )
