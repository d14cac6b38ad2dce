"""AlexNet: the network with which deep learning won ImageNet; large filters and steps, then three dense layers.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`, in the form without two halves that became usual; its
dense layers are made for 6x6 places, to which other sizes than 224x224 are averaged or enlarged; and a small one with a
quarter of the channels, for pictures of about 32 pixels. Sources: Krizhevsky
et al., "ImageNet classification with deep convolutional neural networks", NIPS 2012; Krizhevsky, "One weird trick for
parallelizing convolutional neural networks", 2014.
"""

from __future__ import annotations

from collections.abc import Callable

from ..elementwise import Activation, Dropout
from ..layers import AnyLayer, Chain, Conv, Flatten, Linear, Pad, chain
from ..network import NetworkSpec
from ..pooling import AdaptiveAveragePool, MaxPool

Input = tuple[int, int, int]

_RELU = Activation(function="relu")
_POOL = MaxPool(size=3, stride=2)  # windows overlap


def alexnet_scaled(
    name: str, widths: tuple[int, int, int, int, int], *, dense: int, small: bool = False
) -> Callable[[Input, int], NetworkSpec]:
    """Return the maker of a network like AlexNet.

    Args:
        name: of the network.
        widths: channels of the five convolutions.
        dense: width of the two hidden dense layers.
        small: for small pictures: the first convolution looks at 5x5 pixels and goes on by one, the dense layers at 3x3
            places.
    """

    def make(shape: Input, classes: int) -> NetworkSpec:
        first, second, *others = widths
        conv3, conv4, conv5 = (Conv(out=width, kernel=3, padding="same") for width in others)
        stem: dict[str, AnyLayer] = {"conv": Conv(out=first, kernel=5, padding="same")}
        if not small:
            stem = {"pad": Pad(left=2, right=2, top=2, bottom=2), "conv": Conv(out=first, kernel=11, stride=4)}
        return NetworkSpec(
            name=name,
            input=shape,
            classes=classes,
            features=chain(
                stage1=chain(**stem, relu=_RELU, pool=_POOL),
                stage2=chain(conv=Conv(out=second, kernel=5, padding="same"), relu=_RELU, pool=_POOL),
                stage3=chain(conv3=conv3, relu3=_RELU, conv4=conv4, relu4=_RELU, conv5=conv5, relu5=_RELU, pool=_POOL),
            ),
            head=dense_head(classes, dense=dense, places=3 if small else 6),
            initialisation="he",
        )

    return make


def dense_head(classes: int, *, dense: int, places: int) -> Chain:
    """Return two hidden dense layers with dropout, and the logits.

    Args:
        classes: number of classes, K.
        dense: width of the hidden layers.
        places: side of the grid that they look at.
    """
    dropout = Dropout(rate=0.5)
    return chain(
        pool=AdaptiveAveragePool(size=places), flatten=Flatten(),
        dense1=Linear(out=dense), relu1=_RELU, dropout1=dropout,
        dense2=Linear(out=dense), relu2=_RELU, dropout2=dropout,
        output=Linear(out=classes),
    )  # fmt: skip


alexnet = alexnet_scaled("alexnet", (64, 192, 384, 256, 256), dense=4096)
small_alexnet = alexnet_scaled("small-alexnet", (16, 48, 96, 64, 64), dense=256, small=True)
