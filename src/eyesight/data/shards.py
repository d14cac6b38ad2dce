"""Decoded pictures in files of fixed-size records, mapped into memory.

In: a folder. Out: `Shard`s, what is known of their pictures, and the pictures. It decodes nothing, and does not know
whether a file has changed since.

A shard is two files, the second of which is written last, and whole:

    00003-5ac0ffee.u8             record after record: uint8 (H, W, 3)
    00003-5ac0ffee.safetensors    of every picture: its file, as it was; its record, and the checksum of that

Neither is ever changed. So a process that is killed loses no more than the shard that it was at, and whoever has a
shard open keeps it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from zlib_ng import zlib_ng

from ..errors import FormatError
from ..formats import read_tensors, write_tensors
from .dataset import Ints, Pixels
from .decoder import CHANNELS, Read
from .mapped import release

FORMAT: Final = "eyesight-pictures"
VERSION: Final = 2
_SMALL = 256 << 20  # bytes of pixels that may all lie in memory
_RESIDENT = 64 << 20  # bytes of others that may
_AROUND = 1 << 16  # bytes that a system maps together with those that are looked at
PIXELS, ABOUT = ".u8", ".safetensors"  # what the names of the two files end with

_KINDS = {  # of what is known of each picture
    "sizes": np.int64,
    "changed": np.int64,
    "checksums": np.uint32,
    "grey": np.uint8,
    "kinds": np.uint8,
    "rows": np.int64,
}


@dataclass(frozen=True)
class Known:
    """What is known of M pictures.

    Attributes:
        paths: (M) of their files.
        sizes, changed: (M,) of those, in bytes and nanoseconds.
        digests: (M, 32) uint8, SHA-256 of the files' bytes.
        checksums: (M,) CRC-32 of the pixels.
        grey: (M,) 1 where all pixels are.
        kinds: (M,) indices into `decoder.KINDS`.
        rows: (M,) where the pixels lie.
    """

    paths: Sequence[str]
    sizes: Ints
    changed: Ints
    digests: npt.NDArray[np.uint8]
    checksums: npt.NDArray[np.uint32]
    grey: npt.NDArray[np.uint8]
    kinds: npt.NDArray[np.uint8]
    rows: Ints

    @classmethod
    def of(cls, paths: Sequence[str], read: Sequence[Read], rows: Sequence[int]) -> Known:
        """Return what a decoder has read of files, and where it has written them."""
        sizes, changed, digests, checksums, grey, kinds = zip(*read, strict=True) if read else ((),) * 6
        numbers = zip(_KINDS.items(), (sizes, changed, checksums, grey, kinds, rows), strict=True)
        arrays: dict[str, Any] = {name: np.array(values, kind) for (name, kind), values in numbers}
        return cls(paths, digests=np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32), **arrays)

    @classmethod
    def joined(cls, parts: Sequence[Known], starts: Sequence[int]) -> Known:
        """Return several as one, whose rows follow each other."""
        parts, starts = [cls.of([], [], []), *parts], [0, *starts]
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("digests", *_KINDS)}
        columns["rows"] = np.concatenate([part.rows + start for part, start in zip(parts, starts, strict=True)])
        return cls([path for part in parts for path in part.paths], **columns)

    def take(self, places: Ints) -> Known:
        """Return what is known of some of the pictures."""
        columns = {name: getattr(self, name)[places] for name in ("digests", *_KINDS)}
        return Known([self.paths[place] for place in places.tolist()], **columns)


@dataclass(frozen=True)
class Shard:
    """A shard on the disk.

    Attributes:
        path: without what the names of its files end with.
        side: of the pictures, in pixels.
        rows: number of its records, of which some may be of no picture.
        known: what is known of the pictures.
        root, settings: what the pictures belong to, and how they were decoded.
    """

    path: Path
    side: int
    rows: int
    known: Known
    root: str
    settings: Mapping[str, Any]

    def pixels(self) -> Pixels:
        """Return the records, mapped from the disk: uint8 (rows, H, W, 3)."""
        shape = (self.rows, self.side, self.side, CHANNELS)
        return np.asarray(np.memmap(pixel_file(self.path), np.uint8, mode="r", shape=shape))

    def damaged(self) -> bool:
        """Tell whether any picture is not as it was written."""
        records = self.pixels().reshape(self.rows, -1)
        sums = (zlib_ng.crc32(records[row]) for row in self.known.rows.tolist())
        return any(found != wanted for found, wanted in zip(sums, self.known.checksums.tolist(), strict=True))

    def save(self) -> Shard:
        """Bring it onto the disk, its pixels first, and return it; from then on it counts."""
        with pixel_file(self.path).open("r+b") as file:
            file.truncate(self.rows * self.side * self.side * CHANNELS)
            os.fsync(file.fileno())
        arrays = {name: getattr(self.known, name) for name in ("digests", *_KINDS)}
        names = np.frombuffer(os.fsencode("\0".join(self.known.paths)), np.uint8)
        about = {"format": FORMAT, "version": VERSION, "root": self.root, "rows": self.rows}
        about |= {"settings": dict(self.settings)}
        write_tensors(_about_file(self.path), arrays | {"paths": names}, about)
        return self


def new_shard(folder: Path, number: int) -> Path:
    """Make the first file of a shard, and return its path without an ending."""
    path = folder / f"{number:05d}-{secrets.token_hex(4)}"
    pixel_file(path).touch(exist_ok=False)
    return path


def pixel_file(path: Path) -> Path:
    """Return the file of a shard that holds its pixels."""
    return path.with_name(path.name + PIXELS)


def _about_file(path: Path) -> Path:
    return path.with_name(path.name + ABOUT)


def is_finished(path: Path) -> bool:
    """Tell whether a shard was written to its end, whatever has become of it."""
    return _about_file(path).exists()


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards in a folder, also those that were never finished, in their order, as `new_shard` does."""
    return sorted({path.with_name(path.stem) for ending in (PIXELS, ABOUT) for path in folder.glob(f"*{ending}")})


