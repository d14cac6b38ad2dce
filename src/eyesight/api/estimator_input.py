"""Pictures as scikit-learn's users have them: paths, Pillow images, arrays of pictures, tables of pixels.

In: X. Out: `Given`, and uint8 pictures of one size. It trains nothing.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..data.arrays import checked_pictures
from ..data.dataset import Ints
from ..data.photos import LARGE, side_of
from ..environment import available_cores
from ..pictures.ahead import map_ahead
from ..pictures.decode import is_file, name_of, size_of
from ..pictures.preprocess import Pixels, Preprocessing, read_picture

_ROW = 64  # numbers in a row that is no picture
_MEASURED = 64  # pictures whose size is looked at
_TOGETHER = 4  # pictures that a thread decodes at a time


@dataclass(frozen=True)
class Given:
    """What X is.

    Attributes:
        items: paths, Pillow images and the like, where X is a list of these.
        array: uint8 (N, H, W, C), where X is one of pictures.
        is_table: whether it is neither: a table of numbers, or what scikit-learn is to refuse.
    """

    items: Sequence[Any] = ()
    array: Pixels | None = None
    is_table: bool = False

    @classmethod
    def of(cls, X: Any) -> Self:
        """Look at X.

        Raises:
            DataError: an array of pictures with other values than pictures have.
        """
        if _is_picture(first := _first(X)):
            items = list(X) if isinstance(X, Sequence) else np.asarray(X, object).ravel().tolist()
            return cls(items=items)
        if (np.ndim(first) if isinstance(X, list | tuple) else getattr(X, "ndim", 0) - 1) in (2, 3):
            if isinstance(X, list | tuple) and len({np.shape(picture) for picture in X}) > 1:
                return cls(items=[_as_image(picture) for picture in X])
            return cls(array=checked_pictures(X, "X"))
        return cls(is_table=True)

    @property
    def are_photos(self) -> bool:
        """Whether most are files or images that show enough to a network that knows photos."""
        sides = sorted(map(min, _sizes(self.items)))
        return bool(sides) and sides[len(sides) // 2] >= LARGE


def _first(X: Any) -> Any:
    """Return the first thing in a list or column; None where there is none."""
    if isinstance(X, str | bytes | os.PathLike) or not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        return None
    if isinstance(X, Sequence):
        return X[0] if len(X) else None
    if getattr(X, "ndim", 0) == 1 or (getattr(X, "ndim", 0) == 2 and X.shape[1] == 1):  # a column of a data frame too
        values = np.asarray(X)
        return values.ravel()[0] if values.dtype.kind in "OUST" and values.size else None
    return None


def _is_picture(item: object) -> bool:
    return isinstance(item, str | os.PathLike | Image.Image) or is_file(item)


def _as_image(picture: Any) -> Image.Image:
    """Return an array (H, W) or (H, W, C) as an image."""
    pixels = checked_pictures(np.asarray(picture)[None], "X")[0]
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _sizes(items: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the sizes of some of the pictures, as far as they can be read without decoding them."""
    some = items[:: max(1, len(items) // _MEASURED)]
    sizes = [item.size if isinstance(item, Image.Image) else None if is_file(item) else size_of(item) for item in some]
    return [size for size in sizes if size is not None]


def stored_side(items: Sequence[Any]) -> int:
    """Return the side at which pictures are kept where nobody says."""
    return side_of(_sizes(items))


def read_all(items: Sequence[Any], side: int, resize: Literal["crop", "pad", "stretch"]) -> Pixels:
    """Return pictures as squares, uint8 (N, H, W, C): of one channel where all are grey."""
    wanted = Preprocessing(height=side, width=side, channels=3, fit=resize, mean=(0,) * 3, std=(1,) * 3)
    pixels = Images(items, wanted).all()
    grey = (pixels == pixels[..., :1]).all()
    return np.ascontiguousarray(pixels[..., :1]) if grey else pixels


def fitted(pictures: Pixels, side: int, resize: Literal["crop", "pad", "stretch"]) -> Pixels:
    """Return pictures (N, H, W, C) as squares of another size."""
    channels: Any = pictures.shape[3]
    one = {"mean": (0,) * channels, "std": (1,) * channels}
    wanted = Preprocessing(height=side, width=side, channels=channels, fit=resize, **one)
    return Images(pictures, wanted).all()


class Images:
    """Pictures of any kind as a network takes them; also what `training.features.embed` asks for.

    Args:
        items: paths, images and the like; or uint8 (N, H, W, C).
        preprocessing: what a network expects of them.
    """

    def __init__(self, items: Sequence[Any] | Pixels, preprocessing: Preprocessing) -> None:
        self.items, self.preprocessing = items, preprocessing

    def all(self) -> Pixels:
        """Return all of them: uint8 (N, H, W, C)."""
        if isinstance(self.items, np.ndarray) and self.items.shape[1:] == self.preprocessing.shape:
            return self.items
        return self.read(np.arange(len(self.items)))[1]

    def digests(self) -> list[bytes]:
        """Return digests of the pictures at the network's size."""
        return [hashlib.sha256(pixels.tobytes()).digest() for pixels in self._decoded(range(len(self.items)))]

    def read(self, ids: Ints) -> tuple[Ints, Pixels]:
        """Return all the pictures that are asked for.

        Raises:
            PictureError: one of them cannot be read.
        """
        out = np.empty((len(ids), *self.preprocessing.shape), np.uint8)
        for i, pixels in enumerate(self._decoded(ids.tolist())):
            out[i] = pixels
        return ids, out

    def _decoded(self, ids: Sequence[int]) -> Any:
        workers = available_cores()
        return map_ahead(self._one, ids, workers=workers, together=_TOGETHER, ahead=3 * workers * _TOGETHER)

    def _one(self, i: int) -> Pixels:
        item = self.items[i]
        if isinstance(item, np.ndarray):
            return read_picture(_as_image(item), self.preprocessing, name=f"picture {i}")
        name = "" if isinstance(item, str | os.PathLike) else f"{name_of(item)} {i}"
        return read_picture(item, self.preprocessing, name=name)


@dataclass(frozen=True)
class TableReading:
    """How the rows of a table are pictures.

    Attributes:
        shape: (H, W, C).
        low, high: values that are black and white.
    """

    shape: tuple[int, int, int]
    low: float
    high: float

    @classmethod
    def fit(cls, estimator: BaseEstimator, X: Any, y: Any, shape: tuple[int, ...] | None) -> Self:
        """Look at a table that an estimator is fitted on.

        Raises:
            ValueError, TypeError: no table of numbers, or rows that are no pictures.
        """
        X = validate_data(estimator, X) if y is None else validate_data(estimator, X, y)[0]
        low, high = float(X.min()), float(X.max())
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        elif X.dtype.kind in "iu" and low >= 0 and high <= 255:
            low, high = 0.0, 255.0
        return cls(_shape(X.shape[1], shape), low, high)

    def pixels(self, estimator: BaseEstimator, X: Any) -> Pixels:
        """Return the rows of a table as pictures, uint8 (N, H, W, C)."""
        X = validate_data(estimator, X, reset=False)
        values = (X.astype(np.float64) - self.low) / ((self.high - self.low) or 1.0)
        pixels: Pixels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8).reshape(-1, *self.shape)
        return pixels


def _shape(numbers: int, shape: tuple[int, ...] | None) -> tuple[int, int, int]:
    """Return (H, W, C) of the pictures in rows of so many numbers."""
    if shape is not None:
        full = (*shape, 1)[:3] if len(shape) in (2, 3) else (0, 0, 0)
        if math.prod(full) != numbers or full[2] not in (1, 3):
            raise ValueError(f"expected shape=(H, W) or (H, W, C) with {numbers} numbers in all; received: {shape}")
        return full[0], full[1], full[2]
    for channels in (1, 3):
        side = math.isqrt(numbers // channels)
        if side * side * channels == numbers:
            return side, side, channels
    if numbers > _ROW:
        raise ValueError(f"{numbers} numbers in a row are no square picture; say which: shape=(height, width)")
    return 1, numbers, 1
