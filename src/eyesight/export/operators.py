"""Which graphs are run: a short list of operators, in sizes that a classifier has.

In: an ONNX model that a file holds. Out: how many bytes it takes for each picture, or a `FormatError`. Nothing is
computed and no session is made: shapes are inferred for one picture and for two, and everything that could make a
small file take long or much is held against a limit. It knows nothing of what the graph is for.
"""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper, shape_inference

from ..errors import FormatError

Shape = tuple[int, ...]

_MOST_NODES: Final = 20_000
_MOST_IR, _OLDEST_OPSET, _NEWEST_OPSET = 10, 13, 22
_MOST_TENSOR: Final = 512 << 20  # bytes of one picture between two layers; VGG-16 in six views has 77 MB
_MOST_TOTAL: Final = 8 << 30  # bytes of one picture, all that is ever computed added up
_MOST_PRODUCTS: Final = 2 * 10**12  # multiply-adds for one picture; VGG-16 in six views has 10^11
_FOLDED = 8  # bytes computed of constants alone, for each byte of the file: of int8 weights four become float32
_NAME = re.compile(r"[\w./:+-]{1,255}", re.ASCII)
_SIDE = 1 << 14  # pixels, the largest picture

_DTYPES: Final = {TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.INT8, TensorProto.UINT8}
_NUMBER: Final = (-(2**31), 2**31)

# Attributes that are whole numbers, and their bounds.
_WHOLE: Final[dict[str, tuple[int, int]]] = {
    "kernel_shape": (1, _SIDE), "strides": (1, _SIDE), "dilations": (1, _SIDE), "pads": (0, _SIDE),
    "group": (1, 1 << 20), "axis": (-8, 7), "axes": (-8, 7), "perm": (0, 7), "keepdims": (0, 1), "transA": (0, 1),
    "transB": (0, 1), "ceil_mode": (0, 1), "storage_order": (0, 0), "count_include_pad": (0, 1), "allowzero": (0, 0),
    "noop_with_empty_axes": (0, 1), "to": (TensorProto.FLOAT, TensorProto.FLOAT),
    "training_mode": (0, 0),
    "saturate": (0, 1), "block_size": (0, 0), "output_dtype": (0, 0),
}  # fmt: skip
_REAL: Final = {"alpha", "beta", "epsilon", "momentum"}
_WORDS: Final = {"mode": {"constant", "edge"}, "approximate": {"none", "tanh"}, "auto_pad": {"NOTSET", "VALID"}}

# The operators that the engine writes, those of int8, and what torch writes of a user's own module.
OPERATORS: Final = frozenset(
    """
    Add AveragePool BatchNormalization Cast Clip Concat Conv DequantizeLinear Div Dropout Elu Erf Flatten Gelu Gemm
    GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LeakyRelu MatMul Max MaxPool Min Mul Neg PRelu Pad
    Pow
    QuantizeLinear ReduceMax ReduceMean ReduceSum Relu Reshape Selu Sigmoid Slice Softmax Softplus Sqrt Squeeze Sub Sum
    Tanh Transpose Unsqueeze
    """.split()
)


def check_graph(model: onnx.ModelProto, source: str, *, size: int) -> int:
    """Raise `FormatError` unless the graph is one that a classifier could have.

    Args:
        model: as the file holds it.
        source: the file's name, for messages.
        size: of the file, in bytes.

    Returns:
        About how many bytes the graph holds of one picture at a time.
    """
    try:
        _check_versions(model)
        constants = _constants(model.graph)
        _check_nodes(model.graph, constants, model.opset_import[0].version)
        one, two = (_shapes(model, constants, count) for count in (1, 2))
        return _check_sizes(model.graph, constants, one, two, size)
    except _Odd as problem:
        raise FormatError(f"{source}: {problem}") from None


class _Odd(Exception):
    """What no classifier's graph has."""


