"""How accurate a classifier becomes in a given time, on MNIST, Fashion-MNIST and CIFAR-10.

    python benchmarks/accuracy_in_time.py --data-dir DATA --json FILE [--presets mnist-4s,cifar10-40s]
        [--seeds 0,1,2,3,4] [--keras-python PATH] [--record]

Each row is one command, `eyesight train --preset NAME`, with all training pictures. The time runs from the call, before
the data is opened, to the saved model. What Python loads when it trains for the first time is left out: an update on
the digits comes before, and its time is printed.

Prints a table: the network that was planned for the time, test accuracy (mean ± standard deviation, n), the target,
seconds (median), and that time as TFLOP: how many convolutions would have been computed in it, at the rate measured
before each run. Then the time of a whole process with all it imports, of the shortest of the presets. Every run is
written to FILE at once, and one that FILE has already is not repeated. Exits with 1 where a target is missed.
`--record` puts the summaries into the package, where `eyesight presets` finds them.

With --keras-python, the Python of Keras' own environment (see keras/README.md), four of the tutorials' programs run as
well, once each and without a seed, and the fastest preset that reaches the accuracy that Keras reached is held against
their time.

Networks and recipes were chosen on pictures held out of the training set; the test set is looked at once for each run.
"""

from __future__ import annotations

import argparse
import dataclasses
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
from eyesight.training.plan import presets as catalog
from eyesight.training.plan.planner import CANDIDATES
from eyesight.training.plan.presets import PRESETS, Preset
from eyesight.training.plan.speed import convolution_rate
from machine import EYESIGHT
from runs import accuracy, open_results, summary, warm_up, write

TARGETS = {
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
    "cifar10-1920s": 0.95,
}
KERAS = {"T1": ("fashion-mnist", 20), "T2": ("cifar10", 20), "T3": ("fashion-mnist", 20), "T4": ("mnist", 10)}
FIGURES = Path(catalog.__file__).with_name(catalog.FIGURES_FILE)
Runs = dict[str, dict[str, Any]]


def train(preset: Preset, seed: int, data_dir: Path) -> dict[str, Any]:
    """Train once; return test accuracy, seconds, updates, and what was planned."""
    device = choose_device("auto")
    flops = convolution_rate(device, choose_precision("auto", device), seconds=0.2).per_second
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
            "accuracy": accuracy(run.classifier, run.data().test),
            "network": run.config.model.name,
            "batch_size": run.config.recipe.batch_size,
            "smaller_first": bool(run.config.recipe.resolution),
            "seconds": round(seconds, 2),
            "updates": run.metrics()[-1]["step"],
            "epochs": round(run.metrics()[-1]["step"] * run.config.recipe.batch_size / len(run.data().train), 2),
            "rate": round(flops / 1e9),
        }


def networks(runs: Runs) -> str:
    """Return which networks were planned; mostly it is one."""
    return ", ".join(sorted({run["network"] for run in runs.values()}))


def show(preset: Preset, runs: Runs) -> bool:
    """Print a line of the table; tell whether the target is met."""
    found = summary(runs, runs)
    seconds = statistics.median(run["seconds"] for run in runs.values())
    teraflops = statistics.median(run["seconds"] * run["rate"] / 1e3 for run in runs.values())
    epochs = statistics.median(run["epochs"] for run in runs.values())
    late = seconds > preset.budget + max(1.0, 0.02 * preset.budget)
    target = TARGETS.get(preset.name, 0.0)
    met = found["mean"] >= target and not late
    print(
        f"| `{preset.command}` | {networks(runs).replace('whitened-', '')} | {found['mean']:.4f}"
        + (f" ± {found['deviation']:.4f}" if len(runs) > 1 else "")
        + f" | {len(runs)} | "
        + (f"{target:g}, {'met' if met else '**missed**'}" if target else "")
        + f" | {seconds:.1f} s{' (late)' if late else ''} | {teraflops:.1f} | {epochs:.1f} |",
        flush=True,
    )
    return met


