"""A user's photos as a `Store`: decoded pictures, and the files that they are of.

In: records of the cache. Out: what a `Split` asks of its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .dataset import Ints, Pixels
from .shards import Records


@dataclass(frozen=True, eq=False)
class PhotoStore:
    """Photos as a `Store`.

    Attributes:
        records: (M, H, W, 3).
        where: (N,) which of those this store holds.
        channels: 1 where all are grey, else 3.
        ids: (N) paths below the folder that the user named.
        paths: (N) of the files.
        digests: (N, 32) uint8, SHA-256 of the files' bytes.
    """

    records: Records
    where: Ints
    channels: int
    ids: Sequence[str]
    paths: Sequence[str]
    digests: npt.NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        return self.records.side, self.records.side, self.channels

    def gather(self, rows: Ints) -> Pixels:
        """Return the pictures in these rows, as a new array (N, H, W, C)."""
        found = self.records.take(self.where[rows])
        return np.ascontiguousarray(found[..., :1]) if self.channels == 1 else found

    def source(self, row: int) -> str:
        """Return the path of the file."""
        return self.paths[row]

    def key(self, row: int) -> str:
        """Return the path of the file below the folder that the user named."""
        return self.ids[row]
