"""MobileNetV2: inverted residual blocks, which are wide only inside, where each channel is convolved alone.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`: one for photos, and a small one for pictures of about 32
pixels; `inverted_network` for the families that came of it.
Source: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..elementwise import Activation, BatchNorm, Dropout
from ..layers import AnyLayer, Chain, Conv, Linear, Residual, chain
from ..network import NetworkSpec
from ..pooling import GlobalAveragePool

Input = tuple[int, int, int]

_DIVISOR = 8  # of scaled widths
_RELU6 = Activation(function="relu6")


class Stage(NamedTuple):
    """Blocks of the same width, of which the first may halve the picture."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(3, 3, 2, 6, 32),
    Stage(4, 3, 2, 6, 64),
    Stage(3, 3, 1, 6, 96),
    Stage(3, 3, 2, 6, 160),
    Stage(1, 3, 1, 6, 320),
)


def mobilenet_v2_scaled(
    name: str, *, width: float = 1.0, top: int = 1280, small: bool = False
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network of this family.

    Args:
        name: of the network.
        width: factor of all channels but those of the last convolution.
        top: channels of the last convolution.
        small: for small pictures: the first two steps that halve the picture keep its size.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        stages = [stage._replace(width=scaled_width(stage.width, width)) for stage in _STAGES]
        if small:
            stages[1] = stages[1]._replace(stride=1)
        return inverted_network(
            name, shape, classes, stages=tuple(stages), ends=(scaled_width(32, width), top), norm=BatchNorm(),
            dropout=0.2, stride=1 if small else 2,
        )  # fmt: skip

    return make


def inverted_network(
    name: str,
    shape: Input,
    classes: int,
    *,
    stages: tuple[Stage, ...],
    ends: tuple[int, int],
    norm: BatchNorm,
    dropout: float,
    stride: int = 2,
) -> NetworkSpec:
    """Return a network of stages of inverted residual blocks between two convolutions.

    Args:
        name: of the network.
        shape: (C, H, W).
        classes: number of classes, K.
        stages: between the two convolutions.
        ends: channels of the first and of the last convolution.
        norm: after each convolution.
        dropout: share of the features that training leaves out before the last layer.
        stride: of the first convolution.
    """
    stem, top = ends
    parts: dict[str, AnyLayer] = {"stem": _convolution(stem, norm, kernel=3, stride=stride)}
    channels = stem
    for i, stage in enumerate(stages, start=1):
        blocks: dict[str, AnyLayer] = {}
        for k in range(1, stage.repeats + 1):
            blocks[f"block{k}"] = inverted_residual(channels, stage, norm, stride=stage.stride if k == 1 else 1)
            channels = stage.width
        parts[f"stage{i}"] = chain(**blocks)
    return NetworkSpec(
        name=name,
        input=shape,
        classes=classes,
        features=chain(**parts, top=_convolution(top, norm, kernel=1)),
        head=chain(pool=GlobalAveragePool(), dropout=Dropout(rate=dropout), output=Linear(out=classes)),
        initialisation="he",
    )


def inverted_residual(channels: int, stage: Stage, norm: BatchNorm, *, stride: int) -> Chain | Residual:
    """Return a block that widens, looks around in each channel alone, and narrows without an activation.

    Args:
        channels: that come in.
        stage: that the block belongs to.
        norm: after each convolution.
        stride: of the convolution that looks around.
    """
    wide = channels * stage.expansion
    around = Conv(out=wide, kernel=stage.kernel, padding="same", bias=False, stride=stride, groups=wide)
    layers: dict[str, AnyLayer] = {}
    if stage.expansion > 1:
        expand = Conv(out=wide, kernel=1, padding="same", bias=False)
        layers |= {"expand": expand, "norm0": norm, "relu0": _RELU6}
    layers |= {"depthwise": around, "norm1": norm, "relu1": _RELU6}
    block = chain(**layers, project=Conv(out=stage.width, kernel=1, padding="same", bias=False), norm2=norm)
    return Residual(branch=block) if stride == 1 and channels == stage.width else block


def scaled_width(width: int, factor: float) -> int:
    """Return a width times a factor, as a multiple of 8 that is at most a tenth too small."""
    scaled = width * factor
    rounded = max(_DIVISOR, int(scaled + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * scaled else rounded


def _convolution(out: int, norm: BatchNorm, *, kernel: int, stride: int = 1) -> Chain:
    conv = Conv(out=out, kernel=kernel, padding="same", bias=False, stride=stride)
    return chain(conv=conv, norm=norm, relu=_RELU6)


mobilenet_v2 = mobilenet_v2_scaled("mobilenet-v2")
small_mobilenet_v2 = mobilenet_v2_scaled("small-mobilenet-v2", width=0.35, top=320, small=True)
