"""Convolutional networks that learn fast: whitened patches, convolutions that begin as identities, and batch norm.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`, for pictures from about 8x8 to 96x96. Sources: Page,
"How to train your ResNet", 2019; Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
"""

from __future__ import annotations

from collections.abc import Callable

from ..elementwise import Activation, BatchNorm, Scale
from ..layers import AnyLayer, Chain, Conv, Linear, Whitening, chain
from ..network import NetworkSpec
from ..pooling import GlobalMaxPool, MaxPool

Input = tuple[int, int, int]

_PATCHES = 32  # in a row; larger pictures are whitened in steps
_COMPONENTS = 12  # all that patches of 2x2 have in colour
_MOMENTUM, _EPS = 0.4, 1e-5  # trainings are short: running statistics must be young


def whitened(
    name: str, widths: tuple[int, int, int], *, patches: int = _PATCHES, components: int = _COMPONENTS
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network whose three blocks have `widths` channels.

    Args:
        name: of the network.
        widths: channels of each block.
        patches: how many patches fit about in a row: the stride is the shorter side / patches, the kernel two strides.
        components: principal components kept of a patch; fewer where it has fewer numbers.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        stride = max(1, round(min(shape[1:]) / patches))
        kernel = 2 * stride
        kept = min(components, shape[0] * kernel**2)
        side = (min(shape[1:]) - kernel) // stride + 1
        stages: dict[str, AnyLayer] = {
            # without a bias there is nothing to learn in it, and the gradient ends before it
            "stage0": chain(whitening=Whitening(components=kept, kernel=kernel, stride=stride, bias=False), relu=_RELU)
        }
        out = 2 * kept
        for i, width in enumerate(widths, start=1):
            if i > 1 and side < 2:
                break
            stages[f"stage{i}"] = _block(width)
            out, side = width, side // 2
        return NetworkSpec(
            name=name,
            input=shape,
            classes=classes,
            features=chain(**stages),
            head=chain(pool=GlobalMaxPool(), output=Linear(out=classes, bias=False), scale=Scale(factor=1 / out)),
            initialisation="dirac",
        )

    return make


_GELU, _RELU = Activation(function="gelu"), Activation(function="relu")


def _block(width: int) -> Chain:
    conv = Conv(out=width, kernel=3, padding="same", bias=False)
    norm = BatchNorm(scale=False, momentum=_MOMENTUM, eps=_EPS)
    return chain(conv1=conv, pool=MaxPool(), norm1=norm, gelu1=_GELU, conv2=conv, norm2=norm, gelu2=_GELU)


whitened_16_32_32 = whitened("whitened-16-32-32", (16, 32, 32))
whitened_32_64_64 = whitened("whitened-32-64-64", (32, 64, 64))
whitened_32_64_64_s2 = whitened("whitened-32-64-64-s2", (32, 64, 64), patches=16, components=24)
whitened_64_128_128 = whitened("whitened-64-128-128", (64, 128, 128))
whitened_64_256_256 = whitened("whitened-64-256-256", (64, 256, 256))
whitened_128_384_384 = whitened("whitened-128-384-384", (128, 384, 384))
