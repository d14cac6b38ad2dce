"""The layer types that networks are made of, as data.

In: sizes and options. Out: for every layer its output shape, parameters, operations, and a torch module. A tree of
these is what a model file stores; each type carries a version, so that old files keep their meaning. Torch is
imported only to build. It knows nothing of whole networks.

Shapes are (C, H, W), or (F,) after flatten, always without the batch dimension. One multiply-add is 2 FLOPs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ..errors import UsageError
from .elementwise import Activation, BatchNorm, Dropout, Scale
from .layer import TAKEN_NAMES, Count, Layer, Shape, channels_height_width, with_bias

if TYPE_CHECKING:
    from torch import nn


class Conv(Layer):
    """2-D convolution with stride 1."""

    type: Literal["conv"] = "conv"
    out: Count
    kernel: Annotated[int, Field(ge=1, le=255)]
    padding: Literal["valid", "same"] = "valid"
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        """`valid` loses kernel − 1 pixels, `same` keeps the size."""
        channels_height_width(self, shape)
        lost = 0 if self.padding == "same" else self.kernel - 1
        if min(shape[1:]) <= lost:
            raise UsageError(f"a {self.kernel}x{self.kernel} convolution does not fit {shape[1]}x{shape[2]} pixels")
        return self.out, shape[1] - lost, shape[2] - lost

    def parameters(self, shape: Shape) -> int:
        """Weights, and biases where it has them."""
        return self.out * (shape[0] * self.kernel**2 + self.bias)

    def weights(self, shape: Shape) -> dict[str, Shape]:
        """Filters (out, C, k, k), and a bias for each where it has them."""
        return with_bias((self.out, shape[0], self.kernel, self.kernel), bias=self.bias)

    def flops(self, shape: Shape) -> int:
        """Two for each weight at each output pixel, and one to add the bias."""
        return math.prod(self.output_shape(shape)) * (2 * shape[0] * self.kernel**2 + self.bias)

    def build(self, shape: Shape) -> nn.Module:
        """`same` pads kernel − 1 zeros in all, the odd one at the bottom right, as Keras does."""
        from torch import nn

        # an integer padding is the fast path; torch's own "same" pads in a separate step for even kernels
        padding: int | str = 0
        if self.padding == "same":
            padding = self.kernel // 2 if self.kernel % 2 else "same"
        return nn.Conv2d(shape[0], self.out, self.kernel, padding=padding, bias=self.bias)

    def describe(self) -> str:
        """Kind, kernel and padding."""
        return f"conv {self.kernel}x{self.kernel} {self.padding}"


class Whitening(Layer):
    """A convolution whose filters are computed from training pictures and then stay; a bias, if any, is learned.

    The filters are the first principal components of the pictures' patches, each scaled to deviation 1, and the
    negatives of them. Source: Page, "How to train your ResNet 8: bag of tricks", 2019.
    """

    type: Literal["whitening"] = "whitening"
    components: Count
    kernel: Annotated[int, Field(ge=1, le=255)]
    stride: Annotated[int, Field(ge=1, le=255)] = 1
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        """Two channels for each component; no padding."""
        channels_height_width(self, shape)
        if min(shape[1:]) < self.kernel:
            raise UsageError(f"patches of {self.kernel}x{self.kernel} do not fit {shape[1]}x{shape[2]} pixels")
        if self.components > shape[0] * self.kernel**2:
            raise UsageError(
                f"patches of {shape[0]}x{self.kernel}x{self.kernel} have fewer than {self.components} components"
            )
        height, width = ((side - self.kernel) // self.stride + 1 for side in shape[1:])
        return 2 * self.components, height, width

    def parameters(self, shape: Shape) -> int:
        """The filters, which stay as they are, and biases where it has them."""
        return 2 * self.components * (shape[0] * self.kernel**2 + self.bias)

    def weights(self, shape: Shape) -> dict[str, Shape]:
        """Filters (out, C, k, k), and a bias for each where it has them."""
        return with_bias((2 * self.components, shape[0], self.kernel, self.kernel), bias=self.bias)

    def flops(self, shape: Shape) -> int:
        """Two for each weight at each output pixel, and one to add the bias."""
        return math.prod(self.output_shape(shape)) * (2 * shape[0] * self.kernel**2 + self.bias)

    def build(self, shape: Shape) -> nn.Module:
        """A convolution whose weights take no gradient."""
        from torch import nn

        convolution = nn.Conv2d(shape[0], 2 * self.components, self.kernel, stride=self.stride, bias=self.bias)
        convolution.weight.requires_grad_(False)
        return convolution

    def describe(self) -> str:
        """Kind and size of the patches."""
        return f"whitening {self.kernel}x{self.kernel}" + (f" stride {self.stride}" if self.stride > 1 else "")


class MaxPool(Layer):
    """Max pooling whose stride is its size; `same` keeps an incomplete window at the edge, `valid` drops it."""

    type: Literal["max-pool"] = "max-pool"
    size: Annotated[int, Field(ge=1, le=255)] = 2
    padding: Literal["valid", "same"] = "valid"

    def output_shape(self, shape: Shape) -> Shape:
        """Height and width divided by the size, rounded down (`valid`) or up (`same`)."""
        channels_height_width(self, shape)
        up = self.size - 1 if self.padding == "same" else 0
        height, width = ((n + up) // self.size for n in shape[1:])
        if min(height, width) < 1:
            raise UsageError(f"{self.size}x{self.size} pooling does not fit {shape[1]}x{shape[2]} pixels")
        return shape[0], height, width

    def flops(self, shape: Shape) -> int:
        """One comparison for each input."""
        return math.prod(shape)

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """A torch pooling layer; its ceil mode is `same` when stride and size are equal."""
        from torch import nn

        return nn.MaxPool2d(self.size, ceil_mode=self.padding == "same")

    def describe(self) -> str:
        """Kind and size."""
        return f"max pool {self.size}x{self.size}" + (" same" if self.padding == "same" else "")


class GlobalMaxPool(Layer):
    """The largest value of each channel, for pictures of any size."""

    type: Literal["global-max-pool"] = "global-max-pool"

    def output_shape(self, shape: Shape) -> Shape:
        """(C,)."""
        channels_height_width(self, shape)
        return (shape[0],)

    def flops(self, shape: Shape) -> int:
        """One comparison for each input."""
        return math.prod(shape)

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """The module of ours."""
        from .modules import GlobalMaxPoolModule

        return GlobalMaxPoolModule()

    def describe(self) -> str:
        """Kind."""
        return "global max pool"


class Pad(Layer):
    """Zeros around the picture."""

    type: Literal["pad"] = "pad"
    left: Annotated[int, Field(ge=0, le=4096)]
    right: Annotated[int, Field(ge=0, le=4096)]
    top: Annotated[int, Field(ge=0, le=4096)]
    bottom: Annotated[int, Field(ge=0, le=4096)]

    def output_shape(self, shape: Shape) -> Shape:
        """Grown by the padding."""
        channels_height_width(self, shape)
        return shape[0], shape[1] + self.top + self.bottom, shape[2] + self.left + self.right

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """A torch padding layer."""
        from torch import nn

        return nn.ZeroPad2d((self.left, self.right, self.top, self.bottom))

    def describe(self) -> str:
        """The four widths, or the one they share."""
        widths = (self.left, self.right, self.top, self.bottom)
        return f"pad {widths[0]}" if len(set(widths)) == 1 else "pad " + ",".join(map(str, widths))


class Flatten(Layer):
    """From (C, H, W) to (C·H·W,), in that order whatever the memory format."""

    type: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """All in one dimension."""
        return (math.prod(shape),)

    def flops(self, shape: Shape) -> int:  # noqa: ARG002
        """None."""
        return 0

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """A torch flatten."""
        from torch import nn

        return nn.Flatten()

    def describe(self) -> str:
        """Kind."""
        return "flatten"


class Linear(Layer):
    """A dense layer."""

    type: Literal["linear"] = "linear"
    out: Count
    bias: bool = True

    def output_shape(self, shape: Shape) -> Shape:
        """(out,)."""
        if len(shape) != 1:
            raise UsageError(f"a dense layer needs a flat input; received: {shape}")
        return (self.out,)

    def parameters(self, shape: Shape) -> int:
        """Weights, and biases where it has them."""
        return self.out * (shape[0] + self.bias)

    def weights(self, shape: Shape) -> dict[str, Shape]:
        """A row (F,) for each output, and a bias where it has them."""
        return with_bias((self.out, shape[0]), bias=self.bias)

    def flops(self, shape: Shape) -> int:
        """Two for each weight, and one to add the bias."""
        return self.out * (2 * shape[0] + self.bias)

    def build(self, shape: Shape) -> nn.Module:
        """A torch linear layer."""
        from torch import nn

        return nn.Linear(shape[0], self.out, bias=self.bias)

    def describe(self) -> str:
        """Kind."""
        return "dense"


class Chain(Layer):
    """Named layers, one after the other: the combinator that all others are leaves of."""

    type: Literal["chain"] = "chain"
    layers: tuple[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")], AnyLayer], ...]

    @model_validator(mode="after")
    def _one_layer_per_name(self) -> Chain:
        names = [name for name, _ in self.layers]
        if len(set(names)) < len(names):
            raise ValueError("two layers of a chain have the same name")
        if taken := TAKEN_NAMES.intersection(names):
            raise ValueError(f"a layer has a name that torch keeps for itself: {min(taken)!r}")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """What the last layer gives."""
        for _, layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def inputs(self, shape: Shape) -> list[tuple[str, Layer, Shape]]:
        """Return every child with its name and the shape that reaches it."""
        found: list[tuple[str, Layer, Shape]] = []
        for name, layer in self.layers:
            found.append((name, layer, shape))
            shape = layer.output_shape(shape)
        return found

    def parameters(self, shape: Shape) -> int:
        """Sum over the children."""
        return sum(layer.parameters(given) for _, layer, given in self.inputs(shape))

    def flops(self, shape: Shape) -> int:
        """Sum over the children."""
        return sum(layer.flops(given) for _, layer, given in self.inputs(shape))

    def build(self, shape: Shape) -> nn.Module:
        """A module with the children under their names."""
        from .modules import ChainModule

        return ChainModule({name: layer.build(given) for name, layer, given in self.inputs(shape)})

    def describe(self) -> str:
        """Kind and length."""
        return f"chain of {len(self.layers)}"


AnyLayer = Annotated[
    Conv
    | Whitening
    | MaxPool
    | GlobalMaxPool
    | Pad
    | Flatten
    | Linear
    | Activation
    | BatchNorm
    | Dropout
    | Scale
    | Chain,
    Field(discriminator="type"),
]
Chain.model_rebuild()


def chain(**layers: AnyLayer) -> Chain:
    """Return the layers as a chain, in this order and under these names."""
    return Chain(layers=tuple(layers.items()))
