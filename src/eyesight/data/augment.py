"""Training pictures changed at random: mirrored, moved, partly covered, so that a network sees each in many ways.

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
    """Which changes are drawn; a picture is first mirrored, then moved, then covered.

    Attributes:
        flip: mirror each picture left to right with probability 1/2.
        shift: move each picture by up to so many pixels, up or down and left or right; what comes in at an edge is
            the picture reflected there.
        cutout: cover a square of so many pixels a side in each picture, whose middle may be anywhere in it. Source:
            DeVries & Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
        colour: (C,) what squares are filled with.
    """

    flip: bool = False
    shift: int = 0
    cutout: int = 0
    colour: tuple[int, ...] = ()

    def draw(self, rng: np.random.Generator, count: int, size: tuple[int, int]) -> Changes:
        """Draw the changes of `count` pictures of `size` (H, W)."""
        flips = rng.random(count) < 0.5 if self.flip else None
        shifts = rng.integers(-self.shift, self.shift + 1, size=(count, 2)) if self.shift else None
        squares = None
        if self.cutout:
            middles = rng.integers(0, size, size=(count, 2))
            squares = Squares(middles - self.cutout // 2, self.cutout, self.colour)
        return Changes(flips, shifts, squares)


NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True)
class Squares:
    """The squares that are covered, one in each picture; what lies outside of it covers nothing.

    Attributes:
        corners: (N, 2) row and column of the first pixel, which may be negative.
        side: pixels.
        colour: (C,) what they are filled with.
    """

    corners: Ints
    side: int
    colour: tuple[int, ...]

    def at(self, places: slice) -> Squares:
        """Return the squares of the pictures at these places."""
        return Squares(self.corners[places], self.side, self.colour)


@dataclass(frozen=True)
class Changes:
    """What was drawn for some pictures.

    Attributes:
        flips: (N,) whether each is mirrored; None for none.
        shifts: (N, 2) pixels down and to the right; None for none.
        squares: that are covered; None for none.
    """

    flips: Bools | None
    shifts: Ints | None
    squares: Squares | None = None

    def at(self, places: slice) -> Changes:
        """Return the changes of the pictures at these places."""
        return Changes(
            None if self.flips is None else self.flips[places],
            None if self.shifts is None else self.shifts[places],
            None if self.squares is None else self.squares.at(places),
        )

    def apply(self, pictures: Pixels) -> Pixels:
        """Return the pictures (N, H, W, C) with their changes, as a new array; unchanged where there are none."""
        if self.flips is not None:
            pictures = _mirrored(pictures, self.flips)
        if self.shifts is not None:
            pictures = _moved(pictures, self.shifts)
        if self.squares is not None:
            pictures = _covered(pictures, self.squares)
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


def _covered(pictures: Pixels, squares: Squares) -> Pixels:
    """Return the pictures with a square of one colour in each."""
    inside = [
        (np.arange(size) >= first[:, None]) & (np.arange(size) < first[:, None] + squares.side)
        for size, first in zip(pictures.shape[1:3], squares.corners.T, strict=True)
    ]
    covered = pictures.copy()
    covered[inside[0][:, :, None] & inside[1][:, None, :]] = squares.colour
    return covered


def _as_numbers(items: npt.NDArray[np.void], shape: tuple[int, ...]) -> Pixels:
    result: Pixels = items.view(np.uint8).reshape(shape)
    return result