def whole_process(preset: Preset, data_dir: Path) -> float:
    """Return the seconds of the command, from its start to its end, with all that Python imports."""
    with tempfile.TemporaryDirectory() as folder:
        command = [EYESIGHT, "train", "--preset", preset.name, "--data-dir", str(data_dir), "--output", f"{folder}/run"]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def record(name: str, runs: Runs, machine: dict[str, Any]) -> None:
    """Put a preset's summary into the package, and the machine; one run has no spread, and is no figure to expect."""
    if len(runs) > 1:
        values = json.loads(FIGURES.read_text(encoding="utf-8"))
        values["presets"][name] = {"network": networks(runs), **summary(runs, runs)}
        values["machine"] = f"{machine['cores']} cores of {machine['processor']}, shared with others"
        write(FIGURES, values)


def run_keras(tutorial: str, python: Path, data_dir: Path) -> dict[str, Any]:
    """Run a tutorial's program on Keras; return what it says."""
    script = Path(__file__).resolve().with_name("keras") / "whole_tutorial.py"
    command = [str(python), str(script), tutorial, str(data_dir)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found


def against_keras(results: dict[str, Any]) -> bool:
    """Print how much sooner a preset reaches what the tutorials reach on Keras; tell whether that is met."""
    print("\n| tutorial | on Keras | a preset that reaches as much | times faster | target |")
    print("|---|---:|---|---:|---:|")
    every = []
    for tutorial, (data, target) in KERAS.items():
        keras = results["keras"][tutorial]
        ours = {
            name: (statistics.median(run["seconds"] for run in runs.values()), mean)
            for name, runs in results["runs"].items()
            if name in PRESETS and PRESETS[name].data == data and runs
            if (mean := statistics.mean(run["accuracy"] for run in runs.values())) >= keras["accuracy"]
        }
        name = min(ours, key=lambda name: ours[name], default=None)
        ratio = 0.0 if name is None else keras["seconds"] / ours[name][0]
        every.append(ratio >= target)
        reached = "none" if name is None else f"`{name}`, {ours[name][1]:.4f}"
        print(
            f"| {tutorial} | {keras['accuracy']:.4f} in {keras['seconds']:.1f} s | {reached} "
            f"| {f'{ratio:.2f}' if ratio else ''} | {target}, {'met' if every[-1] else '**missed**'} |"
        )
    return all(every)


def main() -> int:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds mnist/, fashion-mnist/ and cifar-10/")
    parser.add_argument("--json", type=Path, required=True, help="where all runs are noted")
    parser.add_argument("--presets", type=lambda text: text.split(","), default=list(PRESETS))
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=list("01234"))
    parser.add_argument("--keras-python", type=Path, help="Python of Keras' environment, to compare times")
    parser.add_argument("--record", action="store_true", help="put the summaries into the package")
    arguments = parser.parse_args()
    file: Path = arguments.json
    results = open_results(file, candidates=[dataclasses.asdict(candidate) for candidate in CANDIDATES])
    results["first training"] = round(warm_up(), 2)
    presets = [catalog.find(name) for name in arguments.presets]
    for preset in presets:
        runs = results["runs"].setdefault(preset.name, {})
        if results.setdefault("presets", {}).setdefault(preset.name, preset.config) != preset.config:
            raise SystemExit(f"{file}: {preset.name} was another configuration then; take its runs out to repeat them")
        for seed in arguments.seeds:
            if seed not in runs:
                runs[seed] = train(preset, int(seed), arguments.data_dir)
                write(file, results)
                print(f"{preset.name}, seed {seed}: {runs[seed]['accuracy']:.4f}", file=sys.stderr, flush=True)
        if arguments.record:
            record(preset.name, runs, results["machine"])
    for tutorial in KERAS if arguments.keras_python is not None else ():
        if tutorial not in results.setdefault("keras", {}):
            results["keras"][tutorial] = run_keras(tutorial, arguments.keras_python, arguments.data_dir)
            write(file, results)
    shortest = min(presets, key=lambda preset: preset.budget)
    results["whole process"] = {shortest.name: round(whole_process(shortest, arguments.data_dir), 2)}
    write(file, results)

    print("| command | network, whitened- | test accuracy | n | target | time | TFLOP | epochs |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    met = [show(preset, results["runs"][preset.name]) for preset in presets]
    print(
        f"\nThe first training in a process, one update on the digits: {results['first training']:.1f} s. "
        f"`{shortest.command}` from its start to its end, once: {results['whole process'][shortest.name]:.1f} s."
    )
    if "keras" in results:
        met.append(against_keras(results))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
