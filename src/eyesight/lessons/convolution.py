"""A convolution as neural networks do it, and pooling: a window slides; the kernel is not turned round.

In: a picture and a kernel as arrays. Out: the feature map in float64. It knows no files and draws nothing.

Letters: H height, W width, C channels of the picture; h, w the kernel's size; H', W' the feature map's.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import UsageError

Numbers = npt.NDArray[np.float64]
Padding = Literal["valid", "same"]
Border = tuple[int, int, int, int]  # rows or columns of zeros above, below, left and right

_LARGEST_DIRECT = 100  # elements of a kernel; above that a Fourier transform takes less time than adding up
_DIRECT_STRIP = 1 << 15  # numbers of output made at a time: they and what they need stay in a core's cache
_FOURIER_ROWS = 512  # rows of the picture transformed at a time: bounds the memory


def correlate(
    picture: npt.NDArray[Any], kernel: npt.ArrayLike, *, padding: Padding = "valid", stride: int = 1
) -> Numbers:
    """Slide a kernel over a picture, as a Conv2D layer does with one filter and no bias.

    Works in strips of rows: beside the result it needs little memory, whatever the size and type of the picture.

    Args:
        picture: real numbers (H, W), or (H, W, C): then each channel by itself.
        kernel: real numbers (h, w).
        padding: `valid` stays inside the picture; `same` puts zeros around it, so that stride 1 keeps its size.
        stride: pixels from one window to the next, down and across.

    Returns:
        (H', W') or (H', W', C); see `output_shape`.

    Raises:
        UsageError: the kernel does not fit; see `output_shape`.

    >>> picture = np.array([[10, 2, 0, 1], [50, 7, 7, 2], [0, 0, 25, 3], [4, 5, 6, 7]])
    >>> correlate(picture, [[1, 0, -1], [0, 0, 0], [-1, 0, 1]])
    array([[35.,  4.],
           [45.,  7.]])
    """
    picture, kernel = np.asarray(picture), np.asarray(kernel, np.float64)
    if picture.ndim not in (2, 3) or kernel.ndim != 2:
        received = f"shapes {picture.shape} and {kernel.shape}"
        raise UsageError(f"expected a picture (H, W) or (H, W, C) and a kernel (h, w); received: {received}")
    size, window = (picture.shape[0], picture.shape[1]), (kernel.shape[0], kernel.shape[1])
    result = np.empty((*output_shape(size, window, padding=padding, stride=stride), *picture.shape[2:]))
    above, _, left, _ = border(size, window, padding=padding, stride=stride)
    planes, maps = np.atleast_3d(picture), np.atleast_3d(result)
    for channel in range(planes.shape[2]):
        _slide(planes[..., channel], kernel, maps[..., channel], edge=(above, left), stride=stride)
    return result


def output_shape(
    picture: tuple[int, int],
    kernel: tuple[int, int],
    *,
    padding: Padding = "valid",
    stride: int = 1,
    name: str = "kernel",
) -> tuple[int, int]:
    """Return H' and W': (H − h) // stride + 1 for `valid`, H / stride rounded up for `same`; and so for W'.

    Args:
        picture: H and W.
        kernel: h and w.
        padding, stride: as for `correlate`.
        name: what errors call the kernel.

    Raises:
        UsageError: something is empty; the stride is below 1; with `valid` the kernel is larger than the picture;
            with `same` a side of it is even, so that it has no middle to lay on a pixel.

    >>> output_shape((302, 403), (7, 7)), output_shape((302, 403), (7, 7), padding="same", stride=2)
    ((296, 397), (151, 202))
    """
    if min(*picture, *kernel) < 1:
        raise UsageError(
            f"expected at least 1×1, as of the picture; received: {by(kernel)} on {by(picture)}", field=name
        )
    if stride < 1:
        raise UsageError(f"expected 1 or more; received: {stride}", field="stride")
    if padding == "same":
        if not all(k % 2 for k in kernel):
            raise UsageError(f"with padding same expected odd sides, for a middle; received: {by(kernel)}", field=name)
        return -(-picture[0] // stride), -(-picture[1] // stride)
    if kernel[0] > picture[0] or kernel[1] > picture[1]:
        raise UsageError(
            f"with padding valid expected at most the picture's {by(picture)}; received: {by(kernel)}", field=name
        )
    return (picture[0] - kernel[0]) // stride + 1, (picture[1] - kernel[1]) // stride + 1


def border(picture: tuple[int, ...], kernel: tuple[int, ...], *, padding: Padding, stride: int) -> Border:
    """Return the zeros that a padding puts around a picture (H, W); as in Keras an odd one out comes last.

    >>> border((6, 6), (3, 3), padding="same", stride=1), border((6, 6), (3, 3), padding="same", stride=2)
    ((1, 1, 1, 1), (0, 1, 0, 1))
    """
    if padding == "valid":
        return 0, 0, 0, 0
    missing = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(picture, kernel, strict=True)]
    (above, below), (left, right) = ((all_ // 2, all_ - all_ // 2) for all_ in missing)
    return above, below, left, right


def pad(picture: Numbers, ring: Border) -> Numbers:
    """Return the picture (H, W) with zeros around it."""
    above, below, left, right = ring
    return np.pad(picture, ((above, below), (left, right)))


def pool(values: Numbers, *, size: int, stride: int, kind: Literal["max", "average"]) -> Numbers:
    """Pool (H, W) with windows of size × size that stay inside: (H', W') with H' = (H − size) // stride + 1.

    Raises:
        UsageError: size or stride below 1, or a window larger than the picture.

    >>> pool(np.array([[1.0, 2.0], [3.0, 6.0]]), size=2, stride=2, kind="average")
    array([[3.]])
    """
    if size < 1 or stride < 1:
        field, received = ("size", size) if size < 1 else ("stride", stride)
        raise UsageError(f"expected 1 or more; received: {received}", field=field)
    if size > min(values.shape):
        raise UsageError(
            f"expected a pooling window within {by(values.shape)} numbers; received: {size}×{size}", field="size"
        )
    windows = np.lib.stride_tricks.sliding_window_view(values, (size, size))[::stride, ::stride]
    pooled: Numbers = windows.max(axis=(2, 3)) if kind == "max" else windows.mean(axis=(2, 3))
    return pooled


def by(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it.

    >>> by((302, 403))
    '302×403'
    """
    return "×".join(map(str, shape))


