"""How fast this machine computes convolutions.

In: device, precision. Out: FLOP/s. It knows no network and no plan.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F

from ..device import Precision, input_dtype, synchronise

_PICTURES, _CHANNELS, _OUT, _SIDE = 32, 64, 256, 15  # of the kind that the larger networks here are made of
_FLOPS = 3 * 2 * _PICTURES * _OUT * _CHANNELS * 9 * _SIDE**2  # forward, and twice as much backward
_MOST = 9  # measurements


def convolution_rate(device: torch.device, precision: Precision, *, seconds: float) -> float:
    """Return the FLOP/s of a 3x3 convolution, forward and backward: the fastest of some measurements.

    What else goes on in the machine can only make one slower.

    Args:
        device, precision: where and how.
        seconds: after so long no other measurement is begun; one is made in any case, after one to warm up.
    """
    generator = torch.Generator().manual_seed(0)
    x, weight, gradient = (
        torch.randn(shape, generator=generator)
        .to(device, input_dtype(precision))
        .contiguous(memory_format=torch.channels_last)
        for shape in ((_PICTURES, _CHANNELS, _SIDE, _SIDE), (_OUT, _CHANNELS, 3, 3), (_PICTURES, _OUT, _SIDE, _SIDE))
    )
    leaves = (x.requires_grad_(), weight.requires_grad_())
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 2 or (len(times) <= _MOST and time.perf_counter() - began < seconds):
        synchronise(device)
        started = time.perf_counter()
        torch.autograd.grad(F.conv2d(*leaves, padding=1), leaves, gradient)
        synchronise(device)
        times.append(time.perf_counter() - started)
    return _FLOPS / min(times[1:])
