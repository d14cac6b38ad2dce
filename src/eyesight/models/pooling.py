"""Layer types that make one number of many: pooling by the largest or by the mean, over windows or the whole picture.

In: sizes and options. Out: layers; see `layer`. Torch is imported only to build.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ..errors import UsageError
from .layer import Layer, Shape, channels_height_width

if TYPE_CHECKING:
    from torch import nn


class MaxPool(Layer):
    """Max pooling; `same` keeps an incomplete window at the right and bottom edge, `valid` drops it.

    Attributes:
        size: side of a window.
        padding: what becomes of incomplete windows.
        stride: pixels from one window to the next, at most `size`; `size` where not given.
    """

    type: Literal["max-pool"] = "max-pool"
    size: Annotated[int, Field(ge=1, le=255)] = 2
    padding: Literal["valid", "same"] = "valid"
    stride: Annotated[int | None, Field(ge=1, le=255, exclude_if=lambda value: value is None)] = None

    @model_validator(mode="after")
    def _windows_leave_nothing_out(self) -> MaxPool:
        if self.step > self.size:
            raise ValueError("stride must not be above size")
        return self

    @property
    def step(self) -> int:
        """Pixels from one window to the next."""
        return self.stride or self.size

    def output_shape(self, shape: Shape) -> Shape:
        """As many as there are windows, whole ones (`valid`) or begun (`same`)."""
        channels_height_width(self, shape)
        up = self.step - 1 if self.padding == "same" else 0
        height, width = ((n - self.size + up) // self.step + 1 for n in shape[1:])
        if min(height, width) < 1:
            raise UsageError(f"{self.size}x{self.size} pooling does not fit {shape[1]}x{shape[2]} pixels")
        return shape[0], height, width

    def flops(self, shape: Shape) -> int:
        """One comparison for each number in a window."""
        whole = self.step == self.size
        return math.prod(shape) if whole else math.prod(self.output_shape(shape)) * self.size**2

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """A torch pooling layer; its ceil mode is `same`."""
        from torch import nn

        return nn.MaxPool2d(self.size, self.step, ceil_mode=self.padding == "same")

    def describe(self) -> str:
        """Kind, size, and what is not usual."""
        stride = f" stride {self.step}" if self.step != self.size else ""
        return f"max pool {self.size}x{self.size}" + (" same" if self.padding == "same" else "") + stride


class _GlobalPool(Layer):
    """One number for each channel, for pictures of any size."""

    def output_shape(self, shape: Shape) -> Shape:
        """(C,)."""
        channels_height_width(self, shape)
        return (shape[0],)

    def flops(self, shape: Shape) -> int:
        """One comparison or addition for each input."""
        return math.prod(shape)


class GlobalMaxPool(_GlobalPool):
    """The largest value of each channel, for pictures of any size."""

    type: Literal["global-max-pool"] = "global-max-pool"

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """The module of ours."""
        from .modules import GlobalMaxPoolModule

        return GlobalMaxPoolModule()

    def describe(self) -> str:
        """Kind."""
        return "global max pool"


class GlobalAveragePool(_GlobalPool):
    """The mean of each channel, for pictures of any size.

    Source: Lin et al., "Network in network", 2014.
    """

    type: Literal["global-average-pool"] = "global-average-pool"

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """The module of ours."""
        from .modules import GlobalAveragePoolModule

        return GlobalAveragePoolModule()

    def describe(self) -> str:
        """Kind."""
        return "global average pool"


class AdaptiveAveragePool(Layer):
    """Means over a grid of `size` times `size` windows, whatever the picture's size; smaller pictures are enlarged.

    It lets dense layers that were made for one size of picture take another.
    """

    type: Literal["adaptive-average-pool"] = "adaptive-average-pool"
    size: Annotated[int, Field(ge=1, le=255)]

    def output_shape(self, shape: Shape) -> Shape:
        """(C, size, size)."""
        channels_height_width(self, shape)
        return shape[0], self.size, self.size

    def flops(self, shape: Shape) -> int:
        """One addition for each number in a window."""
        rows, columns = (sum(last - first for first, last in self.windows(side)) for side in shape[1:])
        return shape[0] * rows * columns

    def windows(self, side: int) -> list[tuple[int, int]]:
        """Return the first place of each window along a side, and the place after its last."""
        return [(i * side // self.size, -(-(i + 1) * side // self.size)) for i in range(self.size)]

    def build(self, shape: Shape) -> nn.Module:  # noqa: ARG002
        """A torch pooling layer."""
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.size)

    def describe(self) -> str:
        """Kind and size of the grid."""
        return f"average pool to {self.size}x{self.size}"
