"""How well the planner knows what a network's training takes on this machine.

    python benchmarks/planned_speed.py --data-dir DATA [--data cifar10] [--precision auto]

Measures the machine's two rates as `eyesight train --budget` does, and then updates of each network that may be
planned, with its own recipe. Prints, for each, the time per picture that the planner assumes, the one that training
takes (median), and their ratio.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import eyesight
import machine
from eyesight.device import choose_device, choose_precision, keep_freed_memory, synchronise
from eyesight.models import network_spec
from eyesight.training import loop
from eyesight.training.job import prepare
from eyesight.training.plan.planner import CANDIDATES, seconds_per_picture
from eyesight.training.plan.resolve import read_request, recommend
from eyesight.training.plan.speed import machine_speed
from roofline import median_seconds

MEASURED = 0.4  # seconds, as for a budget of 40 s


def seconds(data: eyesight.Dataset, network: str, precision: str, updates: int) -> float:
    """Return the median time that an update takes for each of its pictures, after two that are not counted."""
    recipe = {f"recipe.{key}": value for key, value in recommend(network, data).items()}
    changes = recipe | {
        "model.name": network,
        "machine.precision": precision,
        "machine.threads": torch.get_num_threads(),
    }
    job, state = prepare(data, read_request(changes=changes | recipe).config)
    state.network.train()

    def update() -> None:
        loop.train_step(job, state, 0.5)
        synchronise(job.device)
        state.step += 1

    return median_seconds(update, updates) / job.recipe.batch_size


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--updates", type=int, default=10)
    arguments = parser.parse_args()
    machine.announce()
    keep_freed_memory()
    data = eyesight.load_data(arguments.data, data_dir=arguments.data_dir)
    device = choose_device("auto")
    speed = machine_speed(device, choose_precision(arguments.precision, device), seconds=MEASURED)
    print(
        f"convolutions {speed.convolutions / 1e9:,.0f} GFLOP/s; between them {speed.elementwise / 1e6:,.0f} M numbers/s"
    )
    print("| network | planned, µs per picture | in training | ratio |\n|---|---:|---:|---:|")
    for candidate in CANDIDATES:
        planned = seconds_per_picture(network_spec(candidate.name, shape=data.shape, classes=len(data.classes)), speed)
        actual = seconds(data, candidate.name, arguments.precision, arguments.updates)
        print(f"| `{candidate.name}` | {1e6 * planned:.0f} | {1e6 * actual:.0f} | {planned / actual:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
