"""A network as data, and the module it becomes.

In: a tree of layers, the input shape, the number of classes. Out: `NetworkSpec` (what a model file holds, JSON both
ways) and `Network` (a torch module that returns logits). It does not know any network by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..errors import FormatError, UsageError
from ..formats import Arrays
from .layer import Layer, Shape
from .layers import Chain, Combinator, Conv, Linear, Whitening

if TYPE_CHECKING:
    from .torch_network import Network

_LARGEST_MIN_SIZE = 512


class NetworkSpec(BaseModel):
    """A network described completely: enough to build it, count it and draw it.

    Attributes:
        name: the registered name it came from; only a label, the tree is what counts.
        input: (C, H, W).
        classes: number of classes, K.
        features: from pictures to features; its children are the stages.
        head: from features to logits (K,).
        initialisation: how fresh weights are drawn. `glorot-uniform` with zero biases is Keras' default; with `dirac`,
            a convolution begins by passing on as many channels as it can, and random filters make the others; `he`
            keeps the size of numbers through many layers with ReLU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["tree"] = "tree"
    version: Literal[1] = 1
    name: str
    input: tuple[
        Annotated[int, Field(ge=1, le=16)],
        Annotated[int, Field(ge=1, le=16384)],
        Annotated[int, Field(ge=1, le=16384)],
    ]
    classes: Annotated[int, Field(ge=1, le=1 << 20)]
    features: Chain
    head: Chain
    initialisation: Literal["glorot-uniform", "dirac", "he"] = "glorot-uniform"

    @property
    def whole(self) -> Chain:
        """Features and head as one chain; parameter names are paths in it."""
        return Chain(layers=(("features", self.features), ("head", self.head)))

    def before_output(self) -> Chain:
        """Return all that comes before the last dense layer, which makes features (F,) of a picture."""
        places = [i for i, (_, layer) in enumerate(self.head.layers) if isinstance(layer, Linear)]
        if not places:
            raise UsageError(f"{self.name}: has no features, as its head holds no dense layer")
        head = Chain(layers=self.head.layers[: places[-1]])
        return Chain(layers=(("features", self.features), ("head", head)))

    def check_size(self) -> None:
        """Raise `UsageError` unless the input is large enough and the head gives one logit for every class."""
        try:
            out = self.whole.output_shape(self.input)
        except UsageError:
            _, height, width = self.input
            smallest = self.min_size()
            raise UsageError(
                f"{self.name} needs pictures of at least {smallest}x{smallest} pixels; received: {width}x{height}"
            ) from None
        if out != (self.classes,):
            raise UsageError(f"{self.name}: expected {self.classes} logits; its head gives {out}")

    def min_size(self) -> int:
        """Return the side in pixels of the smallest square picture that fits."""
        for side in range(1, _LARGEST_MIN_SIZE):
            try:
                self.whole.output_shape((self.input[0], side, side))
            except UsageError:
                continue
            return side
        raise UsageError(f"{self.name}: no picture up to {_LARGEST_MIN_SIZE} pixels fits")

    def parameters(self) -> int:
        """Return the number of parameters."""
        return self.whole.parameters(self.input)

    def flops(self) -> int:
        """Return the floating-point operations of one forward pass for one picture."""
        return self.whole.flops(self.input)

    def multiply_adds(self) -> int:
        """Return how many multiplications, each with an addition, weights take part in for one picture."""
        return sum(
            math.prod(layer.output_shape(shape)) * math.prod(layer.weights(shape)["weight"][1:])
            for _, layer, shape in leaves(self.whole, self.input)
            if isinstance(layer, Conv | Whitening | Linear)
        )

    def weights(self) -> dict[str, Shape]:
        """Return the shape of every array that a file holds of the network, by path."""
        return {
            f"{path}.{name}": own
            for path, layer, shape in leaves(self.whole, self.input)
            for name, own in layer.weights(shape).items()
        }

    def stages(self) -> list[str]:
        """Return the names of the stages, from pixels to features."""
        return [f"features.{name}" for name, _ in self.features.layers]

    def gradcam_layer(self) -> str | None:
        """Return the path of the last convolution; None for a network without any."""
        convolutions = [path for path, layer, _ in leaves(self.whole, self.input) if isinstance(layer, Conv)]
        return convolutions[-1] if convolutions else None

    def build(self) -> Network:
        """Return the torch module, on torch's current default device, with weights not yet drawn."""
        from .torch_network import Network

        self.check_size()
        return Network(self)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as a model file holds it."""
        return self.model_dump(mode="json")


@dataclass(frozen=True, eq=False)
class NetworkWeights:
    """A network with its weights, as a model file holds them: arrays by path; see `NetworkSpec.weights`."""

    spec: NetworkSpec
    arrays: Arrays

    def check(self, source: str, *, size: int) -> None:
        """Raise `FormatError` unless there is every array that the network has, of the right shape, and finite.

        Args:
            source: the file's name, for messages.
            size: of the file, in bytes.
        """
        needed = 4 * self.spec.parameters()
        if needed > size:
            raise FormatError(f"{source}: describes a network of {needed:,} bytes, more than the whole file")
        expected = self.spec.weights()
        if differing := expected.keys() ^ self.arrays.keys():
            raise FormatError(f"{source}: its tensors do not fit the network (first difference: {min(differing)!r})")
        for path, array in self.arrays.items():
            if array.shape != expected[path]:
                raise FormatError(
                    f"{source}: tensor {path!r} should have shape {expected[path]}; received: {array.shape}"
                )
            if (array.dtype.kind == "f") != bool(array.shape):  # the one number without a shape counts batches
                kind = "float32" if array.shape else "int64"
                raise FormatError(f"{source}: tensor {path!r} should hold {kind}; received: {array.dtype}")
            if array.shape and not np.isfinite(array).all():
                raise FormatError(f"{source}: its weights should be finite numbers, and some are not")


def leaves(tree: Combinator, shape: Shape, prefix: str = "") -> list[tuple[str, Layer, Shape]]:
    """Return every layer that is made of no others, with its path and the shape that reaches it, in order."""
    found: list[tuple[str, Layer, Shape]] = []
    for name, layer, given in tree.inputs(shape):
        path = f"{prefix}{name}"
        found += leaves(layer, given, f"{path}.") if isinstance(layer, Combinator) else [(path, layer, given)]
    return found


def glorot_limit(layer: Layer, shape: Shape) -> float:
    """Return the limit a of Glorot's uniform distribution U(−a, a) for a layer's weights.

    a = √(6 / (fan in + fan out)). Source: Glorot & Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010.
    """
    if isinstance(layer, Conv):
        return math.sqrt(6 * layer.groups / (layer.kernel**2 * (shape[0] + layer.out)))
    if isinstance(layer, Linear):
        return math.sqrt(6 / (shape[0] + layer.out))
    raise TypeError(f"{layer.describe()} has no weights")
