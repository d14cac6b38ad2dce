"""A longer budget is not worse: accuracy against `--budget`, where the planner chooses the network.

    python benchmarks/accuracy_against_budget.py --data-dir DATA --json FILE [--data mnist,cifar10]
        [--budgets 5,10,20,…] [--seeds 0,1,2] [--held-out] [--figure PNG]

Each run is `eyesight train DATA --budget TIME --validation 0`, judged on the test set once. With --held-out a tenth of
the training pictures is kept away from training and judged instead, to choose by; the data is then opened before the
time begins. Every run is written to FILE at once,
and one that FILE has already is not repeated. Exits with 1 where the mean falls by more than two standard errors from
one budget to the next, or a run ends later than its budget by more than 2 % and 1 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import eyesight
from runs import accuracy, open_results, warm_up, write

DATASETS = ("mnist", "fashion-mnist", "cifar10")
BUDGETS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0)
SHARES = (0.3, 0.5, 1, 2, 5, 10, 20, 30)  # percent, on the figure's axis
LABELS = {"mnist": ("MNIST", 0), "fashion-mnist": ("Fashion-MNIST", -7), "cifar10": ("CIFAR-10", 7)}  # and points above
Runs = dict[str, dict[str, Any]]


def train(name: str, budget: float, seed: int, *, data_dir: Path, held_out: bool) -> dict[str, Any]:
    """Train once; return the accuracy, the seconds from the call to the saved model, and what was planned."""
    judged: eyesight.Split | None = None
    data: str | eyesight.Dataset = name
    options: dict[str, Any] = {"validation": 0}
    if held_out:
        whole = eyesight.load_data(name, data_dir=data_dir, validation=0.1)
        judged, data, options = whole.validation, dataclasses.replace(whole, validation=None), {}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = eyesight.train(
            data,
            budget=budget,
            seed=seed,
            data_dir=data_dir,
            output=Path(folder) / "run",
            settings={"recipe.keep": "last"},
            progress=False,
            **options,
        )
        seconds = time.perf_counter() - started
        recipe, step = run.config.recipe, run.metrics()[-1]["step"]
        return {
            "accuracy": accuracy(run.classifier, judged or run.data().test),
            "seconds": round(seconds, 2),
            "network": run.config.model.name,
            "batch_size": recipe.batch_size,
            "smaller_first": bool(recipe.resolution),
            "updates": step,
        }


def show(name: str, found: dict[str, Runs]) -> bool:
    """Print a line for each budget; tell whether none is worse than the one before, and all ended in time."""
    fine, before = True, (0.0, 0.0)
    for budget, runs in sorted(found.items(), key=lambda item: float(item[0])):
        accuracies = [run["accuracy"] for run in runs.values()]
        mean = statistics.mean(accuracies)
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        error = deviation / math.sqrt(len(accuracies))
        worse = mean < before[0] - 2 * math.hypot(error, before[1])
        before = mean, error
        seconds = max(run["seconds"] for run in runs.values())
        late = seconds > float(budget) + max(1.0, 0.02 * float(budget))
        fine &= not (late or worse)
        networks = " ".join(sorted({run["network"] for run in runs.values()}))
        spread = f" ± {deviation:.4f}" if len(runs) > 1 else ""
        told = "  LATE" * late + "  WORSE than with less time" * worse
        print(
            f"{name:14} {float(budget):5g} s  {mean:.4f}{spread} (n = {len(runs)})  at most {seconds:.1f} s  "
            f"{networks}{told}",
            flush=True,
        )
    return fine


def draw(results: dict[str, dict[str, Runs]], path: Path) -> None:
    """Draw the share of mistakes against the time, both in steps of equal ratios; each line is named at its end."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for (name, found), color in zip(results.items(), ("#1f5fa8", "#d1600a", "#2f7d4f"), strict=True):
        times, errors = zip(*sorted((float(budget), mistakes(runs)) for budget, runs in found.items()), strict=True)
        means = [statistics.mean(values) for values in errors]
        axes.plot(times, means, color=color, marker="o", markersize=5)
        axes.fill_between(times, [min(values) for values in errors], [max(values) for values in errors],
                          color=color, alpha=0.2, lw=0)  # fmt: skip
        title, side = LABELS[name]
        axes.annotate(f"{title}: {means[-1]:.2g} %", (times[-1], means[-1]), (10, side), textcoords="offset points",
                      color=color, va="center", weight="bold")  # fmt: skip
        axes.annotate(f"{means[0]:.2g} %", (times[0], means[0]), (8, 9), textcoords="offset points", color=color)
    axes.set(xscale="log", yscale="log", xlabel="budget: seconds of training", ylabel="mistakes on the test pictures")
    axes.set_xlim(4.3, 2400)  # room for the names
    axes.set_xticks(BUDGETS, [f"{budget:g}" for budget in BUDGETS], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_yticks(SHARES, [f"{share:g} %" for share in SHARES])
    axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def mistakes(runs: Runs) -> list[float]:
    """Return the share of mistakes of each run, in percent."""
    return [100 * (1 - run["accuracy"]) for run in runs.values()]


def main() -> int:
    """Train what is missing, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds mnist/, fashion-mnist/ and cifar-10/")
    parser.add_argument("--json", type=Path, required=True, help="where all runs are noted")
    parser.add_argument("--data", type=lambda text: text.split(","), default=list(DATASETS))
    parser.add_argument("--budgets", type=lambda text: [float(word) for word in text.split(",")], default=BUDGETS)
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=list("012"))
    parser.add_argument("--held-out", action="store_true", help="judge on a tenth of the training pictures instead")
    parser.add_argument("--figure", type=Path, help="a PNG to draw")
    arguments = parser.parse_args()
    file: Path = arguments.json
    results = open_results(file, held_out=arguments.held_out)
    warm_up()
    for name in arguments.data:
        found = results["runs"].setdefault(name, {})
        for seed in arguments.seeds:
            for budget in arguments.budgets:
                runs = found.setdefault(f"{budget:g}", {})
                if seed not in runs:
                    runs[seed] = train(
                        name, budget, int(seed), data_dir=arguments.data_dir, held_out=arguments.held_out
                    )
                    write(file, results)
                    print(f"{name}, {budget:g} s, seed {seed}: {runs[seed]}", file=sys.stderr, flush=True)
    fine = [show(name, results["runs"][name]) for name in arguments.data]
    if arguments.figure:
        draw(results["runs"], arguments.figure)
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
