"""Averages of the weights over the updates: often better, and always calmer, than the last weights alone.

In: a network while it is trained. Out: its averaged weights, for as long as a context lasts. It does not train.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import nn

from ...registry import Registry

AVERAGES = Registry(
    "averaging",
    {
        "none": "eyesight.training.optim.averaging:NoAverage",
        "ema": "eyesight.training.optim.averaging:ExponentialAverage",
        "swa": "eyesight.training.optim.averaging:TailAverage",
    },
)

_EMA_DECAY = 0.999  # remembers about 1,000 updates: an epoch or two of a small dataset
_EMA_WARM_UP = 10  # early on it remembers less, (1 + t) / (10 + t), or the random first weights would linger
_SWA_FROM = 0.75  # progress from which weights are averaged; the paper's setting


class Average(Protocol):
    """What every kind of averaging answers.

    Attributes:
        count: weights that have gone into the average.
        mean: the averaged weights by parameter name; empty as long as there are none.
    """

    count: int
    mean: dict[str, torch.Tensor]

    def update(self, network: nn.Module, progress: float) -> None:
        """Take in the weights after an update; `progress` runs from 0 to 1 over the training."""


class NoAverage:
    """The weights as they are."""

    def __init__(self) -> None:
        self.count, self.mean = 0, dict[str, torch.Tensor]()

    def update(self, network: nn.Module, progress: float) -> None:
        """Do nothing."""


class ExponentialAverage(NoAverage):
    """Exponential moving average over all updates: mean ← decay · mean + (1 − decay) · weights.

    Source: Polyak & Juditsky, 1992; the decay's warm-up as in TensorFlow's ExponentialMovingAverage.
    """

    def update(self, network: nn.Module, progress: float) -> None:  # noqa: ARG002 - all kinds take it
        """Move the average a little towards the weights."""
        decay = min(_EMA_DECAY, (1 + self.count) / (_EMA_WARM_UP + self.count))
        _move(self, network, 1 - decay)


class TailAverage(NoAverage):
    """Equal average of the weights after each update of the last quarter of the training.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018 (SWA), at every
    update instead of every epoch, so that it serves short trainings as well.
    """

    def update(self, network: nn.Module, progress: float) -> None:
        """Take the weights in, once the tail has begun."""
        if progress >= _SWA_FROM:
            _move(self, network, 1 / (self.count + 1))


@torch.no_grad()
def _move(average: Average, network: nn.Module, share: float) -> None:
    named = dict(network.named_parameters())
    if not average.mean:
        average.mean = {name: parameter.detach().clone() for name, parameter in named.items()}
    else:
        torch._foreach_lerp_(list(average.mean.values()), [named[name] for name in average.mean], share)
    average.count += 1


@contextlib.contextmanager
def evaluation_weights(average: Average, network: nn.Module) -> Iterator[bool]:
    """Give the network its averaged weights inside this context; afterwards it has its own again, bit for bit.

    Yields:
        Whether there is an average; without one the weights stay as they are.
    """
    own = {name: parameter.detach().clone() for name, parameter in network.named_parameters()} if average.mean else {}
    try:
        _assign(network, average.mean)
        yield bool(average.mean)
    finally:
        _assign(network, own)


@torch.no_grad()
def _assign(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    for name, value in weights.items():
        network.get_parameter(name).copy_(value)


def load(average: Average, network: nn.Module, arrays: dict[str, torch.Tensor], count: int) -> None:
    """Restore an average in the memory format of each parameter."""
    named = dict(network.named_parameters())
    average.mean = {name: torch.empty_like(named[name]).detach().copy_(value) for name, value in arrays.items()}
    average.count = count


@contextlib.contextmanager
def fresh_batch_norm(network: nn.Module) -> Iterator[list[nn.Module]]:
    """Yield the batch-norm layers, set to collect statistics anew; the statistics they had come back afterwards.

    Averaged weights have other statistics than the weights that were averaged.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    kept = [({name: b.clone() for name, b in layer.named_buffers()}, layer.momentum) for layer in layers]
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # an equal average over the batches
        yield list(layers)
    finally:
        for layer, (buffers, momentum) in zip(layers, kept, strict=True):
            layer.momentum = momentum
            for name, buffer in buffers.items():
                layer.get_buffer(name).copy_(buffer)
