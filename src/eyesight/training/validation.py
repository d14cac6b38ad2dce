"""Looking at the validation pictures during training, and what follows from it: the best epoch, and when to stop.

In: a job, a network, the history so far. Out: figures and decisions. It changes no weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ..data.dataset import Split, pictures_within
from ..metrics import cross_entropy
from .batches import stream
from .events import Control
from .job import Job
from .plan.recipe import Recipe

_MEMORY, _MOST = 4 << 20, 256  # bytes, and pictures, at a time: a signal waits for no more than these

EpochRow = dict[str, Any]


class StopAsked(Exception):
    """The control asked to stop in the middle of looking at pictures; nothing has changed."""


def validate(job: Job, network: nn.Module, split: Split, step: int, control: Control) -> tuple[float, float]:
    """Return loss and accuracy on a split, with the network as it predicts (float32, evaluation mode).

    Args:
        job: says how many pictures are looked at.
        network: what is judged; in training mode again afterwards.
        split: the validation pictures.
        step: updates done; where only a sample is looked at, it depends on this.
        control: asked between batches.

    Raises:
        StopAsked: the control wants to stop.
    """
    classifier = job.classifier(network)
    ids = np.arange(len(split))
    if job.recipe.validation_sample is not None:
        ids = stream(job.config.seed, "validation", step).integers(len(split), size=job.recipe.validation_sample)
    losses, correct = [], 0
    size = min(pictures_within(_MEMORY, split.store.shape), _MOST)
    try:
        for start in range(0, len(ids), size):
            check(control)
            part = ids[start : start + size]
            logits, labels = classifier.logits(split.gather(part)), split.labels[part]
            losses.append(cross_entropy(logits, labels))
            correct += int((logits.argmax(1) == labels).sum())
    finally:
        network.train()
    return float(np.concatenate(losses).mean()), correct / len(ids)


def check(control: Control) -> None:
    """Raise `StopAsked` where the control wants to stop."""
    if control.stop_signal is not None:
        raise StopAsked


def best_row(history: Sequence[EpochRow], recipe: Recipe) -> EpochRow:
    """Return the best epoch; of equal accuracies the one with the lower loss, of equal ones the first."""
    if recipe.early_stopping and recipe.early_stopping.monitor == "val_loss":
        return min(history, key=lambda row: nan_last(row["val_loss"]))
    return min(history, key=lambda row: (-row["val_accuracy"], nan_last(row["val_loss"])))


def early_stop(history: Sequence[EpochRow], recipe: Recipe) -> str:
    """Return why to stop now, or ""."""
    stopping = recipe.early_stopping
    if stopping is None:
        return ""
    sign = -1 if stopping.monitor == "val_accuracy" else 1
    figures = [nan_last(sign * row[stopping.monitor]) for row in history]  # lower is better
    waited = len(figures) - 1 - figures.index(min(figures))
    length = "1 epoch" if waited == 1 else f"{waited} epochs"
    return f"no better {stopping.monitor} for {length}" if waited >= stopping.patience else ""


def nan_last(value: float) -> float:
    """Return infinity for NaN, so that it sorts last."""
    return math.inf if math.isnan(value) else value