def open_shard(path: Path) -> Shard:
    """Read what is known of a shard's pictures.

    Raises:
        FormatError: it was never finished, or is damaged; a record that was changed is not seen, see `Shard.damaged`.
    """
    arrays, about, _ = read_tensors(_about_file(path))
    try:
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise FormatError(f"{path}: not pictures of this version")
        rows, side = int(about["rows"]), int(about["settings"]["side"])
        count = len(arrays["rows"])
        paths = os.fsdecode(arrays.pop("paths").tobytes()).split("\0") if count else []
        if len(paths) != count or arrays["digests"].shape != (count, 32):
            raise ValueError
        for name, kind in _KINDS.items():
            if arrays[name].shape != (count,) or arrays[name].dtype != kind:
                raise ValueError
        if count and not 0 <= arrays["rows"].min() <= arrays["rows"].max() < rows:
            raise ValueError
        known = Known(paths, **{name: arrays[name] for name in ("digests", *_KINDS)})
        if pixel_file(path).stat().st_size != rows * side * side * CHANNELS or not rows:
            raise FormatError(f"{path}: cut off")
        return Shard(path, side, rows, known, str(about["root"]), about["settings"])
    except (KeyError, ValueError, TypeError, OSError):
        raise FormatError(f"{path}: what it says does not fit together") from None


def remove_shard(path: Path) -> None:
    """Remove a shard, first the file that makes it count; whoever has it open keeps it."""
    for file in (_about_file(path), pixel_file(path)):
        file.unlink(missing_ok=True)


class Records:
    """The records of several shards, as if they followed each other in one array (M, H, W, 3).

    Args:
        shards: all of one size.
        side: of the pictures.
    """

    def __init__(self, shards: Sequence[Shard], side: int) -> None:
        self.side = side
        self._parts = [shard.pixels() for shard in shards]
        self.starts = np.cumsum([0, *(shard.rows for shard in shards)])  # (shards + 1,)
        self._large = sum(part.nbytes for part in self._parts) > _SMALL
        self._used = 0  # bytes that were looked at and may still lie in memory

    def take(self, rows: Ints) -> Pixels:
        """Return the records in these rows, as a new array (N, H, W, 3)."""
        found = self._take(rows)
        if self._large:
            self._used += len(rows) * max(self.side * self.side * CHANNELS, _AROUND)
            if self._used > _RESIDENT:
                self._used = 0
                for part in self._parts:
                    release(part)
        return found

    def _take(self, rows: Ints) -> Pixels:
        if len(self._parts) == 1:
            return self._parts[0].take(rows, axis=0)
        out = np.empty((len(rows), self.side, self.side, CHANNELS), np.uint8)
        found = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(found).tolist():
            here = found == number
            out[here] = self._parts[number][rows[here] - self.starts[number]]
        return out
