"""The torch side of a network: the module, its first weights, and a user's own module in its place.

In: a `NetworkSpec`, or a user's `nn.Module`. Out: modules that map (N, C, H, W) to logits (N, K). It does not train.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import FormatError, UsageError
from ..formats import Arrays, LazyArray
from .elementwise import BatchNorm
from .layer import Shape
from .layers import Conv, Linear, Whitening
from .modules import ChainModule
from .network import NetworkSpec, NetworkWeights, glorot_limit, leaves

_WHITENED_AT_ONCE = 500  # pictures
_WHITENING_EPS = 5e-4  # added to each component's variance: flat patches are mostly noise of rounding


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
        self.kinds = [(path, type(self.get_submodule(path))) for path, _, _ in leaves(spec.whole, spec.input)]

    @property
    def stages(self) -> list[tuple[str, nn.Module]]:
        """The stages with their paths, from pixels to features."""
        return [(path, self.get_submodule(path)) for path in self.spec.stages()]

    @property
    def needs_images(self) -> bool:
        """Whether first weights are computed from pictures."""
        return any(isinstance(layer, Whitening) for _, layer, _ in leaves(self.spec.whole, self.spec.input))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, images: torch.Tensor | None = None) -> None:
        """Draw all weights afresh.

        Args:
            generator: where the draws come from.
            images: (N, C, H, W) float32, normalised training pictures, for layers that are computed from them.

        Raises:
            UsageError: a layer needs pictures, and there are none.
        """
        for path, layer, shape in leaves(self.spec.whole, self.spec.input):
            module = self.get_submodule(path)
            if isinstance(layer, Conv | Linear):
                weight = module.get_parameter("weight")
                # drawn on the CPU in one fixed order, so that a seed means the same on every device and memory format
                weight.copy_(
                    _draw_weights(self.spec.initialisation, layer, shape, torch.empty(weight.shape), generator)
                )
                if layer.bias:
                    module.get_parameter("bias").zero_()
            elif isinstance(layer, Whitening):
                if images is None:
                    raise UsageError(f"{self.spec.name}: its first weights are computed from pictures; received: none")
                module.get_parameter("weight").copy_(whitening_filters(images, layer))
                if layer.bias:
                    module.get_parameter("bias").zero_()
            elif isinstance(layer, BatchNorm):
                assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
                module.reset_parameters()  # scale 1, shift 0, running mean 0 and variance 1


def _draw_weights(
    how: str, layer: Conv | Linear, shape: Shape, weight: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Fill a weight with its first values; see `NetworkSpec.initialisation`."""
    if how == "glorot-uniform":
        limit = glorot_limit(layer, shape)
        return weight.uniform_(-limit, limit, generator=generator)
    if how == "he":  # He et al., "Delving deep into rectifiers", ICCV 2015: variance 2 / fan in
        return weight.normal_(std=math.sqrt(2 / weight[0].numel()), generator=generator)
    if isinstance(layer, Linear):
        weight.normal_(generator=generator)
        return weight / weight.std()
    limit = weight[0].numel() ** -0.5  # variance 1 / (3 · fan in), torch's default
    weight.uniform_(-limit, limit, generator=generator)
    nn.init.dirac_(weight[: weight.shape[1]])
    return weight


def whitening_filters(images: torch.Tensor, layer: Whitening) -> torch.Tensor:
    """Return the filters (2 · components, C, k, k) of a whitening layer.

    Args:
        images: (N, C, H, W) normalised pictures.
        layer: says how many components, and the size of the patches.
    """
    channels, size = images.shape[1], layer.kernel
    sums = torch.zeros(channels * size**2, channels * size**2, dtype=torch.float64)
    count = 0
    for part in torch.split(images, _WHITENED_AT_ONCE):
        patches = part.double().unfold(2, size, layer.stride).unfold(3, size, layer.stride)
        flat = patches.permute(1, 4, 5, 0, 2, 3).reshape(sums.shape[0], -1)  # from (n, C, rows, columns, k, k)
        sums += flat @ flat.T
        count += flat.shape[1]
    variances, vectors = torch.linalg.eigh(sums / count)  # ascending
    variances.clamp_(min=0)
    best = torch.arange(len(variances) - 1, len(variances) - 1 - layer.components, -1)
    filters = vectors.T[best] / (variances[best, None] + _WHITENING_EPS).sqrt()
    signs = torch.where(filters[:, :1] < 0, -1.0, 1.0)  # which of the two comes first must not depend on the library
    filters = (filters * signs).float().view(-1, channels, size, size)
    return torch.cat((filters, -filters))


def channels_last(module: nn.Module) -> nn.Module:
    """Store all 4-D weights with the channels innermost, which convolutions compute fastest with."""
    changed: nn.Module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # missing in torch
    return changed


def build_network(weights: NetworkWeights, kind: type[Network] = Network) -> Network:
    """Return the module of a network with its weights, channels_last."""
    weights.spec.check_size()
    with torch.device("meta"):
        network = kind(weights.spec)
    network = network.to_empty(device="cpu").float()  # whatever torch's default type is
    load_arrays(network, weights.arrays, weights.spec.name)
    channels_last(network)
    return network


def network_weights(network: nn.Module) -> NetworkWeights | None:
    """Return a module of ours as data; None for others, and where a part is no longer what its tree says."""
    if not isinstance(network, Network):
        return None
    try:
        as_built = all(type(network.get_submodule(path)) is kind for path, kind in network.kinds)
    except AttributeError:
        return None
    arrays = to_arrays(network)
    expected = network.spec.weights()
    if not as_built or {path: array.shape for path, array in arrays.items()} != expected:
        return None
    return NetworkWeights(network.spec, arrays)


class Watch:
    """Notices when parts of a network are replaced, or torch counts a change of its weights."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._parts = [
            (parts, name, part)
            for module in network.modules()
            for parts in (module._modules, module._parameters, module._buffers)  # walking them anew takes far longer
            for name, part in parts.items()
        ]
        self._tensors = [*network.parameters(), *network.buffers()]
        self._counted = not any(tensor.is_inference() for tensor in self._tensors)  # those do not count changes
        self._versions = [tensor._version for tensor in self._tensors] if self._counted else []

    def unchanged(self, network: nn.Module) -> bool:
        """Tell whether a network is this one, with the same parts and weights as when the watch began."""
        return (
            network is self._network
            and self._counted
            and all(parts.get(name) is part for parts, name, part in self._parts)
            and self._versions == [tensor._version for tensor in self._tensors]
        )


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
    parameter = next(module.parameters(), torch.empty(0))
    try:
        with torch.no_grad():
            out = module(torch.zeros(2, channels, height, width, dtype=torch.float32, device=parameter.device))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        if parameter.dtype == torch.float64:  # torch's default where the program has set it
            first_line = "its weights are float64, pictures come as float32; call .float() on it first"
        expected = f"(N, {channels}, {height}, {width})"
        raise UsageError(f"{name} does not take pictures {expected}: {first_line}", field="model") from None
    finally:
        module.train(was_training)
    found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
    if found != (2, classes):
        raise UsageError(
            f"{name} should give logits (N, {classes}), one for every class; received: {found} for N = 2", field="model"
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


def lazy_array(tensor: torch.Tensor) -> LazyArray:
    """Return what `tensor_to_array` would make of a tensor, as an array that is made when it is written."""
    dtype = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
    return LazyArray(
        torch.empty(0, dtype=dtype).numpy().dtype, tuple(tensor.shape), functools.partial(tensor_to_array, tensor)
    )


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
