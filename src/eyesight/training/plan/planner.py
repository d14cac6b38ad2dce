"""Which network to train in a given time, and with which recipe.

In: seconds, the speed of the machine, and the size of the pictures. Out: a `Plan`. It measures nothing and
trains nothing (`speed` measures). What it knows of the networks comes from trainings on pictures held out of the
training sets of MNIST, Fashion-MNIST and CIFAR-10: a wider network learns more of each picture, and takes longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...models import network_spec
from ...models.layers import Conv, Linear, Whitening
from ...models.network import NetworkSpec, leaves

if TYPE_CHECKING:
    from .speed import Speed

_START = 0.3  # seconds: first weights, the first update, saving
# how many times as long they take in training as alone; with what the optimizer and the batches take
_CONVOLUTIONS, _BETWEEN = 1.1, 1.9
_SMALLER_FIRST = ((0.4, 0.5), (0.75, 0.75))
_LARGE = 32  # pixels; of smaller pictures half the side is too little to see
_GAIN = 1.6  # more pictures in the same time with `_SMALLER_FIRST`
_FEWEST_UPDATES = 100  # so many are made before batches grow beyond the smallest
_UPDATES = 400  # so many before they grow beyond the usual
_SMALLEST_BATCH, _USUAL_BATCH, _LARGEST_BATCH = 64, 250, 1500  # from 250 on two cores are at full speed
_LEAST_IN_EPOCH = 30  # updates
USUAL_SEEN = _UPDATES * _USUAL_BATCH  # pictures, where nobody knows how many it will be
_ENOUGH = 8  # epochs in full size, from which smaller pictures no longer pay


@dataclass(frozen=True)
class Candidate:
    """A network that may be planned.

    Attributes:
        name: of the network.
        least: how many pictures it must see, each time counted, to become better than the one before; those that may
            be smaller at first count `_GAIN` times, also where the time is enough to leave them as they are.
        smaller_first: whether smaller pictures at the beginning pay.
        smallest: pixels of the shorter side below which it was not better than the one before.
    """

    name: str
    least: int
    smaller_first: bool = False
    smallest: int = 0


CANDIDATES = (
    Candidate("whitened-16-32-32", least=0),
    Candidate("whitened-32-64-64-s2", least=5_000, smallest=32),
    Candidate("whitened-32-64-64", least=45_000),
    Candidate("whitened-64-128-128", least=150_000, smaller_first=True),
    Candidate("whitened-64-256-256", least=330_000, smaller_first=True),
    Candidate("whitened-128-384-384", least=700_000, smaller_first=True),
)


@dataclass(frozen=True)
class Plan:
    """A network and a recipe for an amount of time.

    Attributes:
        model: name of the network.
        seen: how many training pictures it will see, each time counted, estimated.
        recipe: entries of the recipe that the time decides.
    """

    model: str
    seen: int
    recipe: dict[str, Any]


def plan(
    *,
    seconds: float,
    speed: Speed,
    shape: tuple[int, int, int],
    classes: int,
    pictures: int,
    model: str | None = None,
    smaller_first: bool | None = None,
) -> Plan:
    """Return the widest network that the time is enough for, or what goes with the one that is named.

    Args:
        seconds: that are left once the data is open, to the saved model.
        speed: of this machine.
        shape: (H, W, C) of the pictures.
        classes: number of classes.
        pictures: how many there are to train with.
        model: name of one of `CANDIDATES`, where that is decided already.
        smaller_first: whether pictures are smaller at first, where that is decided already.
    """
    side, left = min(shape[:2]), max(seconds - _START, 0)
    fitting = [candidate for candidate in CANDIDATES if side >= candidate.smallest]
    for candidate in reversed(fitting if model is None else [found for found in CANDIDATES if found.name == model]):
        full = int(left / seconds_per_picture(network_spec(candidate.name, shape=shape, classes=classes), speed))
        may_shrink = smaller_first
        if may_shrink is None:
            may_shrink = model is None and candidate.smaller_first and side >= _LARGE
        worth = int(_GAIN * full) if may_shrink else full
        if worth >= candidate.least:
            break
    shrinks = may_shrink and (smaller_first is not None or full < _ENOUGH * pictures)
    seen = worth if shrinks else full
    recipe: dict[str, Any] = {"resolution": _SMALLER_FIRST} if shrinks and smaller_first is None else {}
    return Plan(candidate.name, seen, recipe | {"batch_size": batch_size(seen, pictures)})


def seconds_per_picture(spec: NetworkSpec, speed: Speed) -> float:
    """Return about how long a network's training takes for a picture: what it multiplies, and what lies between."""
    numbers = sum(
        math.prod(shape)
        for _, layer, shape in leaves(spec.whole, spec.input)
        if not isinstance(layer, Conv | Whitening | Linear)
    )
    multiplied = 3 * spec.flops()  # backward: twice as many as forward
    return _CONVOLUTIONS * multiplied / speed.convolutions + _BETWEEN * numbers / speed.elementwise


def batch_size(seen: int, pictures: int) -> int:
    """Return the batch size for a training that sees so many pictures, each time counted, of so many different ones.

    >>> batch_size(450_000, 45_000), batch_size(10_000, 45_000), batch_size(450_000, 4_500)
    (1125, 100, 150)
    """
    grown = max(_USUAL_BATCH, min(_LARGEST_BATCH, seen // _UPDATES))
    return max(_SMALLEST_BATCH, min(grown, seen // _FEWEST_UPDATES, pictures // _LEAST_IN_EPOCH))
