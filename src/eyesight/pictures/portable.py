"""Portable maps (PGM, PPM) in plain text or of other depths than 8 bits, which Pillow decodes in Python, slowly.

In: such a file, opened by Pillow and not yet loaded. Out: the picture of mode `L` or `RGB`.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

_STRIP = 1 << 20  # values read at a time
_LONGEST = 12  # characters of a number in plain text, the space around it included
_SPACE_AND_DIGITS = b"0123456789 \t\n\r\v\f"


def is_slow(picture: ImageFile) -> bool:
    """Tell whether Pillow would decode a file in Python, and `load_map` does it instead."""
    codec = picture.tile[0].codec_name if picture.tile else ""
    return picture.format == "PPM" and codec in ("ppm", "ppm_plain") and picture.mode in ("L", "I", "RGB")


def load_map(picture: ImageFile) -> Image.Image:
    """Decode the file."""
    assert picture.fp is not None
    codec, _, start, arguments = picture.tile[0]
    assert isinstance(arguments, tuple)
    bands, white = len(picture.getbands()), int(arguments[1])
    scaled = np.rint(np.arange(white + 1) * 255 / white).astype(np.uint8)
    pixels = np.empty(picture.width * picture.height * bands, np.uint8)
    picture.fp.seek(start)
    if codec == "ppm_plain":
        text = picture.fp.read(len(pixels) * _LONGEST + _STRIP)
        np.take(scaled, _numbers(text, len(pixels), white), out=pixels)
    else:
        kind = np.dtype(">u2" if white > 255 else "u1")
        for first in range(0, len(pixels), _STRIP):
            part = pixels[first : first + _STRIP]
            data = picture.fp.read(len(part) * kind.itemsize)
            if len(data) < len(part) * kind.itemsize:
                raise OSError("image file is truncated")
            np.take(scaled, np.frombuffer(data, kind), out=part, mode="clip")
    shape = (picture.height, picture.width, bands) if bands == 3 else (picture.height, picture.width)
    return Image.fromarray(pixels.reshape(shape))


def _numbers(text: bytes, count: int, most: int) -> npt.NDArray[np.int32]:
    """Return the first numbers in a text that may have comments."""
    text = re.sub(rb"#[^\r\n]*", b"", text) if b"#" in text else text
    if text.translate(None, _SPACE_AND_DIGITS) or re.search(rb"[0-9]{9}", text):
        raise OSError(f"image file should have numbers from 0 to {most} after its header")
    values = np.fromstring(text, np.int32, sep=" ")[:count]
    if len(values) < count:
        raise OSError("image file is truncated")
    if values.max() > most:
        raise OSError(f"image file should have numbers from 0 to {most} after its header")
    return values
