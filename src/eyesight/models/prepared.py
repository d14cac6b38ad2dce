"""A trained network made ready to predict: fewer and faster steps, the same logits but for rounding.

In: a `Network` in evaluation mode on a CPU. Out: a `Prepared`, which maps the same pictures to the same logits.
Batch normalisation is computed into the convolution or dense layer before it, an activation is computed while its
input is still in the cache, and filters are stored once in the order and number format that oneDNN computes with.

Source: Jacob et al., "Quantization and training of neural networks", CVPR 2018 (batch norm folded into weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import nn

from .elementwise import Activation, BatchNorm, Dropout, Scale
from .layer import Layer
from .layers import Conv, Linear, MaxPool, Whitening
from .network import leaves
from .torch_network import Network

Step = Callable[[torch.Tensor], torch.Tensor]

_FUNCTIONS: dict[str, tuple[str, Step]] = {  # with the name that oneDNN knows each by
    "relu": ("relu", torch.relu),
    "gelu": ("gelu", F.gelu),
    "tanh": ("tanh", torch.tanh),
    "silu": ("swish", F.silu),
}


@dataclass(frozen=True)
class _MaxPool:
    """Max pooling whose stride is its size."""

    size: int
    ceil: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.max_pool2d(x, self.size, self.size, 0, 1, self.ceil)


@dataclass
class _Product:
    """A convolution or dense layer with what has been computed into it so far.

    Attributes:
        weight: float32 (O, …).
        bias: float32 (O,).
        padding, stride: of a convolution.
        activation: the function at its end, if any.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    padding: int
    stride: int
    activation: str | None = None

    def scale(self, factor: torch.Tensor) -> None:
        """Multiply each output by a factor (O,)."""
        self.weight = self.weight * factor.view(-1, *[1] * (self.weight.ndim - 1))
        self.bias = self.bias * factor

    def step(self, dtype: torch.dtype) -> Step:
        """Return the function of (N, I, H, W) or (N, I) that computes it in `dtype`."""
        weight, bias = self.weight.to(dtype), self.bias.to(dtype)
        name, function = _FUNCTIONS[self.activation] if self.activation else ("none", None)
        if weight.ndim == 2:
            if function is None:
                return lambda x: F.linear(x, weight, bias)
            return lambda x: function(F.linear(x, weight, bias))
        padding, stride, dilation = [self.padding] * 2, [self.stride] * 2, [1, 1]
        weight = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, dilation, 1)
        convolve = torch.ops.mkldnn._convolution_pointwise.default
        return lambda x: convolve(x, weight, bias, padding, stride, dilation, 1, name, [], "none")


class Prepared:
    """A network's prediction as a list of steps, with copies of its weights.

    Attributes:
        dtype: of the numbers between the steps.
    """

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._steps = _steps(network, dtype)
        self._network = network
        self._parts = [
            (parts, name, part)
            for module in network.modules()
            for parts in (module._modules, module._parameters, module._buffers)  # walking them anew takes far longer
            for name, part in parts.items()
        ]
        self._tensors = [*network.parameters(), *network.buffers()]
        self._versions = [tensor._version for tensor in self._tensors]

    def still_is(self, network: Network) -> bool:
        """Tell whether a network is the one this was made of, with the same parts and unchanged weights."""
        return (
            network is self._network
            and all(parts.get(name) is part for parts, name, part in self._parts)
            and self._versions == [tensor._version for tensor in self._tensors]
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (N, K) for normalised pictures (N, C, H, W)."""
        x = images.to(self.dtype)
        for step in self._steps:
            x = step(x)
        return x.float()


def can_prepare(network: nn.Module, dtype: torch.dtype) -> TypeGuard[Network]:
    """Tell whether a network can be prepared: one of ours, to predict on a CPU that torch has oneDNN for."""
    if not isinstance(network, Network) or network.training or dtype not in (torch.float32, torch.bfloat16):
        return False
    first = next(network.parameters())
    return (
        first.device.type == "cpu"
        and not first.is_inference()  # such tensors do not count their changes
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # torch has no types for it
        and bool(torch.backends.mkldnn.enabled)
    )


@torch.no_grad()
def _steps(network: Network, dtype: torch.dtype) -> list[Step]:
    """Return what the layers do, in order, with as few steps as possible."""
    steps: list[Step | _Product] = []
    for path, layer, _ in leaves(network.spec.whole, network.spec.input):
        module = network.get_submodule(path)
        if isinstance(layer, Conv | Whitening | Linear):
            steps += _products(layer, module)
        elif not _taken_in(layer, module, steps):
            steps.append(_MaxPool(layer.size, layer.padding == "same") if isinstance(layer, MaxPool) else module)
    return [step.step(dtype) if isinstance(step, _Product) else step for step in steps]


def _products(layer: Conv | Whitening | Linear, module: nn.Module) -> list[Step | _Product]:
    weight = module.get_parameter("weight").clone()
    bias = module.get_parameter("bias").clone() if module.bias is not None else weight.new_zeros(len(weight))
    if isinstance(layer, Whitening):
        return [_Product(weight, bias, padding=0, stride=layer.stride)]
    lost = layer.kernel - 1 if isinstance(layer, Conv) and layer.padding == "same" else 0
    product = _Product(weight, bias, padding=lost // 2, stride=1)
    # of an even kernel, one row and column more at the end
    return [lambda x: F.pad(x, (0, 1, 0, 1)), product] if lost % 2 else [product]


def _taken_in(layer: Layer, module: nn.Module, steps: list[Step | _Product]) -> bool:
    """Compute a layer into what comes before it, where that is possible; tell whether it was."""
    last = steps[-1] if steps else None
    if isinstance(layer, Dropout):
        return True
    if isinstance(layer, BatchNorm):
        mean, variance = module.get_buffer("running_mean"), module.get_buffer("running_var")
        scale = module.get_parameter("weight") / (variance + layer.eps).sqrt()
        if isinstance(last, _MaxPool) and len(steps) > 1 and bool((scale > 0).all()):
            last = steps[-2]  # the largest of numbers stays the largest if all are scaled and moved alike
        if isinstance(last, _Product) and last.activation is None:
            last.scale(scale)
            last.bias += module.get_parameter("bias") - mean * scale
            return True
    elif isinstance(last, _Product) and last.activation is None:
        if isinstance(layer, Activation):
            last.activation = layer.function
            return True
        if isinstance(layer, Scale):
            last.scale(torch.full_like(last.bias, layer.factor))
            return True
    return False
