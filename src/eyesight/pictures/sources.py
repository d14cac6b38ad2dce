"""Which pictures a user means: files, folders, patterns.

In: what stands on a command line. Out: paths, in the order that people give names. It does not open any of them.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .decode import PICTURE_SUFFIXES

# pictures that cannot be read here; found in a folder they are named as such rather than passed over
PICTURE_LIKE = PICTURE_SUFFIXES | {".heic", ".heif", ".jp2", ".jxl", ".dng"}
_NUMBERS = re.compile(r"(\d+)")
_NOT_PICTURES = frozenset((".ipynb_checkpoints", "__MACOSX", "@eaDir"))  # folders of copies, parts and thumbnails


def picture_files(inputs: Iterable[str | Path]) -> list[Path]:
    """Return the files that `walk_pictures` yields."""
    return list(walk_pictures(inputs))


def walk_pictures(inputs: Iterable[str | Path]) -> Iterator[Path]:
    """Expand files, folders and patterns into files, holding no more than the names in one folder.

    A folder stands for the pictures in it and below it, told by their suffix; links to folders are followed, each
    folder once. A pattern (`*`, `?`, `[…]`, `**`) stands for the files it matches. What notebooks, archives and storage
    devices leave beside pictures (`._*`, `.ipynb_checkpoints`, `__MACOSX`, `@eaDir`) is passed over. A file is taken as
    named, whether or not it can be read, and so is a folder in a folder that may not be entered: reading it will say
    what is wrong.

    Raises:
        UsageError: an empty name, a folder without pictures, or a pattern that matches no file.
    """
    for item in inputs:
        if not str(item):  # a shell variable that is not set; as a path it would mean the current folder
            raise UsageError("pictures: expected a file, folder or pattern; received an empty name")
        path = Path(item)
        kind = _kind(path)
        if kind == stat.S_IFDIR:
            found = ""
            for found in _pictures_in(path):
                yield Path(found)
            if not found:
                looked_for = " ".join(sorted(PICTURE_SUFFIXES))
                raise UsageError(f"{item}: no pictures in this folder (looked for {looked_for})")
        elif glob.has_magic(str(item)) and kind is None:
            matched = sorted(_matches(str(item)), key=lambda path: [natural(part) for part in path.parts])
            if not matched:
                raise UsageError(f"{item}: matches no file")
            yield from matched
        else:
            yield path


def count_pictures(inputs: Iterable[str | Path]) -> int:
    """Return how many files `walk_pictures` yields, sooner, and raise what it raises."""
    total = 0
    for item in inputs:
        is_folder = str(item) and _kind(Path(item)) == stat.S_IFDIR
        inside = sum(1 for _ in _pictures_in(Path(item), ordered=False)) if is_folder else 0
        total += inside or sum(1 for _ in walk_pictures([item]))
    return total


def natural(name: str) -> tuple[object, ...]:
    """Return the key that sorts names as people do.

    >>> sorted(["10", "2", "b", "A", "1"], key=natural)
    ['1', '2', '10', 'A', 'b']
    """
    parts: list[Any] = _NUMBERS.split(name.casefold())
    for i in range(1, len(parts), 2):
        digits = parts[i].lstrip("0")
        parts[i] = len(digits), digits
    return (*parts, name)


def readable_name(path: str | os.PathLike[str]) -> str:
    """Return a file's name as text that every file can hold; what is not UTF-8 in it becomes an escape."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _kind(path: Path) -> int | None:
    """Return what stands at a path, as in `stat`; None for nothing, and for a name that the system refuses."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):  # too long, without permission, not to be encoded
        return None


def _pictures_in(top: Path, *, ordered: bool = True) -> Iterator[str]:
    """Yield what is called like a picture in a folder and below it, and the folders that may not be entered."""
    for folder, entries in _folders(top, ordered=ordered):
        if entries is None:
            yield str(folder)
        for entry in entries or ():
            # a broken link is kept, and a pipe: reading it will say what is wrong
            if os.path.splitext(entry.name)[1].lower() in PICTURE_LIKE and not _is_folder(entry):  # noqa: PTH122 # fast
                yield entry.path


def _folders(top: Path, *, ordered: bool = True) -> Iterator[tuple[Path, list[os.DirEntry[str]] | None]]:
    """Yield a folder and all below it, each once, with what is in it; None where it may not be entered.

    Links come last, so that a folder goes by its own name where it has been found by that and by a link.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [top], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            entries = _entries(folder, ordered=ordered)
        except OSError:
            yield folder, None
            continue
        yield folder, entries
        for entry in filter(_is_folder, reversed(entries)):  # the first is to be popped first
            (links if entry.is_symlink() else folders).append(Path(entry.path))
        links.sort(reverse=True)


def _entries(folder: Path, *, ordered: bool = True) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        kept = [e for e in entries if e.name not in _NOT_PICTURES and not e.name.startswith("._")]
    return sorted(kept, key=lambda entry: natural(entry.name)) if ordered else kept


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _matches(pattern: str) -> set[Path]:
    """Return the files that a pattern matches; `glob` would go round a circle of links forty times."""
    path = Path(pattern)
    parts = path.parts[1:] if path.anchor else path.parts
    return set(_expand(Path(path.anchor), list(parts)))


def _expand(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the files in a folder that match the parts of a pattern; like `glob`, `*` leaves out hidden names."""
    if not parts:
        if _kind(folder) not in (None, stat.S_IFDIR):
            yield folder
    elif parts[0] == "**":
        for inner, entries in _folders(folder):
            hidden = any(part.startswith(".") for part in inner.relative_to(folder).parts)
            if entries is not None and not hidden:
                yield from _expand(inner, parts[1:] or ["*"])
    elif glob.has_magic(parts[0]):
        try:
            names = [entry.name for entry in _entries(folder, ordered=False)]
        except OSError:  # not a folder, or one that may not be entered
            return
        for name in fnmatch.filter(names, parts[0]):
            if parts[0].startswith(".") or not name.startswith("."):
                yield from _expand(folder / name, parts[1:])
    else:
        yield from _expand(folder / parts[0], parts[1:])
