"""The two binary layouts of the standard datasets: IDX (MNIST, Fashion-MNIST) and the CIFAR batches.

In: files, gzipped or not, archives or unpacked. Out: uint8 arrays. Every size a file claims is checked against what
it holds before anything of that size is allocated. It does not know names of datasets or classes.

Sources: http://yann.lecun.com/exdb/mnist (IDX), https://www.cs.toronto.edu/~kriz/cifar.html (CIFAR binary version).
"""

from __future__ import annotations

import math
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Pixels = npt.NDArray[np.uint8]

_IDX_UNSIGNED_BYTE = 0x08
_CIFAR_SIDE = 32
_CIFAR_PLANE = _CIFAR_SIDE * _CIFAR_SIDE
_CHUNK = 1 << 20  # bytes


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
    data = _read_at_most(path, size + 1)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _IDX_UNSIGNED_BYTE or data[3] != len(shape):
        raise DataError(f"{path}: not an IDX file of unsigned bytes in {len(shape)} dimensions")
    if len(data) < header:
        raise DataError(f"{path}: cut off in its header")
    found = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4"))
    if found != shape:
        raise DataError(f"{path}: expected {_times(shape)} values; its header says: {_times(found)}")
    if len(data) != size:
        problem = "cut off" if len(data) < size else "longer than its header says"
        raise DataError(f"{path}: {problem} (expected {size:,} bytes)")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _read_at_most(path: Path, limit: int) -> bytes:
    """Read a file, unpacking .gz, and no more than `limit` bytes of it: a gzip bomb stops there."""
    try:
        if path.suffix != ".gz":
            with path.open("rb") as file:
                return file.read(limit)
        unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)  # a single call is faster than gzip's buffered reads
        data = unpack.decompress(path.read_bytes(), limit)
        if len(data) < limit and not unpack.eof:
            raise DataError(f"{path}: the gzip data is cut off")
    except zlib.error:
        raise DataError(f"{path}: not gzip data, or damaged") from None
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return data


def read_cifar(
    path: Path, files: Sequence[tuple[str, int]], *, label_bytes: int
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Read CIFAR batches, one after the other, from a folder or an archive.

    Args:
        path: the folder that holds the batch files, or a .tar.gz (or .tar) with them in any folder.
        files: (file name, pictures in it) in the order wanted.
        label_bytes: bytes before the pixels: 1 for CIFAR-10; 2 for CIFAR-100 (coarse, then fine). The last one is
            the label.

    Returns:
        Pictures (N, 32, 32, 3) and labels (N,).

    Raises:
        DataError: a file is missing, of the wrong size, or the archive is damaged.
    """
    total = sum(count for _, count in files)
    pictures = np.empty((total, _CIFAR_SIDE, _CIFAR_SIDE, 3), np.uint8)
    labels = np.empty(total, np.int64)
    starts = dict(zip((name for name, _ in files), np.cumsum([0, *(count for _, count in files)]), strict=False))
    counts, missing = dict(files), set(starts)
    width = label_bytes + 3 * _CIFAR_PLANE
    for name, data in _members(path, {name: count * width for name, count in files}):
        if name in missing:
            place = slice(starts[name], starts[name] + counts[name])
            _read_records(data, f"{path}: {name}", label_bytes, pictures[place], labels[place])
            missing.remove(name)
    if missing:
        raise DataError(f"{path}: has no {', '.join(sorted(missing))}")
    return pictures, labels


def _members(path: Path, sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, contents) of the named files in a folder or tar archive. Nothing is ever unpacked to disk.

    At most one byte more than a file's size is read, enough to tell that it is too long.
    """
    try:
        if path.is_dir():
            for name, size in sizes.items():
                if (path / name).is_file():
                    with (path / name).open("rb") as batch:
                        yield name, batch.read(size + 1)
            return
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if name in sizes and member.isreg() else None
                if file is not None:
                    yield name, file.read(sizes[name] + 1)
            while archive.fileobj and archive.fileobj.read(_CHUNK):  # gzip's checksum is looked at only at the end
                pass
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (tarfile.TarError, zlib.error, EOFError, ValueError):
        raise DataError(f"{path}: not a tar archive, or cut off or damaged") from None


def _read_records(data: bytes, name: str, label_bytes: int, pictures: Pixels, labels: npt.NDArray[np.int64]) -> None:
    """Take apart the records (labels, then a red, a green and a blue plane) of one batch file."""
    width = label_bytes + 3 * _CIFAR_PLANE
    size = len(labels) * width
    if len(data) != size:
        found = f"{len(data):,}" if len(data) < size else "more"
        raise DataError(f"{name}: expected {size:,} bytes ({len(labels):,} pictures); received: {found}")
    records = np.frombuffer(data, np.uint8).reshape(len(labels), width)
    labels[:] = records[:, label_bytes - 1]
    flat = pictures.reshape(len(labels), _CIFAR_PLANE, 3)
    for channel in range(3):  # plane by plane: a transposed copy would jump through memory
        start = label_bytes + channel * _CIFAR_PLANE
        flat[:, :, channel] = records[:, start : start + _CIFAR_PLANE]


def _times(shape: Sequence[int]) -> str:
    return " x ".join(f"{n:,}" for n in shape)
