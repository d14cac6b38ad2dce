"""Bytes out of files that may lie: plain or gzipped ones, and the entries of tar archives, read once from the start.

In: a path. Out: the bytes that were asked for, never more of them in memory. Nothing is written, no link in an archive
is followed, and only regular files are opened: a pipe would wait for ever, and a device never ends. It does not know
what the bytes mean.

Python's tarfile is not used: it reads an extended header whole, however long it claims to be, and some of the Python
versions that we run on loop for ever at a negative size (CVE-2025-8194).

Sources: RFC 1952 (gzip), POSIX.1-2017, pax, "ustar Interchange Format".
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zlib_ng import zlib_ng

from ..errors import DataError

_CHUNK = 1 << 20  # bytes
_BLOCK = 512  # bytes: tar headers are one, contents are padded to whole ones
_MOST_ENTRIES = 10_000  # in an archive; each costs time, however small
_GZIP = b"\x1f\x8b"

_MODES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}
_FILES = (b"0", b"\0", b"7")
_SILENT = (b"5", b"x", b"g", b"L", b"K")  # folders, and remarks on the entry that follows


class Stream:
    """The bytes of one open file, in order, unpacked where it is gzip.

    Args:
        path: its name, for messages.
        file: the open file.
        limit: bytes after which it is refused, if it goes on.
        packed: whether to unpack it; None: as its first bytes say.
    """

    def __init__(self, path: Path, file: BinaryIO, *, limit: int, packed: bool | None) -> None:
        self.path = path
        self.position = 0
        self.limit = limit
        self._file = file
        if packed is None:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
        self._ended = False  # the gzip data; the file may go on
        self._unpack = zlib_ng.decompressobj(16 + zlib_ng.MAX_WBITS) if packed else None

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only where the file ends."""
        data = self._file.read(size) if self._unpack is None else self._unpacked(size)
        self.position += len(data)
        if self.position > self.limit:
            raise DataError(f"{self.path}: expected at most {self.limit:,} bytes of contents; received: more")
        return data

    def _unpacked(self, size: int) -> bytes:
        unpack, parts = self._unpack, list[bytes]()
        assert unpack is not None
        while size and not self._ended:
            packed = unpack.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                raise DataError(f"{self.path}: the gzip data is cut off")
            try:
                part = unpack.decompress(packed, size)
            except zlib_ng.error:  # type: ignore[misc] # its types call the class an instance
                raise DataError(f"{self.path}: not gzip data, or damaged") from None
            parts.append(part)
            size -= len(part)
            self._ended = unpack.eof
            if self._ended and (unpack.unused_data or self._file.read(1)):
                raise DataError(f"{self.path}: goes on after the end of its gzip data")
        return b"".join(parts)


@contextmanager
def open_stream(path: Path, *, limit: int, packed: bool | None = None) -> Iterator[Stream]:
    """Open a regular file as a `Stream`; what goes wrong while it is open is a DataError that names it."""
    try:
        problem = irregular(path)
        if problem:
            raise DataError(f"{path}: expected a file; received: {problem}")
        with path.open("rb") as file:
            yield Stream(path, file, limit=limit, packed=packed)
    except OSError as error:
        raise unreadable(path, error) from None


def irregular(path: Path) -> str | None:
    """Return what `path` is if it is neither missing nor a regular file, in words ("a pipe"), or else None."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link to nothing" if path.is_symlink() else None
    return None if stat.S_ISREG(mode) else _MODES.get(stat.S_IFMT(mode), "something else")


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error for a file or folder that the system does not let us read."""
    return DataError(f"{path}: {(error.strerror or str(error)).lower()}")


def exists(path: Path) -> bool:
    """Say whether anything of that name is there, if only a link to nothing."""
    return os.path.lexists(path)


@dataclass(frozen=True)
class TarEntry:
    """A regular file in an archive: the last part of its name, and its size in bytes."""

    name: str
    size: int


def tar_entries(stream: Stream) -> Iterator[TarEntry]:
    """Yield the regular files of a tar archive. `stream` stands at the contents of each while it is handed out.

    Names are looked at as the plain header has them, up to 255 characters.

    Raises:
        DataError: not a tar archive, cut off, damaged or too large; an entry that is neither file nor folder, or
            whose name leads out of the archive.
    """
    for _ in range(_MOST_ENTRIES):
        header = stream.read(_BLOCK)
        if not header.strip(b"\0") and (header or stream.position):
            _expect_padding(stream)
            return
        name, size, kind = _header(header, stream.path)
        end = stream.position + -(-size // _BLOCK) * _BLOCK
        short = name.rstrip("/").rpartition("/")[2]
        if end > stream.limit:
            raise DataError(
                f"{stream.path}: {short}: its header says {size:,} bytes; expected at most {stream.limit:,} in all"
            )
        if kind in _FILES and not name.endswith("/"):
            yield TarEntry(short, size)
        while stream.position < end:
            if not stream.read(min(_CHUNK, end - stream.position)):
                raise DataError(f"{stream.path}: cut off in {short}")
    raise DataError(f"{stream.path}: expected at most {_MOST_ENTRIES:,} entries; received: more")


def _expect_padding(stream: Stream) -> None:
    """Read to the end, which is where gzip's checksum is looked at; only zeros may follow the last entry."""
    while rest := stream.read(_CHUNK):
        if rest.strip(b"\0"):
            raise DataError(f"{stream.path}: goes on after the end of the archive")


def _header(header: bytes, path: Path) -> tuple[str, int, bytes]:
    """Return the name, the size and the kind of an entry."""
    checked = sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")
    if len(header) < _BLOCK or _number(header[148:156]) != checked:
        raise DataError(f"{path}: not a tar archive, or cut off or damaged")
    raw = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        raw = header[345:500].partition(b"\0")[0] + b"/" + raw
    name = "".join(c if c.isprintable() else "?" for c in raw.decode("utf-8", "replace"))
    size, kind = _number(header[124:136]), header[156:157]
    if kind not in _FILES + _SILENT:
        problem = _KINDS.get(kind, "an entry of an unknown kind")
        raise DataError(f"{path}: {name}: expected a file or folder; received: {problem}")
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{path}: {name}: the name leads out of the archive")
    if size is None or size < 0:
        received = "none" if size is None else f"{size:,}"
        raise DataError(f"{path}: {name}: expected a size in its header; received: {received}")
    return name, size, kind


def _number(field: bytes) -> int | None:
    """Return the number in a header's field: octal digits, or GNU's binary form for large and negative ones."""
    if field[:1] in (b"\x80", b"\xff"):
        return int.from_bytes(field[1:], "big", signed=field[:1] == b"\xff")
    digits = field.partition(b"\0")[0].strip(b" ")
    return int(digits or b"0", 8) if re.fullmatch(rb"[0-7]*", digits) else None
