"""Hostile and broken data files: every kind is refused in one line that names the file, and nothing is written.

`KINDS` is the table. Its writers make as little as they can: zeros are holes, or gzip blocks said over and over.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from eyesight.cli import main

Content = bytes | Callable[[Path], None] | None
Part = bytes | int  # bytes as they are, or so many zeros
MOST_MEMORY = 400 << 20  # bytes, on top of what the program has when it starts
MOST_TIME = 5.0  # seconds of processor time
NOBODY = 65534


@dataclass(frozen=True)
class Kind:
    """One way to be wrong: who writes it into a data folder, and what must be said of which file."""

    id: str
    dataset: str
    write: Callable[[Path], None]
    place: str  # in the data folder; with ": entry" behind it for what lies in an archive
    says: str
    bomb: bool = False  # run in a process that has little memory
    guarded: bool = False  # run as a user who may not read everything


KINDS: list[Kind] = []
FILE = "expected a file; received: "


# -- small tools -----------------------------------------------------------------------------------------------------


def write_parts(path: Path, *parts: Part) -> None:
    """Write bytes and runs of zeros: as holes, or packed where the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if path.suffix == ".gz":
            pack = zlib.compressobj(1, wbits=31)
            for part in parts:
                for start in range(0, len(part) if isinstance(part, bytes) else part, 1 << 20):
                    size = min(1 << 20, part - start) if isinstance(part, int) else 0
                    file.write(pack.compress(bytes(size) if size else part[start : start + (1 << 20)]))
            file.write(pack.flush())
            return
        for part in parts:
            file.seek(part, os.SEEK_CUR) if isinstance(part, int) else file.write(part)
        file.truncate(file.tell())


def put(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content(path)


def zeros_gz(head: bytes, size: int) -> bytes:
    """A gzip stream of `head` and at least `size` zeros, however many: one packed block of 16 MB, again and again."""
    pack = zlib.compressobj(9, wbits=31)
    start = pack.compress(head + bytes(1 << 24)) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(bytes(1 << 24)) + pack.flush(zlib.Z_FULL_FLUSH)
    return start + block * (size >> 24) + pack.flush()


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(path))  # a socket's name may not be long