def _check_versions(model: onnx.ModelProto) -> None:
    if not 7 <= model.ir_version <= _MOST_IR:
        raise _Odd(f"ONNX of IR version {model.ir_version}; expected up to {_MOST_IR}")
    sets = [(given.domain, given.version) for given in model.opset_import]
    if len(sets) != 1 or sets[0][0] or not _OLDEST_OPSET <= sets[0][1] <= _NEWEST_OPSET:
        raise _Odd(f"expected operators of ONNX, version {_OLDEST_OPSET} to {_NEWEST_OPSET}; received: {sets[:3]}")


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the constants by name, once each is known to hold what it claims."""
    for tensor in graph.initializer:
        _check_name(tensor.name)
        if tensor.data_type not in _DTYPES:
            raise _Odd(f"constant {tensor.name!r} is of a type that classifiers do not have")
        dims = list(tensor.dims)
        if len(dims) > 8 or any(not 0 < side < 2**31 for side in dims):
            raise _Odd(f"constant {tensor.name!r} claims an impossible shape")
        if math.prod(dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize != len(tensor.raw_data):
            raise _Odd(f"constant {tensor.name!r} does not hold as many numbers as its shape says")
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise _Odd(f"constant {tensor.name!r} should hold finite numbers, and some are not")
    found = {tensor.name: tensor for tensor in graph.initializer}
    if len(found) != len(graph.initializer):
        raise _Odd("two constants have the same name")
    return found


def _check_nodes(graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto], opset: int) -> None:
    """Look at every node: its operator, its attributes, and whether what it takes has been computed before it."""
    if len(graph.node) > _MOST_NODES:
        raise _Odd(f"has {len(graph.node):,} nodes; expected at most {_MOST_NODES:,}")
    known = {*constants, *(value.name for value in graph.input)}
    if len(known) != len(constants) + len(graph.input):
        raise _Odd("an input has the name of a constant or of another input")
    for node in graph.node:
        if node.op_type not in OPERATORS:
            raise _Odd(f"operator {node.op_type[:60]!r} is not one that classifiers are made of")
        _check_count(node, opset)
        if missing := [name for name in node.input if name and name not in known]:
            raise _Odd(f"a node takes {missing[0][:60]!r}, which nothing before it gives")
        for name in node.output:
            _check_name(name)
            if name in known:
                raise _Odd(f"{name!r} is computed twice")
            known.add(name)
        if len(node.output) != 1:
            raise _Odd(f"a node {node.op_type} gives {len(node.output)} values; expected one")
        for attribute in node.attribute:
            _check_attribute(node.op_type, attribute)
        _check_parameters(node, constants)
    if nowhere := {value.name for value in graph.output} - known:
        raise _Odd(f"nothing computes {min(nowhere)[:60]!r}")


def _check_count(node: onnx.NodeProto, opset: int) -> None:
    """Look at how many inputs a node has; only the lower bound of a Clip may be left out by an empty name."""
    schema = onnx.defs.get_schema(node.op_type, min(opset, onnx.defs.onnx_opset_version()))
    if not schema.min_input <= len(node.input) <= schema.max_input:
        raise _Odd(f"{node.op_type} has {len(node.input)} inputs; expected {schema.min_input} to {schema.max_input}")
    if any(not name and (node.op_type, i) != ("Clip", 1) for i, name in enumerate(node.input)):
        raise _Odd(f"{node.op_type} has an input without a name")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or ".." in name:
        raise _Odd(f"the name {name[:60]!r} is none that classifiers have inside")


def _check_attribute(operator: str, attribute: AttributeProto) -> None:
    name, value = attribute.name, _value(attribute)
    values = value if isinstance(value, list) else [value]
    if len(values) > 64:
        raise _Odd(f"{operator}: {name[:60]} has {len(values):,} numbers")
    if name in _WHOLE:
        low, high = _WHOLE[name]
        fits = all(isinstance(number, int) and low <= number <= high for number in values)
    elif name in _REAL:
        fits = all(isinstance(number, float) and math.isfinite(number) for number in values)
    else:
        fits = name in _WORDS and isinstance(value, str) and value in _WORDS[name]
    if not fits:
        raise _Odd(f"{operator}: attribute {name[:60]!r} has a value that classifiers do not have")


def _value(attribute: AttributeProto) -> object:
    """Return the one value that an attribute has; None where it is of a kind that classifiers do not have."""
    match attribute.type:
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.STRING:
            return attribute.s.decode("ascii", "replace")
        case AttributeProto.INTS:
            return list(attribute.ints)
        case AttributeProto.FLOATS:
            return list(attribute.floats)
        case _:
            return None


def _check_parameters(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    """Look at whole numbers that a node takes as inputs: they are constants, and neither many nor large."""
    for name in list(node.input)[1:]:
        if name in constants and constants[name].data_type == TensorProto.INT64:
            values = numpy_helper.to_array(constants[name])
            if values.size > 64:
                raise _Odd(f"{node.op_type} takes {values.size:,} whole numbers; expected at most 64")
            low, high = (0, _SIDE) if node.op_type == "Pad" else _NUMBER
            ends = np.iinfo(np.int64)
            free = node.op_type == "Slice"  # whose ends may lie anywhere behind the last
            if any(not low <= v <= high and not (free and v in (ends.min, ends.max)) for v in values.ravel().tolist()):
                raise _Odd(f"{node.op_type} takes a number that classifiers do not have")
    if node.op_type in ("Pad", "Reshape", "Slice", "Squeeze", "Unsqueeze"):
        for name in list(node.input)[1:]:
            if name and name not in constants:
                raise _Odd(f"{node.op_type}: its shape should be constant")


def _shapes(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto], count: int) -> dict[str, Shape]:
    """Return the shape of every value for so many pictures."""
    try:
        inferred = shape_inference.infer_shapes(_light(model, constants, count), strict_mode=True, data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise _Odd(f"its layers do not fit together: {' '.join(str(error).split())[:200]}") from None
    found = {name: tuple(tensor.dims) for name, tensor in constants.items()}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        found[value.name] = _known(value)
    if missing := {name for node in model.graph.node for name in node.output} - found.keys():
        raise _Odd(f"{min(missing)!r} has no definite shape")
    return found


def _light(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto], count: int) -> onnx.ModelProto:
    """Return the model for so many pictures and without its weights: their shapes are all that inference needs."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = light.graph
    graph.name = "shapes"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    for value in graph.input:
        if not value.type.tensor_type.shape.dim:
            raise _Odd(f"input {value.name[:60]!r} has no shape")
        value.type.tensor_type.shape.dim[0].dim_value = count
    for tensor in constants.values():
        if tensor.data_type == TensorProto.INT64:
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    for value in model.graph.output:  # what it claims of its shape is left out, as it is inferred
        graph.output.add(name=value.name).type.tensor_type.elem_type = value.type.tensor_type.elem_type
    return light


