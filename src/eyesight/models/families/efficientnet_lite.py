"""EfficientNet-Lite: inverted residual blocks that are scaled together in width and depth, for small machines.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`; weights for the thousand classes of ImageNet come with
`backbones`. Sources: Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019;
Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020: neither squeeze-and-excitation nor swish, ReLU6
instead, and stem and head as wide in every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..elementwise import Activation, BatchNorm, Dropout
from ..layers import AnyLayer, Chain, Conv, Linear, Residual, chain
from ..network import NetworkSpec
from ..pooling import GlobalAveragePool

Input = tuple[int, int, int]

_STEM, _HEAD = 32, 1280  # channels
_DIVISOR = 8  # of scaled widths
_NORM = BatchNorm(momentum=0.01, eps=1e-3)
_RELU6 = Activation(function="relu6")


class _Stage(NamedTuple):
    """Blocks with the same width, of which the first may halve the picture."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite(
    name: str, *, width: float = 1.0, depth: float = 1.0, dropout: float = 0.2, ends: tuple[int, int] = (_STEM, _HEAD)
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network of this family.

    Args:
        name: of the network.
        width: factor of the stages' channels.
        depth: factor of the stages' blocks, but for the first and last stage.
        dropout: share of the features that training leaves out before the last layer.
        ends: channels of stem and head, which are not scaled.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        stem, head = ends
        parts: dict[str, AnyLayer] = {"stem": _convolution(stem, kernel=3, stride=2)}
        channels = stem
        for i, stage in enumerate(_STAGES, start=1):
            out = _scaled_width(stage.width, width)
            repeats = stage.repeats if i in (1, len(_STAGES)) else math.ceil(stage.repeats * depth)
            blocks: dict[str, AnyLayer] = {}
            for k in range(1, repeats + 1):
                blocks[f"block{k}"] = _block(channels, out, stage, stride=stage.stride if k == 1 else 1)
                channels = out
            parts[f"stage{i}"] = chain(**blocks)
        return NetworkSpec(
            name=name,
            input=shape,
            classes=classes,
            features=chain(**parts, top=_convolution(head, kernel=1)),
            head=chain(pool=GlobalAveragePool(), dropout=Dropout(rate=dropout), output=Linear(out=classes)),
            initialisation="he",
        )

    return make


def _convolution(out: int, *, kernel: int, stride: int = 1) -> Chain:
    conv = Conv(out=out, kernel=kernel, padding="same", bias=False, stride=stride)
    return chain(conv=conv, norm=_NORM, relu=_RELU6)


def _block(channels: int, out: int, stage: _Stage, *, stride: int) -> Chain | Residual:
    """Return an inverted residual block: widen, look around in each channel alone, narrow."""
    wide = channels * stage.expansion
    expand: dict[str, AnyLayer] = {
        "expand": Conv(out=wide, kernel=1, padding="same", bias=False),
        "norm0": _NORM,
        "relu0": _RELU6,
    }
    around = Conv(out=wide, kernel=stage.kernel, padding="same", bias=False, stride=stride, groups=wide)
    project = Conv(out=out, kernel=1, padding="same", bias=False)
    block = chain(
        **(expand if stage.expansion > 1 else {}),
        depthwise=around,
        norm1=_NORM,
        relu1=_RELU6,
        project=project,
        norm2=_NORM,
    )
    return Residual(branch=block) if stride == 1 and channels == out else block


def _scaled_width(width: int, factor: float) -> int:
    """Return a width times a factor, as a multiple of 8 that is at most a tenth too small."""
    scaled = width * factor
    rounded = max(_DIVISOR, int(scaled + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * scaled else rounded


efficientnet_lite0 = efficientnet_lite("efficientnet-lite0")
efficientnet_lite1 = efficientnet_lite("efficientnet-lite1", depth=1.1)
efficientnet_lite2 = efficientnet_lite("efficientnet-lite2", width=1.1, depth=1.2, dropout=0.3)