def forbidden(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


def hole(size: int, head: bytes = b"") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(head)
        os.truncate(path, size)

    return write


# -- IDX -------------------------------------------------------------------------------------------------------------

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
SHAPES = {IMAGES: (60_000, 28, 28), LABELS: (60_000,), TEST_IMAGES: (10_000, 28, 28), TEST_LABELS: (10_000,)}


def header(*shape: int, code: int = 8, magic: bytes = b"\0\0", order: str = ">") -> bytes:
    return magic + bytes([code, len(shape)]) + struct.pack(f"{order}{len(shape)}I", *(n % 2**32 for n in shape))


@cache
def sound(name: str) -> bytes:
    """A file as it should be, all zeros, packed."""
    return gzip.compress(header(*SHAPES[name]) + bytes(int(np.prod(SHAPES[name]))), 1)


def idx_kind(
    name: str, file: str, content: Content, says: str, *, packed: bool = False, of: str = "mnist", **options: bool
) -> None:
    """Add a kind with one wrong file beside three sound ones; None leaves it out."""
    bad = f"{of}/{file}{'.gz' if packed else ''}"

    def write(folder: Path) -> None:
        for other in SHAPES:
            if other != file:
                put(folder / of / f"{other}.gz", sound(other))
        put(folder / bad, content)

    KINDS.append(Kind(f"idx: {name}", of, write, of if content is None else bad, says, **options))


H = header(60_000, 28, 28)
PLAIN = 60_000 * 784 + 16  # bytes
NOT_IDX = "not an IDX file of unsigned bytes in 3 dimensions; received: "
BEGINS = "a file that begins with "
SAYS = "expected 60,000 x 28 x 28 values; its header says: "

idx_kind("empty", IMAGES, b"", NOT_IDX + "an empty file")
idx_kind("plain text", IMAGES, b"hello\n" * 9, NOT_IDX + BEGINS + "68 65 6c 6c")
idx_kind("page of a server that has no such file", IMAGES, b"<html>404", "not gzip data, or damaged", packed=True)
idx_kind("first byte of the magic wrong", IMAGES, header(60_000, 28, 28, magic=b"\1\0"), NOT_IDX)
idx_kind("second byte of the magic wrong", IMAGES, header(60_000, 28, 28, magic=b"\0\1"), NOT_IDX)
for code, what in {0: "none", 9: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float", 0x0E: "double"}.items():
    idx_kind(f"type {what}", IMAGES, header(60_000, 28, 28, code=code), f"{NOT_IDX}{BEGINS}00 00 0{code:x}")
for shape in ((), (60_000,), (60_000, 784), (60_000, 28, 28, 1), (1,) * 255):
    idx_kind(f"{len(shape)} dimensions", IMAGES, header(*shape), NOT_IDX)
idx_kind("sizes with the bytes reversed", IMAGES, header(60_000, 28, 28, order="<"), SAYS + "1,625,948,160 x")
idx_kind("negative count", IMAGES, header(-60_000, 28, 28), SAYS + "4,294,907,296 x 28 x 28")
idx_kind("negative width", IMAGES, header(60_000, 28, -28), SAYS + "60,000 x 28 x 4,294,967,268")
idx_kind("least int32 count", IMAGES, header(-(2**31), 28, 28), SAYS + "2,147,483,648 x")
idx_kind("greatest sizes", IMAGES, header(-1, -1, -1), SAYS + "4,294,967,295 x 4,294,967,295 x 4,294,967,295")
idx_kind("count of zero", IMAGES, header(0, 28, 28), SAYS + "0 x 28 x 28")
idx_kind("width of zero", IMAGES, header(60_000, 28, 0), SAYS + "60,000 x 28 x 0")
idx_kind("product that overflows", IMAGES, hole(PLAIN, header(60_000 + 2**30, 28, 28)), SAYS + "1,073,801,824 x")
idx_kind("sizes whose product is right", IMAGES, hole(PLAIN, header(60_000, 14, 56)), SAYS + "60,000 x 14 x 56")
idx_kind("size of the test set", IMAGES, sound(TEST_IMAGES), SAYS + "10,000 x 28 x 28", packed=True)
idx_kind("test set of the size of the training set", TEST_IMAGES, sound(IMAGES), "header says: 60,000 x", packed=True)
for size in (1, 3, 4, 8, 15):
    says = "cut off in its header" if size > 3 else NOT_IDX
    idx_kind(f"header cut after {size} bytes", IMAGES, H[:size], says)
idx_kind("header and no more", IMAGES, H, "cut off (expected 47,040,016 bytes)")
idx_kind("a byte short", IMAGES, hole(PLAIN - 1, H), "cut off (expected 47,040,016 bytes)")
idx_kind("a byte long", IMAGES, hole(PLAIN + 1, H), "longer than its header says (expected 47,040,016 bytes)")
idx_kind("a picture short", TEST_IMAGES, hole(9_999 * 784 + 16, header(10_000, 28, 28)), "cut off (expected 7,840,016")
idx_kind("100 GB long", IMAGES, hole(100 << 30, H), "longer than its header says", bomb=True)
idx_kind("labels in place of pictures", IMAGES, sound(LABELS), NOT_IDX + BEGINS + "00 00 08 01", packed=True)
idx_kind("pictures in place of labels", LABELS, sound(IMAGES), "not an IDX file of unsigned bytes in 1 ", packed=True)
idx_kind("labels of the other part", TEST_LABELS, sound(LABELS), "its header says: 60,000", packed=True)
idx_kind("a label missing", LABELS, header(60_000) + bytes(59_999), "cut off (expected 60,008 bytes)")
idx_kind("negative count of labels", LABELS, header(-1) + bytes(60_000), "its header says: 4,294,967,295")
idx_kind("100 GB of labels", LABELS, hole(100 << 30, header(60_000)), "longer than its header says", bomb=True)

for label in (10, 255):
    wrong = header(60_000) + bytes(17) + bytes([label]) + bytes(59_982)
    idx_kind(f"label {label}", LABELS, wrong, f"[17]: expected a label from 0 to 9; received: {label}")

idx_kind("folder", IMAGES, Path.mkdir, FILE + "a folder")
idx_kind("folder named .gz", IMAGES, Path.mkdir, FILE + "a folder", packed=True)
idx_kind("pipe", IMAGES, pipe, FILE + "a pipe")
idx_kind("pipe named .gz", TEST_LABELS, pipe, FILE + "a pipe", packed=True)
idx_kind("socket", IMAGES, listener, FILE + "a socket")
idx_kind("link to a device without an end", IMAGES, link("/dev/zero"), FILE + "a device", bomb=True)
idx_kind("link to nothing", IMAGES, link("nowhere"), FILE + "a link to nothing")
idx_kind("link to itself", IMAGES, link(IMAGES), "too many levels of symbolic links")
idx_kind("link to a folder", IMAGES, link("/"), FILE + "a folder")
idx_kind("file nobody may read", IMAGES, forbidden, "permission denied", guarded=True)
idx_kind("labels nobody may read", TEST_LABELS, forbidden, "permission denied", guarded=True)
idx_kind("pictures missing", IMAGES, None, f"has no {IMAGES} (or .gz)")
idx_kind("test labels missing", TEST_LABELS, None, f"has no {TEST_LABELS} (or .gz)", of="fashion-mnist")


@cache
def gzipped(head: bytes = H, size: int = PLAIN - 16) -> bytes:
    return gzip.compress(head + bytes(size), 1)


def gz_kind(name: str, content: Callable[[], bytes], says: str, *, file: str = IMAGES, **options: bool) -> None:
    """Add a kind of packed file."""
    idx_kind(name, file, made(content), says, packed=True, of="fashion-mnist", **options)


def made(content: Callable[[], bytes]) -> Callable[[Path], None]:
    """Return a writer of contents that are made only when they are wanted."""
    return lambda path: put(path, content())


def changed(data: bytes) -> bytes:
    """`data` with one byte changed in its middle."""
    half = len(data) // 2
    return data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]


STORED = gzip.compress(header(60_000) + bytes(60_000), 0)
CUT, BROKEN = "the gzip data is cut off", "not gzip data, or damaged"
gz_kind("empty .gz", lambda: b"", CUT)
gz_kind("gzip of nothing", lambda: gzip.compress(b""), NOT_IDX + "an empty file")
gz_kind("gzip cut in its header", lambda: gzipped()[:5], CUT)
gz_kind("gzip cut in its data", lambda: gzipped()[: len(gzipped()) // 2], CUT)
gz_kind("gzip cut before its checksum", lambda: gzipped()[:-8], CUT)
gz_kind("gzip a byte short", lambda: gzipped()[:-1], CUT)
gz_kind("gzip with a wrong checksum", lambda: gzipped()[:-8] + b"\1\2\3\4" + gzipped()[-4:], BROKEN)
gz_kind("gzip with a wrong length", lambda: gzipped()[:-4] + b"\1\2\3\4", BROKEN)
gz_kind("gzip with a changed byte", lambda: changed(STORED), BROKEN, file=LABELS)
gz_kind("gzip method that is none", lambda: b"\x1f\x8b\7" + gzipped()[3:], BROKEN)
gz_kind("gzip flags that are reserved", lambda: b"\x1f\x8b\x08\xe0" + gzipped()[4:], BROKEN)
gz_kind("gzip with a name that has no end", lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (8 << 20), CUT)
gz_kind("gzip with something behind it", lambda: gzipped() + b"behind", "goes on after the end of its gzip data")
gz_kind("gzip twice in a file", lambda: gzipped() * 2, "goes on after the end of its gzip data")
gz_kind("gzip in two members", lambda: gzip.compress(H) + gzipped(b""), "goes on after the end of its gzip data")
gz_kind("gzip of gzip", lambda: gzip.compress(gzipped()), NOT_IDX + "gzip data (is .gz missing from its name?)")
gz_kind("gzip bomb of 10 GB", lambda: zeros_gz(H, 10 << 30), "longer than its header says", bomb=True)
gz_kind("gzip bomb in the labels", lambda: zeros_gz(header(60_000), 2 << 30), "longer", file=LABELS, bomb=True)
gz_kind("gzip whose header lies and a bomb", lambda: zeros_gz(header(-1, -1, -1), 2 << 30), SAYS + "4,294", bomb=True)
gz_kind("not packed but named .gz", lambda: H + bytes(100), BROKEN)
gz_kind("zlib named .gz", lambda: zlib.compress(H), BROKEN)
gz_kind("bzip2 named .gz", lambda: bz2.compress(H), BROKEN)
gz_kind("xz named .gz", lambda: lzma.compress(H), BROKEN)
idx_kind("gzip not named .gz", IMAGES, sound(IMAGES), NOT_IDX + "gzip data (is .gz missing from its name?)")
idx_kind("100 GB named .gz", IMAGES, hole(100 << 30, gzip.compress(H)), "goes on after", packed=True, bomb=True)


def closed_folder(folder: Path) -> None:
    (folder / "mnist").mkdir(parents=True, mode=0)


CLOSED = "idx: folder nobody may enter"
KINDS.append(Kind(CLOSED, "mnist", closed_folder, f"mnist/{IMAGES}", "permission denied", guarded=True))


# -- CIFAR archives --------------------------------------------------------------------------------------------------

BATCHES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
SIZE = 10_000 * 3_073  # bytes of a batch
INSIDE = "cifar-10-batches-bin/"
ARCHIVE = "cifar-10/cifar-10-binary.tar.gz"
END = 1024  # zeros at the end of an archive


def entry(
    name: str, size: int = 0, *, kind: bytes = b"0", target: str = "", field: bytes | None = None, prefix: str = ""
) -> bytes:
    """The header of an archive's entry; `field` is the size as it shall stand there, true or not."""
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:136] = (b"%011o\0" % size if field is None else field).ljust(12, b"\0")
    block[136:148], block[148:156], block[156:157] = b"00000000000\0", b" " * 8, kind
    block[157 : 157 + len(target)] = target.encode()
    block[257:265] = b"ustar\x0000"
    block[345 : 345 + len(prefix)] = prefix.encode()
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def batch(name: str = INSIDE + BATCHES[0], size: int = SIZE) -> list[Part]:
    """An entry of zeros, padded."""
    return [entry(name, size), size + -size % 512]


def whole_kind(
    name: str, content: Content, says: str, *, inside: str = "", packed: bool = True, bomb: bool = False
) -> None:
    """Add a kind of archive. `inside` is the entry that must be named."""
    place = ARCHIVE if packed else ARCHIVE.removesuffix(".gz")
    named = f"{place}: {inside}" if inside else place
    KINDS.append(Kind(f"cifar: {name}", "cifar10", lambda folder: put(folder / place, content), named, says, bomb))


def tar_kind(name: str, parts: Callable[[], list[Part]], says: str, **options: str | bool) -> None:
    """Add a kind of archive made of parts when it is wanted."""
    whole_kind(name, lambda path: write_parts(path, *parts()), says, **options)


FIRST = BATCHES[0]
OUT, LINKED = "the name leads out of the archive", "expected a file or folder; received: "
NO_TAR = "not a tar archive, or cut off or damaged"

tar_kind("batch that climbs out", lambda: batch(f"../../{FIRST}"), OUT, inside=f"../../{FIRST}")
tar_kind("batch with an absolute path", lambda: batch(f"/tmp/{FIRST}"), OUT, inside=f"/tmp/{FIRST}")
tar_kind("batch that climbs in the middle", lambda: batch(f"a/../../{FIRST}"), OUT, inside=f"a/../../{FIRST}")
tar_kind("prefix that climbs out", lambda: [entry(FIRST, prefix="../..")], OUT, inside=f"../../{FIRST}")
tar_kind("another file that climbs out", lambda: [entry("../.bashrc")], OUT, inside="../.bashrc")
tar_kind("folder that climbs out", lambda: [entry("../", kind=b"5")], OUT, inside="../")
for byte, what, name in (
    (b"1", "a hard link", "hard link"),
    (b"2", "a symbolic link", "symbolic link"),
    (b"3", "a device", "character device"),
    (b"4", "a device", "block device"),
    (b"6", "a pipe", "entry that is a pipe"),
    (b"S", "a sparse file", "sparse batch"),
    (b"Z", "an entry of an unknown kind", "entry of no kind"),
):
    wrong = entry(INSIDE + FIRST, kind=byte, target="/etc/passwd")
    tar_kind(name, lambda wrong=wrong: [wrong], LINKED + what, inside=INSIDE + FIRST)
OUTSIDE = entry("x", kind=b"2", target="/tmp")
tar_kind("link to a folder outside", lambda: [OUTSIDE, entry("x/evil")], LINKED + "a symbolic link", inside="x")
tar_kind("batch twice", lambda: [*batch(), *batch()], "is there twice", inside=FIRST, packed=False)
tar_kind("batch again in another folder", lambda: [*batch(), *batch("old/" + FIRST)], "is there twice", inside=FIRST)

NEGATIVE = b"\xff" * 10 + b"\xfe\x00"
tar_kind("negative size", lambda: [entry(INSIDE + FIRST, field=NEGATIVE)], "received: -512", inside=INSIDE + FIRST)
tar_kind("negative size in octal", lambda: [entry(FIRST, field=b"-0000001000")], "received: none", inside=FIRST)
tar_kind("negative size of another entry", lambda: [entry("x", field=NEGATIVE)], "received: -512", inside="x")
tar_kind("negative extended header", lambda: [entry("x", kind=b"x", field=NEGATIVE)], "received: -512", inside="x")
tar_kind("size in letters", lambda: [entry(FIRST, field=b"plenty")], "expected a size in its header", inside=FIRST)
tar_kind("size of 8 GB", lambda: [entry(FIRST, 8**11 - 1)], "its header says 8,589,934,591 bytes", inside=FIRST)
tar_kind(
    "greatest size", lambda: [entry(FIRST, field=b"\x80" + b"\xff" * 11)], "says 309,485,009,821,345,0", inside=FIRST
)
WRONG = "expected 30,730,000 bytes (10,000 pictures); received: "
tar_kind("batch a byte short", lambda: batch(size=SIZE - 1), WRONG + "30,729,999", inside=FIRST)
tar_kind("batch a byte long", lambda: batch(size=SIZE + 1), WRONG + "30,730,001", inside=FIRST)
tar_kind("batch a picture short", lambda: batch(size=SIZE - 3073), WRONG + "30,726,927", inside=FIRST)
tar_kind("empty batch", lambda: batch(size=0), WRONG + "0", inside=FIRST)
tar_kind("name with a line break", lambda: batch("x\n\x1b[2J/" + FIRST, 8), WRONG + "8", inside=FIRST)
tar_kind("cut in the first header", lambda: [entry(FIRST, SIZE)[:300]], NO_TAR)
tar_kind("cut in a batch", lambda: [entry(FIRST, SIZE), 9_999], "cut off after 9,999 of 30,730,000", inside=FIRST)
tar_kind("cut after a batch", batch, "has no data_batch_2.bin, data_batch_3.bin", packed=False)
tar_kind("cut in another entry", lambda: [entry("x", 99_999), 5_000], "cut off in x")
tar_kind(
    "batch missing",
    lambda: [*(part for name in BATCHES[1:] for part in batch(name)), END],
    f"has no {FIRST}",
    packed=False,
)
tar_kind("batches of the pickled edition", lambda: [*batch("data_batch_1"), END], "has no data_batch_1.bin")
tar_kind("batches with capital letters", lambda: [*batch("DATA_BATCH_1.BIN"), END], "has no data_batch_1.bin")
tar_kind("folder named as a batch", lambda: [entry(f"{FIRST}/", kind=b"5"), END], "has no data_batch_1.bin")
tar_kind("no entries", lambda: [END], "has no data_batch_1.bin, data_batch_2.bin")
tar_kind("wrong checksum of a header", lambda: [entry(FIRST, SIZE).replace(b"0644", b"0777")], NO_TAR)
tar_kind("garbage after an entry", lambda: [*batch("x", 512), b"garbage!" * 64], NO_TAR)
tar_kind("garbage after the end", lambda: [*batch("x", 512), END, b"behind"], "goes on after the end of the archive")
tar_kind("a second archive behind", lambda: [*batch("x", 8), END, *batch("y", 8), END], "goes on after the end of the")

TOO_MUCH = "bytes of contents; received: more"
BIG = entry("x", 8**11 - 512)
whole_kind("bomb: 8 GB of another file", made(lambda: zeros_gz(BIG, 10 << 30)), "header says 8,", inside="x", bomb=True)
whole_kind("bomb: 10 GB of zeros", made(lambda: zeros_gz(b"", 10 << 30)), TOO_MUCH, bomb=True)
whole_kind("bomb: 10 GB behind the end", made(lambda: zeros_gz(entry("x"), 10 << 30)), TOO_MUCH, bomb=True)
whole_kind("bomb: 100 GB not packed", hole(100 << 30, entry("x")), TOO_MUCH, packed=False, bomb=True)
MANY = "expected at most 10,000 entries; received: more"
tar_kind("bomb: 20,000 entries", lambda: [entry("x") * 20_000], MANY)
tar_kind("bomb: 20,000 extended headers", lambda: [entry("x", kind=b"x") * 20_000], MANY, bomb=True)
for kind, what in {b"x": "extended header", b"g": "header for all", b"L": "long name", b"K": "long target"}.items():
    huge = entry("x", 1 << 32, kind=kind)
    tar_kind(f"bomb: {what} of 4 GB", lambda huge=huge: [huge, 9 << 20], "4,294,967,296 by", inside="x", bomb=True)
LARGE = entry("x", 300 << 20, kind=b"x")
tar_kind("bomb: extended header of 300 MB", lambda: [LARGE, 300 << 20, END], "has no", bomb=True)
DIGITS = entry("x", 1 << 20, kind=b"x") + b"1" * (1 << 20)
tar_kind("bomb: extended header of digits", lambda: [DIGITS, END], "has no", bomb=True)
LIES = entry("x", 21, kind=b"x") + b"21 size=109951162777\n" + bytes(491)
tar_kind("size only in an extended header", lambda: [LIES, *batch(size=0)], WRONG + "0", inside=FIRST)


@cache
def packed_batch() -> bytes:
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="wb", compresslevel=1) as file:
        file.write(entry(INSIDE + FIRST, SIZE) + bytes(SIZE + -SIZE % 512 + END))
    return data.getvalue()


whole_kind("gzip cut in its header", made(lambda: packed_batch()[:7]), CUT)
whole_kind("gzip cut in a batch", made(lambda: packed_batch()[:50_000]), CUT)
whole_kind("gzip a byte short", made(lambda: packed_batch()[:-1]), CUT)
whole_kind("gzip with a wrong checksum", made(lambda: packed_batch()[:-8] + bytes(8)), BROKEN)
whole_kind(
    "gzip with a changed byte", made(lambda: changed(gzip.compress(batch("x", 999)[0] + bytes(2_048), 0))), BROKEN
)
whole_kind(
    "gzip with something behind it", made(lambda: packed_batch() + b"x"), "goes on after the end of its gzip data"
)
whole_kind("gzip of gzip", made(lambda: gzip.compress(packed_batch())), NO_TAR)
whole_kind("gzip of nothing", made(lambda: gzip.compress(b"")), NO_TAR)
whole_kind("empty", b"", NO_TAR)
whole_kind("plain text", b"hello\n" * 500, NO_TAR)
whole_kind("page of a server that has no such file", b"<html>404 not found</html>", NO_TAR, packed=False)
whole_kind("xz", made(lambda: lzma.compress(entry(FIRST, SIZE))), NO_TAR)
whole_kind("bzip2", made(lambda: bz2.compress(entry(FIRST, SIZE))), NO_TAR)
whole_kind("pickle", b"\x80\x04cos\nsystem\n(S'touch evil'\ntR." + bytes(600), NO_TAR)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(INSIDE + FIRST, b"x" * 999)


whole_kind("zip", zipped, NO_TAR)
whole_kind("folder", Path.mkdir, FILE + "a folder")
whole_kind("pipe", pipe, FILE + "a pipe")
whole_kind("link to nothing", link("nowhere"), FILE + "a link to nothing")
whole_kind("link to a device without an end", link("/dev/zero"), FILE + "a device", bomb=True)

META = "batches.meta.txt"
NAMES = b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"
for what, content, says in (
    ("other class names", NAMES.replace(b"cat", b"cow"), "expected 'cat' as name 4; received: 'cow'"),
    ("class names in another order", b"truck\n" + NAMES, "expected 'airplane' as name 1; received: 'truck'"),
    ("class names missing", NAMES[:-8], "expected 10 names; received: 9"),
    ("no class names", b"", "expected 10 names; received: 0"),
    ("class names that are not UTF-8", NAMES.replace(b"dog", b"\xff\xfe"), "expected 'dog' as name 6; received: "),
):
    text: list[Part] = [entry(INSIDE + META, len(content)), content, -len(content) % 512]
    tar_kind(what, lambda text=text: text, says, inside=META)
LONG = entry(META, 300 << 20)
tar_kind("class names of 300 MB", lambda: [LONG, 300 << 20], "expected 'airplane' as name 1", inside=META, bomb=True)


# -- CIFAR folders ---------------------------------------------------------------------------------------------------


def folder_kind(name: str, file: str, content: Content, says: str, *, of: str = "cifar10", **options: bool) -> None:
    """Add a kind of unpacked dataset with one wrong file; None leaves it out."""
    inside = "cifar-10/" + INSIDE if of == "cifar10" else "cifar-100/cifar-100-binary/"
    whole = dict.fromkeys(BATCHES, SIZE) if of == "cifar10" else {"train.bin": 50_000 * 3074, "test.bin": 10_000 * 3074}

    def write(folder: Path) -> None:
        for other, size in whole.items():
            if other != file:
                put(folder / inside / other, hole(size))
        put(folder / inside / file, content)

    place = inside.rstrip("/") if content is None else inside + file
    KINDS.append(Kind(f"{of} folder: {name}", of, write, place, says, **options))


folder_kind("batch a byte short", "data_batch_2.bin", hole(SIZE - 1), WRONG + "30,729,999")
folder_kind("batch a byte long", "data_batch_1.bin", hole(SIZE + 1), WRONG + "30,730,001")
folder_kind("batch empty", "test_batch.bin", b"", WRONG + "0")
folder_kind("batch of 100 GB", "data_batch_1.bin", hole(100 << 30), WRONG + "107,374,182,400", bomb=True)
folder_kind("batch missing", "data_batch_4.bin", None, "has no data_batch_4.bin")
folder_kind("first batch missing", "data_batch_1.bin", None, "has no data_batch_1.bin")
folder_kind("batch is a folder", "data_batch_3.bin", Path.mkdir, FILE + "a folder")
folder_kind("batch is a pipe", "data_batch_3.bin", pipe, FILE + "a pipe")
folder_kind("batch is a device without an end", "data_batch_1.bin", link("/dev/zero"), "received: a device", bomb=True)
folder_kind("batch is a link to nothing", "test_batch.bin", link("nowhere"), "received: a link to nothing")
folder_kind("batch is a link to itself", "test_batch.bin", link("test_batch.bin"), "too many levels of symbolic links")
folder_kind("batch nobody may read", "data_batch_1.bin", forbidden, "permission denied", guarded=True)
for label in (10, 255):
    says = f"[0]: expected a label from 0 to 9; received: {label}"
    folder_kind(f"label {label}", "data_batch_3.bin", hole(SIZE, bytes([label])), says)
folder_kind("class names of other things", META, b"one\ntwo\n", "expected 'airplane' as name 1; received: 'one'")
folder_kind("class names through a pipe", META, pipe, FILE + "a pipe")
folder_kind("class names of 100 GB", META, hole(100 << 30), "expected 'airplane' as name 1", bomb=True)
LAYOUT = "expected 153,700,000 bytes (50,000 pictures); received: 153,650,000"
folder_kind("laid out as CIFAR-10", "train.bin", hole(50_000 * 3073), LAYOUT, of="cifar100")
ABOVE = "[0]: expected a label from 0 to 99; received: 100"
folder_kind("label 100", "test.bin", hole(10_000 * 3074, b"\0\x64"), ABOVE, of="cifar100")
folder_kind("test pictures missing", "test.bin", None, "has no test.bin", of="cifar100")


def other_archive(folder: Path) -> None:
    write_parts(folder / OTHER, *batch(), END)


OTHER = "cifar-100/cifar-100-binary.tar.gz"
KINDS.append(Kind("cifar100: archive of CIFAR-10", "cifar100", other_archive, OTHER, "has no test.bin, train.bin"))


# -- the proof -------------------------------------------------------------------------------------------------------

CHANGES = {f"os.{verb}" for verb in "mkdir rename link symlink remove rmdir truncate chmod".split()}
refused: set[str] = set()
changes: list[str] | None = None  # what was changed on disk while a command ran; None: nobody is looking


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note every file opened for writing, and every other change on disk, in this process."""
    if changes is None:
        return
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & writes):
        changes.append(f"{event} {arguments[0]}")


@pytest.fixture(scope="module")
def warm() -> None:
    """Import what the commands import, so that it counts for no kind."""
    import eyesight.api
    import eyesight.evaluation.figures
    import eyesight.training.trainer  # noqa: F401

    sys.addaudithook(watch)


@contextmanager
def bounded() -> Iterator[None]:
    """Bound the time of what is done, and interrupt what waits for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError("waits for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 60)
    start = time.process_time()
    try:
        yield
        spent = time.process_time() - start
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert spent < MOST_TIME


@contextmanager
def watched() -> Iterator[None]:
    """Let nothing on disk be changed."""
    global changes  # noqa: PLW0603
    changes = []
    try:
        yield
        assert changes == []
    finally:
        changes = None


@contextmanager
def unprivileged(*, really: bool) -> Iterator[None]:
    """Be a user to whom permissions apply, where the tests are run by root."""
    if not really or os.geteuid() != 0:
        yield
        return
    Path.cwd().chmod(0o755)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def listing() -> list[str]:
    return sorted(str(Path(folder) / name) for folder, folders, files in os.walk(".") for name in (*folders, *files))


def told(kind: Kind, err: str) -> bool:
    """Whether the only line on stderr names the file, and says what is wrong with it."""
    line = err.removesuffix("\n")
    start = f"eyesight: error: data/{kind.place}"
    return line.startswith(start) and line[len(start)] in ":[" and kind.says in line and line.isprintable()


def command(kind: Kind) -> list[str]:
    """`data show` for one kind, `train` for the next."""
    what = ["train", kind.dataset, "--threads", "1"] if KINDS.index(kind) % 2 else ["data", "show", kind.dataset]
    return [*what, "--data-dir", "data"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.bomb], ids=lambda kind: kind.id.replace(" ", "-"))
def test_a_hostile_data_file_is_refused_in_one_line_that_names_it(kind, warm, capsys):
    Path("data").mkdir()
    kind.write(Path("data"))
    before = listing()
    with unprivileged(really=kind.guarded), watched(), bounded():
        code = main(command(kind))
    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert told(kind, err), err
    assert listing() == before
    refused.add(kind.id)


UNOPENED = ("idx: pipe", CLOSED, "idx: link to itself", "cifar: folder", "cifar10 folder: batch is a pipe")


@pytest.mark.parametrize("name", [*UNOPENED, "cifar10 folder: first batch missing"])
def test_data_list_does_not_count_as_found_what_cannot_be_opened(name, warm, capsys):
    kind = next(kind for kind in KINDS if kind.id == name)
    kind.write(Path("data"))
    with unprivileged(really=kind.guarded), watched(), bounded():
        code = main(["data", "list", "--json", "--data-dir", "data"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert {row["name"]: row["found"] for row in json.loads(out)}[kind.dataset] is None


def test_data_list_says_where_files_lie_without_reading_them(warm, capsys):
    for kind in (kind for kind in KINDS if kind.id in {"idx: 100 GB long", "cifar: empty"}):
        kind.write(Path("data"))
    with watched(), bounded():
        code = main(["data", "list", "--json", "--data-dir", "data"])
    found = {row["name"]: row["found"] for row in json.loads(capsys.readouterr().out)}
    assert (code, found["mnist"], found["cifar10"]) == (0, "data/mnist", f"data/{ARCHIVE}")


BOMBS = """
import contextlib, io, json, resource, sys, os, time
import eyesight.api, eyesight.evaluation.figures, eyesight.training.trainer
from eyesight.cli import main
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for folder in sorted(os.listdir()):
    os.chdir(folder)
    command, out, err = json.load(open("command.json")), io.StringIO(), io.StringIO()
    start = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    print(json.dumps([folder, code, err.getvalue(), time.process_time() - start]))
    os.chdir("..")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to know how much memory there is")
def test_bombs_are_refused_by_a_process_that_has_little_memory(tmp_path):
    bombs = {f"{i:03}": kind for i, kind in enumerate(KINDS) if kind.bomb}
    for name, kind in bombs.items():
        (tmp_path / name / "data").mkdir(parents=True)
        kind.write(tmp_path / name / "data")
        (tmp_path / name / "command.json").write_text(json.dumps(command(kind)))
    before = listing()
    result = subprocess.run(
        [sys.executable, "-c", BOMBS, str(MOST_MEMORY)], capture_output=True, text=True, check=False, timeout=240
    )
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == sorted(bombs)
    for name, code, err, seconds in rows:
        assert code == 1, bombs[name]
        assert told(bombs[name], err), err
        assert seconds < MOST_TIME, bombs[name]
        refused.add(bombs[name].id)
    assert listing() == before


def test_the_kinds_are_many_and_all_were_refused(proof):
    assert len({kind.id for kind in KINDS}) == len(KINDS) >= 60
    if len(refused) == len(KINDS):  # else some were deselected, or a test has failed already
        proof(f"hostile data files: {len(KINDS)} kinds, each refused in one line that names the file")


@pytest.mark.parametrize(
    "name", ["idx: pipe", pytest.param("cifar: negative size of another entry", marks=pytest.mark.long)]
)
def test_the_program_itself_refuses_what_others_wait_for_for_ever(name):
    kind = next(kind for kind in KINDS if kind.id == name)
    kind.write(Path("data"))
    program = [sys.executable, "-c", "import sys; from eyesight.cli import main; sys.exit(main())", *command(kind)]
    result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (1, "")
    assert told(kind, result.stderr), result.stderr
