"""VGG: small convolutions one after the other, and pooling between them.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`; its dense layers are made for 7x7 places, to which other
sizes than 224x224 are averaged or enlarged; and a small one: its first three stages with a quarter of the channels, for
pictures of about 32 pixels. Source: Simonyan & Zisserman, "Very deep convolutional networks for
large-scale image recognition", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..elementwise import Activation
from ..layers import AnyLayer, Conv, chain
from ..network import NetworkSpec
from ..pooling import MaxPool
from .alexnet import Input, dense_head

_RELU = Activation(function="relu")


def vgg(
    name: str, stages: Sequence[tuple[int, int]], *, dense: int = 4096, places: int = 7
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network of this family.

    Args:
        name: of the network.
        stages: number of convolutions and their channels, for each stage.
        dense: width of the two hidden dense layers.
        places: side of the grid that the dense layers look at.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        parts: dict[str, AnyLayer] = {}
        for i, (count, width) in enumerate(stages, start=1):
            layers: dict[str, AnyLayer] = {}
            for k in range(1, count + 1):
                layers |= {f"conv{k}": Conv(out=width, kernel=3, padding="same"), f"relu{k}": _RELU}
            parts[f"stage{i}"] = chain(**layers, pool=MaxPool())
        return NetworkSpec(
            name=name,
            input=shape,
            classes=classes,
            features=chain(**parts),
            head=dense_head(classes, dense=dense, places=places),
            initialisation="he",
        )

    return make


vgg16 = vgg("vgg16", ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)))
small_vgg = vgg("small-vgg", ((2, 16), (2, 32), (3, 64)), dense=256, places=4)
