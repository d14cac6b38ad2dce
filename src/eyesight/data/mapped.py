"""Arrays that lie in files and are mapped into memory, of which no more than a few rows are to lie there at a time.

In: a shape, or such an array. Out: an array like any other; its rows in parts; its memory given back. An array that
lies in memory itself is taken as well.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

_MOST = 64 << 20  # bytes of an array that lies in memory
_PART = 8 << 20  # bytes that are computed with at a time


def new_matrix(rows: int, columns: int, folder: Path) -> npt.NDArray[np.float32]:
    """Return an array of zeros (rows, columns): in memory, or where it is large in a file that has no name.

    Args:
        rows, columns: its shape.
        folder: on a disk with room for it.
    """
    if 4 * rows * columns > _MOST and hasattr(os, "posix_fallocate"):
        with contextlib.suppress(OSError):  # no room there: then in memory, as far as that goes
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                # now, as a mapping of a file with holes would end the process when the disk is full
                os.posix_fallocate(file.fileno(), 0, 4 * rows * columns)
                return np.asarray(np.memmap(file, np.float32, mode="r+", shape=(rows, columns)))
    return np.zeros((rows, columns), np.float32)


def parts(matrix: Floats) -> Iterator[slice]:
    """Yield the rows of a matrix in order, a few at a time; of one on the disk, those that were used leave memory."""
    step = max(1, _PART // max(1, matrix.itemsize * math.prod(matrix.shape[1:])))
    for number, start in enumerate(range(0, len(matrix), step)):
        yield slice(start, min(start + step, len(matrix)))
        if number % (_MOST // _PART) == 0:
            release(matrix)
    release(matrix)


def release(matrix: Floats) -> None:
    """Let the pages of an array leave memory, where it lies in a file; they stay what they are."""
    if (mapping := _mapping(matrix)) is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def is_mapped(matrix: Floats) -> bool:
    """Tell whether an array lies in a file."""
    return _mapping(matrix) is not None


def _mapping(matrix: Floats) -> mmap.mmap | None:
    base: Any = matrix
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
