"""How good the five tutorials become with eyesight, and our configuration for the same data, side by side, over seeds.

    python benchmarks/tutorials.py --data-dir DATA --json FILE [--tutorials NAME,…] [--seeds 0,1,2,3,4] [--record]

Run it with the Python of eyesight's environment on a machine that has nothing else to do; with all tutorials and five
seeds about two hours on two cores. The two sides of a tutorial are trained in turn with each seed. Every run is written
to FILE at once, and one that FILE has already is not repeated. `--threads 1` lets two of these share a machine, each
with its own FILE; times are then those of the runs that had the most threads, so let one seed run alone.

Prints test accuracy (mean ± standard deviation, n) and median seconds of each side, the difference, and the ratio of
times seed by seed; exits with 1 where ours is not better or takes longer. `--record` puts the summaries into the
package, where `eyesight tutorial` finds them.

Our configurations are chosen on pictures held out of the training set, never on the test set:

    python benchmarks/tutorials.py --data-dir DATA --choose lenet5-mnist [--set recipe.lr=3e-3] [--seeds 0,1]

trains ours, changed by `--set`, on nine tenths of the training pictures and prints the accuracy on the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import eyesight
import machine
from eyesight.cli.arguments import parse_setting
from eyesight.lessons.tutorials import programs as presets
from runs import Results, accuracy, summary, write

SIDES = ("eyesight", "ours")
FIGURES = Path(presets.__file__).with_name(presets.FIGURES_FILE)


def train(
    preset: presets.Tutorial, data: eyesight.Dataset, side: str, seed: int, threads: int | None
) -> dict[str, float]:
    """Train one side with one seed; return test accuracy, and seconds from the call to the end of the last epoch."""
    config = preset.configuration(ours=side == "ours", seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = eyesight.train(
            data.with_validation(config.data.validation),
            config=config.model_dump(),
            output=Path(folder) / "run",
            threads=threads,
            progress=False,
        )
        last = run.metrics()[-1]
        found = {"accuracy": accuracy(run.classifier, data.split("test")), "seconds": round(last["seconds"], 2)}
        return found | {"epochs": last["epoch"], "updates": last["step"], "threads": threads or os.cpu_count() or 1}


def timed(runs: dict[str, dict[str, float]]) -> list[str]:
    """Return the seeds whose times count: those of the runs with the most threads."""
    threads = max(run["threads"] for run in runs.values())
    return [seed for seed, run in runs.items() if run["threads"] == threads]


def compare(name: str, runs: dict[str, Any]) -> bool:
    """Print both sides of a tutorial; tell whether ours is better and takes no longer."""
    keras, sides = presets.find(name).measured.keras, {side: summary(runs[side], timed(runs[side])) for side in SIDES}
    if keras is not None:
        print(f"  Keras     {keras.mean:.4f} ± {keras.deviation:.4f}  n = {keras.n}  (earlier, measured.json)")
    for side, got in sides.items():
        print(f"  {side:8}  {got['mean']:.4f} ± {got['deviation']:.4f}  n = {got['n']}", end="  ")
        print(f"median {got['seconds_median']:.1f} s")
    ratios = [runs["ours"][seed]["seconds"] / runs["eyesight"][seed]["seconds"] for seed in timed(runs["ours"])]
    gain = sides["ours"]["mean"] - sides["eyesight"]["mean"]
    met = gain > 0 and statistics.median(ratios) <= 1
    print(f"  ours: {gain:+.4f}; times {' '.join(f'{ratio:.2f}' for ratio in ratios)} of the tutorial's", end=" ")
    print(f"(target: better, and at most 1.00 in the median: {'met' if met else 'MISSED'})", flush=True)
    return met


def measure(arguments: argparse.Namespace) -> int:
    """Train what is missing, print, write; return the exit code."""
    file: Path = arguments.json
    results: Results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"tutorials": {}}
    results["machine"] = machine.announce()
    met = []
    for name in arguments.tutorials:
        preset = presets.find(name)
        print(f"{name}: {preset.title}", flush=True)
        data = eyesight.load_data(preset.config["data"]["name"], data_dir=arguments.data_dir, validation=0)
        runs = results["tutorials"].setdefault(name, {side: {} for side in SIDES})
        for seed in arguments.seeds:
            for side in SIDES:
                if str(seed) not in runs[side]:
                    runs[side][str(seed)] = found = train(preset, data, side, seed, arguments.threads)
                    print(f"  {side:8}  seed {seed}: {found['accuracy']:.4f} in {found['seconds']:.1f} s", flush=True)
                    write(file, results)
        met.append(compare(name, runs))
        if arguments.record:
            record(name, runs)
    return 0 if all(met) else 1


def record(name: str, runs: dict[str, Any]) -> None:
    """Put both sides' summaries into the package."""
    values = json.loads(FIGURES.read_text(encoding="utf-8"))
    values["tutorials"][name] |= {side: summary(runs[side], timed(runs[side])) for side in SIDES}
    write(FIGURES, values)


def choose(arguments: argparse.Namespace) -> int:
    """Train ours, perhaps changed, on nine tenths of the training pictures; print the accuracy on the others."""
    preset = presets.find(arguments.choose)
    data = eyesight.load_data(preset.config["data"]["name"], data_dir=arguments.data_dir, validation=0.1)
    settings = dict(map(parse_setting, arguments.settings))
    found = []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            run = eyesight.train(
                data,
                config=preset.ours,
                settings={"recipe.keep": "last"} | settings,
                seed=seed,
                output=Path(folder) / "run",
                progress=False,
            )
            found.append(run.metrics()[-1]["val_accuracy"])
            print(f"  seed {seed}: {found[-1]:.4f} in {run.metrics()[-1]['seconds']:.1f} s", flush=True)
    spread = f" ± {statistics.stdev(found):.4f}" if len(found) > 1 else ""
    print(f"{preset.name}, ours {settings or ''}: {statistics.mean(found):.4f}{spread} of the held-out pictures")
    return 0


def numbers(text: str) -> list[int]:
    """Return the whole numbers between commas."""
    return [int(word) for word in text.split(",")]


def main() -> int:
    """Read the command line, and do one or the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds mnist/, fashion-mnist/ and cifar-10/")
    parser.add_argument("--json", type=Path, help="where all runs are noted")
    parser.add_argument("--tutorials", type=lambda text: text.split(","), default=list(presets.TUTORIALS))
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, help="of each training; all cores, where not given")
    parser.add_argument("--record", action="store_true", help="put the summaries into the package")
    parser.add_argument("--choose", choices=list(presets.TUTORIALS), help="try ours on held-out pictures instead")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    if arguments.choose:
        return choose(arguments)
    if arguments.json is None or arguments.settings:
        parser.error("--json is needed, and --set goes with --choose only")
    if len(arguments.seeds) < 2:
        parser.error("--seeds: a spread needs two at least")
    return measure(arguments)


if __name__ == "__main__":
    sys.exit(main())
