"""Looking at the validation pictures during training, and what follows from it: the best epoch, and when to stop.

In: a job, a network, the history so far. Out: figures and decisions. It changes no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data.dataset import Split
from ..device import autocast
from ..metrics import cross_entropy
from .batches import stream
from .events import Control
from .job import Job
from .recipe import Recipe

_BATCH = 2048  # pictures gathered at a time
_STATISTICS_BATCHES = 32  # enough for the statistics of batch norm

Row = dict[str, Any]


def validate(job: Job, network: nn.Module, split: Split, step: int, control: Control) -> tuple[float, float] | None:
    """Return loss and accuracy on a split, with the network as it predicts (float32, evaluation mode).

    Args:
        job: says how many pictures are looked at.
        network: what is judged; in training mode again afterwards.
        split: the validation pictures.
        step: updates done; where only a sample is looked at, it depends on this.
        control: asked between batches; where it wants to stop, the result is None.
    """
    classifier = job.classifier(network)
    ids = np.arange(len(split))
    if job.recipe.validation_sample is not None:
        ids = stream(job.config.seed, "validation", step).integers(len(split), size=job.recipe.validation_sample)
    losses, correct = [], 0
    for start in range(0, len(ids), _BATCH):
        if control.stop_signal is not None:
            network.train()
            return None
        part = ids[start : start + _BATCH]
        logits, labels = classifier.logits(split.gather(part)), split.labels[part]
        losses.append(cross_entropy(logits, labels))
        correct += int((logits.argmax(1) == labels).sum())
    network.train()
    return float(np.concatenate(losses).mean()), correct / len(ids)


@torch.no_grad()
def collect_statistics(job: Job, network: nn.Module) -> None:
    """Let batch-norm layers see the first batches of the training's first epoch, always the same."""
    network.train()
    for step in range(min(_STATISTICS_BATCHES, job.batches.steps_per_epoch)):
        images, _ = job.batches.batch(step)
        with autocast(job.device, job.precision):
            network(images)


def best_row(history: Sequence[Row], recipe: Recipe) -> Row:
    """Return the best epoch; of equal accuracies the one with the lower loss, of equal ones the first."""
    history = comparable(history)
    if recipe.early_stopping and recipe.early_stopping.monitor == "val_loss":
        return min(history, key=lambda row: nan_last(row["val_loss"]))
    return min(history, key=lambda row: (-row["val_accuracy"], nan_last(row["val_loss"])))


def early_stop(history: Sequence[Row], recipe: Recipe) -> str:
    """Return why to stop now, or ""."""
    stopping = recipe.early_stopping
    if stopping is None:
        return ""
    sign = -1 if stopping.monitor == "val_accuracy" else 1
    figures = [nan_last(sign * row[stopping.monitor]) for row in comparable(history)]  # lower is better
    waited = len(figures) - 1 - figures.index(min(figures))
    return f"no better {stopping.monitor} for {waited} epochs" if waited >= stopping.patience else ""


def comparable(history: Sequence[Row]) -> list[Row]:
    """Return the epochs that were judged on the validation pictures of now, which `--force` can change."""
    return [row for row in history if not row.get("superseded")]


def nan_last(value: float) -> float:
    """Return infinity for NaN, so that it sorts last."""
    return math.inf if math.isnan(value) else value
