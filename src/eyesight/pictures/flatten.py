"""From any kind of pixels to 8-bit grey or colour on white, in strips, so that copies stay small.

In: a Pillow image, and what its file says of its values. Out: a Pillow image of mode `L` or `RGB`. It opens no file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import PictureError

_STRIP = 1 << 20  # pixels converted at a time
_SHALLOW = {"L;2": 85, "L;4": 17}  # grey of few bits: what Pillow multiplies its values by
_DIRECT = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"}  # Pillow converts them to `L` and `RGB` by itself
_BITS, _PHOTOMETRIC = 258, 262  # TIFF tags


@dataclass(frozen=True)
class Values:
    """What a file says of its values that Pillow's image does not.

    Attributes:
        clear: the grey, or the colour of 16 bits, that is transparent; None where Pillow has it right.
        low: the lower bytes of colours of 16 bits, of which Pillow keeps the upper ones.
        white: the value of white in grey of more than 8 bits.
        inverted: whether white is 0 and black is `white`.
    """

    clear: int | tuple[int, int, int] | None = None
    low: Image.Image | None = None
    white: int = 65535
    inverted: bool = False


def values_of(picture: Image.Image, low: Image.Image | None = None) -> Values:
    """Return what the file of a picture says of its values; before it is loaded, which forgets some of that."""
    if isinstance(picture, TiffImageFile) and picture.mode.startswith("I;16"):
        tags = picture.tag_v2
        return Values(white=4095 if tags.get(_BITS) == (12,) else 65535, inverted=tags.get(_PHOTOMETRIC) == 0)
    clear = picture.info.get("transparency")
    if isinstance(picture, PngImageFile) and clear is not None:
        stored = _stored(picture)
        if picture.mode == "L":
            return Values(clear=clear * _SHALLOW.get(stored, 1))
        if picture.mode == "I;16" or stored == "RGB;16B":
            return Values(clear=clear, low=low)
    return Values()


def has_clear_deep_colour(picture: Image.Image) -> bool:
    """Tell whether a colour of 16 bits is transparent, so that both bytes are needed to find it."""
    return isinstance(picture, PngImageFile) and _stored(picture) == "RGB;16B" and "transparency" in picture.info


def _stored(picture: PngImageFile) -> str:
    """Return how Pillow calls the pixels in the file; empty where they have been loaded."""
    return str(picture.tile[0].args) if picture.tile else ""


def flatten(picture: Image.Image, mode: str, block: int, values: Values) -> Image.Image:
    """Return the loaded picture as `mode`, averaged over blocks.

    Raises:
        PictureError: its kind of pixels has no defined brightness.
    """
    if block == 1 and picture.mode in _DIRECT and not picture.has_transparency_data:
        return picture if picture.mode == mode else picture.convert(mode)
    width, height = picture.size
    flat = Image.new(mode, (-(-width // block), -(-height // block)))
    rows = block * max(1, _STRIP // (width * block))
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        low = values.low.crop(box) if values.low else None
        strip = _eight_bit(picture.crop(box), values, low).convert(mode)
        flat.paste(strip if block == 1 else strip.reduce(block), (0, top // block))
    return flat


def _eight_bit(picture: Image.Image, values: Values, low: Image.Image | None) -> Image.Image:
    """Return the picture with 8 bits a channel and no transparency, which lies over white."""
    if picture.mode.startswith("I"):  # 16-bit files open as I;16 or, from some formats, as 32-bit I
        return Image.fromarray(_eight_bit_grey(np.asarray(picture), values))
    if picture.mode == "F":
        raise PictureError("floating-point picture; its brightness has no defined range")
    if picture.mode == "LAB":
        return picture.convert("RGB")
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode == "RGB" and isinstance(values.clear, tuple):
        return Image.fromarray(_without_colour(picture, values.clear, low))
    if picture.has_transparency_data:
        if values.clear is not None:
            picture.info["transparency"] = values.clear
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture


def _eight_bit_grey(grey: npt.NDArray[np.integer], values: Values) -> npt.NDArray[np.uint8]:
    """Return grey of more than 8 bits, scaled so that white is 255."""
    white = values.white
    if grey.min() < 0 or grey.max() > white:
        raise PictureError(f"32-bit picture; expected values from 0 to {white}")
    scaled = ((np.arange(white + 1) * 255 + white // 2) // white).astype(np.uint8)
    if isinstance(values.clear, int) and values.clear <= white:
        scaled[values.clear] = 255
    scaled = scaled[::-1] if values.inverted else scaled
    return np.take(scaled, grey)


def _without_colour(
    picture: Image.Image, clear: tuple[int, int, int], low: Image.Image | None
) -> npt.NDArray[np.uint8]:
    """Return upper bytes of colours of 16 bits, one of them replaced by white; `low` tells it from its neighbours."""
    upper, lower = np.divmod(np.array(clear), 256)
    pixels = np.array(picture)
    found = (pixels == upper).all(axis=2)
    if low is not None:
        found &= (np.asarray(low) == lower).all(axis=2)
    pixels[found] = 255
    return pixels
