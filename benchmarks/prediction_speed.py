"""How fast networks predict: eyesight, bare ONNX Runtime and, where its environment is named, Keras, in one run.

    python benchmarks/prediction_speed.py [--keras-python PATH] [--json FILE] [--repeats 300] [--pictures 2000]
        [--rounds 5]

Each side sits in a process of its own (keras/README.md makes the environment of Keras). They take turns, round by
round: `--repeats` single pictures one after the other (latency: median and 99th percentile), then `--pictures` pictures
at once (throughput). All start from uint8 pictures (N, 32, 32, 3) and end with logits, or Keras' own output. ONNX
Runtime takes part twice: with threads that wait quietly, as eyesight's do, and with its default, which spin.
The networks are small-cnn, which is the one of the CIFAR-10 tutorial, and whitened-64-256-256, the one of the 94 %
preset, which Keras has no program of. Weights are drawn at random; the sides that have the same ones must agree.

Exit code 1 where eyesight takes more than 1.1 times what quiet ONNX Runtime takes, with one picture or with many.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import machine
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.models import network_spec
from eyesight.models.torch_network import channels_last
from eyesight.pictures.preprocess import Preprocessing
from worker import Worker

HERE = Path(__file__).resolve().parent
NETWORKS = {"small-cnn": True, "whitened-64-256-256": False}  # and whether Keras has it
MOST = 1.1  # times what ONNX Runtime takes
AGREE = 1e-4  # of the largest logit, in fp32
Answers = dict[str, list[float]]


def random_classifier(name: str, folder: Path) -> Path:
    """Write a classifier whose batch norm has seen pictures, and its weights to weights.npz for the other side."""
    spec = network_spec(name, shape=(32, 32, 3), classes=10)
    network = spec.build()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, 32, 32, generator=generator)
    network.initialise(generator, images)
    with torch.no_grad():
        network.train()(images)
    preprocessing = Preprocessing(height=32, width=32, channels=3, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    classes = [f"class {k}" for k in range(10)]
    classifier = Classifier(channels_last(network), InferenceSpec(preprocessing=preprocessing), classes)
    path = folder / "model.safetensors"
    classifier.save(path)
    weights = {f"weight/{key}": value.numpy() for key, value in network.state_dict().items()}
    np.savez(folder / "weights.npz", tree=spec.model_dump_json(), mean=0.5, std=0.25, **weights)
    return path


def start(name: str, folder: Path, keras_python: Path | None) -> list[Worker]:
    """Start all sides for a network."""
    path = random_classifier(name, folder)
    onnx = [sys.executable, str(HERE / "predict_onnx.py"), str(folder / "weights.npz")]
    workers = [
        Worker("eyesight", [sys.executable, str(HERE / "predict_eyesight.py"), str(path)]),
        Worker("ONNX Runtime, quiet", [*onnx, "quiet"]),
        Worker("ONNX Runtime, spinning", [*onnx, "spinning"]),
    ]
    if NETWORKS[name] and keras_python:
        workers.append(Worker("Keras predict", [str(keras_python), str(HERE / "keras" / "predict_keras.py")]))
    return workers


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Let all sides take turns; return what each answered."""
    with tempfile.TemporaryDirectory() as folder:
        workers = start(name, Path(folder), arguments.keras_python)
        ours, bare = (np.array(worker.ask(do="logits")["logits"]) for worker in workers[:2])
        apart = float(np.abs(ours - bare).max() / np.abs(bare).max())
        if not apart < AGREE:
            raise SystemExit(f"{name}: eyesight and ONNX Runtime differ by {apart:.1e} of the largest logit")
        found: dict[str, Answers] = {worker.side: {"latency": [], "throughput": []} for worker in workers}
        for turn in range(arguments.rounds):
            order = workers if turn % 2 == 0 else workers[::-1]
            for worker in order:
                found[worker.side]["latency"] += worker.ask(do="latency", repeats=arguments.repeats)["seconds"]
            for worker in order:
                seconds = worker.ask(do="throughput", pictures=arguments.pictures)["seconds"]
                found[worker.side]["throughput"].append(arguments.pictures / seconds)
        about = {worker.side: worker.about for worker in workers}
        for worker in workers:
            worker.close()
    return {"about": about, "agree": apart, "sides": found}


def show(name: str, found: dict[str, Answers]) -> bool:
    """Print a line for each side; tell whether eyesight is as fast as it is to be."""
    rows = {
        side: (
            *(1e3 * float(np.percentile(answers["latency"], share)) for share in (50, 99)),
            statistics.median(answers["throughput"]),
        )
        for side, answers in found.items()
    }
    for side, (middle, slow, rate) in rows.items():
        print(f"{name:20} {side:22} p50 {middle:7.3f} ms  p99 {slow:7.3f} ms  {rate:8,.0f} pictures/s", flush=True)
    (ours, _, rate), *others = rows.values()
    met = True
    for side, (middle, _, most) in zip([*rows][1:], others, strict=True):
        one, many = ours / middle, most / rate
        verdict = ""
        if side.endswith("quiet"):
            met = max(one, many) <= MOST
            verdict = f" (at most {MOST}: {'met' if met else 'MISSED'})"
        print(f"{'':20} eyesight / {side}: {one:.2f} of its time with one picture, {many:.2f} with many{verdict}")
    return met


def main() -> int:
    """Measure all networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras-python", type=Path, help="Python of Keras' environment")
    parser.add_argument("--json", type=Path, help="where everything measured is written")
    parser.add_argument("--repeats", type=int, default=300, help="single pictures in a round")
    parser.add_argument("--pictures", type=int, default=2000, help="pictures at once")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine.announce(), "networks": {}}
    met = []
    for name in NETWORKS:
        found = results["networks"][name] = measure(name, arguments)
        met.append(show(name, found["sides"]))
        if arguments.json:
            arguments.json.write_text(json.dumps(results) + "\n", encoding="utf-8")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
