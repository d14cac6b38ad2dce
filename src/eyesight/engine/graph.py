"""A classifier as one ONNX graph: uint8 pictures in, logits out, and all that lies between them.

In: a tree of layers, its weights by path, preprocessing, views, temperature. Out: an ONNX model. It needs no torch and
runs nothing (`session` does). What is written here is what predicts, and what an export writes to a file.

In the graph batch normalisation and constant factors are computed into the convolution or dense layer before them, and
dropout is left out. Source: Jacob et al., "Quantization and training of neural networks", CVPR 2018.

Letters: N pictures, H height, W width, C channels, K classes, V views.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..formats import Arrays
from ..models.elementwise import Activation, BatchNorm, Dropout, Scale
from ..models.layer import Layer, Shape, same_padding
from ..models.layers import Chain, Conv, Flatten, Linear, Pad, Residual, Whitening
from ..models.network import NetworkSpec, leaves
from ..models.pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from ..pictures.preprocess import Preprocessing
from ..pictures.views import VIEW_COUNT, Views

INPUT, OUTPUT = "pictures", "logits"
OPSET: Final = 20  # the first with Gelu
_IR_VERSION = 10  # of the file; readers of 2024 and later know it
_LAST = np.iinfo(np.int64).min  # the end of a slice that runs backwards through everything

Floats = npt.NDArray[np.float64]


def build_graph(
    spec: NetworkSpec, weights: Arrays, preprocessing: Preprocessing, *, views: Views = "one", temperature: float = 1.0
) -> onnx.ModelProto:
    """Return the graph of a classifier: `pictures` uint8 (N, H, W, C) to `logits` float32 (N, K).

    Args:
        spec: the network; of a chain, the layers in order.
        weights: arrays by path, as `NetworkSpec.weights` lists them.
        preprocessing: gives the pictures' size, and mean and deviation of each channel.
        views: which views of a picture are looked at; their logits are averaged.
        temperature: the logits are divided by it.
    """
    graph = _Graph()
    images = _normalised(graph, preprocessing)
    seen, shares = _seen(graph, images, views, preprocessing)
    x = _add_steps(graph, _steps(spec.whole, spec.input, weights), seen)
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
    x = _add_steps(graph, _steps(chain, spec.input, weights), _normalised(graph, preprocessing))
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


@dataclass(frozen=True)
class _Step:
    """A layer that becomes nodes as it is."""

    nodes: Callable[[_Graph, str], str]
    keeps_order: bool = False  # whether larger numbers in never give smaller ones out, place by place

    def add_to(self, graph: _Graph, x: str) -> str:
        """Add its nodes; return the name of what comes out."""
        return self.nodes(graph, x)


@dataclass(frozen=True)
class _Affine:
    """Every channel times a factor, plus a shift: (C,) each."""

    scale: Floats
    shift: Floats
    flat: bool  # whether numbers are (N, F) rather than (N, C, H, W)

    def add_to(self, graph: _Graph, x: str) -> str:
        """Add its nodes; return the name of what comes out."""
        shape = (-1,) if self.flat else (-1, 1, 1)
        x = graph.add("Mul", x, graph.constant(self.scale.astype(np.float32).reshape(shape)))
        return graph.add("Add", x, graph.constant(self.shift.astype(np.float32).reshape(shape)))


@dataclass(frozen=True)
class _Product:
    """A convolution (weight (O, I, k, k)) or dense layer (weight (O, F)), with what follows computed into it."""

    weight: Floats
    bias: Floats
    attributes: dict[str, Any]

    def followed_by(self, affine: _Affine) -> _Product:
        """Return the product with each output scaled and shifted."""
        factor = affine.scale.reshape(-1, *[1] * (self.weight.ndim - 1))
        return replace(self, weight=self.weight * factor, bias=self.bias * affine.scale + affine.shift)

    def add_to(self, graph: _Graph, x: str) -> str:
        """Add its node; return the name of what comes out."""
        constants = [graph.constant(value.astype(np.float32)) for value in (self.weight, self.bias)]
        return graph.add("Conv" if self.weight.ndim > 2 else "Gemm", x, *constants, **self.attributes)


@dataclass(frozen=True)
class _Sum:
    """What a residual's branch gives plus what its shortcut gives."""

    branch: list[_AnyStep]
    shortcut: list[_AnyStep]

    def add_to(self, graph: _Graph, x: str) -> str:
        """Add the nodes of both and their addition; return the name of what comes out."""
        return graph.add("Add", _add_steps(graph, self.branch, x), _add_steps(graph, self.shortcut, x))


_AnyStep = _Step | _Affine | _Product | _Sum


def _add_steps(graph: _Graph, steps: list[_AnyStep], x: str) -> str:
    """Add the nodes of steps, one after the other; return the name of what comes out."""
    for step in steps:
        x = step.add_to(graph, x)
    return x


def _steps(chain: Chain, shape: Shape, weights: Arrays, prefix: str = "") -> list[_AnyStep]:
    """Return what the layers of a chain do, in order, with as few steps as possible."""
    steps: list[_AnyStep] = []
    _extend(steps, chain, shape, weights, prefix)
    return steps


