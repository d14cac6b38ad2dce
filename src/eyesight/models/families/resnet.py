"""ResNets: each block learns what to add to what comes in, so that very deep networks can be trained.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`: with 18, 34 and 50 layers for photos, with 20 for
pictures of about 32 pixels. Source: He et al., "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable

from ..elementwise import Activation, BatchNorm
from ..layers import AnyLayer, Chain, Conv, Linear, Residual, chain
from ..network import NetworkSpec
from ..pooling import GlobalAveragePool, MaxPool

Input = tuple[int, int, int]

_RELU, _NORM = Activation(function="relu"), BatchNorm()
_WIDENING = 4  # of a bottleneck's last convolution


def resnet(
    name: str, repeats: tuple[int, ...], *, width: int = 64, bottleneck: bool = False, small: bool = False
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network of this family.

    Args:
        name: of the network.
        repeats: number of blocks in each stage.
        width: channels of the first stage; each further one has twice as many, on half the size.
        bottleneck: blocks of three convolutions, two of which only narrow and widen, in place of two convolutions.
        small: for small pictures: the first convolution looks at 3x3 pixels and keeps the size, without pooling.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        first = _convolution(width, kernel=3 if small else 7, stride=1 if small else 2)
        pool = {} if small else {"pool": MaxPool(size=3, stride=2, padding="same")}
        parts: dict[str, AnyLayer] = {"stem": chain(**first, relu=_RELU, **pool)}
        channels = width
        for i, count in enumerate(repeats):
            blocks: dict[str, AnyLayer] = {}
            for k in range(1, count + 1):
                inner = width << i
                blocks[f"block{k}"] = _block(channels, inner, stride=2 if i and k == 1 else 1, bottleneck=bottleneck)
                channels = inner * _WIDENING if bottleneck else inner
            parts[f"stage{i + 1}"] = chain(**blocks)
        return NetworkSpec(
            name=name,
            input=shape,
            classes=classes,
            features=chain(**parts),
            head=chain(pool=GlobalAveragePool(), output=Linear(out=classes)),
            initialisation="he",
        )

    return make


def _block(channels: int, inner: int, *, stride: int, bottleneck: bool) -> Chain:
    out = inner * _WIDENING if bottleneck else inner
    layers = (
        [(inner, 1, 1), (inner, 3, stride), (out, 1, 1)] if bottleneck else [(inner, 3, stride), (inner, 3, 1)]
    )  # channels, kernel, stride
    branch: dict[str, AnyLayer] = {}
    for k, (width, kernel, step) in enumerate(layers, start=1):
        branch |= {f"{key}{k}": layer for key, layer in _convolution(width, kernel=kernel, stride=step).items()}
        if k < len(layers):
            branch[f"relu{k}"] = _RELU
    shortcut = chain(**_convolution(out, kernel=1, stride=stride)) if stride > 1 or channels != out else chain()
    return chain(add=Residual(branch=chain(**branch), shortcut=shortcut), relu=_RELU)


def _convolution(out: int, *, kernel: int, stride: int) -> dict[str, AnyLayer]:
    return {"conv": Conv(out=out, kernel=kernel, padding="same", bias=False, stride=stride), "norm": _NORM}


resnet18 = resnet("resnet18", (2, 2, 2, 2))
resnet34 = resnet("resnet34", (3, 4, 6, 3))
resnet50 = resnet("resnet50", (3, 4, 6, 3), bottleneck=True)
resnet20 = resnet("resnet20", (3, 3, 3), width=16, small=True)
