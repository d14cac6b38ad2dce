"""EfficientNet-Lite: inverted residual blocks that are scaled together in width and depth, for small machines.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`; weights for the thousand classes of ImageNet come with
`backbones`. Sources: Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019;
Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020: neither squeeze-and-excitation nor swish, ReLU6
instead, and stem and head as wide in every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..elementwise import BatchNorm
from ..network import NetworkSpec
from .mobilenet_v2 import Input, Stage, inverted_network, scaled_width

_NORM = BatchNorm(momentum=0.01, eps=1e-3)  # as the published weights were trained with
_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite(
    name: str, *, width: float = 1.0, depth: float = 1.0, dropout: float = 0.2, ends: tuple[int, int] = (32, 1280)
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network of this family.

    Args:
        name: of the network.
        width: factor of the stages' channels.
        depth: factor of the number of blocks in a stage, but for the first and last.
        dropout: share of the features that training leaves out before the last layer.
        ends: channels of the first and of the last convolution, which are not scaled.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        middle = [stage._replace(repeats=math.ceil(stage.repeats * depth)) for stage in _STAGES[1:-1]]
        stages = tuple(
            stage._replace(width=scaled_width(stage.width, width)) for stage in (_STAGES[0], *middle, _STAGES[-1])
        )
        return inverted_network(name, shape, classes, stages=stages, ends=ends, norm=_NORM, dropout=dropout)

    return make


efficientnet_lite0 = efficientnet_lite("efficientnet-lite0")
efficientnet_lite1 = efficientnet_lite("efficientnet-lite1", depth=1.1)
efficientnet_lite2 = efficientnet_lite("efficientnet-lite2", width=1.1, depth=1.2, dropout=0.3)
