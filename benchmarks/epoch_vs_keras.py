"""An epoch at batch 32 on Keras and on eyesight, and the accuracy both reach: the tutorials' T2 and T3, in one run.

    python benchmarks/epoch_vs_keras.py --keras-python PATH --data-dir DATA [--part speed|accuracy|both] [--json FILE]

Run it with eyesight's Python on a machine that has nothing else to do; keras/README.md makes the other environment.

Speed (about 7 minutes): each side sits in a process of its own, which loads its data, warms up, and waits. Then one
epoch of Keras, one of eyesight, and so on, `--repeats` times. Neither validates; loading and preparing are left out.
Prints median, min, max and n of both sides in seconds, the ratio of the medians, and the ratio of each pair.
Target: an epoch takes at most a third of Keras' time.

Accuracy (about 25 minutes): `--epochs` epochs with each of `--seeds`, all else as in the tutorials: batch 32, Adam at
a constant 1e-3, pixels / 255, all training pictures, the test set as validation. Prints mean ± standard deviation of
the test accuracy after the last epoch. Target: no worse, that is, not below Keras by more than two standard errors of
the difference. Keras takes most of the time; `--keras-json FILE` takes its accuracies from an earlier run instead:
{"T2": {"seeds": {"0": [{"val_accuracy": 0.5}, … one for each epoch]}}}.

Exit code 1 when a target is missed. `--limit N` uses N training pictures on both sides, to try the script out.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from pathlib import Path

import machine
from worker import Result, Worker

HERE = Path(__file__).resolve().parent
TUTORIALS = {"T2": "CIFAR-10, small-cnn", "T3": "Fashion-MNIST, small-cnn-same"}
TARGET_RATIO = 1 / 3


def start(side: str, tutorial: str, arguments: argparse.Namespace) -> Worker:
    """Start one side and wait until it is ready."""
    python, script = {
        "Keras": (arguments.keras_python, "keras/tutorial_epoch.py"),
        "eyesight": (sys.executable, "eyesight_epoch.py"),
    }[side]
    limit = [] if arguments.limit is None else ["--limit", str(arguments.limit)]
    worker = Worker(side, [str(python), str(HERE / script), tutorial, str(arguments.data_dir), *limit])
    about = worker.about
    print(f"  {side}: {', '.join(f'{name} {version}' for name, version in about['versions'].items())}", end="")
    print("".join(f", {key} {about[key]}" for key in ("device", "precision", "threads") if key in about), flush=True)
    return worker


def start_both(tutorial: str, arguments: argparse.Namespace) -> tuple[Worker, Worker]:
    """Start both sides and make sure that they are about the same thing."""
    keras, ours = start("Keras", tutorial, arguments), start("eyesight", tutorial, arguments)
    for key in ("parameters", "pictures"):
        if keras.about[key] != ours.about[key]:
            raise SystemExit(f"{tutorial}: {key}: Keras {keras.about[key]}, eyesight {ours.about[key]}")
    print(f"  {ours.about['parameters']:,} parameters, {ours.about['pictures']:,} pictures", flush=True)
    return keras, ours


def speed(tutorial: str, arguments: argparse.Namespace) -> Result:
    """Time epochs of both sides in turn."""
    workers = start_both(tutorial, arguments)
    seconds: dict[str, list[float]] = {worker.side: [] for worker in workers}
    for _ in range(arguments.repeats):
        for worker in workers:
            seconds[worker.side].append(worker.ask(do="epoch")["seconds"])
    for worker in workers:
        worker.close()
        s = seconds[worker.side]
        print(f"  {worker.side:8}  median {statistics.median(s):6.2f} s  ", end="")
        print(f"min {min(s):6.2f}  max {max(s):6.2f}  n = {len(s)}")
    ratio = statistics.median(seconds["eyesight"]) / statistics.median(seconds["Keras"])
    pairs = [ours / theirs for theirs, ours in zip(seconds["Keras"], seconds["eyesight"], strict=True)]
    met = ratio <= TARGET_RATIO
    print(
        f"  ratio of medians {ratio:.3f} (target: at most {TARGET_RATIO:.3f}, {'met' if met else 'MISSED'});", end=" "
    )
    print(f"of pairs {' '.join(f'{pair:.3f}' for pair in pairs)}", flush=True)
    about = {worker.side: worker.about for worker in workers}
    return {"about": about, "seconds": seconds, "ratio": ratio, "pairs": pairs, "met": met}


def accuracy(tutorial: str, arguments: argparse.Namespace) -> Result:
    """Train on both sides with every seed and compare test accuracies."""
    found = {"Keras": [], "eyesight": []} if arguments.keras_json is None else {"eyesight": []}
    for side, accuracies in found.items():
        worker = start(side, tutorial, arguments)
        for seed in arguments.seeds:
            answer = worker.ask(do="accuracy", seed=seed, epochs=arguments.epochs)
            accuracies.append(answer["accuracy"])
            print(f"  {side:8}  seed {seed}: {answer['accuracy']:.4f} in {answer['seconds']:.0f} s", flush=True)
        worker.close()
    if arguments.keras_json is not None:
        found["Keras"] = saved_accuracies(tutorial, arguments)
        print(f"  Keras     read from {arguments.keras_json}, not trained here")
    difference = statistics.mean(found["eyesight"]) - statistics.mean(found["Keras"])
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in found.values()))
    for side in ("Keras", "eyesight"):
        values = found[side]
        print(f"  {side:8}  {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}  ", end="")
        print(f"n = {len(values)}: {' '.join(f'{value:.4f}' for value in values)}")
    met = difference >= -2 * error
    print(f"  difference {difference:+.4f}, standard error {error:.4f} ", end="")
    print(f"(target: no worse than Keras, {'met' if met else 'MISSED'})", flush=True)
    source = "trained here" if arguments.keras_json is None else str(arguments.keras_json)
    return {"keras": source, "accuracy": found, "difference": difference, "standard_error": error, "met": met}


def saved_accuracies(tutorial: str, arguments: argparse.Namespace) -> list[float]:
    """Return Keras' accuracies of an earlier run with the same seeds and epochs."""
    file = arguments.keras_json
    runs = json.loads(file.read_text(encoding="utf-8")).get(tutorial, {}).get("seeds", {})
    for seed in arguments.seeds:
        rows = runs.get(str(seed), [])
        if len(rows) != arguments.epochs:
            raise SystemExit(f"{file}: {tutorial}, seed {seed}: expected {arguments.epochs} epochs; found: {len(rows)}")
    return [runs[str(seed)][-1]["val_accuracy"] for seed in arguments.seeds]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="holds fashion-mnist/ and cifar-10/")
    parser.add_argument("--keras-python", type=Path, help="python of the environment with Keras")
    parser.add_argument("--part", choices=("speed", "accuracy", "both"), default="both")
    parser.add_argument("--tutorials", type=lambda text: text.split(","), default=list(TUTORIALS), help="T2,T3")
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each side")
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10, help="of each accuracy run")
    parser.add_argument("--keras-json", type=Path, help="take Keras' accuracies from here")
    parser.add_argument("--limit", type=int, help="training pictures to use")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    arguments = parser.parse_args()
    if arguments.keras_python is None and not (arguments.part == "accuracy" and arguments.keras_json):
        parser.error("--keras-python is needed, except for --part accuracy with --keras-json")
    if arguments.keras_python and not arguments.keras_python.is_file():
        parser.error(f"--keras-python: no such file: {arguments.keras_python}")
    if arguments.keras_json and arguments.limit:
        parser.error("--keras-json, --limit: would compare runs on different data")
    if arguments.part != "speed" and len(arguments.seeds) < 2:
        parser.error("--seeds: a spread needs two at least")
    if unknown := set(arguments.tutorials) - set(TUTORIALS):
        parser.error(f"--tutorials: expected T2 or T3; received: {', '.join(sorted(unknown))}")
    return arguments


def main() -> int:
    """Measure, print, write; return the exit code."""
    arguments = parse()
    results: Result = {"machine": machine.announce(), "limit": arguments.limit, "epochs": arguments.epochs}
    met = []
    for name, measure in (("speed", speed), ("accuracy", accuracy)):
        if arguments.part not in (name, "both"):
            continue
        for tutorial in arguments.tutorials:
            print(f"{name}, {tutorial}: {TUTORIALS[tutorial]}", flush=True)
            results.setdefault(name, {})[tutorial] = measure(tutorial, arguments)
            met.append(results[name][tutorial]["met"])
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
