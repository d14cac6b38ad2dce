"""How long a user waits before anything happens, and the memory that training takes, each beside its target.

    python benchmarks/startup_and_memory.py --data-dir DATA [--repeats 5] [--json FILE]

Run it with the Python of eyesight's environment on a machine that has nothing else to do; about 3 minutes. DATA holds
fashion-mnist/ and cifar-10/. Every figure is of fresh processes, the files of program and data in the system's cache:

- `eyesight --help`, `eyesight --version`: whole process;
- `load_data("fashion-mnist")`, `load_data("cifar10")`: from the call to the dataset; the imports before it beside;
- `eyesight predict` on one JPEG photo: whole process; and `python -c "import torch"`, which it does without;
- `eyesight train cifar10 --model small-cnn --epochs 1 --batch-size 32`: peak resident memory of the process.

Prints median, min, max and n of each with its target, and exits with 1 when a median misses one.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

import machine
from machine import EYESIGHT

LOAD = """
import json, sys, time
started = time.perf_counter()
from eyesight import load_data
imported = time.perf_counter()
load_data(sys.argv[1], data_dir=sys.argv[2])
print(json.dumps([imported - started, time.perf_counter() - imported]))
"""


@dataclass
class Figure:
    """One thing measured: its values, and the largest median that will do (None: printed for comparison only)."""

    name: str
    target: float | None
    unit: str = "s"
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the values."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the target, if there is one, is reached."""
        return self.target is None or self.median <= self.target

    def __str__(self) -> str:
        text = (
            f"{self.name:44} {self.median:7.3f} {self.unit:2}  min {min(self.values):7.3f}  max {max(self.values):7.3f}"
        )
        text += f"  n = {len(self.values)}"
        if self.target is None:
            return text
        return f"{text}  target {self.target:.3g} {self.unit}: {'met' if self.met else 'MISSED'}"


@dataclass(frozen=True)
class Finished:
    """A process that has ended: what it printed, its wall time in seconds and its peak resident memory in GB."""

    output: str
    seconds: float
    peak: float


def run(*command: str) -> Finished:
    """Run a command to its end; one that fails ends the benchmark."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)  # unlike RUSAGE_CHILDREN, of this process alone
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{errors.read()}")
        unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
        return Finished(output.read(), seconds, usage.ru_maxrss * unit / 1e9)


def draw_photo(path: Path) -> None:
    """Write a colour JPEG of an ordinary photo's size."""
    grey = Image.linear_gradient("L")
    Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180))).resize((1600, 1200)).save(path)


def measure(data_dir: str, folder: Path, repeats: int) -> list[Figure]:
    """Return all figures; the rounds go through all of them, so that a slow minute does not hit one alone."""
    photo, model = folder / "photo.jpg", folder / "run-0"
    draw_photo(photo)
    figures: dict[str, Figure] = {}

    def note(name: str, target: float | None, value: float, unit: str = "s") -> None:
        figures.setdefault(name, Figure(name, target, unit)).values.append(value)

    def load(name: str, target: float) -> None:
        imports, ready = json.loads(run(sys.executable, "-c", LOAD, name, data_dir).output)
        note(f'load_data("{name}"), call to ready', target, ready)
        note(f"  imports before {name}", None, imports)

    train = ("train", "cifar10", "--model", "small-cnn", "--epochs", "1", "--batch-size", "32", "--data-dir", data_dir)
    steps: list[Callable[[int], None]] = [
        lambda _: note("eyesight --help", 0.3, run(EYESIGHT, "--help").seconds),
        lambda _: note("eyesight --version", 0.3, run(EYESIGHT, "--version").seconds),
        lambda _: load("fashion-mnist", 1),
        lambda _: load("cifar10", 3),
        lambda i: note(
            "training on CIFAR-10, peak memory", 1.5, run(EYESIGHT, *train, "-o", f"{folder}/run-{i}").peak, "GB"
        ),
        lambda _: note("eyesight predict, one photo", 0.7, run(EYESIGHT, "predict", str(model), str(photo)).seconds),
        lambda _: note('  python -c "import torch"', None, run(sys.executable, "-c", "import torch").seconds),
    ]
    for i in range(repeats):
        for step in steps:
            step(i)
        print(f"round {i + 1} of {repeats} done", file=sys.stderr)
    return list(figures.values())


def main() -> int:
    """Measure, print, write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="holds fashion-mnist/ and cifar-10/")
    parser.add_argument("--repeats", type=int, default=5, help="processes for each figure")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    arguments = parser.parse_args()
    about = machine.announce()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.data_dir, Path(folder), arguments.repeats)
    for figure in figures:
        print(figure)
    if arguments.json:
        rows = [{**vars(figure), "median": figure.median, "met": figure.met} for figure in figures]
        arguments.json.write_text(json.dumps({"machine": about, "figures": rows}, indent=1) + "\n", encoding="utf-8")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
