"""A registered network with batch normalisation or dropout put into it.

In: a `NetworkSpec`. Out: another one. It does not know which network it is.
"""

from __future__ import annotations

from ..errors import UsageError
from .elementwise import BatchNorm, Dropout
from .layers import AnyLayer, Chain, Conv, Linear, Residual
from .network import NetworkSpec, leaves


def regularise(spec: NetworkSpec, *, dropout: float = 0.0, batch_norm: bool = False) -> NetworkSpec:
    """Return the network with dropout before its dense layers and batch normalisation after its other layers.

    Args:
        spec: a network of convolutions and dense layers.
        dropout: share of its inputs that each dense layer loses in training; not where they are pixels. 0 for none.
            Source: Srivastava et al., "Dropout", 2014.
        batch_norm: normalise what comes out of each convolution and each dense layer but the last, before the
            activation. Source: Ioffe & Szegedy, "Batch normalization", 2015.

    Raises:
        UsageError: batch normalisation for a network that has it.
    """
    weighted = [path for path, layer, _ in leaves(spec.whole, spec.input) if isinstance(layer, Conv | Linear)]
    first, last = weighted[0], weighted[-1]

    def inside(layer: AnyLayer, path: str) -> AnyLayer:
        if isinstance(layer, Residual):
            parts = {
                "branch": changed(layer.branch, f"{path}.branch"),
                "shortcut": changed(layer.shortcut, f"{path}.shortcut"),
            }
            return layer.model_copy(update=parts)
        return changed(layer, path) if isinstance(layer, Chain) else layer

    def changed(chain: Chain, prefix: str) -> Chain:
        children: list[tuple[str, AnyLayer]] = []
        for name, layer in chain.layers:
            path = f"{prefix}.{name}"
            if isinstance(layer, Linear) and dropout and path != first:
                children.append((f"drop_{name}", Dropout(rate=dropout)))
            children.append((name, inside(layer, path)))
            if isinstance(layer, Conv | Linear) and batch_norm and path != last:
                children.append((f"norm_{name}", BatchNorm()))
        return Chain(layers=tuple(children))

    if not dropout and not batch_norm:
        return spec
    if batch_norm and any(isinstance(layer, BatchNorm) for _, layer, _ in leaves(spec.whole, spec.input)):
        raise UsageError(f"{spec.name} has batch normalisation already", field="model.batch_norm")
    parts = {"features": changed(spec.features, "features"), "head": changed(spec.head, "head")}
    return spec.model_copy(update=parts)
