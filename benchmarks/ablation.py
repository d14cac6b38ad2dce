"""What each technique of the fast networks is worth: one left out, added or changed at a time, by time or updates.

    python benchmarks/ablation.py --data-dir DATA --json FILE [--data cifar10] [--budget 30 | --epochs 8]
                                  [--pictures 10000] [--seeds 0,1,2,3,4] [--network whitened-32-64-64-s2]
                                  [--only all,adam-1e-2,…]

Trains a network, whitened-32-64-64 where none is named, on nine tenths of the training pictures, or as many of them as
--pictures says, by the clock, so that a technique that slows training down has fewer updates (with --epochs all have as
many, whatever the machine does meanwhile), and prints the accuracy on the rest: mean, standard deviation, and
the difference from the recipe as it is, with its standard error over seeds. The test set is not looked at. All variants
take turns with each seed; those that only predict otherwise are judged on the classifier of the recipe as it is. Every
run is written to FILE at once, and one that FILE has already is not repeated.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import eyesight
from eyesight.data.augment import Changes
from eyesight.device import autocast
from eyesight.models import NETWORKS
from eyesight.models.elementwise import Activation, BatchNorm
from eyesight.models.families.whitened import Input
from eyesight.models.layers import Chain, Conv, Whitening, chain
from eyesight.models.network import NetworkSpec, leaves
from eyesight.training import loop
from eyesight.training.batches import Batches, stream
from eyesight.training.job import Job
from eyesight.training.loop import train_step
from eyesight.training.optim.averaging import AVERAGES, NoAverage
from eyesight.training.plan.resolve import recommend
from eyesight.training.state import TrainState
from runs import accuracy, open_results, warm_up, write

NETWORK = "whitened-32-64-64"
BATCH_SIZE = 250  # of all variants that do not change it; else the planner would decide, of registered networks only
ALL = "all"
LOOKAHEAD_EVERY, LOOKAHEAD_DECAY = 5, 0.92  # updates; at the end 0.92³ = 0.78 of the average stays
FROZEN_FROM = 0.7
HARDER_FROM = 0.3

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    ALL: ("the recipe as it is", {}),
    "learnt-stem": ("first convolution learnt, not whitened", {}),
    "stem-bias": ("first convolution with a bias that is learnt", {}),
    "random-weights": ("random first weights, no identities", {}),
    "learnt-scales": ("batch norm with learnt scales", {}),
    "adam-3e-3": ("Adam, rate 0.003", {"recipe.optimizer": "adam", "recipe.lr": 3e-3, "recipe.schedule": "linear"}),
    "adam-1e-2": ("Adam, rate 0.01", {"recipe.optimizer": "adam", "recipe.lr": 1e-2, "recipe.schedule": "linear"}),
    "sgd": ("Nesterov SGD, rate 0.1", {"recipe.optimizer": "sgd", "recipe.lr": 0.1, "recipe.schedule": "linear"}),
    "lr-0.1": ("rate 0.1", {"recipe.lr": 0.1}),
    "lr-0.4": ("rate 0.4", {"recipe.lr": 0.4}),
    "cosine": ("cosine schedule", {"recipe.schedule": "cosine"}),
    "one-cycle": ("one-cycle schedule", {"recipe.schedule": "one-cycle"}),
    "no-smoothing": ("no label smoothing", {"recipe.label_smoothing": 0.0}),
    "smoothing-0.2": ("label smoothing 0.2", {"recipe.label_smoothing": 0.2}),
    "alternating-flip": ("flips that alternate", {}),
    "no-flip": ("no flips, one view", {"recipe.flip": False}),
    "no-shift": ("pictures are not moved", {"recipe.shift": 0}),
    "one-view": ("one view in prediction", {}),
    "six-views": ("six views in prediction", {}),
    "ema": ("moving average of the weights", {"recipe.averaging": "ema"}),
    "swa": ("average of the last quarter", {"recipe.averaging": "swa"}),
    "lookahead": ("lookahead", {"recipe.averaging": "lookahead"}),
    "late-freezing": ("first block stays from 70 % on", {"recipe.averaging": "late-freezing"}),
    "harder-half": ("batches of 500, from 30 % on the harder half of each", {"recipe.batch_size": 500}),
    "smaller-first": ("smaller pictures at first", {"recipe.resolution": [[0.4, 0.5], [0.75, 0.75]]}),
    "batch-125": ("batches of 125", {"recipe.batch_size": 125}),
    "batch-500": ("batches of 500", {"recipe.batch_size": 500}),
}


@dataclass
class Changed:
    """A network with one of its techniques undone.

    Attributes:
        name: of the network as it is.
    """

    name: str

    def spec(self, shape: Input, classes: int) -> NetworkSpec:
        """Return the network as it is, for pictures of shape (C, H, W)."""
        spec: NetworkSpec = NETWORKS.load(self.name)(shape, classes)
        return spec

    def learnt_stem(self, shape: Input, classes: int) -> NetworkSpec:
        """Put an ordinary convolution of the same size in place of the whitening."""
        whitening = self.whitening(shape, classes)
        if whitening.stride > 1:
            raise SystemExit(f"learnt-stem: {self.name} looks at every second place; ordinary convolutions do not")
        return self.with_stem(shape, classes, conv=Conv(out=2 * whitening.components, kernel=whitening.kernel))

    def stem_bias(self, shape: Input, classes: int) -> NetworkSpec:
        """Let the whitening learn a bias, which needs the gradient of the first block's input."""
        whitening = self.whitening(shape, classes)
        return self.with_stem(shape, classes, whitening=whitening.model_copy(update={"bias": True}))

    def whitening(self, shape: Input, classes: int) -> Whitening:
        """Return the first layer as it is."""
        (_, first, _), *_ = leaves(self.spec(shape, classes).features, shape)
        assert isinstance(first, Whitening)
        return first

    def with_stem(self, shape: Input, classes: int, **first: Conv | Whitening) -> NetworkSpec:
        """Return the network with another first layer."""
        spec = self.spec(shape, classes)
        stages = dict(spec.features.layers)
        stem = chain(**first, relu=Activation(function="relu"))
        return spec.model_copy(update={"features": chain(**stages | {"stage0": stem})})

    def random_weights(self, shape: Input, classes: int) -> NetworkSpec:
        """Draw all filters at random."""
        return self.spec(shape, classes).model_copy(update={"initialisation": "glorot-uniform"})

    def learnt_scales(self, shape: Input, classes: int) -> NetworkSpec:
        """Let batch norm learn scales too."""
        spec = self.spec(shape, classes)
        return spec.model_copy(update={"features": _with_scales(spec.features)})


