"""Files that survive a crash and cannot lie: how everything the project writes is written and read.

In: bytes, JSON values, named arrays. Out: files that appear whole or not at all, each saying its `format` and
`version`, and tensor files (safetensors) whose every byte is covered by a checksum. It knows no particular format:
callers give the name, the current version and the steps that upgrade older ones. No pickle anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FormatError, NewerFileError, UsageError

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
Arrays = dict[str, np.ndarray[Any, Any]]

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"), "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}  # fmt: skip
_KINDS = {dtype: kind for kind, dtype in _DTYPES.items()}
_BLANK = "0" * 64  # stands where the checksum goes while the checksum is computed
_MODE = 0o666  # of new files, less the user's umask
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)
_CHUNK = 1 << 20  # bytes read back at a time
_MAX_FILE = 16 << 30  # bytes; a state of training of the largest network has three
_MAX_HEADER = 64 << 20  # bytes; the largest header a real file of ours comes near is a few MB of example ids


def check_path(value: object, field: str) -> None:
    """Refuse what is not a path."""
    if not isinstance(value, str | os.PathLike):
        kind = "None" if value is None else type(value).__name__
        raise UsageError(f"expected a path; received: {kind}", field=field)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed onto `path`, on failure removed."""
    with _replacing(path) as (handle, temporary):
        yield temporary
        os.fsync(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`: temporary file, sync, read back and compare, rename, sync of the folder.

    Whatever fails, `path` holds all of the old contents or all of the new.

    Raises:
        OSError: with `path` as its file name.
        FormatError: other bytes came back than were written.
    """
    with _replacing(path) as (handle, temporary):
        write_all(handle, data)
        _sync(handle)
        if temporary.read_bytes() != data:
            raise _failing_disk(path)


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file of lines that this process alone writes; what is left of a half-written one is cut off.

    Not synced: a crash of the machine may cost the last lines, and never what stands before them.
    """
    with _naming(path):
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _MODE)
        try:
            end = os.fstat(handle).st_size
            if end and os.pread(handle, 1, end - 1) != b"\n":
                os.ftruncate(handle, path.read_bytes().rfind(b"\n") + 1)
            write_all(handle, line + b"\n")
        finally:
            os.close(handle)


def begin_record(path: Path, rows: Iterable[object], *, name: str, version: int) -> None:
    """Write a file of JSON lines that begins with its format and these rows, atomically; `append_line` adds others."""
    lines = ({"format": name, "version": version}, *rows)
    write_bytes(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())


def read_record(path: Path, *, name: str, version: int) -> list[Any]:
    """Return the rows of such a file; none where there is no file. A last line that was cut off is left out.

    Raises:
        FormatError: a file that cannot be read, or of another format or a newer version.
        ValueError, RecursionError: a line that is not JSON.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]  # a whole line ends in a line break
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FormatError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if not lines:
        return []
    header, *rows = map(json.loads, lines)
    upgrade(header, path, name=name, version=version, upgrades={})
    return rows


def is_temporary(path: Path) -> bool:
    """Tell by its name whether a file is one that a write here began, and a killed process may have left."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes left in `folder`; only for who knows that nobody else is writing there."""
    with contextlib.suppress(OSError):  # they only take room: what cannot be removed now is tried again next time
        for path in filter(is_temporary, folder.iterdir()):
            path.unlink()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[tuple[int, Path]]:
    """Yield an open temporary file beside `path` and its name; it is renamed onto `path` or, on failure, removed."""
    if not path.name:
        raise FormatError(f"{path}: expected the name of a file")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            try:
                yield handle, temporary
            finally:
                os.close(handle)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):  # the failure that led here is the one to tell
                temporary.unlink()
            raise
        sync_folder(path.parent)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give errors of the system the name of the file that the user knows."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        del error.filename2  # of a rename; with None its text would end with "-> None"
        raise


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write all of `data`: the system may take less at a time, as with more than 2 GiB or the last bytes of a disk."""
    rest = memoryview(data)
    while rest:
        written = os.write(handle, rest)
        if written == 0:
            raise OSError(errno.EIO, "nothing more could be written")
        rest = rest[written:]


def _sync(handle: int) -> None:
    """Make a file durable, and let go of the copy in memory, so that the disk itself is read back."""
    os.fsync(handle)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _failing_disk(path: Path) -> FormatError:
    return FormatError(f"{path}: what was read back differs from what was written; is the disk failing?")


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where its file system and the operating system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no sync of folders
            raise
    finally:
        os.close(handle)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented UTF-8 JSON, atomically."""
    write_bytes(path, json_bytes(value, indent=2) + b"\n")


def json_bytes(value: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """Return `value` as UTF-8 JSON; what is not UTF-8 in a file's name becomes an escape, and comes back as it was."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode(errors="backslashreplace")


def read_json(path: Path, *, name: str, version: int, upgrades: Mapping[int, Upgrade] | None = None) -> dict[str, Any]:
    """Read a JSON file of format `name`, upgraded to `version`.

    Raises:
        FormatError: missing, not JSON, another format, or a newer version.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except (ValueError, RecursionError):
        raise FormatError(f"{path}: not a JSON file, or cut off") from None
    return upgrade(value, path, name=name, version=version, upgrades=upgrades or {})


def upgrade(
    value: Any, source: Path | str, *, name: str, version: int, upgrades: Mapping[int, Upgrade]
) -> dict[str, Any]:
    """Bring the description `value` of a file up to `version`, one step at a time.

    Args:
        value: what the file says of itself; `format` and `version` are looked at.
        source: the file's name, for messages.
        name: the format expected, for example "eyesight-model".
        version: the version this program writes.
        upgrades: for every older version, the function that returns the next one.
    """
    if not isinstance(value, dict) or value.get("format") != name:
        received = value.get("format") if isinstance(value, dict) else None
        raise FormatError(f"{source}: expected a file of format {name}; received: {received!r}")
    found = value.get("version")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FormatError(f"{source}: {name} version should be a whole number from 1 to {version}; received: {found!r}")
    if found > version:
        raise NewerFileError(
            f"{source}: {name} version {found} is newer than this eyesight reads (up to {version}); update eyesight"
        )
    while found < version:
        found += 1
        value = upgrades[found - 1](value) | {"version": found}
    return dict(value)


@dataclass(frozen=True)
class LazyArray:
    """An array that is made when it is written, and let go of then.

    Attributes:
        dtype, shape: of what `load` returns.
        load: returns the array.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray[Any, Any]]


Storable = np.ndarray[Any, Any] | np.generic | LazyArray


def write_tensors(path: Path, arrays: Mapping[str, Storable], description: Mapping[str, Any]) -> str:
    """Write named arrays and a JSON `description` as one checksummed safetensors file, atomically.

    The description lies under `eyesight` in the safetensors metadata, so any safetensors reader opens the file.
    `checksum` in the metadata is the SHA-256 of the whole file with the checksum's own 64 characters as zeros.
    One array after the other is written, and what was written is read back in parts: no copy of the whole is made.

    Returns:
        The checksum, as 64 hexadecimal digits.

    Raises:
        OSError: with `path` as its file name.
        FormatError: an array that cannot be saved, or other bytes came back than were written.
    """
    header, names = _header(arrays, description)
    with _replacing(path) as (handle, temporary):
        digest = hashlib.sha256(header)
        write_all(handle, header)
        for name in names:
            part = _little_endian(arrays[name])
            digest.update(part)
            write_all(handle, part)
        checksum = digest.hexdigest()
        os.lseek(handle, 0, os.SEEK_SET)  # the checksum is known only now
        write_all(handle, _with_checksum(header, _BLANK, checksum))
        _sync(handle)
        with temporary.open("rb") as file:
            found = hashlib.sha256(_with_checksum(file.read(len(header)), checksum, _BLANK))
            while chunk := file.read(_CHUNK):
                found.update(chunk)
        if found.hexdigest() != checksum:
            raise _failing_disk(path)
    return checksum


def pack_tensors(arrays: Mapping[str, Storable], description: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return the bytes that `write_tensors` writes, and their checksum.

    The same contents give the same bytes; the safetensors package's own writer orders its metadata by chance.
    """
    header, names = _header(arrays, description)
    body = b"".join(_little_endian(arrays[name]) for name in names)
    checksum = hashlib.sha256(header + body).hexdigest()
    return _with_checksum(header, _BLANK, checksum) + body, checksum


def _header(arrays: Mapping[str, Storable], description: Mapping[str, Any]) -> tuple[bytes, list[str]]:
    """Return what a tensor file begins with, its checksum blank, and the names in the order of their bytes."""
    table: dict[str, Any] = {"__metadata__": {"checksum": _BLANK, "eyesight": json.dumps(description)}}
    names = sorted(arrays, key=lambda key: (-arrays[key].dtype.itemsize, key))  # widest first: all stay aligned
    end = 0
    for name in names:
        dtype, shape = arrays[name].dtype, arrays[name].shape
        kind = _KINDS.get(dtype.newbyteorder("<"))
        if kind is None:
            raise FormatError(f"tensor {name!r}: cannot be saved (its type is {dtype})")
        start, end = end, end + dtype.itemsize * math.prod(shape)
        table[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header, names


def _little_endian(array: Storable) -> memoryview:
    """Return the bytes of an array in C order, copied only where they do not lie so already."""
    loaded = array.load() if isinstance(array, LazyArray) else np.asarray(array)
    ordered = np.ascontiguousarray(loaded, loaded.dtype.newbyteorder("<"))
    return ordered.reshape(-1).view(np.uint8).data


def _with_checksum(head: bytes, old: str, new: str) -> bytes:
    """Replace the checksum in a header; inside the JSON string of the description its quotes would be escaped."""
    return head.replace(f'"checksum":"{old}"'.encode(), f'"checksum":"{new}"'.encode(), 1)


def read_tensors(path: Path) -> tuple[Arrays, dict[str, Any], str]:
    """Read a file written by `write_tensors`, checking every byte of it.

    Returns:
        The arrays (copies, writable), the description, and the checksum.

    Raises:
        FormatError: missing, not such a file, cut off, altered, or with a header that does not fit its contents.
    """
    return unpack_tensors(read_bounded(path, _MAX_FILE), path)


def read_bounded(path: Path, most: int) -> bytes:
    """Return the bytes of a file that holds at most so many.

    Raises:
        FormatError: no such file, a device, which may never end, or a larger file.
    """
    try:
        about = path.stat()
        if stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode):
            raise FormatError(f"{path}: a device, not a file")
        if about.st_size > most:
            raise FormatError(f"{path}: expected at most {most / 1e9:.0f} GB; received: {about.st_size:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except ValueError:  # a name with a zero byte
        raise FormatError(f"{str(path)!r}: not the name of a file") from None


def unpack_tensors(data: bytes, source: Path | str) -> tuple[Arrays, dict[str, Any], str]:
    """Take apart the bytes of a tensor file; see `read_tensors`."""
    size = _header_size(data[:8], source)
    table, description, checksum = _parse_header(data[8 : 8 + size], size, source)
    digest = hashlib.sha256(_with_checksum(data[: 8 + size], checksum, _BLANK))
    digest.update(memoryview(data)[8 + size :])
    if digest.hexdigest() != checksum:
        raise FormatError(f"{source}: damaged or cut off (its checksum does not match its contents)")
    body = memoryview(data)[8 + size :]
    arrays = {key: _array(key, entry, body, source) for key, entry in table.items()}
    spans = sorted(entry["data_offsets"] for entry in table.values())
    if [0, *(end for _, end in spans)] != [*(start for start, _ in spans), len(body)]:  # no gaps, no overlaps
        raise FormatError(f"{source}: its header and its size do not agree")
    return arrays, description, checksum


def _header_size(prefix: bytes, source: Path | str) -> int:
    if len(prefix) < 8:
        raise FormatError(f"{source}: not a safetensors file, or cut off")
    size: int = struct.unpack("<Q", prefix)[0]
    if not 2 <= size <= _MAX_HEADER:
        raise FormatError(f"{source}: not a safetensors file (it claims a header of {size} bytes)")
    return size


def _parse_header(header: bytes, size: int, source: Path | str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the tensor table, the description and the checksum that a header holds."""
    if len(header) < size:
        raise FormatError(f"{source}: not a safetensors file, or cut off in its header")
    try:
        table = json.loads(header.decode())  # json would guess at other encodings than the UTF-8 of safetensors
        metadata = table.pop("__metadata__")
        description, checksum = json.loads(metadata["eyesight"]), metadata["checksum"]
        usable = isinstance(description, dict) and re.fullmatch("[0-9a-f]{64}", checksum) is not None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        usable = False
    if not usable:
        raise FormatError(f"{source}: not a file that eyesight wrote (its header has no description)")
    return table, description, checksum


def _array(key: str, entry: Any, body: memoryview, source: Path | str) -> np.ndarray[Any, Any]:
    """Return one tensor, after checking that its header entry is true."""
    try:
        kind, shape, (start, end) = _DTYPES[entry["dtype"]], [int(n) for n in entry["shape"]], entry["data_offsets"]
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if min(shape, default=0) < 0 or not 0 <= start <= end <= len(body) or count * kind.itemsize != end - start:
            raise ValueError
        array: np.ndarray[Any, Any] = np.frombuffer(body[start:end], kind).reshape(shape).copy()
    except (KeyError, TypeError, ValueError, OverflowError):
        raise FormatError(f"{source}: the header entry of tensor {key!r} does not fit the file") from None
    return array
