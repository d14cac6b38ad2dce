"""A pretrained network that goes on learning, from its last stages down, while its batch norms keep their statistics.

In: a network with its weights. Out: `TunableNetwork`, which gives the same logits as any module of that tree, and in
training computes each batch norm into the convolution before it: one pass over the numbers where there were three. It
does not train.

Letters: N pictures, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .modules import ChainModule, ResidualModule
from .network import NetworkWeights
from .torch_network import Network, build_network

_UPPER = 2 / 3  # of the stages are below the upper ones, which hold most of the weights


class TunableNetwork(Network):
    """A network whose lower stages may stay as they are.

    Attributes:
        first: number of the first stage that learns; those below get no gradients.
    """

    first: int = 0

    @property
    def upper(self) -> int:
        """Number of the first of the upper stages."""
        return round(_UPPER * len(self.stages))

    def train(self, mode: bool = True) -> TunableNetwork:
        """Switch to training, but for batch norms: statistics of few pictures would spoil those of ImageNet."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, K) for pictures (N, C, H, W)."""
        if not self.training:
            logits: torch.Tensor = super().forward(x)
            return logits
        stages = list(self.features.children())
        with torch.no_grad():
            for stage in stages[: self.first]:
                x = _compute(stage, x)
        for stage in stages[self.first :]:
            x = _compute(stage, x)
        return _compute(self.head, x)


def tunable(weights: NetworkWeights) -> TunableNetwork:
    """Return the module of a network with its weights, channels_last."""
    network = build_network(weights, TunableNetwork)
    assert isinstance(network, TunableNetwork)
    return network


def _compute(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what a part of the tree gives, each batch norm with the statistics that it has."""
    if isinstance(module, ResidualModule):
        total: torch.Tensor = module.sum(_compute(module.shortcut, x), _compute(module.branch, x))
        return total
    if not isinstance(module, ChainModule):
        found: torch.Tensor = module(x)
        return found
    children = list(module.children())
    while children:
        child = children.pop(0)
        if isinstance(child, nn.Conv2d) and children and isinstance(children[0], nn.BatchNorm2d):
            x = _convolve(child, children.pop(0), x)
            if children and isinstance(children[0], nn.ReLU6):
                children.pop(0)
                x = F.relu6(x, inplace=True)
        else:
            x = _compute(child, x)
    return x


def _convolve(conv: nn.Conv2d, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return a convolution and the batch norm after it as one convolution: (N, out, H', W')."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()  # (out,)
    mean = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
    weight, bias = conv.weight * scale[:, None, None, None], norm.bias - mean * scale
    found: torch.Tensor = conv._conv_forward(x, weight, bias)
    return found
