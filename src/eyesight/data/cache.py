"""Photos decoded once: pictures of one size in a file in the user's cache, mapped into memory.

In: paths, a size, how it is reached. Out: `Decoded`: the pictures, and why a file is none. A picture is known by its
path, size and time of change, so that a second training starts in a second and ten new photos cost ten. It knows
nothing of classes.

A folder of the cache holds the pictures of one folder of photos at one size:

    index.json    of every picture: its file, as it was; its row; its checksum
    pictures.u8   row after row: uint8 (H, W, 3)
    lock          held while rows are added

Rows are only ever added, and the index is written after them; so whoever has the pictures open keeps them, and a
process that is killed loses no more than what it decoded since the last index.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import PIL
import platformdirs

from .. import locks
from ..errors import DataError, FormatError
from ..formats import json_bytes, read_json, write_bytes
from ..pictures.ahead import map_ahead, read_or_reason
from ..pictures.preprocess import Preprocessing
from .dataset import Ints, Pixels

Resize = Literal["crop", "pad", "stretch"]
Progress = Callable[[int, int, str], None]  # pictures done, of how many, and what is done with them

FORMAT: Final = "eyesight-pictures"
VERSION: Final = 1
INDEX_FILE, PICTURES_FILE = "index.json", "pictures.u8"

_CHANNELS: Final = 3
_TOGETHER = 16  # pictures that a thread decodes at a time
_HELD = 64 << 20  # bytes; a larger file is hashed piece by piece
_SAVED_EVERY = 15.0  # seconds between indexes
_SPARE = 200 << 20  # bytes that stay free on the disk


@dataclass(frozen=True)
class Entry:
    """One decoded picture.

    Attributes:
        size, changed: of its file, in bytes and nanoseconds.
        digest: SHA-256 of the file's bytes.
        row: where it lies.
        checksum: CRC-32 of its pixels.
        grey: whether all its pixels are.
        kind: the kind of file that it is: PNG, JPEG, …; "" for others.
    """

    size: int
    changed: int
    digest: str
    row: int
    checksum: int
    grey: bool
    kind: str


@dataclass(frozen=True)
class Decoded:
    """The pictures of many files.

    Attributes:
        pixels: uint8 (M, H, W, 3), mapped from the disk.
        entries: of the pictures that could be read, by path.
        reasons: why the others could not, by path.
        notes: what became of the cache.
    """

    pixels: Pixels
    entries: Mapping[str, Entry]
    reasons: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PhotoStore:
    """Photos as a `Store`.

    Attributes:
        pixels: uint8 (M, H, W, 3).
        where: (N,) which of those this store holds.
        channels: 1 where all are grey, else 3.
        ids: (N) paths below the folder that the user named.
        paths: (N) of the files.
        digests: (N) SHA-256 of the files' bytes.
    """

    pixels: Pixels
    where: Ints
    channels: int
    ids: Sequence[str]
    paths: Sequence[str]
    digests: Sequence[str]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        return self.pixels.shape[1], self.pixels.shape[2], self.channels

    def gather(self, rows: Ints) -> Pixels:
        """Return the pictures in these rows, as a new array (N, H, W, C)."""
        found = self.pixels[self.where[rows]]
        return found if self.channels == _CHANNELS else np.ascontiguousarray(found[..., :1])

    def source(self, row: int) -> str:
        """Return the path of the file."""
        return self.paths[row]

    def key(self, row: int) -> str:
        """Return the path of the file below the folder that the user named."""
        return self.ids[row]


def cache_folder() -> Path:
    """Return the folder of the user's cache: $EYESIGHT_CACHE, else as the system has it (~/.cache/eyesight)."""
    named = os.environ.get("EYESIGHT_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("eyesight"))


def decode_all(
    root: Path, paths: Sequence[str], *, side: int, resize: Resize, progress: Progress | None = None
) -> Decoded:
    """Return the pictures of many files at one size; those that were decoded before are not decoded again.

    Args:
        root: what the user named, which they belong to.
        paths: of the files, each once.
        side: of the square that they are brought to, in pixels.
        resize: how.
        progress: called now and then.

    Raises:
        DataError: the disk is full, or the cache cannot be written.
    """
    settings = {"side": side, "resize": resize, "decoder": 1, "pillow": PIL.__version__}
    name = hashlib.sha256(f"{os.path.realpath(root)}{sorted(settings.items())}".encode("utf-8", "surrogateescape"))
    folder = cache_folder() / "pictures" / name.hexdigest()[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locks.hold(folder, doing="reading these pictures", wait=True):
            return _Cache(folder, str(root), settings).update(paths, progress)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space left on the disk" if full else (error.strerror or str(error)).lower()
        raise DataError(
            f"{error.filename or folder}: {reason}; another place can be named with $EYESIGHT_CACHE"
        ) from None


@dataclass
class _Cache:
    """One folder of the cache, held by this process."""

    folder: Path
    root: str
    settings: Mapping[str, Any]
    entries: dict[str, Entry] = field(default_factory=dict)
    rows: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def side(self) -> int:
        return int(self.settings["side"])

    @property
    def record(self) -> int:
        """Bytes of a picture."""
        return self.side * self.side * _CHANNELS

    def update(self, paths: Sequence[str], progress: Progress | None) -> Decoded:
        """Bring the cache up to date with these files, and return their pictures."""
        known = self._read()
        found: dict[str, Entry] = {}
        reasons: dict[str, str] = {}
        wanted = list[tuple[str, os.stat_result]]()
        for path in paths:
            about = _state(path, reasons)
            if about is None:
                continue
            entry = known.get(path)
            if entry is not None and (entry.size, entry.changed) == (about.st_size, about.st_mtime_ns):
                found[path] = entry
            else:
                wanted.append((path, about))
        if found and not self._whole(found.values()):
            self.notes.append(f"the cache {self.folder} was damaged and is made anew")
            return self._begin_anew().update(paths, progress)
        self.entries = dict(known)
        self._check_room(len(wanted))
        if wanted:
            self._decode(wanted, found, reasons, progress)
        return Decoded(self._map(), found, reasons, tuple(self.notes))

    def _begin_anew(self) -> _Cache:
        for name in (INDEX_FILE, PICTURES_FILE):
            (self.folder / name).unlink(missing_ok=True)
        return _Cache(self.folder, self.root, self.settings, notes=self.notes)

    def _read(self) -> dict[str, Entry]:
        """Return what the index says; nothing where there is none, or it is damaged."""
        try:
            found = read_json(self.folder / INDEX_FILE, name=FORMAT, version=VERSION)
            entries = {path: Entry(*values) for path, values in found["entries"].items()}
            rows = int(found["rows"])
            if (self.folder / PICTURES_FILE).stat().st_size < rows * self.record:
                raise ValueError("cut off")
            if not all(0 <= entry.row < rows for entry in entries.values()):
                raise ValueError("rows that are not there")
        except (FormatError, OSError, ValueError, TypeError, KeyError, AttributeError):
            if any((self.folder / name).exists() for name in (INDEX_FILE,)):
                self.notes.append(f"the cache {self.folder} was damaged and is made anew")
            self._begin_anew()
            return {}
        self.rows = rows
        if self.rows > 2 * len(entries) + 1000:  # most of it is of files that have changed or gone
            self.rows = 0
            self._begin_anew()
            return {}
        return entries

    def _whole(self, entries: Iterator[Entry] | Any) -> bool:
        """Tell whether pictures are as they were written."""
        pixels = self._map().reshape(-1, self.record)
        return all(zlib.crc32(pixels[entry.row]) == entry.checksum for entry in entries)

    def _map(self) -> Pixels:
        """Return all rows, mapped from the disk."""
        if not self.rows:
            return np.empty((0, self.side, self.side, _CHANNELS), np.uint8)
        shape = (self.rows, self.side, self.side, _CHANNELS)
        return np.asarray(np.memmap(self.folder / PICTURES_FILE, np.uint8, mode="r", shape=shape))

    def _check_room(self, pictures: int) -> None:
        need, free = pictures * self.record, shutil.disk_usage(self.folder).free
        if need > free - _SPARE:
            raise OSError(errno.ENOSPC, "no space left", str(self.folder))

    def _decode(
        self,
        wanted: Sequence[tuple[str, os.stat_result]],
        found: dict[str, Entry],
        reasons: dict[str, str],
        progress: Progress | None,
    ) -> None:
        """Decode files in as many threads as there are cores, and add their pictures, in the order of the files."""
        size = f"{self.side}x{self.side} ({_bytes(len(wanted) * self.record)} in {self.folder})"
        doing = f"reading photos at {size}; this is done once"
        handle = os.open(self.folder / PICTURES_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            saved = time.monotonic()
            for done, (path, entry, pixels) in enumerate(self._decoded(wanted), 1):
                if isinstance(entry, str):
                    reasons[path] = entry
                else:
                    _write(handle, pixels, self.rows * self.record, self.folder)
                    self.entries[path] = found[path] = replace(entry, row=self.rows)
                    self.rows += 1
                if progress is not None:
                    progress(done, len(wanted), doing)
                if time.monotonic() - saved > _SAVED_EVERY:
                    self._save(handle)
                    saved = time.monotonic()
        except BaseException:
            with contextlib.suppress(OSError):  # what led here is the one to tell
                self._save(handle)
            raise
        else:
            self._save(handle)
        finally:
            os.close(handle)

    def _decoded(self, wanted: Sequence[tuple[str, os.stat_result]]) -> Iterator[tuple[str, Entry | str, Pixels]]:
        """Return path, entry or reason, and pixels of every file, in order."""
        preprocessing = Preprocessing(
            height=self.side,
            width=self.side,
            channels=_CHANNELS,
            fit=self.settings["resize"],
            mean=(0,) * 3,
            std=(1,) * 3,
        )

        def work(file: tuple[str, os.stat_result]) -> tuple[str, Entry | str, Pixels]:
            return file[0], *_decode_one(*file, preprocessing)

        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ahead = 3 * workers * _TOGETHER
        return map_ahead(work, wanted, workers=workers, together=_TOGETHER, ahead=ahead)

    def _save(self, handle: int) -> None:
        """Write the index, after the rows that it speaks of."""
        os.fsync(handle)
        entries = {path: list(vars(entry).values()) for path, entry in self.entries.items()}
        facts = {"format": FORMAT, "version": VERSION, "root": self.root, "settings": dict(self.settings)}
        write_bytes(self.folder / INDEX_FILE, json_bytes(facts | {"rows": self.rows, "entries": entries}))


def _state(path: str, reasons: dict[str, str]) -> os.stat_result | None:
    """Return size and time of a file; None, with the reason noted, where it is no regular file."""
    try:
        about = os.stat(path)  # noqa: PTH116 # in a third of the time that a `Path` takes
    except OSError as error:
        gone = error.errno == errno.ENOENT and os.path.lexists(path)
        reasons[path] = "a link to nothing" if gone else (error.strerror or str(error)).lower()
        return None
    if not stat.S_ISREG(about.st_mode):
        reasons[path] = "not a file"
        return None
    return about


def _decode_one(path: str, about: os.stat_result, preprocessing: Preprocessing) -> tuple[Entry | str, Pixels]:
    """Return the entry of one file, without its row, and its pixels; or why it cannot be read."""
    nothing = np.empty(0, np.uint8)
    try:
        if about.st_size <= _HELD:
            source: Path | bytes = (data := Path(path).read_bytes())
            head, digest = data[:16], hashlib.sha256(data).hexdigest()
        else:
            source = Path(path)
            with source.open("rb") as file:
                head = file.read(16)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return (error.strerror or str(error)).lower(), nothing
    pixels = read_or_reason(source, preprocessing)
    if isinstance(pixels, str):
        return pixels, nothing
    grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
    pixels = np.ascontiguousarray(pixels)
    return Entry(about.st_size, about.st_mtime_ns, digest, -1, zlib.crc32(pixels.data), grey, _kind(head)), pixels


def _kind(head: bytes) -> str:
    kinds = ((b"\x89PNG", "PNG"), (b"\xff\xd8", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for first, kind in kinds if head.startswith(first)), "")


def _write(handle: int, pixels: Pixels, place: int, folder: Path) -> None:
    """Write all of a picture; not through the mapping, where a full disk would end the process."""
    left = pixels.reshape(-1).data
    while left:
        try:
            written = os.pwrite(handle, left, place)
        except OSError as error:
            error.filename = str(folder)
            raise
        left, place = left[written:], place + written


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{max(number / 1e6, 0.1):.1f} MB"


@dataclass(frozen=True)
class CacheFolder:
    """What `eyesight data cache` lists: a folder of the cache, what it was made of, its pictures and its bytes."""

    path: Path
    root: str
    what: str
    bytes: int


def list_cache() -> list[CacheFolder]:
    """Return what lies in the cache: decoded pictures, unpacked archives, and features."""
    from .archive import UNPACKED_FILE, UNPACKED_FORMAT, UNPACKED_VERSION

    found = []
    for path in sorted(cache_folder().glob("pictures/*")):
        try:
            index = read_json(path / INDEX_FILE, name=FORMAT, version=VERSION)
            root, side = str(index["root"]), index["settings"]["side"]
            what = f"{len(index['entries']):,} pictures at {side}x{side}"
        except (FormatError, OSError, KeyError, TypeError, AttributeError):
            root, what = "?", "damaged, or not finished"
        found.append(CacheFolder(path, root, what, _size(path)))
    for path in sorted(cache_folder().glob("archives/*")):
        try:
            root = str(read_json(path / UNPACKED_FILE, name=UNPACKED_FORMAT, version=UNPACKED_VERSION)["archive"])
            what = "unpacked"
        except (FormatError, OSError, KeyError):
            root, what = "?", "damaged, or not finished"
        found.append(CacheFolder(path, root, what, _size(path)))
    for path in sorted(cache_folder().glob("features/*")):
        found.append(CacheFolder(path, path.name.rpartition("-")[0], "features", _size(path)))
    for path in cache_folder().glob("pairs"):
        found.append(CacheFolder(path, "all photos", "near copies that were found", _size(path)))
    return found


def clean_cache(folders: Sequence[CacheFolder]) -> None:
    """Remove folders of the cache. What is needed again is made again."""
    for folder in folders:
        shutil.rmtree(folder.path)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