def _extend(steps: list[_AnyStep], chain: Chain, shape: Shape, weights: Arrays, prefix: str) -> None:
    """Append what the layers of a chain do, some of it computed into the steps that are there."""
    for name, layer, given in chain.inputs(shape):
        path = f"{prefix}{name}"
        own = {key: weights[f"{path}.{key}"].astype(np.float64) for key in layer.weights(given)}
        match layer:
            case Chain():
                _extend(steps, layer, given, weights, f"{path}.")
            case Residual():
                branch = _steps(layer.branch, given, weights, f"{path}.branch.")
                steps.append(_Sum(branch, _steps(layer.shortcut, given, weights, f"{path}.shortcut.")))
            case Conv() | Whitening() | Linear():
                steps.append(_product(layer, own, given))
            case BatchNorm() | Scale():
                _follow(steps, _affine(layer, own, given))
            case Dropout():
                pass
            case _:
                steps.append(_plain(layer, given))


def _product(layer: Conv | Whitening | Linear, own: dict[str, Floats], shape: Shape) -> _Product:
    weight = own["weight"]
    bias = own.get("bias", np.zeros(len(weight)))
    if isinstance(layer, Linear):
        return _Product(weight, bias, {"transB": 1})
    if isinstance(layer, Whitening):
        return _Product(weight, bias, {"strides": [layer.stride] * 2})
    rows, columns = (
        same_padding(side, layer.kernel, layer.stride) if layer.padding == "same" else (0, 0) for side in shape[1:]
    )
    pads = [rows[0], columns[0], rows[1], columns[1]]
    return _Product(weight, bias, {"pads": pads, "strides": [layer.stride] * 2, "group": layer.groups})


def _affine(layer: BatchNorm | Scale, own: dict[str, Floats], shape: Shape) -> _Affine:
    if isinstance(layer, Scale):
        return _Affine(np.full(shape[0], layer.factor), np.zeros(shape[0]), flat=len(shape) == 1)
    scale = own["weight"] / np.sqrt(own["running_var"] + layer.eps)
    return _Affine(scale, own["bias"] - own["running_mean"] * scale, flat=len(shape) == 1)


def _follow(steps: list[_AnyStep], affine: _Affine) -> None:
    """Compute a scale and shift into the product before it; also across a pooling, where the largest stays so."""
    place = len(steps) - 1
    while place >= 0 and isinstance(step := steps[place], _Step) and step.keeps_order and (affine.scale > 0).all():
        place -= 1
    if place >= 0 and isinstance(product := steps[place], _Product):
        steps[place] = product.followed_by(affine)
    else:
        steps.append(affine)


def _plain(layer: Layer, shape: Shape) -> _Step:
    """Return the step of a layer without weights."""
    match layer:
        case Activation(function="silu"):
            return _Step(lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)))
        case Activation(function="relu6"):
            ends = np.float32(0), np.float32(6)
            return _Step(lambda graph, x: graph.add("Clip", x, *map(graph.constant, ends)))
        case Activation():
            kind = {"relu": "Relu", "tanh": "Tanh", "gelu": "Gelu"}[layer.function]
            return _Step(lambda graph, x: graph.add(kind, x))
        case MaxPool():
            sides = zip(layer.output_shape(shape)[1:], shape[1:], strict=True)
            over = [max(0, (count - 1) * layer.step + layer.size - side) for count, side in sides]
            window: dict[str, Any] = {
                "kernel_shape": [layer.size] * 2,
                "strides": [layer.step] * 2,
                "pads": [0, 0, *over],
            }
            return _Step(lambda graph, x: graph.add("MaxPool", x, **window), keeps_order=True)
        case GlobalMaxPool():
            axes = np.array([2, 3], np.int64)
            return _Step(lambda graph, x: graph.add("ReduceMax", x, graph.constant(axes), keepdims=0))
        case GlobalAveragePool():
            both = np.array([2, 3], np.int64)
            return _Step(lambda graph, x: graph.add("ReduceMean", x, graph.constant(both), keepdims=0))
        case AdaptiveAveragePool():
            left, right = (_means(layer.windows(side), side) for side in shape[1:])
            return _Step(
                lambda graph, x: graph.add(
                    "MatMul", graph.constant(left), graph.add("MatMul", x, graph.constant(right.T))
                )
            )
        case Pad():
            pads = np.array([0, 0, layer.top, layer.left, 0, 0, layer.bottom, layer.right], np.int64)
            return _Step(lambda graph, x: graph.add("Pad", x, graph.constant(pads)))
        case Flatten():
            return _Step(lambda graph, x: graph.add("Flatten", x))
    raise NotImplementedError(f"{layer.describe()}: has no place in a graph yet")


def _means(windows: list[tuple[int, int]], side: int) -> npt.NDArray[np.float32]:
    """Return the matrix (windows, side) that takes the mean of each window."""
    matrix = np.zeros((len(windows), side), np.float32)
    for row, (first, last) in zip(matrix, windows, strict=True):
        row[first:last] = 1 / (last - first)
    return matrix
