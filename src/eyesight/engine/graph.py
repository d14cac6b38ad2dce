"""A classifier as one ONNX graph: uint8 pictures in, logits out, and all that lies between them.

In: a tree of layers, its weights by path, preprocessing, views, temperature. Out: an ONNX model. It needs no torch and
runs nothing (`session` does). What is written here is what predicts, and what an export writes to a file.

What the graph computes in which order, `steps` says.

Letters: N pictures, H height, W width, C channels, K classes, V views.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..formats import Arrays
from ..models.elementwise import Activation
from ..models.layer import Layer, Shape
from ..models.layers import Flatten, Linear, Pad
from ..models.network import NetworkSpec, leaves
from ..models.pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from ..pictures.preprocess import Preprocessing
from ..pictures.views import VIEW_COUNT, Views
from .steps import Affine, Plain, Product, Step, Sum, change_products, fold

INPUT, OUTPUT = "pictures", "logits"
OPSET: Final = 20  # the first with Gelu
_IR_VERSION = 10  # of the file; readers of 2024 and later know it
_LAST = np.iinfo(np.int64).min  # the end of a slice that runs backwards through everything


def build_graph(
    spec: NetworkSpec,
    weights: Arrays,
    preprocessing: Preprocessing,
    *,
    views: Views = "one",
    temperature: float = 1.0,
    change: Callable[[Product], Product] | None = None,
) -> onnx.ModelProto:
    """Return the graph of a classifier: `pictures` uint8 (N, H, W, C) to `logits` float32 (N, K).

    Args:
        spec: the network; of a chain, the layers in order.
        weights: arrays by path, as `NetworkSpec.weights` lists them.
        preprocessing: gives the pictures' size, and mean and deviation of each channel.
        views: which views of a picture are looked at; their logits are averaged.
        temperature: the logits are divided by it.
        change: what becomes of every convolution and dense layer, such as rounding, before it is written.
    """
    steps = fold(spec.whole, spec.input, weights)
    if change is not None:
        steps = change_products(steps, change)
    graph = _Graph()
    images = _normalised(graph, preprocessing)
    seen, shares = _seen(graph, images, views, preprocessing)
    x = _add_steps(graph, steps, seen)
    if len(shares) > 1:
        x = graph.add("Reshape", x, graph.constant(np.array([len(shares), -1, spec.classes], np.int64)))
        x = graph.add("Mul", x, graph.constant(np.array(shares, np.float32).reshape(-1, 1, 1)))
        x = graph.add("ReduceSum", x, graph.constant(np.array([0], np.int64)), keepdims=0)
    if temperature != 1:
        x = graph.add("Div", x, graph.constant(np.float32(temperature)))
    return graph.model(spec.name, preprocessing, x, OUTPUT, spec.classes)


def build_feature_graph(spec: NetworkSpec, weights: Arrays, preprocessing: Preprocessing) -> onnx.ModelProto:
    """Return the graph of a network up to its last dense layer: `pictures` to `features` float32 (N, F).

    Args:
        spec: the network.
        weights: arrays by path; those of the last layer are not looked at.
        preprocessing: see `build_graph`.
    """
    graph, chain = _Graph(), spec.before_output()
    x = _add_steps(graph, fold(chain, spec.input, weights), _normalised(graph, preprocessing))
    return graph.model(spec.name, preprocessing, x, "features", *chain.output_shape(spec.input))


def bytes_per_picture(spec: NetworkSpec, views: Views) -> int:
    """Return about how many bytes the graph holds of one picture at a time: what goes into a layer and comes out."""
    most = max(
        math.prod(shape) + math.prod(layer.output_shape(shape)) for _, layer, shape in leaves(spec.whole, spec.input)
    )
    return 4 * most * VIEW_COUNT[views]


class _Graph:
    """Nodes in order, and the constants that they take."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.ArrayLike) -> str:
        """Add a constant; return its name."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; return the name of what it gives."""
        output = output or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def model(self, name: str, preprocessing: Preprocessing, x: str, output: str, width: int) -> onnx.ModelProto:
        """Return the whole as a model that gives `x`, which is (N, width), under the name `output`."""
        self.add("Identity", x, output=output)
        pictures = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", *preprocessing.shape])
        given = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", width])
        return helper.make_model(
            helper.make_graph(self.nodes, name, [pictures], [given], self.constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="eyesight",
        )


def _normalised(graph: _Graph, preprocessing: Preprocessing) -> str:
    """Add what `preprocess.adapt` does: (pixel / 255 − mean) / std, as (N, C, H, W)."""
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    each = (-1, 1, 1) if preprocessing.channels > 1 else ()  # a number alone is the fastest
    x = graph.add("Transpose", INPUT, perm=[0, 3, 1, 2])  # first, while a pixel is a byte
    x = graph.add("Cast", x, to=TensorProto.FLOAT)
    x = graph.add("Mul", x, graph.constant((1 / (255 * std)).astype(np.float32).reshape(each)))
    if mean.any():
        x = graph.add("Add", x, graph.constant((-mean / std).astype(np.float32).reshape(each)))
    return x


def _seen(graph: _Graph, images: str, views: Views, preprocessing: Preprocessing) -> tuple[str, list[float]]:
    """Add the views of `views.views_of`, one after the other as (V·N, C, H, W); return them and their shares."""
    placed = [(1.0, images)]
    if views in ("shift", "mirror-shift"):
        around = graph.add("Pad", images, graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)), mode="edge")
        height, width = preprocessing.height, preprocessing.width

        def cut(first: int) -> str:
            ends = np.array([first + height, first + width], np.int64)
            places = (np.array([first, first], np.int64), ends, np.array([2, 3], np.int64))
            return graph.add("Slice", around, *map(graph.constant, places))

        placed = [(0.5, images), (0.25, cut(0)), (0.25, cut(2))]
    if views in ("mirror", "mirror-shift"):
        backwards = [graph.constant(np.array([value], np.int64)) for value in (-1, _LAST, 3, -1)]
        placed = [(share / 2, view) for share, x in placed for view in (x, graph.add("Slice", x, *backwards))]
    names = [view for _, view in placed]
    return graph.add("Concat", *names, axis=0) if len(names) > 1 else images, [share for share, _ in placed]


