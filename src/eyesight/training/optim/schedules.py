"""How the learning rate changes: functions of progress alone.

In: progress through the training, from 0 to 1. Out: a factor on the learning rate. A schedule sees neither steps nor
clocks, so the same ones serve both.
"""

from __future__ import annotations

import math

from ...registry import Registry

SCHEDULES = Registry(
    "schedule",
    {
        "constant": "eyesight.training.optim.schedules:constant",
        "step": "eyesight.training.optim.schedules:step",
        "cosine": "eyesight.training.optim.schedules:cosine",
        "linear": "eyesight.training.optim.schedules:linear",
        "one-cycle": "eyesight.training.optim.schedules:one_cycle",
    },
)

_WARM_UP = 0.3  # share of one-cycle that rises; Smith's and torch's default
_START = 1 / 25  # where one-cycle starts, as a share of the peak; torch's default


def constant(progress: float) -> float:  # noqa: ARG001 - all schedules take it
    """Always 1."""
    return 1.0


def step(progress: float) -> float:
    """1, then 1/10 after half and 1/100 after three quarters of the training: the classic recipe of ResNets.

    >>> [step(0), step(0.5), step(0.75)]
    [1.0, 0.1, 0.01]
    """
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0. Source: Loshchilov & Hutter, "SGDR", 2017.

    >>> round(cosine(0.5), 6)
    0.5
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


def linear(progress: float) -> float:
    """A straight line from 1 to 0: no warm-up, for optimizers that need none.

    >>> [linear(0), linear(0.5), linear(1)]
    [1.0, 0.5, 0.0]
    """
    return 1.0 - progress


def one_cycle(progress: float) -> float:
    """Rise along a cosine from 1/25 to 1 over the first 30 %, then fall along one to 0.

    Source: Smith & Topin, "Super-convergence", 2018.

    >>> [one_cycle(0), one_cycle(0.3), one_cycle(1)]
    [0.04, 1.0, 0.0]
    """
    if progress < _WARM_UP:
        return _START + (1 - _START) * (1 - cosine(progress / _WARM_UP))
    return cosine((progress - _WARM_UP) / (1 - _WARM_UP))
