"""Training pictures changed at random: mirrored and moved, so that a network sees each of them in many ways.

In: uint8 pictures and a random generator. Out: changed pictures of the same shape. It does not know epochs or seeds.

Letters: N pictures, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Augmentation:
    """Which changes are drawn; a picture is first mirrored, then moved.

    Attributes:
        flip: mirror each picture left to right with probability 1/2.
        shift: move each picture by up to so many pixels, up or down and left or right; what comes in at an edge is
            the picture reflected there.
    """

    flip: bool = False
    shift: int = 0

    def draw(self, rng: np.random.Generator, count: int) -> Changes:
        """Draw the changes of `count` pictures."""
        flips = rng.random(count) < 0.5 if self.flip else None
        shifts = rng.integers(-self.shift, self.shift + 1, size=(count, 2)) if self.shift else None
        return Changes(flips, shifts)


NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True)
class Changes:
    """What was drawn for some pictures.

    Attributes:
        flips: (N,) whether each is mirrored; None for none.
        shifts: (N, 2) pixels down and to the right; None for none.
    """

    flips: Bools | None
    shifts: Ints | None

    def at(self, places: slice) -> Changes:
        """Return the changes of the pictures at these places."""
        return Changes(
            None if self.flips is None else self.flips[places], None if self.shifts is None else self.shifts[places]
        )

    def apply(self, pictures: Pixels) -> Pixels:
        """Return the pictures (N, H, W, C) with their changes, as a new array; unchanged where there are none."""
        if self.flips is not None:
            pictures = _mirrored(pictures, self.flips)
        if self.shifts is not None:
            pictures = _moved(pictures, self.shifts)
        return pictures


def _mirrored(pictures: Pixels, flips: Bools) -> Pixels:
    """Return the pictures, those of `flips` mirrored left to right."""
    # whole pixels are copied, not single numbers
    pixels = np.ascontiguousarray(pictures).view(np.dtype((np.void, pictures.shape[3])))[..., 0]  # (N, H, W)
    mirrored = pixels.copy()
    mirrored[flips] = pixels[flips, :, ::-1]
    return _as_numbers(mirrored, pictures.shape)


def _moved(pictures: Pixels, shifts: Ints) -> Pixels:
    """Return the pictures moved by (down, right) each; what comes in at an edge is the picture reflected there."""
    count, height, width, channels = pictures.shape
    most = int(np.abs(shifts).max(initial=0))
    around = np.pad(pictures, ((0, 0), (most, most), (most, most), (0, 0)), mode="symmetric")
    picture, row, pixel, _ = around.strides
    # each row of the result is one piece of memory in a row of `around`: whole rows are copied, not single numbers
    rows = np.ndarray(
        (count, height + 2 * most, 2 * most + 1),
        dtype=np.dtype((np.void, width * channels)),
        buffer=around,
        strides=(picture, row, pixel),
    )
    first, columns = most - shifts[:, :1] + np.arange(height), most - shifts[:, 1:]
    moved = rows[np.arange(count)[:, None], first, columns]  # (N, H)
    return _as_numbers(moved, pictures.shape)


def _as_numbers(items: npt.NDArray[np.void], shape: tuple[int, ...]) -> Pixels:
    result: Pixels = items.view(np.uint8).reshape(shape)
    return result
