"""The networks of the five tutorials, and one for very small pictures.

In: (C, H, W) and the number of classes. Out: a `NetworkSpec`. All of them draw weights as Keras does (Glorot
uniform, zero biases), so that results compare.
"""

from __future__ import annotations

from typing import Literal

from ..elementwise import Activation
from ..layers import AnyLayer, Conv, Flatten, Linear, Pad, chain
from ..network import NetworkSpec
from ..pooling import MaxPool

Input = tuple[int, int, int]
_RELU = Activation(function="relu")


def _small_cnn(name: str, shape: Input, classes: int, *, padding: Literal["valid", "same"]) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        input=shape,
        classes=classes,
        features=chain(
            stage1=chain(conv=Conv(out=32, kernel=3, padding=padding), relu=_RELU, pool=MaxPool()),
            stage2=chain(conv=Conv(out=64, kernel=3, padding=padding), relu=_RELU, pool=MaxPool()),
            stage3=chain(conv=Conv(out=64, kernel=3, padding=padding), relu=_RELU),
        ),
        head=chain(flatten=Flatten(), dense1=Linear(out=64), relu1=_RELU, dense2=Linear(out=classes)),
    )


def small_cnn(shape: Input, classes: int) -> NetworkSpec:
    """Three 3x3 convolutions (32, 64, 64) without padding, two poolings, dense 64: the CIFAR-10 quick start."""
    return _small_cnn("small-cnn", shape, classes, padding="valid")


def small_cnn_same(shape: Input, classes: int) -> NetworkSpec:
    """As `small_cnn`, with padding that keeps the size: the Fashion-MNIST tutorial."""
    return _small_cnn("small-cnn-same", shape, classes, padding="same")


def small_cnn_3pool(shape: Input, classes: int) -> NetworkSpec:
    """As `small_cnn`, with a third pooling and dense 512: the early-stopping tutorial."""
    stages = {
        f"stage{i}": chain(conv=Conv(out=out, kernel=3), relu=_RELU, pool=MaxPool())
        for i, out in enumerate((32, 64, 64), start=1)
    }
    return NetworkSpec(
        name="small-cnn-3pool",
        input=shape,
        classes=classes,
        features=chain(**stages),
        head=chain(flatten=Flatten(), dense1=Linear(out=512), relu1=_RELU, dense2=Linear(out=classes)),
    )


def small_cnn_1pool(shape: Input, classes: int) -> NetworkSpec:
    """Two padded 3x3 convolutions (32, 64), one pooling, dense 64: for pictures as small as the 8x8 digits."""
    return NetworkSpec(
        name="small-cnn-1pool",
        input=shape,
        classes=classes,
        features=chain(
            stage1=chain(conv=Conv(out=32, kernel=3, padding="same"), relu=_RELU),
            stage2=chain(conv=Conv(out=64, kernel=3, padding="same"), relu=_RELU, pool=MaxPool()),
        ),
        head=chain(flatten=Flatten(), dense1=Linear(out=64), relu1=_RELU, dense2=Linear(out=classes)),
    )


def lenet5(shape: Input, classes: int) -> NetworkSpec:
    """LeNet-5 with ReLU and max pooling; smaller pictures are padded with zeros to 32x32, as the tutorial does.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """
    missing_rows, missing_columns = (max(0, 32 - n) for n in shape[1:])
    pad = Pad(
        left=missing_columns // 2,
        right=missing_columns - missing_columns // 2,
        top=missing_rows // 2,
        bottom=missing_rows - missing_rows // 2,
    )
    first = {"pad": pad} if missing_rows or missing_columns else {}
    pool = MaxPool(padding="same")
    return NetworkSpec(
        name="lenet5",
        input=shape,
        classes=classes,
        features=chain(
            stage1=chain(**first, c1=Conv(out=6, kernel=5), relu=_RELU, s1=pool),
            stage2=chain(c3=Conv(out=16, kernel=5), relu=_RELU, s4=pool),
        ),
        head=chain(
            flatten=Flatten(),
            f5=Linear(out=120), relu5=_RELU,
            f6=Linear(out=84), relu6=_RELU,
            output=Linear(out=classes),
        ),
    )  # fmt: skip


def mlp(shape: Input, classes: int) -> NetworkSpec:
    """Dense layers of 1024, 512, 256, 128 and 64 with tanh: the dense CIFAR-10 baseline."""
    tanh = Activation(function="tanh")
    layers: dict[str, AnyLayer] = {"flatten": Flatten()}
    for i, out in enumerate((1024, 512, 256, 128, 64), start=1):
        layers |= {f"dense{i}": Linear(out=out), f"tanh{i}": tanh}
    return NetworkSpec(
        name="mlp",
        input=shape,
        classes=classes,
        features=chain(**layers),
        head=chain(output=Linear(out=classes)),
    )
