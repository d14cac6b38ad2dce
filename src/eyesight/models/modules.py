"""The torch modules that layers become where torch has none of its own.

In: built child modules. Out: a module. It is imported only when a network is built.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .layer import same_padding


class ChainModule(nn.Module):
    """Runs its children one after the other.

    While training, a ReLU before a max pooling is computed after it: the results and the gradients are the same bit
    for bit (the largest of the rectified values is the rectified largest value), on a quarter of the elements.
    """

    def __init__(self, children: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        self._train_order = _pool_first(list(children.values()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the last child gives."""
        for child in self._train_order if self.training else self.children():
            x = F.relu_(x) if child is _RELU_IN_PLACE else child(x)
        return x


class GlobalMaxPoolModule(nn.Module):
    """The largest value of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, C) for (N, C, H, W)."""
        return x.amax((2, 3))


class GlobalAveragePoolModule(nn.Module):
    """The mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, C) for (N, C, H, W)."""
        return x.mean((2, 3))


class SumModule(nn.Module):
    """Adds two."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return their sum."""
        return x + y


class ResidualModule(nn.Module):
    """What a branch gives plus what a shortcut gives."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, add: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.sum = branch, shortcut, add

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return shortcut(x) + branch(x)."""
        total: torch.Tensor = self.sum(self.shortcut(x), self.branch(x))
        return total


class StridedSameConv2d(nn.Conv2d):
    """A convolution in strides that pads for a whole number of them, for pictures of any size.

    Where the zeros are odd in number, there is one more at the bottom and at the right, as in TensorFlow.
    """

    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Return (N, out, ⌈H / stride⌉, ⌈W / stride⌉) for (N, C, H, W)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        (top, bottom), (left, right) = (same_padding(side, kernel, stride) for side in x.shape[2:])
        padding = (top, left)
        if top != bottom or left != right:
            x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class ScaleModule(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the numbers times the factor."""
        return x * self.factor


_RELU_IN_PLACE = nn.ReLU(inplace=True)


def _pool_first(children: list[nn.Module]) -> list[nn.Module]:
    """Return the children with every (ReLU, max pooling) pair swapped."""
    order = list(children)
    for i, (first, second) in enumerate(pairwise(children)):
        if isinstance(first, nn.ReLU) and isinstance(second, nn.MaxPool2d):
            order[i], order[i + 1] = second, _RELU_IN_PLACE
    return order
