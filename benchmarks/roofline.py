"""How near a training comes to what the machine can compute, and where the rest of the time goes.

    python benchmarks/roofline.py --data-dir DATA [--data cifar10] [--model whitened-64-256-256] [--batch-size 500]
                                  [--updates 20] [--precision bf16] [--json FILE] [--set recipe.flip=true …]

Measures, in one run: the rate at which torch computes each convolution of the network on its own, forward and backward
(the roof: the FLOPs of all of them over the sum of their times); then updates of the real training, with the time of
each part, and the share of the roof that training reaches from end to end. FLOPs are those of `eyesight summary`:
2 for each multiply-add, and three times those of the forward pass for a layer whose weights and input both need
gradients.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

import eyesight
import machine
from eyesight.cli.arguments import parse_setting
from eyesight.models.layers import Conv, Linear, Whitening
from eyesight.models.network import leaves
from eyesight.training import loop
from eyesight.training.job import Job, prepare
from eyesight.training.plan.resolve import read_request
from eyesight.training.state import TrainState

KINDS = {
    "convolution": ("conv",),
    "dense": ("mm", "linear"),
    "batch norm": ("batch_norm",),
    "activation": ("gelu", "relu", "silu", "tanh"),
    "pooling": ("pool", "amax", "max"),
    "copies and casts": ("copy_", "_to_copy", "clone", "contiguous"),
}


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, after two that are not counted."""
    times = []
    for i in range(repeats + 2):
        started = time.perf_counter()
        call()
        if i >= 2:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def convolutions(job: Job, state: TrainState) -> list[dict[str, Any]]:
    """Measure each convolution of the network alone, as training computes it."""
    dtype = torch.bfloat16 if job.precision == "bf16" else torch.float32
    spec = state.network.spec
    rows = []
    inputs_need_gradients = False
    for path, layer, shape in leaves(spec.whole, spec.input):
        if not isinstance(layer, Conv | Whitening):
            continue
        module = state.network.get_submodule(path)
        x = torch.randn(job.recipe.batch_size, *shape).to(job.device, dtype, memory_format=torch.channels_last)
        weight = module.weight.detach().to(dtype)
        x.requires_grad_(inputs_need_gradients)
        weight.requires_grad_(module.weight.requires_grad)

        def forward(x: torch.Tensor = x, weight: torch.Tensor = weight, module: Any = module) -> torch.Tensor:
            return F.conv2d(x, weight, stride=module.stride, padding=module.padding)

        gradient = torch.randn_like(forward())

        def both(
            wanted: tuple[torch.Tensor, ...] = tuple(t for t in (x, weight) if t.requires_grad),
            forward: Callable[[], torch.Tensor] = forward,
            gradient: torch.Tensor = gradient,
        ) -> None:
            result = forward()
            if wanted:
                torch.autograd.grad(result, wanted, gradient)

        passes = 1 + x.requires_grad + weight.requires_grad
        flops = layer.flops(shape) * passes * job.recipe.batch_size
        rows.append({"layer": path, "flops": flops, "seconds": median_seconds(both, 5)})
        # a whitening without a bias learns nothing, so that the backward pass ends after it
        inputs_need_gradients |= any(parameter.requires_grad for parameter in module.parameters())
    return rows


def parts(job: Job, state: TrainState, updates: int) -> dict[str, float]:
    """Time the parts of updates; return median seconds of each."""
    times: dict[str, list[float]] = {"data": [], "forward": [], "backward": [], "optimizer": []}
    network, optimizer = state.network.train(), state.optimizer
    for step in range(updates + 2):
        marks = [time.perf_counter()]
        images, labels = job.batches.batch(step)
        marks.append(time.perf_counter())
        with loop.autocast(job.device, job.precision):
            logits = network(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=job.recipe.label_smoothing)
        marks.append(time.perf_counter())
        optimizer.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        with loop.autocast(job.device, job.precision):
            optimizer.step()
        marks.append(time.perf_counter())
        if step >= 2:
            for name, start, end in zip(times, marks[:-1], marks[1:], strict=True):
                times[name].append(end - start)
    return {name: statistics.median(values) for name, values in times.items()}


def kinds(job: Job, state: TrainState, updates: int) -> dict[str, float]:
    """Profile updates as the loop makes them; return the share of time of each kind of operation."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for step in range(updates):
            state.step = step
            loop.train_step(job, state, 0.5)
    shares = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in found.key_averages():
        name = event.key.lower()
        kind = next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "other")
        shares[kind] += event.self_cpu_time_total
    total = sum(shares.values())
    return {kind: value / total for kind, value in shares.items()}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--model", default="whitened-64-256-256")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    about = machine.announce()
    data = eyesight.load_data(arguments.data, data_dir=arguments.data_dir)
    given = {
        "model.name": arguments.model,
        "recipe.batch_size": arguments.batch_size,
        "machine.precision": arguments.precision,
        "machine.threads": torch.get_num_threads(),
    }
    given = {key: value for key, value in given.items() if value is not None}
    changes = given | dict(map(parse_setting, arguments.settings))
    job, state = prepare(data, read_request(changes=changes).config)
    alone = convolutions(job, state)
    flops = sum(row["flops"] for row in alone)
    roof = flops / sum(row["seconds"] for row in alone)
    for row in alone:
        print(f"{row['layer']:24} {row['flops'] / row['seconds'] / 1e9:6.0f} GFLOP/s  {1e3 * row['seconds']:7.1f} ms")
    print(f"{'all convolutions alone':24} {roof / 1e9:6.0f} GFLOP/s  {1e3 * flops / roof:7.1f} ms")
    timed = parts(job, state, arguments.updates)
    whole = sum(timed.values())
    dense = sum(
        3 * layer.flops(shape) * job.recipe.batch_size
        for _, layer, shape in leaves(state.network.spec.whole, state.network.spec.input)
        if isinstance(layer, Linear)
    )
    reached = (flops + dense) / whole
    for name, seconds in timed.items():
        print(f"{name:24} {100 * seconds / whole:6.1f} %        {1e3 * seconds:7.1f} ms")
    share = f"{100 * reached / roof:.0f} % of the roof"
    print(f"{'an update':24} {reached / 1e9:6.0f} GFLOP/s  {1e3 * whole:7.1f} ms, {share}")
    shares = kinds(job, state, max(2, arguments.updates // 4))
    print("by kind: " + ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in shares.items()))
    if arguments.json:
        values = {
            "machine": about,
            "convolutions": alone,
            "roof": roof,
            "parts": timed,
            "reached": reached,
            "kinds": shares,
        }
        arguments.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
