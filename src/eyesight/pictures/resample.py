"""From any size to the size asked for: a shrunk picture is the mean over areas, a grown one is interpolated.

In: a decoded Pillow image (`L` or `RGB`). Out: uint8 pixels. It knows nothing of files or networks.

Letters: H new height, W new width, L length of a line of pixels, T most pixels that a new one stands for.

Each pixel of a shrunk picture is the mean of the area it stands for, in which pixels on the border count by their
share. So a picture that was enlarged by a whole number comes back exactly, and fine patterns turn grey rather than
into patterns that are not there. Pillow's filters do one or the other: `BOX` leaves pixels on the border in or out as a
whole, which makes new patterns wherever the factor is not whole; the smoother ones mix neighbours, and an enlarged
picture comes back blurred.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

_STRIP = 1 << 16  # pixels averaged at a time: so few that the memory of one strip serves the next
_CONVERTED = 1 << 20  # values that are made float32 at once, which is faster and takes four times the memory


def cover(picture: Image.Image, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return the middle of the picture, scaled until it covers the size: uint8 (H, W) or (H, W, 3)."""
    box = _middle(picture.width, picture.height, width, height)
    if box[2] - box[0] >= width:
        return _area_means(picture, width, height, box)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box))


def stretch(picture: Image.Image, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return the whole picture at a size of perhaps another shape: uint8 (H, W) or (H, W, 3)."""
    box = (0.0, 0.0, float(picture.width), float(picture.height))
    down, across = picture.height >= height, picture.width >= width
    if down and across:
        return _area_means(picture, width, height, box)
    if not down and not across:
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    between = (width if across else picture.width, height if down else picture.height)  # first what shrinks
    shrunk = Image.fromarray(_area_means(picture, *between, box))
    return np.asarray(shrunk.resize((width, height), Image.Resampling.BILINEAR))


def contain(picture: Image.Image, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return the whole picture in its own shape, in the middle of a black one: uint8 (H, W) or (H, W, 3)."""
    scale = min(width / picture.width, height / picture.height)
    across, down = (max(1, round(side * scale)) for side in picture.size)
    inner = stretch(picture, across, down)
    whole = np.zeros((height, width, *inner.shape[2:]), np.uint8)
    top, left = (height - down) // 2, (width - across) // 2
    whole[top : top + down, left : left + across] = inner
    return whole


def whole_factor(picture: Image.Image, width: int, height: int) -> int | None:
    """Return by which whole number the picture is shrunk to cover the size; None where the factor is not whole."""
    wide = picture.width * height >= picture.height * width
    factor, rest = divmod(picture.height, height) if wide else divmod(picture.width, width)
    return factor if factor and not rest else None


def _middle(across: int, down: int, width: int, height: int) -> Box:
    """Return the part of a picture of `across` x `down` pixels to be kept.

    What is left out before it is a whole number of new pixels, so that a picture enlarged by a whole number is cut
    between its pixels; it may lie half a new pixel off the middle.
    """
    if across * height >= down * width:
        left = (across * height - down * width) // (2 * down) * down / height
        return left, 0, min(left + width * down / height, across), down
    top = (down * width - across * height) // (2 * across) * across / width
    return 0, top, across, min(top + height * across / width, down)


def _area_means(picture: Image.Image, width: int, height: int, box: Box) -> npt.NDArray[np.uint8]:
    """Return the means over `height` x `width` equal parts of a box, computed in strips of rows."""
    columns, column_shares = _shares(width, box[0], box[2], picture.width)
    rows, row_shares = _shares(height, box[1], box[3], picture.height)
    left, right = int(columns[0, 0]), int(columns[-1, -1]) + 1
    bands, used = len(picture.getbands()), right - left
    means = np.empty((height, width, bands), np.uint8)
    step = max(1, _STRIP // (used * len(rows)))
    for top in range(0, height, step):
        part = slice(top, top + step)
        first, last = int(rows[0, part][0]), int(rows[-1, part][-1])
        strip = np.asarray(picture.crop((left, first, right, last + 1))).reshape(-1, used * bands)
        lines = strip.astype(np.float32) if strip.size <= _CONVERTED else strip
        down = _weighted(lines, rows[:, part] - first, row_shares[:, part])
        turned = down.reshape(-1, used, bands).swapaxes(0, 1)
        across = _weighted(turned.reshape(used, -1), columns - left, column_shares)
        across += 0.5  # and cut: to the nearest whole number
        means[part] = across.astype(np.uint8).reshape(width, -1, bands).swapaxes(0, 1)
    return means[..., 0] if bands == 1 else means


def _shares(count: int, start: float, stop: float, length: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Cut `start` to `stop` into `count` equal parts of a line of `length` pixels.

    Returns:
        (T, count) pixels that each part touches, and their shares in it, which sum to 1. T is the most of any part.
    """
    edges = np.linspace(start, stop, count + 1)
    lower, upper = edges[:-1], edges[1:]
    first = np.floor(lower)
    touched = int((np.ceil(upper) - first).max())
    pixels = first + np.arange(touched)[:, None]
    shares = np.clip(np.minimum(pixels + 1, upper) - np.maximum(pixels, lower), 0, None) / (upper - lower)
    return np.minimum(pixels, length - 1).astype(np.intp), shares.astype(np.float32)


def _weighted(
    lines: npt.NDArray[np.float32] | npt.NDArray[np.uint8], picks: npt.NDArray[np.intp], shares: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return (count, M): sums of lines (L, M) picked by their numbers (T, count), each times its share."""
    total, part = (np.empty((picks.shape[1], lines.shape[1]), np.float32) for _ in range(2))
    for number, (pick, share) in enumerate(zip(picks, shares, strict=True)):
        out = part if number else total
        if lines.dtype == np.float32:
            np.take(lines, pick, axis=0, out=out, mode="clip")  # another mode would copy the result once more
            out *= share[:, None]
        else:
            np.multiply(lines[pick], share[:, None], out=out)
        if number:
            total += part
    return total
