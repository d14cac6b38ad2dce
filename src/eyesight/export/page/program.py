"""A trained network as a flat program: what the page computes, one operation after the other.

In: the steps of a network. Out: the shapes of everything that is computed, the operations in order, and the products
whose weights they need. It knows neither JavaScript nor how weights are stored.

Letters: H height, W width, C channels. Shapes are (H, W, C), as the page holds them; (1, 1, F) after flatten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...engine.steps import Affine, Plain, Product, Step, Sum
from ...errors import UsageError
from ...models.elementwise import Activation
from ...models.layer import Shape
from ...models.layers import Flatten, Linear, Pad
from ...models.pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool

Operation = dict[str, Any]

_NOT_FUSED: Final = ("flatten", "pad", "largest", "mean")  # operations that take no activation with them


@dataclass
class Program:
    """What the page runs.

    Attributes:
        shapes: (H, W, C) of every value; the first is the picture, normalised.
        operations: in order; each says from which values (`in`) it makes which (`out`).
        products: convolutions and dense layers; an operation names its own by the place in this list.
        affines: (scale, shift) (C,) each, likewise.
    """

    shapes: list[tuple[int, int, int]]
    operations: list[Operation] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    affines: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = field(default_factory=list)

    def add(self, kind: str, path: str, says: str, inputs: Sequence[int], shape: Shape, **details: Any) -> int:
        """Add an operation; return the number of the value that it makes."""
        self.shapes.append(_as_held(shape))
        out = len(self.shapes) - 1
        self.operations.append({"kind": kind, "path": path, "says": says, "in": list(inputs), "out": out, **details})
        return out


def write_program(steps: Sequence[Step], shape: Shape) -> Program:
    """Return the program of a network.

    Args:
        steps: of the network; see `engine.steps`.
        shape: (C, H, W) of a picture.
    """
    program = Program([_as_held(shape)])
    _add_steps(program, steps, 0)
    return program


def _as_held(shape: Shape) -> tuple[int, int, int]:
    """Return a shape (C, H, W) or (F,) as the page holds it."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, 1, shape[0])


def _add_steps(program: Program, steps: Sequence[Step], value: int) -> int:
    """Add the operations of steps, the first of which takes `value`; return the number of the last one's."""
    first = len(program.operations)
    for step in steps:
        match step:
            case Product():
                value = _add_product(program, step, value)
            case Affine():
                program.affines.append((step.scale, step.shift))
                place = len(program.affines) - 1
                value = program.add("affine", step.path, "scale and shift", [value], step.given, affine=place)
            case Sum():
                ends = [_add_steps(program, part, value) for part in (step.branch, step.shortcut)]
                value = program.add("sum", step.path, "add", ends, step.given)
            case Plain(layer=Activation() as activation):
                value = _add_activation(program, step, activation, value, alone=len(program.operations) == first)
            case Plain():
                value = _add_plain(program, step, value)
    return value


def _add_product(program: Program, product: Product, value: int) -> int:
    layer, shape = product.layer, product.layer.output_shape(product.given)
    says = ", ".join((layer.describe(), *product.holds))
    details: dict[str, Any] = {"product": len(program.products)}
    kind = "dense"
    if not isinstance(layer, Linear):
        (top, _), (left, _) = product.padding()
        details |= {"kernel": layer.kernel, "stride": layer.stride, "top": top, "left": left, "groups": product.groups}
        alone = product.groups == product.given[0] == shape[0] and product.groups > 1
        kind = "depthwise" if alone else "conv"
    program.products.append(product)
    return program.add(kind, product.path, says, [value], shape, **details)


def _add_activation(program: Program, step: Plain, layer: Activation, value: int, *, alone: bool) -> int:
    """Have the operation before compute the function, or add one where that one cannot, or others take its value."""
    last = program.operations[-1] if program.operations and not alone else None
    if last is None or last["kind"] in _NOT_FUSED or "function" in last:
        return program.add("activation", step.path, layer.function, [value], step.given, function=layer.function)
    last |= {"function": layer.function, "says": f"{last['says']}, {layer.function}"}
    return value


def _add_plain(program: Program, step: Plain, value: int) -> int:
    layer, shape = step.layer, step.layer.output_shape(step.given)
    details: dict[str, Any]
    match layer:
        case MaxPool():
            kind, details = "largest", {"rows": layer.size, "columns": layer.size, "stride": layer.step}
        case GlobalMaxPool():
            kind, details = "largest", {"rows": step.given[1], "columns": step.given[2], "stride": 1}
        case GlobalAveragePool() | AdaptiveAveragePool():
            kind, details = "mean", {}
        case Pad():
            kind, details = "pad", {"top": layer.top, "left": layer.left}
        case Flatten():
            kind, details = "flatten", {}
        case _:
            raise UsageError(f"{layer.describe()}: has no place in a page yet")
    return program.add(kind, step.path, layer.describe(), [value], shape, **details)
