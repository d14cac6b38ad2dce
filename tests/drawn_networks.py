"""Networks that nobody designed: any layers that fit together, with weights unlike fresh ones."""

from __future__ import annotations

from typing import get_args

import torch
from hypothesis import strategies as st

from eyesight.errors import UsageError
from eyesight.models.elementwise import Activation, BatchNorm, Dropout, Scale
from eyesight.models.layer import Layer
from eyesight.models.layers import Chain, Conv, Flatten, Linear, Pad, Residual, Whitening
from eyesight.models.network import NetworkSpec
from eyesight.models.pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from eyesight.models.torch_network import Network, channels_last


def trained(spec: NetworkSpec, *, noise: float = 1) -> Network:
    """Return a network in evaluation mode all of whose numbers differ from those of a fresh one."""
    generator = torch.Generator().manual_seed(0)
    network = spec.build()
    network.initialise(generator, torch.randn(20, *spec.input, generator=generator))
    with torch.no_grad():
        for parameter in network.parameters():
            # scales of batch norm become negative, too
            size = 0.1 if parameter.ndim > 1 else 1
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=noise * size)
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.lerp_(0.2 + torch.rand(buffer.shape, generator=generator), noise)
    changed = channels_last(network.eval())
    assert isinstance(changed, Network)
    return changed


FUNCTIONS = st.sampled_from(get_args(Activation.model_fields["function"].annotation))
PADDINGS = st.sampled_from(["same", "valid"])
WHITENING = st.builds(
    Whitening,
    components=st.integers(1, 2),
    kernel=st.integers(2, 3),
    stride=st.integers(1, 2),
    bias=st.booleans(),
)
CONVOLUTION = st.builds(
    Conv,
    out=st.integers(1, 6),
    kernel=st.integers(1, 4),
    padding=PADDINGS,
    bias=st.booleans(),
    stride=st.integers(1, 3),
    groups=st.sampled_from([1, 1, 2, 3]),
)
POOLING = st.builds(MaxPool, size=st.integers(2, 3), padding=PADDINGS, stride=st.sampled_from([None, 1, 2]))
SIMPLE = st.one_of(
    CONVOLUTION,
    POOLING,
    st.builds(Activation, function=FUNCTIONS),
    st.builds(BatchNorm, scale=st.booleans()),
    st.builds(Dropout, rate=st.just(0.5)),
    st.builds(Scale, factor=st.floats(0.1, 3)),
    st.just(Pad(left=1, right=0, top=2, bottom=1)),
    st.builds(AdaptiveAveragePool, size=st.integers(1, 9)),
)
AFTER = st.one_of(
    st.builds(Linear, out=st.integers(1, 5), bias=st.booleans()),
    st.builds(Activation, function=FUNCTIONS),
    st.builds(BatchNorm, scale=st.booleans()),
    st.builds(Scale, factor=st.floats(0.1, 3)),
)


def named(layers: list) -> Chain:
    return Chain(layers=tuple((f"layer{i}", layer) for i, layer in enumerate(layers)))


KEEPING = st.one_of(  # layers that do not change a shape of three channels
    st.builds(Conv, out=st.just(3), kernel=st.integers(1, 4), padding=st.just("same"), groups=st.sampled_from([1, 3])),
    st.builds(Activation, function=FUNCTIONS),
    st.builds(BatchNorm, scale=st.booleans()),
    st.builds(Scale, factor=st.floats(0.1, 3)),
    st.just(Dropout(rate=0.5)),
)


def residual(branch: list, shortcut: list, stride: int, inner: list) -> Chain:
    """A residual of the layers, in a branch that makes three channels and may hold another residual."""
    around = Conv(out=3, kernel=1)
    last = [] if stride == 1 and not shortcut else [Conv(out=3, kernel=2, padding="same", stride=stride), *shortcut]
    inside = [Residual(branch=named(inner))] if inner else []
    ends = Conv(out=3, kernel=3, padding="same", stride=stride)
    return named([around, Residual(branch=named([*branch, *inside, ends]), shortcut=named(last))])


RESIDUAL = st.builds(
    residual,
    st.lists(KEEPING, max_size=3),
    st.lists(KEEPING, max_size=2),
    st.integers(1, 3),
    st.lists(KEEPING, max_size=2),
)
BETWEEN = st.one_of(SIMPLE, RESIDUAL, RESIDUAL)


def tree(first: Whitening | None, between: list, end: Layer, head: list) -> NetworkSpec | None:
    """Return a network for pictures of 14x13 in colour and three classes; None where the layers do not fit together."""
    features = [first, *between] if first else between
    spec = NetworkSpec(
        name="any",
        input=(3, 14, 13),
        classes=3,
        features=named([named(features[:2]), named(features[2:])]),
        head=named([end, *head, Linear(out=3)]),
    )
    try:
        spec.check_size()
    except UsageError:
        return None
    return spec


TREES = st.builds(
    tree,
    st.none() | WHITENING,
    st.lists(BETWEEN, max_size=6),
    st.sampled_from([Flatten(), GlobalMaxPool(), GlobalAveragePool()]),
    st.lists(AFTER, max_size=4),
).filter(lambda spec: spec is not None)
