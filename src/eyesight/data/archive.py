"""Archives of photos, unpacked into the user's cache: zip, and tar with gzip, bzip2 or xz.

In: an archive. Out: the folder that its pictures and tables lie in. Only regular files with names that stay inside are
taken, no link is made or followed, and sizes are bounded before and while bytes are written. The folder appears whole
or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import DataError
from ..formats import read_json, write_json
from .listing import LEFT_BEHIND, count, is_picture, is_table, some

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
UNPACKED_FILE = "unpacked.json"
UNPACKED_FORMAT, UNPACKED_VERSION = "eyesight-unpacked", 1

_MOST_FILES = 5_000_000
_LARGEST_FILE = 1 << 30  # bytes; the largest pictures that are read have 0.2 GB
_RATIO = 200  # unpacked bytes for one of the archive; pictures are packed already
_SPARE = 1 << 30  # bytes that stay free on the disk
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """An archive that has been unpacked: where to, and what a person should know of it."""

    folder: Path
    notes: tuple[str, ...]


def is_archive(path: Path) -> bool:
    """Tell by its name whether a file is an archive."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def unpack(path: Path, cache: Path) -> Unpacked:
    """Unpack an archive into a folder of the cache, or find it there from before.

    Args:
        path: the archive.
        cache: the folder that holds unpacked archives.

    Raises:
        DataError: not an archive, damaged, encrypted, or too large.
    """
    about = path.stat()
    key = hashlib.sha256(f"{path.resolve()}\0{about.st_size}\0{about.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    folder = cache / key.hexdigest()[:24]
    marker = folder / UNPACKED_FILE
    if marker.is_file():
        return Unpacked(
            folder / "files", tuple(read_json(marker, name=UNPACKED_FORMAT, version=UNPACKED_VERSION)["notes"])
        )
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    try:
        notes = _unpack(path, folder / "files")
        facts = {"format": UNPACKED_FORMAT, "version": UNPACKED_VERSION, "archive": str(path.resolve()), "notes": notes}
        write_json(marker, facts)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{path}: not an archive, or damaged ({' '.join(str(error).split()) or 'cut off'})") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Unpacked(folder / "files", tuple(notes))


def _unpack(path: Path, target: Path) -> list[str]:
    """Write an archive's pictures and tables below `target`; return what was left out."""
    target.mkdir(parents=True)
    room = shutil.disk_usage(target).free - _SPARE
    most = min(room, max(_RATIO * path.stat().st_size, _SPARE))
    refused, others, written = list[str](), 0, 0
    for number, (name, size, source) in enumerate(_members(path)):
        if number >= _MOST_FILES:
            raise DataError(f"{path}: expected at most {_MOST_FILES:,} files; received: more")
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if source is None or ".." in parts or name.startswith("/") or (parts and ":" in parts[0]) or "\0" in name:
            refused.append(repr(name))
        elif (
            not parts
            or any(part.startswith(".") or part in LEFT_BEHIND for part in parts)
            or not (is_picture(name) or is_table(name))
        ):
            others += 1
        else:
            written += size
            if size > _LARGEST_FILE or written > most:
                raise DataError(
                    f"{path}: {name!r}: unpacks to more than the {min(most, _LARGEST_FILE):,} bytes allowed"
                )
            _copy(path, source, target.joinpath(*parts), size)
    notes = [f"left out {count(others, 'file')} of the archive that are no pictures"] if others else []
    if refused:
        notes.append(
            f"left out {count(len(refused), 'entry', 'entries')} that leave the archive or are links: {some(refused)}"
        )
    return notes


def _copy(path: Path, source: Any, target: Path, size: int) -> None:
    """Write one member, which must have the size that it claims."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError):  # there twice, or a file where a folder should be
        return
    with file, source() as stream:
        left = size
        while data := stream.read(min(_CHUNK, left + 1)):
            left -= len(data)
            if left < 0:
                break
            file.write(data)
    if left:
        raise DataError(f"{path}: {target.name!r} is not of the size that the archive says")


def _members(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield name, size and opener of every file of an archive; None for the opener of what is no regular file."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    raise DataError(f"{path}: is encrypted; unpack it yourself and name the folder")
                kind = info.external_attr >> 28  # of the upper 16 bits, Unix's mode: 8 is a file, 10 a link
                if not info.is_dir():
                    yield info.filename, info.file_size, _zip_opener(archive, info) if kind in (0, 8) else None
        return
    with tarfile.open(path, "r|*", tarinfo=_CarefulTarInfo) as tar:
        for member in tar:
            if not member.isdir():
                yield member.name, member.size, _tar_opener(tar, member) if member.isreg() else None


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    return lambda: archive.open(info)


def _tar_opener(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    def open_member() -> IO[bytes]:
        stream = tar.extractfile(member)
        assert stream is not None  # it is a regular file
        return stream

    return open_member


class _CarefulTarInfo(tarfile.TarInfo):
    """A header that is refused where it would make tarfile fill the memory, or go round for ever (CVE-2025-8194)."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _CarefulTarInfo:
        """Read a header."""
        found = super().frombuf(buf, encoding, errors)
        extended = found.type in (b"x", b"g", b"X", b"L", b"K")
        if found.size < 0 or (extended and found.size > _CHUNK):
            raise tarfile.ReadError("a header of an impossible size")
        return found

    def _block(self, size: int) -> int:
        if size < 0:
            raise tarfile.ReadError("a header of an impossible size")
        return super()._block(size)  # type: ignore[misc, no-any-return] # not public; the advisory overrides it too
