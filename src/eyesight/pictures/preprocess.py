"""From a picture file to numbers a network takes: `decode` → `fit` → `adapt`.

In: files, Pillow images, arrays. Out: uint8 pictures of the stored size (`decode`, `fit`: Pillow and NumPy, no
torch), and normalised float batches (`adapt`). The same three steps serve training and prediction, so they cannot
disagree. It knows nothing of networks or datasets.

Letters: N pictures, H height, W width, C channels (1 grey, 3 colour).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .decode import PictureSource, decode
from .resample import contain, cover, stretch

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]

_EXACT = 256  # so many squares of bytes sum up in float32 without rounding: 256 · 255² < 2²⁴


class Preprocessing(BaseModel):
    """What a network expects of a picture: size, channels and normalisation. Saved in every model file.

    Attributes:
        height, width: size of the stored picture in pixels.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        fit: how another size is brought to this one. `crop`: scale until the picture covers the size, cut the middle;
            `pad`: scale until it fits in, black around it; `stretch`: to this size, whatever its shape.
        resample: how it is scaled. `area`: down to the mean over areas, up by interpolation (see `resample`).
            `bilinear`: Pillow's antialiased filter, which files of version 1 keep.
        mean, std: per channel, of pixels scaled to 0–1; a network sees (pixel / 255 − mean) / std.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    height: int = Field(ge=1, le=16384)
    width: int = Field(ge=1, le=16384)
    channels: Literal[1, 3]
    fit: Literal["crop", "pad", "stretch"] = "crop"
    resample: Literal["area", "bilinear"] = "area"
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


def read_picture(
    source: PictureSource, preprocessing: Preprocessing, *, name: str = "", most: int | None = None
) -> Pixels:
    """Decode and fit one picture: uint8 of shape (H, W, C). Errors call it `name`, or by its file's name.

    Raises:
        PictureError: not a picture, cut off, too large, or of a kind without a defined brightness.
        LargePictureError: it has more pixels than `most`.
    """
    size = (preprocessing.width, preprocessing.height)
    return fit(decode(source, channels=preprocessing.channels, size=size, name=name, most=most), preprocessing)


def fit(picture: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Bring a decoded picture to the stored size: uint8 of shape (H, W, C). The right size passes untouched.

    Scales as `resample` says, and cuts, pads or stretches as `fit` says.
    """
    size = (preprocessing.width, preprocessing.height)
    if picture.size == size:
        pixels = np.asarray(picture)
    elif preprocessing.fit != "crop":
        pixels = contain(picture, *size) if preprocessing.fit == "pad" else stretch(picture, *size)
    elif preprocessing.resample == "area":
        pixels = cover(picture, *size)
    else:
        pixels = np.asarray(ImageOps.fit(picture, size, Image.Resampling.BILINEAR))
    return pixels.reshape(preprocessing.shape)


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

    Exact: sums of whole numbers. A channel that never varies gets a deviation of 1.

    Args:
        batches: uint8 (N, H, W, C) each.
    """
    count, sums = 0, []
    for batch in batches:
        for part in np.split(batch, range(_EXACT, len(batch), _EXACT)):
            values = part.astype(np.float32)
            both = (values.sum(axis=0), np.square(values, out=values).sum(axis=0))
            sums.append([power.sum(axis=(0, 1), dtype=np.float64) for power in both])
            count += math.prod(part.shape[:3])
    exact = [(int(total), int(square)) for total, square in np.sum(sums, axis=0).T]
    mean = tuple(total / (255 * count) for total, _ in exact)
    deviation = [math.sqrt(count * square - total**2) / (255 * count) for total, square in exact]
    return mean, tuple(value or 1.0 for value in deviation)
