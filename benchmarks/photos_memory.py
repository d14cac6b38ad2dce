"""How much memory training on a folder of photos takes, and that it hardly grows with their number.

    python benchmarks/photos_memory.py [--photos 50000] [--side 96] [--most 1.0] [--json FILE]

Writes pictures of CIFAR-10, scaled up, as JPEG files into class folders of a temporary folder, and trains on all of
them and on half of them, each in a process of its own with an empty cache: decoded at 224 pixels, their features
computed, a head fitted. Prints the peak of the memory of the process and its workers together as the system counts it,
mapped files included. The features alone of 50,000 photos are 256 MB; decoded they take 7.5 GB of disk.

Exit code 1 where the peak is above --most GB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import machine


def write_photos(folder: Path, count: int, side: int) -> None:
    """Write so many pictures as folder/CLASS/00001.jpg."""
    import eyesight

    data = eyesight.load_data("cifar10", validation=0)
    for label in data.classes:
        (folder / label).mkdir(parents=True)
    for start in range(0, count, 1000):
        ids = np.arange(start, min(start + 1000, count))
        for i, picture, label in zip(ids, data.train.gather(ids), data.train.labels[ids], strict=True):
            large = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
            large.save(folder / data.classes[label] / f"{i:05d}.jpg", quality=90)


def resident(process: int) -> int:
    """Return the bytes that a process and its children hold in memory now."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == process or int(path.parent.name) == process:
            found += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return found


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Train on photos in a process of its own, and watch its memory."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        command = [sys.executable, "-m", "eyesight", "train", str(folder), "--output", f"{name}/run"]
        began, peak = time.perf_counter(), 0
        with subprocess.Popen(
            command,
            env=os.environ | {"EYESIGHT_CACHE": f"{name}/cache"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            told = list[str]()
            assert process.stderr is not None
            reader = threading.Thread(target=lambda: told.extend(process.stderr or ()))
            reader.start()
            while process.poll() is None:
                peak = max(peak, resident(process.pid))
                time.sleep(0.1)
            reader.join()
        if process.returncode:
            raise SystemExit("".join(told[-5:]))
        row = json.loads(Path(name, "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    seconds = time.perf_counter() - began
    return {"photos": count, "peak": peak, "seconds": seconds, "accuracy": row["oof_accuracy"]}


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--most", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="on a disk with 10 GB of room")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = machine.announce()
    found = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for count in (arguments.photos // 2, arguments.photos):
            write_photos(Path(name, str(count)), count, arguments.side)
            found.append(measure(Path(name, str(count)), count))
            row = found[-1]
            print(
                f"{row['photos']:7,} photos: peak {row['peak'] / 1e9:.2f} GB, {row['seconds']:.0f} s, "
                f"accuracy {row['accuracy']:.4f}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "results": found}, indent=2), encoding="utf-8")
    return int(any(row["peak"] > arguments.most * 1e9 for row in found))


if __name__ == "__main__":
    sys.exit(main())
