"""From a picture file to numbers a network takes: `decode` → `fit` → `adapt`.

In: files, Pillow images, arrays. Out: uint8 pictures of the stored size (`decode`, `fit`: Pillow and NumPy, no
torch), and normalised float batches (`adapt`). The same three steps serve training and prediction, so they cannot
disagree. It knows nothing of networks or datasets.

Letters: N pictures, H height, W width, C channels (1 grey, 3 colour).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import PictureError

if TYPE_CHECKING:
    import torch
    from PIL import Image

Pixels = npt.NDArray[np.uint8]

# Decoders that Pillow maintains well and that need no external program; others (EPS, FITS, …) stay shut.
PICTURE_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
)
MAX_PIXELS = 100_000_000  # a 100-megapixel photo decodes to 300 MB; anything larger is more likely an attack

_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # its value → PIL.Image.Transpose


class Preprocessing(BaseModel):
    """What a network expects of a picture: size, channels and normalisation. Saved in every model file.

    Attributes:
        height, width: size of the stored picture in pixels.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        fit: how another size is brought to this one. `crop`: scale until the picture covers the size, cut the middle.
        mean, std: per channel, of pixels scaled to 0–1; a network sees (pixel / 255 − mean) / std.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    height: int = Field(ge=1, le=16384)
    width: int = Field(ge=1, le=16384)
    channels: Literal[1, 3]
    fit: Literal["crop"] = "crop"
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Preprocessing:
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std need {self.channels} values each")
        if min(self.std) <= 0:
            raise ValueError("std must be above 0")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a stored picture."""
        return self.height, self.width, self.channels


def read_picture(source: str | Path | bytes | Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Decode and fit one picture: uint8 of shape (H, W, C).

    Raises:
        PictureError: not a picture, cut off, too large, or of a kind without a defined brightness.
    """
    return fit(decode(source, channels=preprocessing.channels), preprocessing)


def decode(source: str | Path | bytes | Image.Image, *, channels: int) -> Image.Image:
    """Open a picture as upright 8-bit grey (`L`) or colour (`RGB`).

    EXIF rotation is applied; transparency is laid over white; 16-bit is scaled by 1/257 (Pillow's own conversion
    would clip it); palettes, CMYK and the rest go through RGB. Animations give their first picture.

    Args:
        source: a path, the bytes of a file, or a Pillow image.
        channels: 1 or 3.
    """
    from PIL import Image, UnidentifiedImageError

    name = str(source) if isinstance(source, str | Path) else "picture"
    try:
        # Pillow warns of odd metadata; a picture that decodes is a picture
        with warnings.catch_warnings(action="ignore"), _opened(source) as picture:
            if not 0 < picture.width * picture.height <= MAX_PIXELS:
                limit = f"expected 1 to {MAX_PIXELS:,} pixels"
                raise PictureError(f"{name}: {limit}; received: {picture.width}x{picture.height}")
            picture.load()
            return _eight_bit(_upright(picture), name).convert("L" if channels == 1 else "RGB")
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{name}: not a picture (readable: {', '.join(PICTURE_FORMATS)})") from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: {error}") from None
    except OSError as error:
        raise PictureError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    except Exception as error:  # on damaged files Pillow's decoders raise nearly anything
        raise PictureError(f"{name}: damaged picture ({error})") from None


def _opened(source: str | Path | bytes | Image.Image) -> contextlib.AbstractContextManager[Image.Image]:
    """Open a picture, to be closed afterwards; a Pillow image is the caller's and stays open."""
    from PIL import Image

    if isinstance(source, Image.Image):
        return contextlib.nullcontext(source)
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else Path(source), formats=PICTURE_FORMATS)


def _upright(picture: Image.Image) -> Image.Image:
    """Apply the EXIF rotation; a picture whose EXIF data is damaged stays as it is.

    Pillow's `exif_transpose` also writes the data anew, and fails on the slips that real cameras make in it.
    """
    from PIL import Image

    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # see `decode`
        return picture
    return picture if turn is None else picture.transpose(Image.Transpose(turn))


