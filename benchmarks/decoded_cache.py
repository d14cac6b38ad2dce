"""How fast photos are decoded into the cache, against Pillow alone, and how fast a second start is.

    python benchmarks/decoded_cache.py [--pictures 60000] [--photos FOLDER …] [--repeats 3] [--json FILE]

Writes CIFAR-10 as PNG files into class folders of a temporary folder, and takes other folders of photos beside it. In
one run, by turns, for each folder:

    pillow    every file opened, decoded to RGB and made an array, by as many processes as there are cores
    build     the same files into an empty cache: decoded, brought to one size (32 pixels, which CIFAR-10 has already;
              other photos to 224), hashed, checked, written and synced
    load      `load_data` in a new process with an empty cache: also listing, classes and copies
    restart   `load_data` in a new process with a full one, the imports of Python apart

Prints medians, and exits with 1 where the build is below 80 % of Pillow's rate, or a restart takes a second or more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import machine

LEAST = 0.8  # of Pillow's rate
MOST = 1.0  # seconds of a restart
BUILD = """
import sys, time
from pathlib import Path
from eyesight.data.cache import decode_all
paths = sorted(map(str, Path(sys.argv[1]).rglob("*.*")))
began = time.perf_counter()
found = decode_all(Path(sys.argv[1]), paths, side=int(sys.argv[2]), resize="crop")
print(time.perf_counter() - began, len(found.known.paths))
"""
LOAD = """
import sys, time, eyesight
eyesight.load_data
began = time.perf_counter()
data = eyesight.load_data(sys.argv[1], img_size=int(sys.argv[2]))
print(time.perf_counter() - began, sum(map(len, data.splits().values())))
"""


def write_pictures(folder: Path, count: int) -> None:
    """Write so many pictures of CIFAR-10 as folder/train/CLASS/00001.png and folder/test/CLASS/00001.png."""
    import eyesight

    data = eyesight.load_data("cifar10", validation=0)
    for name, split in data.splits().items():
        for label in data.classes:
            (folder / name / label).mkdir(parents=True)
        few = round(len(split) * count / 60_000)
        for i, (picture, label) in enumerate(zip(split.gather(np.arange(few)), split.labels[:few], strict=True)):
            Image.fromarray(picture).save(folder / name / data.classes[label] / f"{i:05d}.png")


def decode(paths: list[str]) -> int:
    """Decode files by Pillow alone."""
    return sum(np.asarray(Image.open(path).convert("RGB")).size > 0 for path in paths)


def pillow(paths: list[str], cores: int) -> float:
    """Return the seconds in which processes that have started decode all files."""
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(decode, [paths[:50]] * cores * 4))
        parts = [paths[i : i + 250] for i in range(0, len(paths), 250)]
        began = time.perf_counter()
        list(pool.map(decode, parts))
        return time.perf_counter() - began


def child(program: str, folder: Path, side: int, cache: Path) -> float:
    """Return the seconds that a program says."""
    command = [sys.executable, "-c", program, str(folder), str(side)]
    done = subprocess.run(command, env=os.environ | {"EYESIGHT_CACHE": str(cache)}, check=True, capture_output=True)
    return float(done.stdout.split()[0])


def measure(folder: Path, side: int, repeats: int) -> dict[str, Any]:
    """Measure by turns."""
    paths, cores = sorted(map(str, folder.rglob("*.*"))), len(os.sched_getaffinity(0))
    seconds: dict[str, list[float]] = {"pillow": [], "build": [], "load": [], "restart": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            seconds["pillow"].append(pillow(paths, cores))
            seconds["build"].append(child(BUILD, folder, side, Path(name, "build")))
            seconds["load"].append(child(LOAD, folder, side, Path(name, "load")))
            seconds["restart"].append(child(LOAD, folder, side, Path(name, "load")))
    medians = {what: statistics.median(values) for what, values in seconds.items()}
    # pairs of one turn, so that what else the machine does weighs on both
    shares = [bare / ours for bare, ours in zip(seconds["pillow"], seconds["build"], strict=True)]
    return {"folder": str(folder), "files": len(paths), "side": side, "seconds": seconds, **medians} | {
        "share": statistics.median(shares)
    }


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = machine.announce()
    found = []
    with tempfile.TemporaryDirectory() as name:
        made = Path(name, "cifar10")
        write_pictures(made, arguments.pictures)
        print(f"{'folder':14} {'files':>6} {'pillow/s':>9} {'build/s':>9} {'share':>6} {'load':>8} {'restart':>9}")
        for folder, side in [(made, 32), *((photos, 224) for photos in arguments.photos)]:
            row = measure(folder, side, arguments.repeats)
            found.append(row)
            rates = [row["files"] / row[what] for what in ("pillow", "build")]
            print(
                f"{folder.name:14} {row['files']:6,} {rates[0]:9,.0f} {rates[1]:9,.0f} {row['share']:6.0%} "
                f"{row['load']:6.2f} s {row['restart']:7.2f} s"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "results": found}, indent=2), encoding="utf-8")
    slow = [row for row in found if row["share"] < LEAST or row["restart"] >= MOST]
    for row in slow:
        print(f"not as it should be: {row['folder']}: {row['share']:.0%}, {row['restart']:.2f} s", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
