"""How fast this machine computes convolutions, and what lies between them.

In: device, precision. Out: FLOP/s, numbers/s. It knows no network and no plan.

They are two things: the first is bound by arithmetic, the second by memory. Processors with units for products of
matrices (AMX) are several times as fast at the first and hardly faster at the second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ...device import Precision, input_dtype, synchronise, threads

_PICTURES, _CHANNELS, _OUT, _SIDE = 32, 64, 256, 15  # of the kind that the larger networks here are made of
_FLOPS = 3 * 2 * _PICTURES * _OUT * _CHANNELS * 9 * _SIDE**2  # forward, and twice as much backward
_POOLED = 2 * _SIDE  # before pooling
_NUMBERS = _PICTURES * _CHANNELS * (_POOLED**2 + 2 * _SIDE**2)  # into pooling, batch norm and activation
_MOST = 9  # measurements
UNDISTURBED = 0.75  # `Speed.share`: alone it was 0.9 and more, beside one other busy program 0.7 and less
_TELLING = 0.02  # seconds: in less, a thread that wakes up late looks like another program


@dataclass(frozen=True)
class Speed:
    """What a machine computes in training, forward and backward.

    Attributes:
        convolutions: FLOP/s, three times those of the forward pass counted.
        elementwise: numbers a second that go into pooling, batch norm and activation.
        share: of the time of its threads that this process had while it measured, up to 1; other programs had the rest.
            1 where it measured too briefly to tell.
    """

    convolutions: float
    elementwise: float
    share: float = 1.0


class Rate(NamedTuple):
    """How much of something is done in a second, and `Speed.share` meanwhile."""

    per_second: float
    share: float


def machine_speed(device: torch.device, precision: Precision, *, seconds: float) -> Speed:
    """Measure both, and how undisturbed; `seconds` is for both together."""
    convolutions = convolution_rate(device, precision, seconds=seconds / 2)
    elementwise = elementwise_rate(device, precision, seconds / 2)
    return Speed(convolutions.per_second, elementwise.per_second, min(convolutions.share, elementwise.share))


def fastest_speed(device: torch.device, precision: Precision, *, seconds: float) -> Speed:
    """Measure with one CPU thread and with all, and return what a training that chooses its threads can count on.

    The fastest of some measurements hides how long threads wait for each other where other programs run. So all
    threads only count where they had the processor to themselves.
    """
    if device.type != "cpu" or torch.get_num_threads() == 1:
        return machine_speed(device, precision, seconds=seconds)
    several = machine_speed(device, precision, seconds=seconds / 2)
    with threads(1):
        one = machine_speed(device, precision, seconds=seconds / 2)
    return several if several.share >= UNDISTURBED and several.convolutions > one.convolutions else one


def convolution_rate(device: torch.device, precision: Precision, *, seconds: float) -> Rate:
    """Measure the FLOP/s of a 3x3 convolution, forward and backward: the fastest of some measurements.

    What else goes on in the machine can only make one slower.

    Args:
        device, precision: where and how.
        seconds: after so long no other measurement is begun; one is made in any case, after one to warm up.
    """
    x, weight, gradient = _draw_tensors(
        device, precision, (_PICTURES, _CHANNELS, _SIDE), (_OUT, _CHANNELS, 3), (_PICTURES, _OUT, _SIDE)
    )
    leaves = (x.requires_grad_(), weight.requires_grad_())
    return _rate(_FLOPS, lambda: torch.autograd.grad(F.conv2d(*leaves, padding=1), leaves, gradient), device, seconds)


def elementwise_rate(device: torch.device, precision: Precision, seconds: float) -> Rate:
    """Measure the numbers a second of pooling, batch norm and activation, both ways; as `convolution_rate`."""
    x, gradient = _draw_tensors(device, precision, (_PICTURES, _CHANNELS, _POOLED), (_PICTURES, _CHANNELS, _SIDE))
    x.requires_grad_()
    mean, variance, shift = (torch.zeros(_CHANNELS, device=device) for _ in range(3))

    def both() -> object:
        y = F.batch_norm(F.max_pool2d(x, 2), mean, variance, None, shift, training=True)
        return torch.autograd.grad(F.gelu(y), x, gradient)

    return _rate(_NUMBERS, both, device, seconds)


def _draw_tensors(device: torch.device, precision: Precision, *shapes: tuple[int, int, int]) -> list[torch.Tensor]:
    """Return random tensors (N, C, side, side), channels_last."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(n, channels, side, side, generator=generator)
        .to(device, input_dtype(precision))
        .contiguous(memory_format=torch.channels_last)
        for n, channels, side in shapes
    ]


def _rate(count: int, call: Callable[[], object], device: torch.device, seconds: float) -> Rate:
    """Time the call, which does `count` of something; the first only warms up."""
    began = time.perf_counter()
    call()
    synchronise(device)
    times: list[float] = []
    warm, used = time.perf_counter(), time.process_time()
    while not times or (len(times) < _MOST and time.perf_counter() - began < seconds):
        started = time.perf_counter()
        call()
        synchronise(device)
        times.append(time.perf_counter() - started)
    used, passed = time.process_time() - used, time.perf_counter() - warm
    share = min(used / (passed * torch.get_num_threads()), 1.0)
    return Rate(count / min(times), share if device.type == "cpu" and passed >= _TELLING else 1.0)
