"""The torch modules that layers become where torch has none of its own.

In: built child modules. Out: a module. It is imported only when a network is built.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


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
