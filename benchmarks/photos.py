"""How long training on a folder of photos takes, and how good it is: from the shell to the end of the process.

    python benchmarks/photos.py FOLDER [--backbones efficientnet-lite0 efficientnet-lite2] [--repeats 3]
        [--tune 5m] [--json FILE]

FOLDER has train/ and val/, as hymenoptera has. For each pretrained network it trains with an empty cache (cold: photos
are decoded and their features computed) and again (cached), in new processes, and prints the medians, with the accuracy
on val/ and the one that cross-validation expects. Beside it stands training from scratch in as much time as the cold
training took. With --tune, each network is tuned for so much time too, with an empty cache; val/ then decides between
probe and tuned network, and both accuracies are printed. The pretrained weights are in eyesight's format already, as
after the first use of a machine.

Exit code 1 where efficientnet-lite0 takes more than 20 s cold or 6 s cached, or where val/ is below 0.93, or 0.945 with
efficientnet-lite2.
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
from pathlib import Path
from typing import Any

import machine

MOST = {"cold": 20.0, "cached": 6.0}  # seconds, with efficientnet-lite0
LEAST = {"efficientnet-lite0": 0.93, "efficientnet-lite2": 0.945}  # accuracy on val/


def train(photos: Path, run: Path, cache: Path, *options: str) -> float:
    """Train in a process of its own; return its seconds."""
    command = [sys.executable, "-m", "eyesight", "train", str(photos), "--output", str(run), *options]
    began = time.perf_counter()
    subprocess.run(command, env=os.environ | {"EYESIGHT_CACHE": str(cache)}, check=True, capture_output=True)
    return time.perf_counter() - began


def measure(photos: Path, backbone: str, repeats: int) -> dict[str, Any]:
    """Train cold and cached by turns, and from scratch in the same time."""
    seconds: dict[str, list[float]] = {"cold": [], "cached": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(repeats):
            for kind, taken in seconds.items():
                run = folder / f"{kind}-{i}"
                taken.append(train(photos, run, folder / f"cache-{i}", "--backbone", backbone))
        row = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8"))
        medians = {kind: statistics.median(values) for kind, values in seconds.items()}
        budget = f"{max(medians['cold'], 1):.0f}s"
        scratch = folder / "scratch"
        train(photos, scratch, folder / "cache-0", "--model", "whitened-32-64-64", "--budget", budget)
        rows = [json.loads(line) for line in (scratch / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "backbone": backbone,
        "seconds": seconds,
        **medians,
        "val": row["val_accuracy"],
        "cross_validation": row["oof_accuracy"],
        "scratch_val": max(row["val_accuracy"] for row in rows),
    }


def measure_tuning(photos: Path, backbone: str, budget: str) -> dict[str, Any]:
    """Tune with an empty cache; return the seconds, and the accuracies of the probe and the tuned network."""
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        seconds = train(photos, run, Path(name) / "cache", "--backbone", backbone, "--tune", "--budget", budget)
        about = json.loads((run / "run.json").read_text(encoding="utf-8"))
        rows = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    tuning = about["tuning"]
    return {
        "budget": budget,
        "seconds": seconds,
        "epochs": json.loads(rows[-1])["step"] / about["steps_per_epoch"],
        "kept": tuning["kept"],
        "probe": tuning["probe"]["accuracy"],
        "tuned": tuning["tuned"]["accuracy"],
    }


def misses(found: dict[str, Any]) -> list[str]:
    """Return what is not as it should be."""
    backbone = found["backbone"]
    slow = [kind for kind, most in MOST.items() if backbone == "efficientnet-lite0" and found[kind] > most]
    bad = ["val"] if found["val"] < LEAST.get(backbone, 0) else []
    return [f"{backbone}: {what} is {found[what]:.3f}" for what in (*slow, *bad)]


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--backbones", nargs="+", default=list(LEAST))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tune", metavar="BUDGET")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = machine.describe()
    from eyesight.backbones import load_backbone

    found = []
    print(f"{'backbone':20} {'cold':>7} {'cached':>7} {'val':>7} {'expected':>9} {'scratch':>8}")
    for backbone in arguments.backbones:
        load_backbone(backbone)
        row = measure(arguments.photos, backbone, arguments.repeats)
        found.append(row)
        print(
            f"{backbone:20} {row['cold']:5.1f} s {row['cached']:5.1f} s {row['val']:7.4f} "
            f"{row['cross_validation']:9.4f} {row['scratch_val']:8.4f}"
        )
        if arguments.tune:
            tuning = row["tuning"] = measure_tuning(arguments.photos, backbone, arguments.tune)
            print(
                f"{'  --tune ' + arguments.tune:20} {tuning['seconds']:5.1f} s, {tuning['epochs']:.1f} epochs: "
                f"probe {tuning['probe']:.4f}, tuned {tuning['tuned']:.4f}; kept: {tuning['kept']}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "results": found}, indent=2), encoding="utf-8")
    problems = [problem for row in found for problem in misses(row)]
    for problem in problems:
        print(f"not as it should be: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
