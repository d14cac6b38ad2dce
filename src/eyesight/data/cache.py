"""Photos decoded once: what was decoded before is found again, and the rest is decoded and kept.

In: paths, a size, how it is reached. Out: `Decoded`: the pictures, and why a file is none. A picture is known by its
path, size and time of change, so that a second training starts in a second and ten new photos cost ten. It knows
nothing of classes.

A folder of the cache holds the pictures of one folder of photos at one size, in shards (see `shards`), and a lock that
is held while they are read or added to.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import platformdirs

from .. import locks
from ..environment import available_cores
from ..errors import DataError, FormatError
from .decoder import CHANNELS, Decoder, Job, Read, Resize, Result, digest_of
from .listing import some
from .shards import (
    Known,
    Records,
    Shard,
    is_finished,
    new_shard,
    open_shard,
    pixel_file,
    remove_shard,
    shard_paths,
)

Progress = Callable[[int, int, str], None]  # pictures done, of how many, and what is done with them

_SHARD = 128 << 20  # bytes of pixels: what a killed process loses at most
_SHARD_SECONDS = 15.0  # or as many as are decoded in this time
_JOB = 1 << 20  # bytes of pixels that a worker is given at a time
_CHECKED = 1 << 30  # bytes of pixels whose checksums are looked at whenever they are opened, which takes a moment
_SPARE = 200 << 20  # bytes that stay free on the disk


@dataclass(frozen=True)
class Decoded:
    """The pictures of many files.

    Attributes:
        records: pixels, of these pictures and perhaps others.
        known: what is known of those that could be read, in the order of their paths.
        reasons: why the others could not, by path.
        notes: what became of the cache.
    """

    records: Records
    known: Known
    reasons: Mapping[str, str]
    notes: tuple[str, ...]


def cache_folder() -> Path:
    """Return the folder of the user's cache: $EYESIGHT_CACHE, else as the system has it (~/.cache/eyesight)."""
    named = os.environ.get("EYESIGHT_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("eyesight"))


def decode_all(
    root: Path,
    paths: Sequence[str],
    *,
    side: int,
    resize: Resize,
    verify: bool = False,
    progress: Progress | None = None,
) -> Decoded:
    """Return the pictures of many files at one size; those that were decoded before are not decoded again.

    Args:
        root: what the user named, which they belong to.
        paths: of the files, each once.
        side: of the square that they are brought to, in pixels.
        resize: how.
        verify: whether every file and every picture is held against its checksum, rather than the size and the time
            of a file alone, and pictures only where they are few.
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
            return _Cache(folder, str(root), settings).update(paths, progress, verify=verify)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space left on the disk" if full else (error.strerror or str(error)).lower()
        raise DataError(f"{folder}: {reason}; another place can be named with $EYESIGHT_CACHE") from None


@dataclass
class _Cache:
    """One folder of the cache, held by this process."""

    folder: Path
    root: str
    settings: Mapping[str, Any]
    shards: list[Shard] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def side(self) -> int:
        return int(self.settings["side"])

    @property
    def record(self) -> int:
        """Bytes of a picture."""
        return self.side * self.side * CHANNELS

    def update(self, paths: Sequence[str], progress: Progress | None, *, verify: bool) -> Decoded:
        """Bring the cache up to date with these files, and return their pictures."""
        self._open(verify=verify)
        known = self._known()
        places = _places(known)
        wanted = _changed(paths, known, places)
        if verify:
            wanted += self._altered(sorted(set(paths).difference(wanted)), known, places)
        reasons: dict[str, str] = {}
        if wanted:
            self._check_room(len(wanted))
            self._decode(sorted(wanted), reasons, progress)
            known = self._known()
            places = _places(known)
        found = np.array([places[path] for path in paths if path not in reasons], np.int64)
        return Decoded(Records(self.shards, self.side), known.take(found), reasons, tuple(self.notes))

    def _open(self, *, verify: bool) -> None:
        """Read what is there; what is damaged, or was never finished, is removed."""
        damaged = 0
        for path in shard_paths(self.folder):
            try:
                self.shards.append(open_shard(path))
            except FormatError:
                damaged += is_finished(path)
                remove_shard(path)
        if verify or sum(shard.rows for shard in self.shards) * self.record <= _CHECKED:
            bad = [shard for shard in self.shards if shard.damaged()]
            self.shards = [shard for shard in self.shards if shard not in bad]
            damaged += len(bad)
            for shard in bad:
                remove_shard(shard.path)
        if damaged:
            parts = "" if not self.shards else "a part of " if damaged == 1 else f"{damaged} parts of "
            self.notes.append(f"{parts}the cache {self.folder} was damaged and is made anew")
        rows, pictures = sum(shard.rows for shard in self.shards), len(_places(self._known()))
        if rows > 2 * pictures + 1000:  # most of it is of files that have changed since
            for shard in self.shards:
                remove_shard(shard.path)
            self.shards = []

    def _known(self) -> Known:
        """Return what is known of all pictures."""
        starts = np.cumsum([0, *(shard.rows for shard in self.shards)]).tolist()
        return Known.joined([shard.known for shard in self.shards], starts[:-1])

    def _altered(self, paths: Sequence[str], known: Known, places: Mapping[str, int]) -> list[str]:
        """Return the files that hold other bytes than they did, although size and time are the same."""
        with ThreadPoolExecutor(available_cores()) as pool:
            digests = pool.map(digest_of, paths)
        altered = [
            path
            for path, digest in zip(paths, digests, strict=True)
            if digest is None or digest != known.digests[places[path]].tobytes()
        ]
        if altered:
            files = "1 file has" if len(altered) == 1 else f"{len(altered):,} files have"
            self.notes.append(f"{files} changed without another size or time: read again: {some(altered)}")
        return altered

    def _check_room(self, pictures: int) -> None:
        need, free = pictures * self.record, shutil.disk_usage(self.folder).free
        if need > free - _SPARE:
            raise OSError(errno.ENOSPC, "no space left", str(self.folder))

    def _decode(self, wanted: Sequence[str], reasons: dict[str, str], progress: Progress | None) -> None:
        """Decode files, and add their pictures in the order of the files; whatever ends this, what was done is kept."""
        size = f"{self.side}x{self.side} ({_bytes(len(wanted) * self.record)} in {self.folder})"
        doing, done = f"reading photos at {size}; this is done once", 0
        if progress is not None:
            progress(0, len(wanted), doing)
        with (
            Decoder(self.side, self.settings["resize"], files=len(wanted)) as decoder,
            _Builder(self, reasons, together=decoder.together) as builder,
        ):
            try:
                for job, results in decoder.decode(builder.jobs(wanted)):
                    builder.add(job, results)
                    done += len(results)
                    if progress is not None:
                        progress(done, len(wanted), doing)
            except BaseException:
                for job, results in decoder.stop():
                    builder.add(job, results)
                raise


class _Builder:
    """Shards in the making; a context, at whose end they are on the disk.

    Args:
        cache: that gets them.
        reasons: that gets why files are no pictures.
        together: files in a job, at most.
    """

    def __init__(self, cache: _Cache, reasons: dict[str, str], *, together: int) -> None:
        self.cache, self.reasons = cache, reasons
        self.most = max(1, _SHARD // cache.record)
        self.together = max(1, min(together, _JOB // cache.record))
        self._current: Job | None = None
        self._pictures: list[tuple[str, Read, int]] = []
        self._saving: list[Future[Shard]] = []

    def __enter__(self) -> _Builder:
        self._saver = ThreadPoolExecutor(1, thread_name_prefix="save")  # a disk may take long to say that it has all
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close()
        self._saver.shutdown()
        for future in self._saving:
            try:
                self.cache.shards.append(future.result())
            except OSError:
                if kind is None:  # else what led here is the one to tell
                    raise

    def jobs(self, paths: Sequence[str]) -> Iterator[Job]:
        """Yield the work to be done, and make the files that its pixels go to."""
        row, file, until = self.most, Path(), 0.0
        number = max((int(shard.path.name[:5]) for shard in self.cache.shards), default=-1)
        for start in range(0, len(paths), self.together):
            part = paths[start : start + self.together]
            if row + len(part) > self.most or time.monotonic() > until:
                number, row, until = number + 1, 0, time.monotonic() + _SHARD_SECONDS
                file = pixel_file(new_shard(self.cache.folder, number))
            yield Job(str(file), row, part)
            row += len(part)

    def add(self, job: Job, results: Sequence[Result]) -> None:
        """Take what a job has found; with the first of a new shard the one before is finished."""
        if self._current is not None and self._current.file != job.file:
            self._close()
        self._current = job
        for i, (path, result) in enumerate(zip(job.paths, results, strict=False)):  # fewer where it was stopped
            if isinstance(result, str):
                self.reasons[path] = result
            else:
                self._pictures.append((path, result, job.row + i))

    def _close(self) -> None:
        """Have the current shard written; one without any picture goes."""
        job, pictures = self._current, self._pictures
        self._current, self._pictures = None, []
        if job is None:
            return
        path, rows = Path(job.file).with_suffix(""), job.row + len(job.paths)
        if not pictures:
            remove_shard(path)
            return
        known = Known.of(*zip(*pictures, strict=True))
        shard = Shard(path, self.cache.side, rows, known, self.cache.root, self.cache.settings)
        self._saving.append(self._saver.submit(shard.save))


def _places(known: Known) -> dict[str, int]:
    """Return where the latest picture of every file is."""
    return {path: place for place, path in enumerate(known.paths)}


def _changed(paths: Sequence[str], known: Known, places: Mapping[str, int]) -> list[str]:
    """Return the files that are new, gone, or of another size or time than they were."""
    wanted, sizes, changed = list[str](), known.sizes.tolist(), known.changed.tolist()
    for path in paths:
        place = places.get(path)
        try:
            about = None if place is None else os.stat(path)  # noqa: PTH116 # in a third of the time of a `Path`
        except OSError:
            about = None  # whoever decodes it finds out why
        if about is None or place is None or (sizes[place], changed[place]) != (about.st_size, about.st_mtime_ns):
            wanted.append(path)
    return wanted


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{max(number / 1e6, 0.1):.1f} MB"
