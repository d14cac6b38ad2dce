"""The torch side of a network: the module, its first weights, and a user's own module in its place.

In: a `NetworkSpec`, or a user's `nn.Module`. Out: modules that map (N, C, H, W) to logits (N, K). It does not train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import FormatError, UsageError
from ..formats import Arrays
from .layers import BatchNorm, Conv, Linear
from .modules import ChainModule
from .network import NetworkSpec, glorot_limit, leaves


class Network(ChainModule):
    """A network of the registry: `features`, then `head`, to logits.

    Attributes:
        spec: what it was built from.
    """

    features: ChainModule
    head: ChainModule

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__({name: layer.build(given) for name, layer, given in spec.whole.inputs(spec.input)})
        self.spec = spec

    @property
    def stages(self) -> list[tuple[str, nn.Module]]:
        """The stages with their paths, from pixels to features."""
        return [(path, self.get_submodule(path)) for path in self.spec.stages()]

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, images: torch.Tensor | None = None) -> None:  # noqa: ARG002
        """Draw all weights afresh.

        Args:
            generator: where the draws come from.
            images: (N, C, H, W) normalised training pictures, for families whose first layer is computed from
                them; those registered so far draw all their weights.
        """
        for path, layer, shape in leaves(self.spec.whole, self.spec.input):
            if isinstance(layer, Conv | Linear):
                module = self.get_submodule(path)
                limit = glorot_limit(layer, shape)
                weight, bias = module.get_parameter("weight"), module.get_parameter("bias")
                # drawn on the CPU in one fixed order, so that a seed means the same on every device and memory format
                weight.copy_(torch.empty(weight.shape).uniform_(-limit, limit, generator=generator))
                bias.zero_()
            elif isinstance(layer, BatchNorm):
                norm = self.get_submodule(path)
                assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
                norm.reset_parameters()  # scale 1, shift 0, running mean 0 and variance 1


def channels_last(module: nn.Module) -> nn.Module:
    """Store all 4-D weights with the channels innermost, which convolutions compute fastest with."""
    changed: nn.Module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # missing in torch
    return changed


def check_user_module(module: nn.Module, *, shape: tuple[int, int, int], classes: int) -> None:
    """Run two blank pictures through a user's module and check that it gives one logit for every class.

    Args:
        module: the user's network.
        shape: (H, W, C) of the pictures.
        classes: K.

    Raises:
        UsageError: it takes other pictures, or its output is not (N, K).
    """
    height, width, channels = shape
    name = type(module).__name__
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            parameter = next(module.parameters(), torch.empty(0))
            out = module(torch.zeros(2, channels, height, width, dtype=torch.float32, device=parameter.device))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        expected = f"(N, {channels}, {height}, {width})"
        raise UsageError(f"model: {name} does not take pictures {expected}: {first_line}") from None
    finally:
        module.train(was_training)
    found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if found != (2, classes):
        raise UsageError(
            f"model: {name} should give logits (N, {classes}), one for every class; received: {found} for N = 2"
        )


def check_finite(module: nn.Module) -> bool:
    """Tell whether every weight is finite and no buffer holds NaN; a user's buffer may be a mask of infinities."""
    buffers = (buffer for buffer in module.buffers() if buffer.is_floating_point())
    return all(bool(p.isfinite().all()) for p in module.parameters()) and not any(
        bool(buffer.isnan().any()) for buffer in buffers
    )


def to_arrays(module: nn.Module) -> Arrays:
    """Return all weights and buffers of a module by name, as contiguous NumPy arrays (bfloat16 as float32)."""
    return {name: tensor_to_array(tensor) for name, tensor in module.state_dict().items()}


def tensor_to_array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a copy of a tensor as a contiguous array (bfloat16 as float32), whatever its strides and device."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.to("cpu", copy=True, memory_format=torch.contiguous_format).numpy()


@torch.no_grad()
def load_arrays(module: nn.Module, arrays: Arrays, source: Path | str) -> None:
    """Copy arrays into the weights and buffers of a module, keeping its memory format.

    Raises:
        FormatError: names, shapes or kinds of number differ; nothing is copied then.
    """
    own = module.state_dict()
    if differing := own.keys() ^ arrays.keys():
        raise FormatError(f"{source}: its tensors do not fit the network (first difference: {min(differing)!r})")
    for name, tensor in own.items():
        if tuple(tensor.shape) != arrays[name].shape:
            expected, found = tuple(tensor.shape), arrays[name].shape
            raise FormatError(f"{source}: tensor {name!r} should have shape {expected}; received: {found}")
        if tensor.is_floating_point() != (arrays[name].dtype.kind == "f"):
            raise FormatError(f"{source}: tensor {name!r} should hold {tensor.dtype}; received: {arrays[name].dtype}")
    for name, tensor in own.items():
        tensor.copy_(torch.from_numpy(arrays[name]))
