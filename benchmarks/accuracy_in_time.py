"""How accurate a classifier becomes in a given time, on MNIST, Fashion-MNIST and CIFAR-10.

    python benchmarks/accuracy_in_time.py --data-dir DATA --json FILE [--rows mnist-4s,cifar10-40s] [--seeds 0,1,2,3,4]

Each row is one command, `eyesight train DATA --model NETWORK --budget TIME`, with all training pictures. The time runs
from the call, before the data is opened, to the saved model. What Python loads when it trains for the first time is
left out: an update on the digits comes before, and its time is printed.

Prints test accuracy (mean ± standard deviation, n), the target, seconds (median), and that time as FLOPs: how many bf16
convolutions would have been computed in it, at the rate measured before each run. Every run is written to FILE at once,
and one that FILE has already is not repeated. Exits with 1 where a target is missed.

Networks and recipes were chosen on pictures held out of the training set; the test set is looked at once for each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import eyesight
import machine
from tutorials import accuracy

SMALLER_FIRST = {"recipe.resolution": [[0.4, 0.5], [0.75, 0.75]]}


@dataclass(frozen=True)
class Row:
    """One line of the table: what to reach on which data within how many seconds, and how."""

    data: str
    reach: float
    within: float
    model: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As --rows takes it."""
        return f"{self.data}-{self.within:g}s"

    @property
    def command(self) -> str:
        """What a user would type."""
        extra = "".join(f' --set "{key}={value}"' for key, value in self.settings.items())
        return f"eyesight train {self.data} --model {self.model} --budget {self.within:g}s --validation 0{extra}"


ROWS = (
    Row("mnist", 0.97, 0.8, "whitened-16-32-32"),
    Row("mnist", 0.99, 4, "whitened-16-32-32"),
    Row("mnist", 0.995, 20, "whitened-32-64-64"),
    Row("mnist", 0.997, 120, "whitened-64-128-128"),
    Row("fashion-mnist", 0.914, 8, "whitened-16-32-32"),
    Row("fashion-mnist", 0.9225, 12, "whitened-32-64-64"),
    Row("fashion-mnist", 0.94, 120, "whitened-64-128-128"),
    Row("fashion-mnist", 0.95, 360, "whitened-64-256-256"),
    Row("cifar10", 0.70, 8, "whitened-16-32-32"),
    Row("cifar10", 0.85, 40, "whitened-32-64-64"),
    Row("cifar10", 0.90, 120, "whitened-64-128-128", SMALLER_FIRST),
    Row("cifar10", 0.94, 480, "whitened-64-256-256", SMALLER_FIRST | {"recipe.batch_size": 500}),
)


def rate() -> float:
    """Return FLOP/s of a bf16 convolution, forward and backward, of the kind that the networks are made of."""
    x = torch.randn(250, 64, 15, 15).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(256, 64, 3, 3).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn(250, 256, 15, 15).bfloat16().contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        torch.autograd.grad(F.conv2d(x, weight, padding=1), (x, weight), gradient)
        times.append(time.perf_counter() - started)
    return 3 * 2 * 250 * 256 * 64 * 9 * 15 * 15 / statistics.median(times[1:])


def train(row: Row, seed: int, data_dir: Path) -> dict[str, float]:
    """Train once; return test accuracy, seconds, and updates."""
    flops = rate()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = eyesight.train(
            row.data,
            model=row.model,
            budget=row.within,
            validation=0,
            settings={"recipe.keep": "last", **row.settings},
            seed=seed,
            data_dir=data_dir,
            output=Path(folder) / "run",
            progress=False,
        )
        seconds = time.perf_counter() - started
        return {
            "accuracy": accuracy(run, run.data().test),
            "seconds": round(seconds, 2),
            "updates": run.metrics()[-1]["step"],
            "epochs": round(run.metrics()[-1]["step"] * run.config.recipe.batch_size / len(run.data().train), 2),
            "rate": round(flops / 1e9),
        }


def show(row: Row, runs: dict[str, dict[str, float]]) -> bool:
    """Print a line; tell whether the target is met."""
    accuracies = [run["accuracy"] for run in runs.values()]
    mean = statistics.mean(accuracies)
    spread = f" ± {statistics.stdev(accuracies):.4f}" if len(accuracies) > 1 else ""
    seconds = statistics.median(run["seconds"] for run in runs.values())
    teraflops = statistics.median(run["seconds"] * run["rate"] / 1e3 for run in runs.values())
    late = seconds > row.within + max(1.0, 0.02 * row.within)
    met = mean >= row.reach and not late
    print(
        f"{row.name:20} {mean:.4f}{spread} (n = {len(runs)}), target {row.reach:g} in {row.within:g} s: "
        f"{'met' if met else 'MISSED'}; {seconds:.1f} s, the time of {teraflops:.1f} TFLOP of convolutions; "
        f"{statistics.median(run['epochs'] for run in runs.values()):.1f} epochs",
        flush=True,
    )
    return met


def main() -> int:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds mnist/, fashion-mnist/ and cifar-10/")
    parser.add_argument("--json", type=Path, required=True, help="where all runs are noted")
    parser.add_argument("--rows", type=lambda text: text.split(","), default=[row.name for row in ROWS])
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=list("01234"))
    arguments = parser.parse_args()
    file: Path = arguments.json
    results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": {}}
    results["machine"] = machine.announce()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        eyesight.train("digits", model=ROWS[0].model, updates=1, output=Path(folder) / "run", progress=False)
        print(f"the first training in this process, one update on the digits: {time.perf_counter() - started:.1f} s")
    met = []
    for row in (row for row in ROWS if row.name in arguments.rows):
        print(row.command)
        runs = results["rows"].setdefault(row.name, {})
        for seed in arguments.seeds:
            if seed not in runs:
                runs[seed] = train(row, int(seed), arguments.data_dir)
                file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        met.append(show(row, runs))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
