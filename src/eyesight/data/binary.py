"""The binary layouts of the standard datasets: IDX (MNIST, Fashion-MNIST), the CIFAR batches, and Keras' mnist.npz.

In: files, gzipped or not, archives or unpacked. Out: uint8 arrays. Every size a file claims is checked against what
was expected before anything is read. It does not know names of datasets or classes.

Sources: http://yann.lecun.com/exdb/mnist (IDX), https://www.cs.toronto.edu/~kriz/cifar.html (CIFAR binary version).
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from ..errors import DataError
from .streams import Stream, exists, irregular, open_stream, tar_entries, unreadable

Pixels = npt.NDArray[np.uint8]

_IDX_UNSIGNED_BYTE = 0x08
_CIFAR_SIDE = 32
_CIFAR_PLANE = _CIFAR_SIDE * _CIFAR_SIDE
_CIFAR_BLOCK = 1_000  # records taken apart at a time: 3 MB
_MOST_NAMES = 1 << 16  # bytes of a text file
_SPARE = 1 << 20  # bytes of an archive for headers, padding and notes


def read_idx(path: Path, *, shape: tuple[int, ...]) -> Pixels:
    """Read an IDX file of unsigned bytes.

    Args:
        path: the file, gzipped if its name ends in .gz.
        shape: the dimensions it must have.

    Raises:
        DataError: another type or shape, cut off, longer than it says, or not gzip.
    """
    header = 4 + 4 * len(shape)
    size = header + math.prod(shape)
    with open_stream(path, limit=size + 1, packed=path.suffix == ".gz") as stream:
        data = stream.read(size + 1)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _IDX_UNSIGNED_BYTE or data[3] != len(shape):
        wanted = f"{path}: not an IDX file of unsigned bytes in {len(shape)} dimensions"
        raise DataError(f"{wanted}; received: {_first_bytes(data)}")
    if len(data) < header:
        raise DataError(f"{path}: cut off in its header")
    found = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4"))
    if found != shape:
        raise DataError(f"{path}: expected {_times(shape)} values; its header says: {_times(found)}")
    if len(data) != size:
        problem = "cut off" if len(data) < size else "longer than its header says"
        raise DataError(f"{path}: {problem} (expected {size:,} bytes)")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _first_bytes(data: bytes) -> str:
    """Say what a file that is not the expected IDX begins with."""
    if not data:
        return "an empty file"
    if data[:2] == b"\x1f\x8b":
        return "gzip data (is .gz missing from its name?)"
    return f"a file that begins with {data[:4].hex(' ')}"


def read_npz(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Pixels]:
    """Read arrays of unsigned bytes out of NumPy's zip files. Nothing is unpickled, whatever the file holds.

    Args:
        path: the file.
        shapes: which arrays, and the dimensions that each must have.

    Raises:
        DataError: not such a file, damaged, or an array is missing, of another type or shape.
    """
    problem = irregular(path)
    if problem:
        raise DataError(f"{path}: expected a file; received: {problem}")
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _read_npy(archive, path, name, shape) for name, shape in shapes.items()}
    except OSError as error:
        raise unreadable(path, error) from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError, SyntaxError) as error:
        raise DataError(f"{path}: not a file of NumPy arrays, or damaged ({error})") from None


def _read_npy(archive: zipfile.ZipFile, path: Path, name: str, shape: tuple[int, ...]) -> Pixels:
    if f"{name}.npy" not in archive.namelist():
        raise DataError(f"{path}: has no array {name}")
    with archive.open(f"{name}.npy") as member:
        version = npy.read_magic(member)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        found, by_column, dtype = read_header(member)
        if found != shape or dtype != np.uint8 or by_column:
            expected = f"expected {_times(shape)} unsigned bytes"
            raise DataError(f"{path}: {name}: {expected}; received: {_times(found)} of {dtype}")
        size = math.prod(shape)
        data = member.read(size + 1)
    if len(data) != size:
        raise DataError(f"{path}: {name}: cut off, or longer than its header says (expected {size:,} bytes)")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_cifar(
    path: Path, files: Sequence[tuple[str, int]], *, label_bytes: int, names: tuple[str, Sequence[str]] | None = None
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Read CIFAR batches, one after the other, from a folder or an archive.

    Args:
        path: the folder that holds the batch files, or a .tar.gz (or .tar) with them in any folder.
        files: (file name, pictures in it) in the order wanted.
        label_bytes: bytes before the pixels: 1 for CIFAR-10; 2 for CIFAR-100 (coarse, then fine). The last one is
            the label.
        names: a text file that may lie beside them, and the lines it must have if it does.

    Returns:
        Pictures (N, 32, 32, 3) and labels (N,).

    Raises:
        DataError: a file is missing, there twice, of the wrong size or not as expected, or the archive is damaged.
    """
    total = sum(count for _, count in files)
    pictures = np.empty((total, _CIFAR_SIDE, _CIFAR_SIDE, 3), np.uint8)
    labels = np.empty(total, np.int64)
    starts = dict(zip((name for name, _ in files), np.cumsum([0, *(count for _, count in files)]), strict=False))
    counts, seen = dict(files), set[str]()
    width = label_bytes + 3 * _CIFAR_PLANE
    wanted = {name: count * width for name, count in files} | ({names[0]: _MOST_NAMES} if names else {})
    for name, place, size, stream in _members(path, wanted):
        if name in seen:
            raise DataError(f"{place}: is there twice")
        seen.add(name)
        if name in starts:
            rows = slice(starts[name], starts[name] + counts[name])
            _read_records(stream, (place, size), label_bytes, pictures[rows], labels[rows])
        elif names:
            _check_lines(stream.read(min(size, _MOST_NAMES)), place, names[1])
    missing = sorted(starts.keys() - seen)
    if missing:
        raise DataError(f"{path}: has no {', '.join(missing)}")
    return pictures, labels


