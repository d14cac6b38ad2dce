"""A network as a table: layer, output shape, parameters, operations, like the tutorials' `model.summary()`.

In: a `NetworkSpec`. Out: `Summary`, which is rows, totals, plain data and a table for notebooks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from .elementwise import Activation
from .layer import Shape
from .network import NetworkSpec, leaves


@dataclass(frozen=True)
class LayerRow:
    """One layer; an activation is named with the layer before it, as Keras does.

    Attributes:
        layer: path in the network.
        kind: what it is.
        output: (H, W, C) or (F,).
        parameters: number of weights and biases.
        flops: operations for one picture.
    """

    layer: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """A layer table.

    Attributes:
        network: its name.
        input: (H, W, C).
        rows: one for each layer.
    """

    network: str
    input: tuple[int, ...]
    rows: tuple[LayerRow, ...]

    @property
    def parameters(self) -> int:
        """Total number of parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        """Total operations of one forward pass for one picture."""
        return sum(row.flops for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return rows and totals as plain data."""
        return asdict(self) | {"parameters": self.parameters, "flops": self.flops}

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{escape(row.layer)}</td><td>{escape(row.kind)}</td><td>{row.output}</td>"
            f"<td style='text-align:right'>{row.parameters:,}</td></tr>"
            for row in self.rows
        )
        return (
            f"<table><caption>{escape(self.network)}: {self.parameters:,} parameters</caption>"
            f"<tr><th>layer</th><th>kind</th><th>output shape</th><th>parameters</th></tr>{cells}</table>"
        )


def summarise(spec: NetworkSpec) -> Summary:
    """Return the layer table of a network."""
    rows: list[LayerRow] = []
    for path, layer, shape in leaves(spec.whole, spec.input):
        flops = layer.flops(shape)
        if isinstance(layer, Activation) and rows:
            last = rows[-1]
            kind = f"{last.kind}, {layer.describe()}"
            rows[-1] = LayerRow(last.layer, kind, last.output, last.parameters, last.flops + flops)
        else:
            output = channels_last(layer.output_shape(shape))
            rows.append(LayerRow(path, layer.describe(), output, layer.parameters(shape), flops))
    return Summary(spec.name, channels_last(spec.input), tuple(rows))


def channels_last(shape: Shape) -> Shape:
    """Return (H, W, C) for (C, H, W): tables show shapes as pictures and Keras have them."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape
