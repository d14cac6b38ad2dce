"""Layer types that leave the shape as it is: activation, batch normalisation, dropout, scale.

In: options. Out: layers; see `layer`. Torch is imported only to build.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from .layer import Layer, Shape

if TYPE_CHECKING:
    from torch import nn


class Activation(Layer):
    """An element-wise function; `relu6` is ReLU that ends at 6."""

    type: Literal["activation"] = "activation"
    function: Literal["relu", "relu6", "tanh", "gelu", "silu"]

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """The torch module of the function."""
        from torch import nn

        functions: dict[str, type[nn.Module]] = {
            "relu": nn.ReLU,
            "relu6": nn.ReLU6,
            "tanh": nn.Tanh,
            "gelu": nn.GELU,
            "silu": nn.SiLU,
        }
        return functions[self.function]()

    def describe(self) -> str:
        """The function's name."""
        return self.function


class BatchNorm(Layer):
    """Batch normalisation of every channel or feature, with a learned shift.

    Attributes:
        scale: whether a scale is learned as well; it is 1 otherwise.
        momentum: share of each batch in the running mean and variance.
        eps: added to the variance.
    """

    type: Literal["batch-norm"] = "batch-norm"
    scale: bool = True
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-5

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape

    def parameters(self, shape: Shape) -> int:
        """A scale, also where it stays 1, and a shift for every channel; not the running mean and variance."""
        return 2 * shape[0]

    def weights(self, shape: Shape) -> dict[str, Shape]:
        """Scale, shift, running mean and variance, and how many batches have been seen."""
        names = ("weight", "bias", "running_mean", "running_var")
        return dict.fromkeys(names, (shape[0],)) | {"num_batches_tracked": ()}

    def flops(self, shape: Shape) -> int:
        """A multiplication and an addition for each number, as in prediction."""
        return 2 * math.prod(shape)

    def build(self, shape: Shape) -> nn.Module:
        """The torch module for pictures or for flat features."""
        from torch import nn

        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        norm = kind(shape[0], momentum=self.momentum, eps=self.eps)
        norm.weight.requires_grad_(self.scale)
        return norm

    def describe(self) -> str:
        """Kind."""
        return "batch norm"


class Dropout(Layer):
    """In training, zeros in place of a random share of the numbers; in prediction nothing."""

    type: Literal["dropout"] = "dropout"
    rate: Annotated[float, Field(gt=0, lt=1)]

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape

    def flops(self, shape: Shape) -> int:  # noqa: ARG002
        """None in prediction."""
        return 0

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """The torch module."""
        from torch import nn

        return nn.Dropout(self.rate)

    def describe(self) -> str:
        """Kind and rate."""
        return f"dropout {self.rate:g}"


class Scale(Layer):
    """Every number times a constant."""

    type: Literal["scale"] = "scale"
    factor: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """The module of ours."""
        from .modules import ScaleModule

        return ScaleModule(self.factor)

    def describe(self) -> str:
        """Kind and factor."""
        return f"scale {self.factor:.3g}"
