"""Training photos changed at random: a part of each at another size, mirrored, in other colours, partly hidden.

In: uint8 photos that are kept larger than a network sees them, and a random generator. Out: photos of the size that it
sees. What is drawn depends neither on the batch nor on the photos. It does not know epochs or seeds.

Sources: Szegedy et al., "Going deeper with convolutions", CVPR 2015 (parts of random area and shape); Zhong et al.,
"Random erasing data augmentation", AAAI 2020.

Letters: N photos, S side of a kept photo, s side of what comes out, C channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from .augment import Bools, Pixels

Floats = npt.NDArray[np.float64]

_SHAPES: Final = (3 / 4, 4 / 3)  # width to height of a part, as in the paper
_HIDDEN: Final = (0.02, 0.2)  # share of a photo's area that is hidden
_HIDDEN_SHAPES: Final = (0.4, 2.5)
_FILL: Final = 127  # mid grey, which networks see as about 0
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R 601


@dataclass(frozen=True)
class PhotoAugmentation:
    """Which changes are drawn, in the order in which they are made.

    Attributes:
        side: of the photos that come out, in pixels.
        crop: smallest share of a photo's area that is seen; 1 for the whole of it.
        flip: mirror each photo left to right with probability 1/2.
        colour: brightness, contrast and saturation are changed by up to this share, each on its own.
        erase: share of the photos of which a rectangle is hidden.
    """

    side: int
    crop: float = 1.0
    flip: bool = False
    colour: float = 0.0
    erase: float = 0.0

    def draw(self, rng: np.random.Generator, count: int) -> PhotoChanges:
        """Draw the changes of `count` photos."""
        parts = _boxes(rng, count, (self.crop, 1.0), _SHAPES) if self.crop < 1 else np.tile([0.0, 0, 1, 1], (count, 1))
        flips = (rng.random(count) < 0.5) & self.flip
        colours = rng.uniform(1 - self.colour, 1 + self.colour, (count, 3))
        hidden = _boxes(rng, count, _HIDDEN, _HIDDEN_SHAPES)
        hidden[rng.random(count) >= self.erase] = 0
        return PhotoChanges(self.side, parts, flips, colours, hidden)


@dataclass(frozen=True)
class PhotoChanges:
    """What was drawn for some photos.

    Attributes:
        side: of what comes out, in pixels.
        parts: (N, 4) left, top, right and bottom of what is seen, as shares of a photo's sides.
        flips: (N,) whether each is mirrored.
        colours: (N, 3) factors of brightness, contrast and saturation.
        hidden: (N, 4) left, top, right and bottom of what is hidden, as shares of what is seen; all 0 for nothing.
    """

    side: int
    parts: Floats
    flips: Bools
    colours: Floats
    hidden: Floats

    def at(self, places: slice) -> PhotoChanges:
        """Return the changes of the photos at these places."""
        return PhotoChanges(
            self.side, self.parts[places], self.flips[places], self.colours[places], self.hidden[places]
        )

    def apply(self, pictures: Pixels) -> Pixels:
        """Return photos (N, S, S, C) with their changes, as a new array (N, s, s, C)."""
        seen = np.empty((len(pictures), self.side, self.side, pictures.shape[3]), np.uint8)
        for i, picture in enumerate(pictures):
            part = _resized(picture, self.parts[i], self.side)
            seen[i] = _recoloured(part[:, ::-1] if self.flips[i] else part, *self.colours[i].tolist())
            left, top, right, bottom = np.rint(self.hidden[i] * self.side).astype(int).tolist()
            seen[i, top:bottom, left:right] = _FILL
        return seen


def _boxes(rng: np.random.Generator, count: int, areas: tuple[float, float], shapes: tuple[float, float]) -> Floats:
    """Draw boxes (N, 4) in the unit square: uniform in area, place, and the logarithm of width to height."""
    area = rng.uniform(*areas, count)
    shape = np.exp(rng.uniform(math.log(shapes[0]), math.log(shapes[1]), count))
    width, height = np.minimum(np.sqrt(area * shape), 1), np.minimum(np.sqrt(area / shape), 1)
    left, top = (1 - width) * rng.random(count), (1 - height) * rng.random(count)
    return np.stack([left, top, left + width, top + height], axis=1)


def _resized(picture: Pixels, part: Floats, side: int) -> Pixels:
    """Return a part of a photo (S, S, C) as (s, s, C), by Pillow's antialiased filter, which computes in integers."""
    size = picture.shape[0]
    grey = picture.shape[2] == 1
    image = Image.fromarray(picture[..., 0] if grey else picture)
    box = tuple(np.clip(part * size, 0, size).tolist())
    found = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
    return found[..., None] if grey else found


def _recoloured(picture: Pixels, brightness: float, contrast: float, saturation: float) -> Pixels:
    """Return a photo in other colours: all three changes are linear, so they are made in one step."""
    if brightness == contrast == saturation == 1:
        return picture
    channels = picture.shape[2]
    luma = _LUMA if channels == 3 else np.ones(1)
    mix = saturation * np.eye(channels) + (1 - saturation) * luma[:, None]  # (C, C): each channel towards the grey
    grey = float(picture.mean(axis=(0, 1)) @ luma)
    changed = picture.astype(np.float32) @ (brightness * contrast * mix).astype(np.float32)
    changed += np.float32(brightness * (1 - contrast) * grey + 0.5)
    return np.asarray(changed.clip(0, 255), np.uint8)
