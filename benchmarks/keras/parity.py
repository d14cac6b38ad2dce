"""Are the five tutorials reproduced to the letter? The same weights and batches through Keras and through eyesight.

    .venv/bin/python benchmarks/keras/parity.py --keras-python .venv-keras/bin/python --data-dir DATA
        [--updates 100] [--rounded] [--json FILE]

Everything is computed in float64 on both sides. eyesight's side is its own training step (`loop.train_step`) with the
tutorial's preset: preprocessing, network, loss, optimizer. The table shows relative norms of the differences,
|ours − Keras| / |Keras|, the largest over all tensors. It fails where one is 1e-5 or more after the first update.

Keras 3.15 on TensorFlow makes float32 numbers of Adam's β₁ and β₂ on their way to float64, which alone is a difference
of 7e-6 in the first step. They are given to it as float64 numbers here; `--rounded` leaves it its own way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eyesight.data import catalog
from eyesight.lessons.tutorials.programs import find
from eyesight.models.layers import Conv, Flatten, Linear
from eyesight.models.network import leaves
from eyesight.training.batches import Batches
from eyesight.training.job import Job, prepare
from eyesight.training.loop import train_step
from eyesight.training.optim import optimizers
from eyesight.training.state import TrainState

TUTORIALS = {
    "T1": "fashion-early-stopping",
    "T2": "cifar10-quickstart",
    "T3": "fashion-same-padding",
    "T4": "lenet5-mnist",
    "T5": "cifar10-dense",
}
PARTS = ("logits", "loss", "gradient", "one", "all")
LIMIT = 1e-5  # after one update


def double_job(name: str, data_dir: Path) -> tuple[Job, TrainState]:
    """Return a tutorial's job and first state, in float64."""
    config = find(TUTORIALS[name]).configuration()
    wanted = config.data
    data = catalog.load(wanted.name, data_dir=data_dir, validation=wanted.validation, seed=wanted.split_seed)
    job, state = prepare(data, config)
    batches = Batches(
        data.train,
        job.preprocessing,
        batch_size=config.recipe.batch_size,
        seed=config.seed,
        device=job.device,
        dtype=torch.float64,
        replacement=config.recipe.sampling == "replacement",
    )
    network = state.network.double()
    return replace(job, batches=batches), TrainState(
        network, optimizers.build(network.named_parameters(), config.recipe), state.sums
    )


def to_keras(network: Any, values: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """Return tensors named like the network's parameters in Keras' order and layout.

    Keras keeps kernels as (height, width, in, out) and (in, out), and flattens height × width × channels, where
    eyesight flattens channels × height × width.
    """
    found: list[torch.Tensor] = []
    pixels: tuple[int, ...] = ()  # (C, H, W) of what was flattened last, until a dense layer has seen it
    for path, layer, shape in leaves(network.spec.whole, network.spec.input):
        if isinstance(layer, Flatten):
            pixels = shape
        if isinstance(layer, Conv):
            found += [values[f"{path}.weight"].permute(2, 3, 1, 0), values[f"{path}.bias"]]
        if isinstance(layer, Linear):
            kernel = values[f"{path}.weight"]  # (out, in)
            if pixels:
                kernel = kernel.reshape(-1, *pixels).permute(0, 2, 3, 1).reshape(kernel.shape)
                pixels = ()
            found += [kernel.T, values[f"{path}.bias"]]
    return [tensor.detach().contiguous().numpy().copy() for tensor in found]


def ours(job: Job, state: TrainState, steps: int) -> dict[str, Any]:
    """Return what `parity_keras.py` answers, from eyesight's side."""
    network = state.network
    answer: dict[str, Any] = {}
    images, _ = job.batches.batch(0)
    with torch.no_grad():
        answer["logits"] = network(images).numpy()
    for step in range(steps):
        train_step(job, state, step / steps)
        state.step += 1
        if step == 0:
            answer["loss"] = float(state.sums[0] / state.sums[2])
            gradients = {name: p.grad.clone() for name, p in network.named_parameters()}
            answer |= {f"gradient/{i}": g for i, g in enumerate(to_keras(network, gradients))}
        if step + 1 in (1, steps):
            stage = "one" if step == 0 else "all"
            answer |= {f"{stage}/{i}": w for i, w in enumerate(to_keras(network, dict(network.named_parameters())))}
    return answer


def difference(a: Any, b: Any) -> float:
    """Return |a − b| / |b|."""
    return float(np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b))


def compare(name: str, steps: int, data_dir: Path, keras_python: Path, *, rounded: bool) -> dict[str, Any]:
    """Run both sides of one tutorial and return the differences, per tensor and the largest."""
    job, state = double_job(name, data_dir)
    first = to_keras(state.network, dict(state.network.named_parameters()))
    ids = [job.batches.ids(step) for step in range(steps)]
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder) / "request.npz", Path(folder) / "answer.npz"
        np.savez(
            request,
            name=name,
            rounded=rounded,
            pictures=np.stack([job.data.train.gather(part) for part in ids]),
            labels=np.stack([job.data.train.labels[part] for part in ids]),
            **{f"weight/{i}": weight for i, weight in enumerate(first)},
        )
        script = Path(__file__).with_name("parity_keras.py")
        subprocess.run([keras_python, script, request, answer], check=True, stderr=subprocess.DEVNULL)
        theirs = dict(np.load(answer, allow_pickle=False))
    found = ours(job, state, steps)
    tensors = {key: difference(found[key], theirs[key]) for key in found}
    parts = {part: max(v for k, v in tensors.items() if k.split("/")[0] == part) for part in PARTS}
    return {"tutorial": name, "preset": TUTORIALS[name], "updates": steps, "largest": parts, "tensors": tensors}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras-python", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--rounded", action="store_true")
    parser.add_argument("--only", nargs="*", default=list(TUTORIALS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print(f"{'':4}{'logits':>10}{'loss':>10}{'gradients':>11}{'weights after 1':>17}{f'after {args.updates}':>12}")
    results = []
    for name in args.only:
        result = compare(name, args.updates, args.data_dir, args.keras_python, rounded=args.rounded)
        results.append(result)
        logits, loss, gradient, one, many = (result["largest"][part] for part in PARTS)
        print(f"{name:4}{logits:10.1e}{loss:10.1e}{gradient:11.1e}{one:17.1e}{many:12.1e}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    worst = max(v for r in results for part, v in r["largest"].items() if part != "all")
    print(f"largest difference after one update: {worst:.1e} (limit {LIMIT:g})")
    return int(worst >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
