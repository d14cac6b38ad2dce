"""Reads pictures in a process of its own, without torch, within limits of memory and time; says what it took.

    python picture_worker.py mutate SPECIMENS SEED FIRST COUNT     broken pictures, with a hard limit of memory
    python picture_worker.py lie SPECIMENS SEED FIRST COUNT        false sizes; memory is measured, but not limited
    python picture_worker.py read PICTURE                          one file as it is, with a hard limit of memory

A picture is a function of the specimens, the seed and its number. Each may take 2 s of processor time, and the whole
process 256 MB. Before its last line, JSON, stdout has the number of every picture when it is begun: where the process
dies, the last number is that of the picture which killed it.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import struct
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from eyesight.errors import PictureError
from eyesight.pictures.preprocess import Preprocessing, read_picture

MEGABYTE = 2**20
MEMORY = 256 * MEGABYTE
SECONDS = 2.0

# of width, height, strips and counts; the products lie below, between and above every limit there is
EXTREMES = (
    0, 1, 2, 255, 256, 3000, 4000, 4473, 5000, 6324, 8192, 9999, 12_000, 14_142, 16_383, 16_384, 32_767, 32_768,
    65_500, 65_535, 2**24 - 1, 2**31 - 1, 2**32 - 1,
)  # fmt: skip
TIFF_TAGS = {256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 530}

GREY = Preprocessing(height=20, width=28, channels=1, mean=(0,), std=(1,))
COLOUR = Preprocessing(height=28, width=20, channels=3, mean=(0,) * 3, std=(1,) * 3)

Random = np.random.Generator
Mutation = Callable[[bytearray, Random, list[bytes]], None]


def place(data: bytearray, rng: Random) -> int:
    """Return a place, half of the time in the header."""
    return int(rng.integers(max(1, min(len(data), 80) if rng.random() < 0.3 else len(data))))


def part(data: bytearray, rng: Random, longest: int = 64) -> slice:
    start = place(data, rng)
    return slice(start, start + int(rng.integers(1, longest)))


def flip_bits(data: bytearray, rng: Random, others: list[bytes]) -> None:
    for _ in range(rng.integers(1, 9)):
        data[place(data, rng)] ^= 1 << int(rng.integers(8))


def change_bytes(data: bytearray, rng: Random, others: list[bytes]) -> None:
    for _ in range(rng.integers(1, 5)):
        data[place(data, rng)] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])


def cut(data: bytearray, rng: Random, others: list[bytes]) -> None:
    del data[place(data, rng) + 1 :]


def remove(data: bytearray, rng: Random, others: list[bytes]) -> None:
    del data[part(data, rng)]


def insert(data: bytearray, rng: Random, others: list[bytes]) -> None:
    at = place(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 40)))


def duplicate(data: bytearray, rng: Random, others: list[bytes]) -> None:
    at = place(data, rng)
    data[at:at] = bytes(data[part(data, rng, 400)]) * int(rng.integers(1, 4))


def swap(data: bytearray, rng: Random, others: list[bytes]) -> None:
    one, other = sorted((part(data, rng), part(data, rng)), key=lambda at: at.start)
    if one.stop <= other.start:
        data[one], data[other] = data[other], data[one]


def run(data: bytearray, rng: Random, others: list[bytes]) -> None:
    at = part(data, rng)
    data[at] = bytes([rng.choice([0, 255])]) * (min(at.stop, len(data)) - at.start)


def splice(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """The beginning of one file with the end of another."""
    other = others[rng.integers(len(others))]
    data[place(data, rng) + 1 :] = other[rng.integers(len(other)) :]


def damage_exif(data: bytearray, rng: Random, others: list[bytes]) -> None:
    found = [at for name in (b"Exif\0\0", b"eXIf", b"EXIF", b"II*\0", b"MM\0*") if (at := data.find(name)) >= 0]
    if not found:
        return flip_bits(data, rng, others)
    start = int(rng.choice(found))
    for _ in range(rng.integers(1, 6)):
        data[min(len(data) - 1, start + int(rng.integers(120)))] = rng.choice([0, 1, 8, 127, 255, rng.integers(256)])
    return None


def lie(data: bytearray, rng: Random, others: list[bytes]) -> None:
    """Overwrite width, height and, in a TIFF, anything else of that kind."""
    fields = size_fields(data)
    if data[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf"):
        numbers = list(re.finditer(rb"\d+", data[2:40]))[:3]
        chosen = numbers[int(rng.integers(max(1, len(numbers))))] if numbers else None
        if chosen:
            data[2 + chosen.start() : 2 + chosen.end()] = b"%d" % rng.choice(EXTREMES)
    for at, length, order in fields:
        if rng.random() < (0.8 if len(fields) < 5 else 0.2) and at + length <= len(data):
            value = int(rng.choice(EXTREMES)) & ((1 << 8 * length) - 1)
            data[at : at + length] = value.to_bytes(length, order)


def size_fields(data: bytearray) -> list[tuple[int, int, str]]:
    """Return where a file says its sizes: place, bytes, order of the bytes."""
    if data[:4] == b"\x89PNG":
        return [(16, 4, "big"), (20, 4, "big")]
    if data[:3] == b"\xff\xd8\xff":
        frame = re.search(rb"\xff[\xc0-\xc2]\0", data)
        return [(frame.start() + 5, 2, "big"), (frame.start() + 7, 2, "big")] if frame else []
    if data[:3] == b"GIF":
        block = data.find(b",\0\0\0\0")
        return [(at, 2, "little") for at in (6, 8, block + 5, block + 7)]
    if data[:2] == b"BM":
        return [(18, 4, "little"), (22, 4, "little")]
    if data[8:12] == b"WEBP":
        first, length = {b"VP8 ": (26, 2), b"VP8L": (21, 2)}.get(bytes(data[12:16]), (24, 3))
        return [(first, length, "little"), (first + length, length, "little")]
    if data[:4] in (b"II*\0", b"MM\0*"):
        return tiff_fields(data, "little" if data[:1] == b"I" else "big")
    return []


def tiff_fields(data: bytearray, order: str) -> list[tuple[int, int, str]]:
    start = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[start : start + 2], order)
    entries = range(start + 2, min(start + 2 + 12 * count, len(data) - 12), 12)
    length = {3: 2, 4: 4}
    return [
        (at + 8, length.get(int.from_bytes(data[at + 2 : at + 4], order), 4), order)
        for at in entries
        if int.from_bytes(data[at : at + 2], order) in TIFF_TAGS
    ]


def right_checksums(data: bytearray) -> None:
    """Make the checksums of a PNG right again, that the damage gets behind them."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + struct.unpack_from(">I", data, at)[0]
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, change_bytes, cut, remove, insert, duplicate, swap, run, splice, damage_exif, lie,
)  # fmt: skip


