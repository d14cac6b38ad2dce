"""A registered network with other hidden dense layers: the tutorials' suggestion to try some.

In: a `NetworkSpec`. Out: another one. It does not know which network it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from .elementwise import Activation
from .layers import AnyLayer, Chain, Flatten, Linear
from .network import NetworkSpec


def with_dense(spec: NetworkSpec, widths: Sequence[int]) -> NetworkSpec:
    """Return the network with hidden dense layers of these widths in place of its own, each with its activation.

    Args:
        spec: a network of which all layers after flattening are dense, as those of the tutorials.
        widths: outputs of each hidden layer, from flattening to the logits; none for logits at once.

    Raises:
        UsageError: the network has no such end.
    """
    chains = {"features": spec.features, "head": spec.head}
    place = next(
        (name for name, chain in chains.items() if any(isinstance(part, Flatten) for _, part in chain.layers)), ""
    )
    children = list(chains[place].layers) if place else []
    start = next((i for i, (_, part) in enumerate(children, start=1) if isinstance(part, Flatten)), 0)
    dense, after = children[start:], list(spec.head.layers) if place == "features" else []
    if not place or not all(isinstance(part, Linear | Activation) for _, part in dense + after):
        raise UsageError(f"{spec.name} does not end in dense layers after flattening", field="model.dense")
    function = next((part for _, part in dense if isinstance(part, Activation)), Activation(function="relu"))
    hidden: list[tuple[str, AnyLayer]] = []
    for i, out in enumerate(widths, start=1):
        hidden += [(f"dense{i}", Linear(out=out)), (f"{function.function}{i}", function)]
    last = [] if place == "features" else [("output", dense[-1][1])]
    return spec.model_copy(update={place: Chain(layers=(*children[:start], *hidden, *last))})