def _members(path: Path, wanted: Mapping[str, int]) -> Iterator[tuple[str, str, int, Stream]]:
    """Yield the wanted files of a folder or tar archive as (name, name for messages, bytes, stream of them)."""
    if path.is_dir():
        for name, size in wanted.items():
            if exists(path / name):
                with open_stream(path / name, limit=size, packed=False) as stream:
                    yield name, str(path / name), (path / name).stat().st_size, stream
        return
    with open_stream(path, limit=2 * sum(wanted.values()) + _SPARE) as stream:
        for entry in tar_entries(stream):
            if entry.name in wanted:
                yield entry.name, f"{path}: {entry.name}", entry.size, stream


def _read_records(
    stream: Stream, file: tuple[str, int], label_bytes: int, pictures: Pixels, labels: npt.NDArray[np.int64]
) -> None:
    """Take apart the records (labels, then a red, a green and a blue plane) of one batch file (name, bytes)."""
    width = label_bytes + 3 * _CIFAR_PLANE
    size = len(labels) * width
    if file[1] != size:
        raise DataError(f"{file[0]}: expected {size:,} bytes ({len(labels):,} pictures); received: {file[1]:,}")
    for start in range(0, len(labels), _CIFAR_BLOCK):
        count = min(_CIFAR_BLOCK, len(labels) - start)
        data = stream.read(count * width)
        if len(data) != count * width:
            raise DataError(f"{file[0]}: cut off after {start * width + len(data):,} of {size:,} bytes")
        records = np.frombuffer(data, np.uint8).reshape(count, width)
        labels[start : start + count] = records[:, label_bytes - 1]
        flat = pictures[start : start + count].reshape(count, _CIFAR_PLANE, 3)
        for channel in range(3):  # plane by plane: a transposed copy would jump through memory
            first = label_bytes + channel * _CIFAR_PLANE
            flat[:, :, channel] = records[:, first : first + _CIFAR_PLANE]


def _check_lines(data: bytes, place: str, expected: Sequence[str]) -> None:
    """Refuse a text whose lines, empty ones apart, are not the expected ones."""
    found = [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    if found != list(expected):
        i = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), None)
        if i is None:
            raise DataError(f"{place}: expected {len(expected)} names; received: {len(found)}")
        raise DataError(f"{place}: expected {expected[i]!r} as name {i + 1}; received: {found[i][:20]!r}")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(f"{n:,}" for n in shape)