def _known(value: onnx.ValueInfoProto) -> Shape:
    dims = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    if any(not 0 < side < 2**31 for side in dims):
        raise _Odd(f"{value.name[:60]!r} has no definite shape, or an impossible one")
    return dims


def _check_sizes(
    graph: onnx.GraphProto,
    constants: dict[str, onnx.TensorProto],
    one: dict[str, Shape],
    two: dict[str, Shape],
    size: int,
) -> int:
    """Hold memory and time against the limits; return the most bytes that go into a node and come out."""
    fixed = set(constants)  # what does not depend on the pictures
    folded = total = products = most = 0
    for node in graph.node:
        names = [name for name in node.input if name]
        out = 4 * sum(math.prod(one[name]) for name in node.output)
        if out > _MOST_TENSOR:
            raise _Odd(f"{node.op_type} would make {out:,} bytes of one picture; expected at most {_MOST_TENSOR:,}")
        if fixed.issuperset(names):
            fixed.update(node.output)
            folded += out
            continue
        for name in node.output:
            if math.prod(two[name]) > 2 * math.prod(one[name]):
                raise _Odd(f"{node.op_type} would make more than twice as much of two pictures as of one")
        total += out
        products += _products(node, one)
        most = max(most, out + 4 * sum(math.prod(one[name]) for name in names if name not in fixed))
    if folded > _FOLDED * size + (1 << 20):
        raise _Odd(f"would compute {folded:,} bytes of constants alone")
    if total > _MOST_TOTAL or products > _MOST_PRODUCTS:
        raise _Odd(f"would take {total:,} bytes and {products:,} products for one picture, more than any classifier")
    return most


def _products(node: onnx.NodeProto, shapes: dict[str, Shape]) -> int:
    """Return about how many multiply-adds, or comparisons, a node takes."""
    out = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":
        return out * math.prod(shapes[node.input[1]][1:])
    if node.op_type in ("Gemm", "MatMul"):
        return out * max(shapes[node.input[0]], default=1)
    windows = [math.prod(a.ints) for a in node.attribute if a.name == "kernel_shape"]
    return out * max(windows, default=1)
