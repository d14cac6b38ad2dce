"""What every layer type answers, whatever it is.

In: nothing. Out: `Layer`, the base class. It knows no layer.

Shapes are (C, H, W), or (F,) after flatten, always without the batch dimension. One multiply-add is 2 FLOPs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import UsageError

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
TAKEN_NAMES = frozenset(  # attributes of every torch module, which so cannot be names of layers
    """
    add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict
    modules mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
    """.split()
)


class Layer(BaseModel, ABC):
    """What every layer type answers. `version` grows when the meaning of its fields changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that comes out for `shape`; raise `UsageError` where it does not fit."""

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Return the torch module for inputs of `shape`, on torch's current default device."""

    @abstractmethod
    def describe(self) -> str:
        """Say what the layer is, for a table: "conv 3x3 valid"."""

    def parameters(self, shape: Shape) -> int:  # noqa: ARG002 - most layers have none, whatever comes in
        """Return how many parameters the layer has for inputs of `shape`."""
        return 0

    def weights(self, shape: Shape) -> dict[str, Shape]:  # noqa: ARG002
        """Return the shape of every array that a file holds of the layer, by the name its torch module gives it."""
        return {}

    def flops(self, shape: Shape) -> int:
        """Return the floating-point operations for one picture."""
        return math.prod(self.output_shape(shape))


def channels_height_width(layer: Layer, shape: Shape) -> None:
    """Raise `UsageError` when `shape` is not (C, H, W)."""
    if len(shape) != 3:
        raise UsageError(f"{layer.describe()} needs pictures (C, H, W); received: {shape}")


def with_bias(weight: Shape, *, bias: bool) -> dict[str, Shape]:
    """Return the shapes of a weight (O, …) and, where there is one, of a bias (O,)."""
    return {"weight": weight, "bias": weight[:1]} if bias else {"weight": weight}


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many zeros before and after a side give ⌈side / stride⌉ places, as TensorFlow counts them.

    >>> same_padding(224, 3, 2), same_padding(225, 3, 2), same_padding(5, 1, 2), same_padding(8, 4, 1)
    ((0, 1), (1, 1), (0, 0), (1, 2))
    """
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return total // 2, total - total // 2