def _slide(plane: npt.NDArray[Any], kernel: Numbers, result: Numbers, *, edge: tuple[int, int], stride: int) -> None:
    """Fill the feature map (H', W') of one channel (H, W), strip by strip.

    Args:
        plane, kernel: real numbers (H, W) and (h, w).
        result: is written to.
        edge: zeros above and to the left of the picture.
        stride: pixels from one window to the next.
    """
    direct = kernel.size <= _LARGEST_DIRECT
    height, width = result.shape
    rows = max(1, _DIRECT_STRIP // width if direct else max(_FOURIER_ROWS, 2 * len(kernel)) // stride)
    across = (width - 1) * stride + kernel.shape[1]
    for first in range(0, height, rows):
        part = result[first : first + rows]
        down = (len(part) - 1) * stride + kernel.shape[0]
        strip = _cut(plane, (first * stride - edge[0], -edge[1]), (down, across))
        (_add_up if direct else _by_fourier)(strip, kernel, part, stride)


def _cut(plane: npt.NDArray[Any], corner: tuple[int, int], shape: tuple[int, int]) -> Numbers:
    """Return a part of a picture that may reach over its edges, with zeros there.

    Args:
        plane: (H, W).
        corner: row and column of the part's first pixel; may be negative.
        shape: of the part.
    """
    strip = np.zeros(shape)
    top, left = (max(-place, 0) for place in corner)
    inside = plane[max(corner[0], 0) : corner[0] + shape[0], max(corner[1], 0) : corner[1] + shape[1]]
    strip[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return strip


def _add_up(strip: Numbers, kernel: Numbers, result: Numbers, stride: int) -> None:
    """Add up a shifted copy of the strip for each element of the kernel; exact for whole numbers."""
    height, width = ((n - 1) * stride + 1 for n in result.shape)
    total, product = np.zeros(result.shape), np.empty(result.shape)
    for (i, j), weight in np.ndenumerate(kernel):
        total += np.multiply(strip[i : i + height : stride, j : j + width : stride], weight, out=product)
    result[...] = total


def _by_fourier(strip: Numbers, kernel: Numbers, result: Numbers, stride: int) -> None:
    """Do the same by Fourier transform, whose time hardly grows with the kernel.

    The transform lets windows run round the edges; those that stay inside come first, and only they are taken.
    """
    spectrum = np.fft.rfft2(strip)
    spectrum *= np.fft.rfft2(kernel, strip.shape).conj()
    height, width = ((n - 1) * stride + 1 for n in result.shape)
    result[...] = np.fft.irfft2(spectrum, strip.shape)[:height:stride, :width:stride]
