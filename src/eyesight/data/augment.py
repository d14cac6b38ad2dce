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

    flips: npt.NDArray[np.bool_] | None
    shifts: Ints | None

    def at(self, places: slice) -> Changes:
        """Return the changes of the pictures at these places."""
        return Changes(
            None if self.flips is None else self.flips[places], None if self.shifts is None else self.shifts[places]
        )

    def apply(self, pictures: Pixels) -> Pixels:
        """Return the pictures (N, H, W, C) with their changes, as a new array; unchanged where there are none."""
        if self.flips is None and self.shifts is None:
            return pictures
        count, height, width, _ = pictures.shape
        rows, columns = (np.broadcast_to(np.arange(side), (count, side)) for side in (height, width))
        if self.shifts is not None:
            rows = _reflected(rows - self.shifts[:, :1], height)
            columns = _reflected(columns - self.shifts[:, 1:], width)
        if self.flips is not None:
            columns = np.where(self.flips[:, None], width - 1 - columns, columns)
        changed: Pixels = pictures[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
        return changed


def _reflected(places: Ints, side: int) -> Ints:
    """Return places from 0 to side − 1 for any whole numbers: the picture goes on mirrored beyond its edges.

    >>> _reflected(np.arange(-3, 6), 3).tolist()
    [2, 1, 0, 0, 1, 2, 2, 1, 0]
    """
    folded = places % (2 * side)
    return np.where(folded < side, folded, 2 * side - 1 - folded)
