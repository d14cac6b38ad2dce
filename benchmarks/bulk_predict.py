"""How fast `eyesight predict --output` is, beside its two halves: decoding alone and the engine alone, in one run.

    python benchmarks/bulk_predict.py PHOTOS [--pictures 2000] [--small 20000] [--rounds 3] [--json FILE]

Two cases: PHOTOS, each as often as needed, by efficientnet-lite0; and drawn PNG files of 28x28 by small-cnn with random
weights. In every round, three times are taken: all files decoded in threads and thrown away; as many pictures, decoded
already, through the engine; and the whole command's function, files to CSV. The first two have all cores, as they have
when they run alone; together they share them, so that a whole that does both can at best take the sum of their times
where both are busy with arithmetic. That bound is printed too.

Exit code 1 where the whole reaches less than 80 % of the slower half's rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import machine
from eyesight.api import load_classifier, predict_files
from eyesight.bulk.predict import block_size, read_ahead
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.models import network_spec
from eyesight.models.network import NetworkWeights
from eyesight.pictures.preprocess import Preprocessing
from eyesight.pictures.sources import picture_files

LEAST = 0.8  # of the rate of the slower half
SIDE = 28


def link_photos(photos: Path, folder: Path, count: int) -> None:
    """Fill a folder with so many names of photos."""
    found = picture_files([photos])
    for i in range(count):
        source = found[i % len(found)].resolve()
        (folder / f"{i}{source.suffix}").symlink_to(source)


def draw_small(folder: Path, count: int) -> None:
    """Fill a folder with so many small pictures: smooth ones, as digits are."""
    rng = np.random.default_rng(0)
    for i in range(count):
        few = Image.fromarray(rng.integers(0, 256, (5, 5), np.uint8))
        few.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{i}.png")


def small_classifier(path: Path) -> None:
    """Write a small-cnn with random weights."""
    spec = network_spec("small-cnn", shape=(SIDE, SIDE, 1), classes=10)
    rng = np.random.default_rng(0)
    arrays = {key: rng.normal(0, 0.05, shape).astype(np.float32) for key, shape in spec.weights().items()}
    preprocessing = Preprocessing(height=SIDE, width=SIDE, channels=1, mean=(0.5,), std=(0.25,))
    Classifier(NetworkWeights(spec, arrays), InferenceSpec(preprocessing=preprocessing), "0123456789").save(path)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(model: str, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return pictures a second of the three, for every round."""
    classifier = load_classifier(model)
    preprocessing = classifier.inference.preprocessing
    paths = picture_files([folder])
    size = block_size(preprocessing)
    block = np.stack([found for _, found in read_ahead(paths[:size], preprocessing)])
    classifier.logits(block)  # the session is made at the first call

    def decode() -> None:
        for _ in read_ahead(paths, preprocessing):
            pass

    def compute() -> None:
        for _ in range(-(-len(paths) // size)):
            classifier.logits(block)

    def both() -> None:
        predict_files(model, folder, folder.parent / "answers.csv", overwrite=True)

    rates: dict[str, list[float]] = {"decode": [], "engine": [], "bulk": []}
    for _ in range(rounds):
        for name, work in zip(rates, (decode, compute, both), strict=True):
            rates[name].append(len(paths) / timed(work))
    return rates


def show(name: str, rates: dict[str, list[float]]) -> bool:
    """Print the rates of a case; tell whether the whole is as fast as it is to be."""
    decode, engine, bulk = (statistics.median(rates[kind]) for kind in ("decode", "engine", "bulk"))
    for kind, values in rates.items():
        spread = f"{min(values):,.0f} to {max(values):,.0f}, n = {len(values)}"
        print(f"{name:30} {kind:8} {statistics.median(values):9,.0f} pictures/s  ({spread})")
    share, bound = bulk / min(decode, engine), 1 / (1 / decode + 1 / engine)
    print(
        f"{name:30} {share:.0%} of the slower half (at least {LEAST:.0%}: {'met' if share >= LEAST else 'MISSED'}); "
        f"{bulk / bound:.0%} of {bound:,.0f}, which both halves one after the other would reach",
        flush=True,
    )
    return share >= LEAST


def main() -> int:
    """Measure both cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--small", type=int, default=20_000, help="pictures of 28x28")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where everything measured is written")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine.announce(), "cores": os.cpu_count(), "cases": {}}
    met = []
    with tempfile.TemporaryDirectory() as place:
        photos, small = Path(place, "photos"), Path(place, "small")
        photos.mkdir()
        small.mkdir()
        link_photos(arguments.photos, photos, arguments.pictures)
        draw_small(small, arguments.small)
        small_classifier(Path(place, "small.safetensors"))
        for name, model, folder in (
            ("lite0 on photos", "efficientnet-lite0", photos),
            (f"small-cnn on {SIDE}x{SIDE}", f"{place}/small.safetensors", small),
        ):
            found = results["cases"][name] = measure(model, folder, arguments.rounds)
            met.append(show(name, found))
    if arguments.json:
        arguments.json.write_text(json.dumps(results) + "\n", encoding="utf-8")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