def _eight_bit(picture: Image.Image, name: str) -> Image.Image:
    """Return the picture with 8 bits a channel and no transparency."""
    from PIL import Image

    if picture.mode.startswith("I"):  # 16-bit files open as I;16 or, from some formats, as 32-bit I
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise PictureError(f"{name}: 32-bit picture; expected values from 0 to 65535")
        return Image.fromarray(((np.arange(65536) + 128) // 257).astype(np.uint8)[values])
    if picture.mode == "F":
        raise PictureError(f"{name}: floating-point picture; its brightness has no defined range")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture


def fit(picture: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Bring a decoded picture to the stored size: uint8 of shape (H, W, C). The right size passes untouched.

    Scales with Pillow's antialiased bilinear filter until the picture covers the size, then cuts the middle.
    """
    from PIL import Image, ImageOps

    size = (preprocessing.width, preprocessing.height)
    if picture.size != size:
        picture = ImageOps.fit(picture, size, Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(preprocessing.shape)


def adapt(pictures: torch.Tensor, preprocessing: Preprocessing, dtype: torch.dtype) -> torch.Tensor:
    """Normalise stored pictures for the network.

    Args:
        pictures: uint8 (N, H, W, C), on any device.
        preprocessing: gives mean and std.
        dtype: of the result; bfloat16 holds 0–255 exactly.

    Returns:
        (N, C, H, W), a channels_last view: (pixel / 255 − mean) / std.
    """
    n, height, width, channels = pictures.shape
    scale, shift = _adapt_rows(preprocessing, width, dtype, pictures.device)
    rows = pictures.to(dtype).view(n, height, width * channels).mul_(scale)
    return (rows.add_(shift) if shift is not None else rows).view(n, height, width, channels).permute(0, 3, 1, 2)


def plain_memory(images: torch.Tensor) -> torch.Tensor:
    """Return pictures (N, C, H, W) in plain NCHW memory.

    `contiguous` would not do: for one channel it calls channels_last strides contiguous, and convolutions do not.
    """
    import torch

    return images.clone(memory_format=torch.contiguous_format)


@lru_cache(maxsize=8)
def _adapt_rows(
    preprocessing: Preprocessing, width: int, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return scale and shift for one row of pixels (W·C,); no shift where all means are 0.

    A whole row at once keeps the innermost loop long; over the channels of a pixel it would be three numbers.
    """
    import torch

    scale = [1 / (255 * std) for std in preprocessing.std]
    shift = [-mean / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
    with torch.inference_mode(False):  # they outlive the call, and a tensor made in that mode would stay bound to it
        rows = [torch.tensor(values, dtype=dtype, device=device).repeat(width) for values in (scale, shift)]
    return rows[0], rows[1] if any(shift) else None


def pixel_statistics(batches: Iterable[Pixels]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels scaled to 0–1.

    Exact: counts how often each of the 256 values occurs. A channel that never varies gets a deviation of 1.

    Args:
        batches: uint8 (N, H, W, C) each; counting widens to 8 bytes a pixel, so keep them small.
    """
    counts = [
        [np.bincount(batch[..., channel].ravel(), minlength=256) for channel in range(batch.shape[-1])]
        for batch in batches
    ]
    total = np.sum(counts, axis=0)  # (C, 256)
    values = np.arange(256) / 255
    mean = (total * values).sum(axis=1) / total.sum(axis=1)
    deviation = np.sqrt((total * (values - mean[:, None]) ** 2).sum(axis=1) / total.sum(axis=1))
    varies = (total > 0).sum(axis=1) > 1  # the deviation of equal values is not always exactly 0
    return tuple(mean.tolist()), tuple(np.where(varies, deviation, 1.0).tolist())
