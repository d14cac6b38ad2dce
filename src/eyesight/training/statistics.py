"""What batch-norm layers collect before a network with averaged weights predicts, and torch's seed for an update.

In: a job and its network. Out: running means and variances in the network. It changes no weights.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from ..device import autocast
from .batches import step_seed
from .events import Control
from .job import Job
from .validation import check

_STATISTICS_BATCHES, _STATISTICS_PICTURES = 32, 4000  # at most, for the statistics of batch norm


def seed_torch(job: Job, step: int) -> None:
    """Seed torch's own generators, which dropout draws from, for one update."""
    seed = step_seed(job.config.seed, step)
    torch.default_generator.manual_seed(seed)
    if job.device.type == "cuda":
        torch.cuda.manual_seed_all(seed)


def statistics_batches(job: Job) -> int:
    """Return how many batches the statistics of batch norm are collected from."""
    enough = math.ceil(_STATISTICS_PICTURES / job.recipe.batch_size)
    return min(_STATISTICS_BATCHES, enough, job.batches.steps_per_epoch)


@torch.no_grad()
def collect_statistics(job: Job, network: nn.Module, control: Control) -> None:
    """Let batch-norm layers see the first batches of the training's first epoch, always the same.

    Raises:
        StopAsked: the control, asked between batches, wants to stop.
    """
    network.train()
    for step in range(statistics_batches(job)):
        check(control)
        seed_torch(job, step)  # for dropout before a batch norm
        images, _ = job.batches.batch(step)
        with autocast(job.device, job.precision):
            network(images)
