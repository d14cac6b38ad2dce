"""How accurate a classifier becomes in a given time, on MNIST, Fashion-MNIST and CIFAR-10.

    python benchmarks/accuracy_in_time.py --data-dir DATA --json FILE [--presets mnist-4s,cifar10-40s]
        [--seeds 0,1,2,3,4] [--keras-python PATH] [--record]

Each row is one command, `eyesight train --preset NAME`, with all training pictures. The time runs from the call, before
the data is opened, to the saved model. What Python loads when it trains for the first time is left out: an update on
the digits comes before, and its time is printed.

Prints test accuracy (mean ± standard deviation, n), the target, seconds (median), and that time as FLOPs: how many
convolutions would have been computed in it, at the rate measured before each run. Every run is written to FILE at once,
and one that FILE has already is not repeated. Exits with 1 where a target is missed. `--record` puts the summaries into
the package, where `eyesight presets` finds them.

With --keras-python, the Python of Keras' own environment (see keras/README.md), four of the tutorials' programs run as
well, once each, and the fastest preset that reaches the accuracy that Keras reached is held against their time.

Networks and recipes were chosen on pictures held out of the training set; the test set is looked at once for each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import eyesight
from eyesight.device import choose_device, choose_precision
from eyesight.training import timed
from eyesight.training.speed import convolution_rate
from eyesight.training.timed import TIMED, TimedPreset
from runs import accuracy, open_results, summary, warm_up, write

TARGETS = {
    "mnist-0.8s": 0.97,
    "mnist-4s": 0.99,
    "mnist-20s": 0.995,
    "mnist-120s": 0.997,
    "fashion-mnist-8s": 0.914,
    "fashion-mnist-12s": 0.9225,
    "fashion-mnist-120s": 0.94,
    "fashion-mnist-360s": 0.95,
    "cifar10-8s": 0.70,
    "cifar10-40s": 0.85,
    "cifar10-120s": 0.90,
    "cifar10-480s": 0.94,
}
KERAS = {"T1": ("fashion-mnist", 20), "T2": ("cifar10", 20), "T3": ("fashion-mnist", 20), "T4": ("mnist", 10)}
FIGURES = Path(timed.__file__).with_name(timed.FIGURES_FILE)
Runs = dict[str, dict[str, float]]


def train(preset: TimedPreset, seed: int, data_dir: Path) -> dict[str, float]:
    """Train once; return test accuracy, seconds, and updates."""
    device = choose_device("auto")
    flops = convolution_rate(device, choose_precision("auto", device), seconds=0.2)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = eyesight.train(
            preset=preset.name,
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


def show(preset: TimedPreset, runs: Runs) -> bool:
    """Print a line; tell whether the target is met."""
    found = summary(runs, runs)
    spread = f" ± {found['deviation']:.4f}" if len(runs) > 1 else ""
    seconds = statistics.median(run["seconds"] for run in runs.values())
    teraflops = statistics.median(run["seconds"] * run["rate"] / 1e3 for run in runs.values())
    late = seconds > preset.budget + max(1.0, 0.02 * preset.budget)
    target = TARGETS.get(preset.name, 0.0)
    met = found["mean"] >= target and not late
    print(
        f"{preset.name:20} {found['mean']:.4f}{spread} (n = {len(runs)}), "
        + (f"target {target:g}: {'met' if met else 'MISSED'}; " if target else "")
        + f"{seconds:.1f} s{' (LATE)' if late else ''}, the time of {teraflops:.1f} TFLOP of convolutions; "
        f"{statistics.median(run['epochs'] for run in runs.values()):.1f} epochs",
        flush=True,
    )
    return met


def record(name: str, runs: Runs, machine: dict[str, Any]) -> None:
    """Put a preset's summary into the package, and the machine; one run has no spread, and is no figure to expect."""
    if len(runs) > 1:
        values = json.loads(FIGURES.read_text(encoding="utf-8"))
        values["presets"][name] = summary(runs, runs)
        values["machine"] = f"{machine['cores']} cores of {machine['processor']}, shared with others"
        write(FIGURES, values)


def against_keras(python: Path, data_dir: Path, results: dict[str, Any]) -> bool:
    """Run the tutorials' programs; print how much sooner a preset reaches what they reach; tell whether that is met."""
    script = Path(__file__).resolve().with_name("keras") / "whole_tutorial.py"
    every = []
    for tutorial, (data, target) in KERAS.items():
        if tutorial not in results.setdefault("keras", {}):
            command = [str(python), str(script), tutorial, str(data_dir)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            results["keras"][tutorial] = json.loads(answer.splitlines()[-1])
        keras = results["keras"][tutorial]
        ours = {
            name: summary(runs, runs)
            for name, runs in results["runs"].items()
            if name in TIMED and TIMED[name].data == data and runs and summary(runs, runs)["mean"] >= keras["accuracy"]
        }
        print(f"{tutorial} on Keras: {keras['accuracy']:.4f} in {keras['seconds']:.1f} s", end="; ")
        name = min(ours, key=lambda name: ours[name]["seconds_median"], default=None)
        ratio = 0.0 if name is None else keras["seconds"] / ours[name]["seconds_median"]
        every.append(ratio >= target)
        reached = "no preset reaches it"
        if name is not None:
            reached = f"{name}: {ours[name]['mean']:.4f}, {ratio:.1f} times faster"
        print(f"{reached} (target {target}: {'met' if every[-1] else 'MISSED'})", flush=True)
    return all(every)


def main() -> int:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds mnist/, fashion-mnist/ and cifar-10/")
    parser.add_argument("--json", type=Path, required=True, help="where all runs are noted")
    parser.add_argument("--presets", type=lambda text: text.split(","), default=list(TIMED))
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=list("01234"))
    parser.add_argument("--keras-python", type=Path, help="Python of Keras' environment, to compare times")
    parser.add_argument("--record", action="store_true", help="put the summaries into the package")
    arguments = parser.parse_args()
    file: Path = arguments.json
    results = open_results(file)
    warm_up()
    met = []
    for preset in map(timed.find, arguments.presets):
        print(preset.command)
        runs = results["runs"].setdefault(preset.name, {})
        for seed in arguments.seeds:
            if seed not in runs:
                runs[seed] = train(preset, int(seed), arguments.data_dir)
                write(file, results)
        met.append(show(preset, runs))
        if arguments.record:
            record(preset.name, runs, results["machine"])
    if arguments.keras_python is not None:
        met.append(against_keras(arguments.keras_python, arguments.data_dir, results))
        write(file, results)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
