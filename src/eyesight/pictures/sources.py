"""Which pictures a user means: files, folders, patterns.

In: what stands on a command line. Out: paths, in a fixed order. It does not open any of them.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError
from .decode import PICTURE_SUFFIXES

# pictures that cannot be read here; found in a folder they are named as such rather than passed over
_ALL_SUFFIXES = PICTURE_SUFFIXES | {".heic", ".heif", ".avif", ".jp2", ".jxl", ".dng"}


def picture_files(inputs: Iterable[str | Path]) -> list[Path]:
    """Expand files, folders and patterns into files.

    A folder stands for the pictures in it and below it, told by their suffix; a pattern (`*`, `?`, `[…]`, `**`) for
    the files it matches. A file is taken as named, whether or not it exists: reading it will say what is wrong.

    Raises:
        UsageError: an empty name, a folder without pictures, or a pattern that matches no file.
    """
    found: list[Path] = []
    for item in inputs:
        if not str(item):  # a shell variable that is not set; as a path it would mean the current folder
            raise UsageError("pictures: expected a file, folder or pattern; received an empty name")
        path = Path(item)
        if path.is_dir():
            # a broken link is kept: reading it will say what is wrong
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _ALL_SUFFIXES and not p.is_dir())
            if not inside:
                raise UsageError(
                    f"{item}: no pictures in this folder (looked for {' '.join(sorted(PICTURE_SUFFIXES))})"
                )
            found += inside
        elif glob.has_magic(str(item)) and not path.exists():
            matched = sorted(p for p in map(Path, glob.glob(str(item), recursive=True)) if p.is_file())  # noqa: PTH207 - ** and absolute
            if not matched:
                raise UsageError(f"{item}: matches no file")
            found += matched
        else:
            found.append(path)
    return found
