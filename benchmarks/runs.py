"""What benchmarks that train over seeds share: a warm process, a file of runs, the accuracy of a run.

In: a file, a run. Out: results as plain data, an accuracy.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import eyesight
import machine
from eyesight.classifier import Classifier
from eyesight.data.dataset import Split

Results = dict[str, Any]


def open_results(file: Path, **about: Any) -> Results:
    """Return what a file holds of earlier runs, with the machine announced; a new file's contents where there is none.

    Raises:
        SystemExit: the file is of another machine, or `about` something else.
    """
    results: Results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"runs": {}}
    now = machine.announce()
    before = results.get("machine", now)
    for what, was, found in (
        *((key, before[key], now[key]) for key in ("processor", "cores")),
        *((key, results.get("about", about).get(key), value) for key, value in about.items()),
    ):
        if was != found:
            raise SystemExit(f"{file}: holds runs of another {what}: {was}; now: {found}")
    return results | {"machine": now, "about": about}


def summary(runs: Results, timed: Iterable[str]) -> dict[str, float]:
    """Return what the package holds of runs by seed: test accuracy of all, and the median time of those in `timed`."""
    accuracies = [run["accuracy"] for run in runs.values()]
    return {
        "mean": round(statistics.mean(accuracies), 5),
        "deviation": round(statistics.stdev(accuracies), 5) if len(accuracies) > 1 else 0.0,
        "n": len(runs),
        "seconds_median": round(statistics.median(runs[seed]["seconds"] for seed in timed), 1),
    }


def write(file: Path, results: Results) -> None:
    """Write all runs, or the figures that the package holds."""
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def warm_up() -> float:
    """Make an update on the digits, for which Python loads what training needs; return the seconds it took."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        eyesight.train("digits", updates=1, output=Path(folder) / "run", progress=False)
    return time.perf_counter() - started


def accuracy(classifier: Classifier, split: Split) -> float:
    """Return the share of a split's pictures that a classifier gets right."""
    right = [
        (classifier.logits(split.gather(ids)).argmax(axis=1) == split.labels[ids]).sum()
        for ids in np.array_split(np.arange(len(split)), 5)
    ]
    return int(np.sum(right)) / len(split)
