"""What a trained network computes, in order and with as few steps as possible.

In: a tree of layers and its weights by path. Out: a list of steps, each with the path of the layer that it came from.
The ONNX graph and the page in the browser are written from the same list. It runs nothing.

Batch normalisation and constant factors are computed into the convolution or dense layer before them, and dropout is
left out. Source: Jacob et al., "Quantization and training of neural networks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..formats import Arrays
from ..models.elementwise import BatchNorm, Dropout, Scale
from ..models.layer import Layer, Shape, same_padding
from ..models.layers import Chain, Conv, Linear, Residual, Whitening
from ..models.pooling import MaxPool

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plain:
    """A layer without weights, as it is.

    Attributes:
        path: of the layer in the tree.
        layer: the layer.
        given: the shape that reaches it.
    """

    path: str
    layer: Layer
    given: Shape


@dataclass(frozen=True)
class Affine:
    """Every channel times a factor, plus a shift: (C,) each."""

    path: str
    given: Shape
    scale: Floats
    shift: Floats


@dataclass(frozen=True)
class Product:
    """A convolution (weight (O, I, k, k)) or dense layer (weight (O, F)), with what follows computed into it.

    Attributes:
        path, layer, given: see `Plain`.
        weight, bias: what it multiplies by, and adds.
        holds: descriptions of the layers that were computed into it.
    """

    path: str
    layer: Conv | Whitening | Linear
    given: Shape
    weight: Floats
    bias: Floats
    holds: tuple[str, ...] = ()

    def followed_by(self, affine: Affine, layer: Layer) -> Product:
        """Return the product with each output scaled and shifted, as a layer says."""
        factor = affine.scale.reshape(-1, *[1] * (self.weight.ndim - 1))
        bias = self.bias * affine.scale + affine.shift
        return replace(self, weight=self.weight * factor, bias=bias, holds=(*self.holds, layer.describe()))

    @property
    def groups(self) -> int:
        """In how many parts a convolution takes the channels."""
        return self.layer.groups if isinstance(self.layer, Conv) else 1

    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the rows of zeros above and below the pictures, and the columns left and right of them."""
        if not isinstance(self.layer, Conv) or self.layer.padding == "valid":
            return (0, 0), (0, 0)
        rows, columns = (same_padding(side, self.layer.kernel, self.layer.stride) for side in self.given[1:])
        return rows, columns


@dataclass(frozen=True)
class Sum:
    """What a residual's branch gives plus what its shortcut gives."""

    path: str
    given: Shape
    branch: list[Step]
    shortcut: list[Step]


Step = Plain | Affine | Product | Sum


def fold(chain: Chain, shape: Shape, weights: Arrays, prefix: str = "") -> list[Step]:
    """Return what the layers of a chain compute.

    Args:
        chain: the layers.
        shape: (C, H, W) or (F,) of what reaches them.
        weights: arrays by path, as `NetworkSpec.weights` lists them.
        prefix: of the layers' names in those paths.
    """
    steps: list[Step] = []
    _extend(steps, chain, shape, weights, prefix)
    return steps


def change_products(steps: list[Step], change: Callable[[Product], Product]) -> list[Step]:
    """Return the steps with every convolution and dense layer changed, in order, those inside residuals too."""
    changed: list[Step] = []
    for step in steps:
        match step:
            case Product():
                changed.append(change(step))
            case Sum():
                branch, shortcut = (change_products(part, change) for part in (step.branch, step.shortcut))
                changed.append(replace(step, branch=branch, shortcut=shortcut))
            case _:
                changed.append(step)
    return changed


def _extend(steps: list[Step], chain: Chain, shape: Shape, weights: Arrays, prefix: str) -> None:
    """Append what the layers of a chain do, some of it computed into the steps that are there."""
    for name, layer, given in chain.inputs(shape):
        path = f"{prefix}{name}"
        own = {key: weights[f"{path}.{key}"].astype(np.float64) for key in layer.weights(given)}
        match layer:
            case Chain():
                _extend(steps, layer, given, weights, f"{path}.")
            case Residual():
                branch = fold(layer.branch, given, weights, f"{path}.branch.")
                shortcut = fold(layer.shortcut, given, weights, f"{path}.shortcut.")
                steps.append(Sum(path, layer.output_shape(given), branch, shortcut))
            case Conv() | Whitening() | Linear():
                weight = own["weight"]
                steps.append(Product(path, layer, given, weight, own.get("bias", np.zeros(len(weight)))))
            case BatchNorm() | Scale():
                _follow(steps, _affine(path, layer, own, given), layer)
            case Dropout():
                pass
            case _:
                steps.append(Plain(path, layer, given))


def _affine(path: str, layer: BatchNorm | Scale, own: dict[str, Floats], shape: Shape) -> Affine:
    if isinstance(layer, Scale):
        return Affine(path, shape, np.full(shape[0], layer.factor), np.zeros(shape[0]))
    scale = own["weight"] / np.sqrt(own["running_var"] + layer.eps)
    return Affine(path, shape, scale, own["bias"] - own["running_mean"] * scale)


def _follow(steps: list[Step], affine: Affine, layer: Layer) -> None:
    """Compute a scale and shift into the product before it; also across a pooling, where the largest stays so."""
    place = len(steps) - 1
    while place >= 0 and isinstance(step := steps[place], Plain) and _keeps_order(step) and (affine.scale > 0).all():
        place -= 1
    if place >= 0 and isinstance(product := steps[place], Product):
        steps[place] = product.followed_by(affine, layer)
    else:
        steps.append(affine)


def _keeps_order(step: Plain) -> bool:
    """Tell whether larger numbers in never give smaller ones out, place by place."""
    return isinstance(step.layer, MaxPool)