changed = Changed(NETWORK)


def _with_scales(tree: Chain) -> Chain:
    changed: dict[str, Any] = {}
    for name, layer in tree.layers:
        if isinstance(layer, BatchNorm):
            layer = layer.model_copy(update={"scale": True})  # noqa: PLW2901
        changed[name] = _with_scales(layer) if isinstance(layer, Chain) else layer
    return chain(**changed)


class Lookahead(NoAverage):
    """Every five updates the weights go back towards their moving average, at the end less and less away from it.

    Source: Zhang et al., 2019; the strength over the training as in Jordan, 2024.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[torch.Tensor] = []

    @torch.no_grad()
    def update(self, network: nn.Module, progress: float) -> None:
        """Move the slow weights towards the fast ones, and put the fast ones there."""
        fast = list(network.parameters())
        self.slow = self.slow or [parameter.detach().clone() for parameter in fast]
        self.count += 1
        if self.count % LOOKAHEAD_EVERY == 0:
            share = 1 - (LOOKAHEAD_DECAY * progress) ** 3
            torch._foreach_lerp_(self.slow, fast, share)
            torch._foreach_copy_(fast, self.slow)


class LateFreezing(NoAverage):
    """From a moment on the first block is not trained any more, which saves its part of the backward pass."""

    def update(self, network: nn.Module, progress: float) -> None:
        """Freeze."""
        if progress >= FROZEN_FROM:
            network.get_submodule("features.stage1").requires_grad_(False)


@dataclass(frozen=True)
class Kept:
    """Batches with one batch in it: what was kept of a larger one."""

    images: torch.Tensor
    labels: torch.Tensor

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002 # as of Batches
        """Return it, whatever the update."""
        return self.images, self.labels


def harder_half(job: Job, state: TrainState, progress: float) -> None:
    """Make an update, later on with the half of the batch that the network knows least: a forward pass tells which.

    Source: Jiang et al., "Accelerating deep learning by focusing on the biggest losers", 2019.
    """
    if progress < HARDER_FROM:
        train_step(job, state, progress)
        return
    images, labels = job.batches.batch(state.step)
    with torch.no_grad(), autocast(job.device, job.precision):
        logits = state.network(images)
    statistics_of_all = {name: value.clone() for name, value in state.network.named_buffers()}
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    harder = losses.topk(len(labels) // 2, sorted=False).indices.sort().values
    kept = Kept(images[harder].contiguous(memory_format=torch.channels_last), labels[harder])
    train_step(dataclasses.replace(job, batches=kept), state, progress)  # type: ignore[arg-type] # all it asks for
    with torch.no_grad():
        for name, value in state.network.named_buffers():
            value.copy_(statistics_of_all[name])


drawn_changes = Batches._changes


def alternating(batches: Batches, epoch: int) -> Changes:
    """Mirror each picture every second time that it comes. Source: Jordan, 2024."""
    first = stream(batches.seed, "first flips").random(len(batches.split)) < 0.5
    flips = first[batches.order(epoch)] ^ (epoch % 2 == 1)
    return dataclasses.replace(drawn_changes(batches, epoch), flips=flips)


VIEWS = {"one-view": "one", "six-views": "mirror-shift"}
OWN_STEPS = {"harder-half": harder_half}
OWN_CHANGES = {"alternating-flip": alternating}
OWN_AVERAGES = {"lookahead": Lookahead, "late-freezing": LateFreezing}
OWN_NETWORKS = {
    name: name.replace("-", "_") for name in ("learnt-stem", "stem-bias", "random-weights", "learnt-scales")
}


def train(data: eyesight.Dataset, variant: str, length: dict[str, float], seed: int) -> dict[str, dict[str, float]]:
    """Train a variant once without looking at the held-out pictures.

    Args:
        data: with held-out pictures.
        variant: one of `VARIANTS`.
        length: `recipe.budget` in seconds, or `recipe.epochs`.
        seed: of the training.

    Returns:
        The accuracy on them, and updates; beside those of `ALL` those of its classifier with other views.
    """
    learned = dataclasses.replace(data, validation=None)
    held_out = data.validation
    assert held_out is not None
    model = f"{changed.name}-{variant}" if variant in OWN_NETWORKS else changed.name
    step = mock.patch.object(loop, "train_step", OWN_STEPS.get(variant, train_step))
    changes = mock.patch.object(Batches, "_changes", OWN_CHANGES.get(variant, drawn_changes))
    with step, changes, tempfile.TemporaryDirectory() as folder:
        run = eyesight.train(
            learned,
            settings={
                "model.name": model,
                "recipe.keep": "last",
                "recipe.batch_size": BATCH_SIZE,
                **length,
                **VARIANTS[variant][1],
            },
            seed=seed,
            output=Path(folder) / "run",
            progress=False,
        )
        updates, classifier = run.metrics()[-1]["step"], run.classifier
        found = {variant: {"accuracy": accuracy(classifier, held_out), "updates": updates}}
        for name, views in VIEWS.items() if variant == ALL else ():
            classifier.inference = classifier.inference.model_copy(update={"views": views})
            found[name] = {"accuracy": accuracy(classifier, held_out), "updates": updates}
        return found


def show(results: dict[str, Any], names: list[str]) -> None:
    """Print the table as Markdown."""
    base = results["runs"].get(ALL, {})
    print("| variant | accuracy on held-out pictures | difference | updates | n |\n|---|---:|---:|---:|---:|")
    for name in names:
        runs = results["runs"].get(name, {})
        if len(runs) < 2:
            continue
        accuracies = [run["accuracy"] for run in runs.values()]
        pairs = [runs[seed]["accuracy"] - base[seed]["accuracy"] for seed in runs if seed in base]
        change = ""
        if name != ALL and len(pairs) > 1:
            error = statistics.stdev(pairs) / math.sqrt(len(pairs))
            change = f"{statistics.mean(pairs):+.4f} ± {error:.4f}"
        updates = statistics.median(run["updates"] for run in runs.values())
        print(
            f"| {VARIANTS[name][0]} | {statistics.mean(accuracies):.4f} ± {statistics.stdev(accuracies):.4f} "
            f"| {change} | {updates:,.0f} | {len(runs)} |"
        )


def main() -> int:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True, help="where all runs are noted")
    parser.add_argument("--data", default="cifar10", choices=("mnist", "fashion-mnist", "cifar10"))
    parser.add_argument(
        "--network", default=NETWORK, choices=[name for name in NETWORKS if name.startswith("whitened")]
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--budget", type=float, default=30, help="seconds of each training")
    either.add_argument("--epochs", type=int, help="of each training, instead of seconds")
    parser.add_argument("--pictures", type=int, help="how many to train on; all where it is not given")
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=list("01234"))
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(VARIANTS))
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(VARIANTS):
        parser.error(f"--only: no such variant: {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    changed.name = arguments.network
    for name, change in OWN_NETWORKS.items():
        NETWORKS.add(f"{changed.name}-{name}", f"{__name__}:changed.{change}")
    for name, average in OWN_AVERAGES.items():
        AVERAGES.add(name, f"{__name__}:{average.__name__}")
    file: Path = arguments.json
    data = eyesight.load_data(arguments.data, data_dir=arguments.data_dir, validation=0.1)
    if arguments.pictures:
        if not 0 < arguments.pictures <= len(data.train):
            parser.error(f"--pictures: expected 1 to {len(data.train)}; received: {arguments.pictures}")
        data = dataclasses.replace(data, train=data.train.select(np.arange(arguments.pictures), name="train"))
    budget = {"recipe.budget": arguments.budget}
    length = {"recipe.epochs": arguments.epochs} if arguments.epochs else budget
    results = open_results(
        file,
        data=arguments.data,
        network=changed.name,
        recipe=recommend(changed.name, data) | {"batch_size": BATCH_SIZE},
        pictures=len(data.train),
        length=length,
    )
    warm_up()
    for seed in arguments.seeds:
        for name in arguments.only:
            if seed in results["runs"].get(name, {}):
                continue
            for found, run in train(data, ALL if name in VIEWS else name, length, int(seed)).items():
                results["runs"].setdefault(found, {}).setdefault(seed, run)
                print(f"seed {seed}: {run['accuracy']:.4f}  {VARIANTS[found][0]}", file=sys.stderr, flush=True)
            write(file, results)
    show(results, arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
