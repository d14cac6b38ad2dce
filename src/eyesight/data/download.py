"""One published file, downloaded whole or not at all.

In: a file's name, checksum and mirrors; a folder. Out: the file in that folder, moved into place only once all of it is
there and its checksum is right. What has come so far lies beside it as `NAME.part`, and the next attempt goes on from
there, whatever ended the last one. It does not know what is in the file.

MD5 is what these files are published with. It shows damage; it does not stop somebody who forges a file on purpose.

Sources: RFC 9110, section 14 (range requests).
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import locks
from ..errors import DataError
from .streams import irregular

Progress = Callable[[str, int, int | None], None]  # file, bytes that are there, of how many where that is known
Say = Callable[[str], None]

_CHUNK = 1 << 18  # bytes
_TIMEOUT = 30.0  # seconds without an answer
_LARGEST = 1 << 28  # bytes; the largest of our files has 170 MB, and a server may send for ever
_SPARE = 16 << 20  # bytes that stay free on the disk
_TRIES = 3  # broken connections in a row that bring next to nothing
_LITTLE = 1 << 16  # bytes
_PAUSE = 0.5  # seconds before the next


@dataclass(frozen=True)
class RemoteFile:
    """A file that others publish: its name, its MD5, and where it can be had, the best place first."""

    name: str
    md5: str
    urls: tuple[str, ...]


class _MirrorError(Exception):
    """A mirror does not have the file, or not the right one."""


class _BrokenError(Exception):
    """A connection that ended too early; what came is kept."""


def fetch(file: RemoteFile, folder: Path, *, progress: Progress | None = None, say: Say | None = None) -> Path:
    """Download a file, unless it is there; where another process is at it, wait for that.

    Args:
        file: which.
        folder: where to; it is made where it is missing.
        progress: called with every piece that comes.
        say: called with a line where something is worth knowing.

    Returns:
        Its path.

    Raises:
        DataError: no mirror gave it, the disk is full, or another file of that name lies there.
    """
    say = say or (lambda _: None)
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if locks.is_held(folder):
            say(f"{folder}: another process is downloading; waiting for it")
        with locks.hold(folder, doing="downloading", wait=True):
            if not _is_there(target, file.md5):
                _download(file, target, progress or (lambda *_: None), say)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space left on the disk" if full else (error.strerror or str(error)).lower()
        raise DataError(f"{error.filename or target}: {reason}") from None
    return target


def _is_there(target: Path, md5: str) -> bool:
    """Tell whether the file is there; another one of its name is the user's, and is not replaced."""
    if problem := irregular(target):
        raise DataError(f"{target}: expected a file; received: {problem}")
    if not target.exists():
        return False
    digest = _new_digest()
    _hash_file(target, digest)
    if digest.hexdigest() != md5:
        found = f"its MD5 is {digest.hexdigest()}, expected {md5}"
        raise DataError(f"{target}: is not the published file ({found}); remove it, then download again")
    return True


def _download(file: RemoteFile, target: Path, progress: Progress, say: Say) -> None:
    part = target.with_name(f"{target.name}.part")
    if problem := irregular(part):
        raise DataError(f"{part}: expected a file; received: {problem}")
    problems = list[str]()
    for url in file.urls:
        if problems:
            say(f"{problems[-1]}; trying the next mirror")
        try:
            _complete(file, url, part, progress)
        except _MirrorError as error:
            problems.append(f"{url}: {error}")
        else:
            _move_into_place(part, target)
            return
    kept = _size(part)
    rest = f"; {kept / 1e6:,.1f} MB are kept, and the same command goes on from there" if kept else ""
    raise DataError(f"{file.name}: could not be downloaded: {'; '.join(problems)}{rest}")


def _complete(file: RemoteFile, url: str, part: Path, progress: Progress) -> None:
    """Bring a part to the whole file from one mirror, over as many connections as it takes."""
    stuck = 0
    while True:
        before = _size(part)
        try:
            found = _continue(file, url, part, progress)
        except _BrokenError as error:
            stuck = stuck + 1 if _size(part) < before + _LITTLE else 0
            if stuck == _TRIES:
                raise _MirrorError(str(error)) from None
            time.sleep(_PAUSE)
            continue
        if found == file.md5:
            return
        part.unlink()
        if not before:
            raise _MirrorError(f"wrong checksum (MD5 {found}, expected {file.md5})")
        # what was there before may have been wrong: once more, from the start


def _continue(file: RemoteFile, url: str, part: Path, progress: Progress) -> str:
    """Append to a part what it lacks, over one connection; return the MD5 of all of it."""
    digest = _new_digest()
    start = _hash_file(part, digest) if part.exists() else 0
    if digest.hexdigest() == file.md5:  # a process was killed before it could move it
        return file.md5
    with _connect(url, start) as response:
        if response is None:  # there is nothing from there on, so the part is not of this file
            part.unlink()
            raise _BrokenError("has no such part of the file")
        done, total = _range(response, start, part)
        if start and not done:
            digest = _new_digest()
        _require_space(part, done, total)
        with part.open("ab" if done else "wb") as stream:
            progress(file.name, done, total)
            for piece in _pieces(response):
                done += len(piece)
                if done > _LARGEST:
                    raise _MirrorError(f"sends more than {_LARGEST:,} bytes")
                stream.write(piece)
                digest.update(piece)
                progress(file.name, done, total)
    if total is not None and done < total:
        raise _BrokenError(f"broke off after {done:,} of {total:,} bytes")
    return digest.hexdigest()


@contextmanager
def _connect(url: str, start: int) -> Iterator[http.client.HTTPResponse | None]:
    """Ask for a file from a byte on; None where it has no byte there."""
    headers = {"User-Agent": "eyesight", "Accept-Encoding": "identity"} | (
        {"Range": f"bytes={start}-"} if start else {}
    )
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise _MirrorError(f"answered {error.code} {error.reason}".strip()) from None
        response = None
    except urllib.error.URLError as error:
        raise _MirrorError(_reason(error.reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _MirrorError(_reason(error)) from None
    if response is None:
        yield None
        return
    with response:
        yield response


def _range(response: http.client.HTTPResponse, start: int, part: Path) -> tuple[int, int | None]:
    """Return with which byte an answer begins, and how many the whole file has, where that is said."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:  # also what a server without ranges answers
        return 0, response.length
    match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != start:
        part.unlink(missing_ok=True)
        raise _BrokenError("answered with another part of the file")
    whole = None if response.length is None else start + response.length
    return start, whole if match[2] == "*" else int(match[2])


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the bytes of an answer; trouble with the network is told apart from trouble with the disk."""
    while True:
        try:
            piece = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _BrokenError(f"broke off ({_reason(error)})") from None
        if not piece:
            return
        yield piece


def _require_space(part: Path, done: int, total: int | None) -> None:
    """Refuse to begin what the disk cannot hold."""
    if total is not None and total > _LARGEST:
        raise _MirrorError(f"wants to send {total:,} bytes, expected at most {_LARGEST:,}")
    if total is not None and shutil.disk_usage(part.parent).free + (_size(part) - done) < total - done + _SPARE:
        raise OSError(errno.ENOSPC, "no space", str(part))


def _move_into_place(part: Path, target: Path) -> None:
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _new_digest() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _hash_file(path: Path, digest: hashlib._Hash) -> int:
    """Add a file to a digest; return its bytes."""
    size = 0
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    return size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _reason(error: BaseException | str) -> str:
    """Say in a few words what is wrong with a connection."""
    if isinstance(error, TimeoutError):
        return f"no answer for {_TIMEOUT:g} seconds"
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error) or type(error).__name__).lower()