def mutated(specimens: list[bytes], seed: int, number: int, mutations: Sequence[Mutation] = MUTATIONS) -> bytes:
    """Return a broken picture, the same for the same arguments."""
    rng = np.random.default_rng([seed, number])
    whole = specimens[number % len(specimens)]
    data = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        mutations[rng.integers(len(mutations))](data, rng, specimens)
        data = data or bytearray(b"\0")
    if rng.random() < 0.9:
        data[:12] = whole[:12]  # else most would be no pictures at first sight
    if data[:4] == b"\x89PNG" and rng.random() < 0.8:
        right_checksums(data)
    return bytes(data)


def memory(line: str) -> int:
    """Return a line of /proc/self/status in bytes; the peak of getrusage may be that of the process that forked."""
    found = re.search(rf"^{line}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def limit_memory() -> None:
    """Let the process map as much as 256 MB would hold beside what is there after its start."""
    most = memory("VmSize") + MEMORY - memory("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def read(source: bytes | Path, number: int) -> tuple[bool, float]:
    """Read one picture; return whether it is one, and the seconds of processor time that it took."""
    preprocessing = COLOUR if number % 2 else GREY
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # the signals of both clocks end the process
    signal.setitimer(signal.ITIMER_REAL, 60)
    start = time.process_time()
    found, refusal = None, ""
    try:
        found = read_picture(source, preprocessing)
    except PictureError as error:
        refusal = str(error)
    seconds = time.process_time() - start
    signal.setitimer(signal.ITIMER_PROF, 0)
    assert refusal.isprintable(), f"picture {number}: {refusal!r} is not one line"
    assert found is None or (found.shape, found.dtype) == (preprocessing.shape, np.uint8), f"picture {number}"
    peak = memory("VmHWM")
    assert peak <= MEMORY, f"picture {number}: {peak / MEGABYTE:.0f} MB"
    return found is not None, seconds


def read_broken(mutations: Sequence[Mutation], folder: str, seed: str, first: str, count: str) -> dict[str, object]:
    specimens = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    decoded, slowest = 0, (0.0, 0)
    for number in range(int(first), int(first) + int(count)):
        print(number, end=" ", flush=True)
        good, seconds = read(mutated(specimens, int(seed), number, mutations), number)
        decoded += good
        slowest = max(slowest, (seconds, number))
    print()
    return {"decoded": decoded, "refused": int(count) - decoded, "seconds": slowest[0], "slowest": slowest[1]}


def main(command: str, *arguments: str) -> None:
    if command == "lie":
        report = read_broken((lie,), *arguments)
    else:
        limit_memory()
        if command == "mutate":
            report = read_broken(MUTATIONS, *arguments)
        else:
            decoded, seconds = read(Path(*arguments), 1)
            report = {"decoded": decoded, "seconds": seconds}
    assert "torch" not in sys.modules
    print(json.dumps(report | {"peak_mb": memory("VmHWM") / MEGABYTE}))


if __name__ == "__main__":
    main(*sys.argv[1:])
