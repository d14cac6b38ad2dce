"""What lies in the user's cache: listed, cleaned, and held against its checksums.

In: the folder of the cache. Out: its folders with what each was made of, and which of them are damaged. It makes
nothing of what it removes; whoever needs that again does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import FormatError
from ..formats import read_json
from .archive import UNPACKED_FILE, UNPACKED_FORMAT, UNPACKED_VERSION
from .cache import cache_folder
from .shards import is_finished, open_shard, remove_shard, shard_paths


@dataclass(frozen=True)
class CacheFolder:
    """What `eyesight data cache` lists: a folder of the cache, what it was made of, its pictures and its bytes."""

    path: Path
    root: str
    what: str
    bytes: int


def list_cache() -> list[CacheFolder]:
    """Return what lies in the cache: decoded pictures, unpacked archives, features, and near copies that were found."""
    return [CacheFolder(path, root, what, _size(path)) for path, root, what in _folders()]


def clean_cache(folders: Sequence[CacheFolder]) -> None:
    """Remove folders of the cache. What is needed again is made again."""
    for folder in folders:
        shutil.rmtree(folder.path)


def remove_damaged() -> tuple[int, list[str]]:
    """Hold every decoded picture against its checksum, and remove the shards that are damaged.

    Returns:
        How many pictures were looked at, and what was wrong.
    """
    pictures, problems = 0, list[str]()
    for path in (path for folder in sorted(cache_folder().glob("pictures/*")) for path in shard_paths(folder)):
        if not is_finished(path):  # another process may be at it
            continue
        try:
            shard = open_shard(path)
        except FormatError as error:
            problems.append(str(error))
        else:
            pictures += len(shard.known.paths)
            if not shard.damaged():
                continue
            problems.append(f"{path}: its pixels are not those that were written")
        remove_shard(path)
    return pictures, problems


def _folders() -> Iterator[tuple[Path, str, str]]:
    """Yield the folders of the cache, each with what it was made of, and what is in it."""
    damaged = "?", "damaged, or not finished"
    for path in sorted(cache_folder().glob("pictures/*")):
        try:
            shards = [open_shard(shard) for shard in shard_paths(path) if is_finished(shard)]
            pictures = len({name for shard in shards for name in shard.known.paths})
            yield path, shards[0].root, f"{pictures:,} pictures at {shards[0].side}x{shards[0].side}"
        except (FormatError, IndexError):
            yield path, *damaged
    for path in sorted(cache_folder().glob("archives/*")):
        try:
            root = str(read_json(path / UNPACKED_FILE, name=UNPACKED_FORMAT, version=UNPACKED_VERSION)["archive"])
            yield path, root, "unpacked"
        except (FormatError, OSError, KeyError):
            yield path, *damaged
    for path in sorted(cache_folder().glob("features/*")):
        yield path, path.name.rpartition("-")[0], "features"
    for path in cache_folder().glob("pairs"):
        yield path, "all photos", "near copies that were found"


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
