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

    def places(self, height: int, width: int) -> tuple[Ints, Ints]:
        """Return where each pixel of the changed pictures comes from: rows (N, H) and columns (N, W).

        Where all pictures have the same, there is one row of them: (1, H), (1, W).
        The one description of what the changes do: `apply` follows it on the host, `training.resident` on a GPU.
        """
        rows, columns = np.arange(height)[None], np.arange(width)[None]
        if self.shifts is not None:
            rows = _reflected(rows - self.shifts[:, :1], height)
            columns = _reflected(columns - self.shifts[:, 1:], width)
        if self.flips is not None:
            columns = np.where(self.flips[:, None], width - 1 - columns, columns)
        return rows, columns

    def apply(self, pictures: Pixels) -> Pixels:
        """Return the pictures (N, H, W, C) with their changes, as a new array; unchanged where there are none."""
        if self.flips is None and self.shifts is None:
            return pictures
        count, height, width, _ = pictures.shape
        rows, columns = self.places(height, width)
        rows, columns = np.broadcast_to(rows, (count, height)), np.broadcast_to(columns, (count, width))
        pixel = np.dtype((np.void, pictures.shape[3]))  # whole pixels are copied, not single numbers
        before = np.ascontiguousarray(pictures).view(pixel)[..., 0]  # (N, H, W)
        after = np.empty_like(before)
        for i, picture in enumerate(before):
            after[i] = picture.take(rows[i], axis=0).take(columns[i], axis=1)
        changed: Pixels = after.view(np.uint8).reshape(pictures.shape)
        return changed


def _reflected(places: Ints, size: int) -> Ints:
    """Return places outside 0 … size − 1 as those that a mirror at the edge shows: −1 is 0, and size is size − 1."""
    around: Ints = np.remainder(places, 2 * size)
    reflected: Ints = np.minimum(around, 2 * size - 1 - around)
    return reflected