def _add_steps(graph: _Graph, steps: list[Step], x: str) -> str:
    """Add the nodes of steps, one after the other; return the name of what comes out."""
    for step in steps:
        x = _add_step(graph, step, x)
    return x


def _add_step(graph: _Graph, step: Step, x: str) -> str:
    match step:
        case Product():
            return _add_product(graph, step, x)
        case Affine():
            shape = (-1,) if len(step.given) == 1 else (-1, 1, 1)
            x = graph.add("Mul", x, graph.constant(step.scale.astype(np.float32).reshape(shape)))
            return graph.add("Add", x, graph.constant(step.shift.astype(np.float32).reshape(shape)))
        case Sum():
            return graph.add("Add", _add_steps(graph, step.branch, x), _add_steps(graph, step.shortcut, x))
        case Plain():
            return _add_plain(graph, step.layer, step.given, x)


def _add_product(graph: _Graph, product: Product, x: str) -> str:
    attributes: dict[str, Any] = {"transB": 1}
    if not isinstance(product.layer, Linear):
        rows, columns = product.padding()
        pads = [rows[0], columns[0], rows[1], columns[1]]
        attributes = {"pads": pads, "strides": [product.layer.stride] * 2, "group": product.groups}
    constants = [graph.constant(value.astype(np.float32)) for value in (product.weight, product.bias)]
    return graph.add("Gemm" if isinstance(product.layer, Linear) else "Conv", x, *constants, **attributes)


def _add_plain(graph: _Graph, layer: Layer, given: Shape, x: str) -> str:
    """Add the nodes of a layer without weights; return the name of what comes out."""
    match layer:
        case Activation(function="silu"):
            return graph.add("Mul", x, graph.add("Sigmoid", x))
        case Activation(function="relu6"):
            ends = np.float32(0), np.float32(6)
            return graph.add("Clip", x, *map(graph.constant, ends))
        case Activation():
            return graph.add({"relu": "Relu", "tanh": "Tanh", "gelu": "Gelu"}[layer.function], x)
        case MaxPool():
            sides = zip(layer.output_shape(given)[1:], given[1:], strict=True)
            over = [max(0, (count - 1) * layer.step + layer.size - side) for count, side in sides]
            window: dict[str, Any] = {
                "kernel_shape": [layer.size] * 2,
                "strides": [layer.step] * 2,
                "pads": [0, 0, *over],
            }
            return graph.add("MaxPool", x, **window)
        case GlobalMaxPool() | GlobalAveragePool():
            kind = "ReduceMax" if isinstance(layer, GlobalMaxPool) else "ReduceMean"
            return graph.add(kind, x, graph.constant(np.array([2, 3], np.int64)), keepdims=0)
        case AdaptiveAveragePool():
            left, right = (_means(layer.windows(side), side) for side in given[1:])
            x = graph.add("MatMul", x, graph.constant(right.T))
            return graph.add("MatMul", graph.constant(left), x)
        case Pad():
            pads = np.array([0, 0, layer.top, layer.left, 0, 0, layer.bottom, layer.right], np.int64)
            return graph.add("Pad", x, graph.constant(pads))
        case Flatten():
            return graph.add("Flatten", x)
    raise NotImplementedError(f"{layer.describe()}: has no place in a graph yet")


def _means(windows: list[tuple[int, int]], side: int) -> npt.NDArray[np.float32]:
    """Return the matrix (windows, side) that takes the mean of each window."""
    matrix = np.zeros((len(windows), side), np.float32)
    for row, (first, last) in zip(matrix, windows, strict=True):
        row[first:last] = 1 / (last - first)
    return matrix
