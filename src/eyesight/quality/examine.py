"""One picture, looked at once: all that the checks need to know of it, in a few kilobytes.

In: the file of a picture, or its pixels. Out: `Facts`, and the picture at the size of a network. It compares nothing
and judges nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..data.duplicates import SIDE
from ..data.listing import suffix_of
from ..errors import PictureError
from ..pictures.decode import decode, size_of
from ..pictures.preprocess import Pixels, Preprocessing, fit
from ..pictures.refusal import HEAD
from ..pictures.resample import stretch

_SHARP = 256  # pixels of the longer side at which sharpness is measured: what a network sees of it, about
_TILE = 32  # pixels of the tiles among which the sharpest count: a subject in focus before a soft background
_MOST = 1 << 30  # bytes of a file that are read to be looked at

_FIRST_BYTES = (
    (b"\x89PNG", "PNG"), (b"\xff\xd8", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)  # fmt: skip
_SUFFIXES = {
    "PNG": (".png",), "JPEG": (".jpg", ".jpeg", ".jfif"), "GIF": (".gif",), "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"), "WebP": (".webp",),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a picture.

    Attributes:
        digest: SHA-256 of its file; of its pixels where it has no file of its own.
        pixels: SHA-256 of its size and pixels, decoded.
        width, height: in pixels, as the file says.
        bytes: of the file.
        kind: of file, by its first bytes; "" for others.
        misnamed: whether its name says another kind.
        thumbnail: uint8 (SIDE, SIDE), grey, of the whole picture; black where the picture is smaller.
        brightness, contrast: mean and standard deviation of its grey levels, from 0 to 255.
        spread: standard deviation of all its pixels, in the channel where it is largest.
        sharpness: energy of fine detail in its sharpest tiles, against its variance; 0 where it is small.
    """

    digest: str
    pixels: str
    width: int
    height: int
    bytes: int
    kind: str
    misnamed: bool
    thumbnail: Pixels
    brightness: float
    contrast: float
    spread: float
    sharpness: float


def examine_file(path: str, name: str, view: Preprocessing | None) -> tuple[Facts, Pixels | None]:
    """Return the facts of a picture file, and the picture as a network takes it.

    Args:
        path: of the file.
        name: that tells, by its suffix, what kind of file it should be.
        view: what the network takes; None for no network.

    Raises:
        PictureError: with the reason alone.
    """
    try:
        if Path(path).stat().st_size > _MOST:
            raise PictureError(f"expected a file of at most {_MOST >> 30} GB")
        data = Path(path).read_bytes()
    except OSError as error:
        raise PictureError((error.strerror or str(error)).lower()) from None
    try:
        picture = decode(data, channels=3, name="-")
    except PictureError as error:
        raise PictureError(str(error).removeprefix("-: ")) from None
    kind, suffix = _kind(data[:HEAD]), suffix_of(name)
    misnamed = bool(kind and suffix and suffix not in _SUFFIXES[kind])
    width, height = size_of(path) or picture.size
    if (width < height) != (picture.width < picture.height):
        width, height = height, width  # the file lies on its side, as EXIF says
    facts = _measure(picture, hashlib.sha256(data).hexdigest(), len(data), kind, (width, height), misnamed=misnamed)
    return facts, None if view is None else fit(picture, view)


def examine_pixels(pixels: Pixels) -> Facts:
    """Return the facts of a picture (H, W, C) that has no file of its own."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return _measure(picture, digest, pixels.nbytes, "", picture.size, misnamed=False)


def _measure(
    picture: Image.Image, digest: str, length: int, kind: str, size: tuple[int, int], *, misnamed: bool
) -> Facts:
    values = np.asarray(picture)
    grey = picture.convert("L")
    small = max(picture.size) < SIDE
    thumbnail = np.asarray(grey) if small else stretch(grey, SIDE, SIDE)
    return Facts(
        digest=digest,
        pixels=hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest(),
        width=size[0],
        height=size[1],
        bytes=length,
        kind=kind,
        misnamed=misnamed,
        thumbnail=np.zeros((SIDE, SIDE), np.uint8) if small else thumbnail,
        brightness=float(thumbnail.mean()),
        contrast=float(thumbnail.std()),
        spread=_spread(values),
        sharpness=0.0 if small else _sharpness(grey),
    )


def _spread(values: Pixels) -> float:
    step = max(1, int(np.sqrt(values.shape[0] * values.shape[1] / 40_000)))
    few = values[::step, ::step]
    return float(few.std(axis=(0, 1)).max())


def _sharpness(grey: Image.Image) -> float:
    """Return the mean squared second difference in the sharpest tenth of tiles, against the picture's variance."""
    scale = _SHARP / max(grey.size)
    if scale < 1:
        grey = grey.resize(
            (max(3, round(grey.width * scale)), max(3, round(grey.height * scale))), Image.Resampling.BOX
        )
    values: npt.NDArray[np.float32] = np.asarray(grey, np.float32)
    if min(values.shape) < 3 or values.std() < 1:
        return 0.0
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    energy = np.square(around - 4 * values[1:-1, 1:-1])
    tiles = [
        energy[top : top + _TILE, left : left + _TILE].mean()
        for top in range(0, energy.shape[0], _TILE)
        for left in range(0, energy.shape[1], _TILE)
    ]
    return float(np.quantile(tiles, 0.9) / values.var())


def _kind(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for first, kind in _FIRST_BYTES if head.startswith(first)), "")
