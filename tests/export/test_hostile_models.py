"""Hostile model files: whatever a file claims to be, it is refused in one line, soon, and nothing in it is executed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import resource
import struct
import time
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import eyesight
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.cli import main
from eyesight.cli.app import one_line
from eyesight.errors import FormatError
from eyesight.export.onnx_export import onnx_bytes
from eyesight.export.origin import Origin
from eyesight.formats import pack_tensors, read_tensors
from eyesight.models.elementwise import Activation
from eyesight.models.layers import Chain, Conv, Flatten, Linear
from eyesight.models.network import NetworkSpec, NetworkWeights
from eyesight.models.pooling import MaxPool
from eyesight.pictures.preprocess import Preprocessing
from watching import Bomb, nothing_executed

TAIL = b"\x72\x4c\x0a\x08checksum\x12\x40"
SECONDS = 5  # of processor time, for one file


def small_classifier() -> Classifier:
    """A network of 12x12 grey pictures and three classes, with weights drawn at random."""
    features = Chain(
        layers=(("conv", Conv(out=4, kernel=3)), ("act", Activation(function="relu")), ("pool", MaxPool()))
    )
    head = Chain(layers=(("flatten", Flatten()), ("linear", Linear(out=3))))
    spec = NetworkSpec(name="tiny", input=(1, 12, 12), classes=3, features=features, head=head)
    rng = np.random.default_rng(0)
    arrays = {path: rng.normal(0, 0.1, shape).astype(np.float32) for path, shape in spec.weights().items()}
    preprocessing = Preprocessing(height=12, width=12, channels=1, mean=(0.5,), std=(0.25,))
    return Classifier(NetworkWeights(spec, arrays), InferenceSpec(preprocessing=preprocessing), ("a", "b", "c"))


WHOLE = onnx_bytes(Origin(small_classifier(), "small"))


def signed(body: bytes) -> bytes:
    """Return bytes with a checksum that is right, as whoever is hostile would."""
    return body + TAIL + hashlib.sha256(body + TAIL).hexdigest().encode()


def unsigned(data: bytes = WHOLE) -> bytes:
    return data[: -64 - len(TAIL)]


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    """Return the file with its model changed and signed."""
    model = onnx.ModelProto.FromString(unsigned())
    change(model)
    return signed(model.SerializeToString())


def metadata(**entries: str | None) -> bytes:
    """Return the file with entries of its metadata replaced, or left out."""

    def change(model: onnx.ModelProto) -> None:
        texts = {entry.key: entry.value for entry in model.metadata_props} | entries
        del model.metadata_props[:]
        for key, value in texts.items():
            if value is not None:
                model.metadata_props.add(key=key, value=value)

    return changed(change)


def graph(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None) -> bytes:
    """Return the file with other nodes between the pictures as numbers, `x` (N, 1, 12, 12), and the end `y` (N, 3)."""

    def change(model: onnx.ModelProto) -> None:
        del model.graph.node[:]
        del model.graph.initializer[:]
        more = {"weight": np.ones((3, 144), np.float32), "zero": np.zeros(1, np.int64)} | (constants or {})
        for name, value in more.items():
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        model.graph.node.extend([
            helper.make_node("Cast", ["pictures"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["numbers"], ["x"], perm=[0, 3, 1, 2]),
            *nodes,
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight"], ["logits"], transB=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ])  # fmt: skip

    return changed(change)


def node(kind: str, *inputs: str, output: str = "extra", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs or ["x"], [output], **attributes)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def doublings(count: int) -> bytes:
    names = ["x", *(f"d{i}" for i in range(count))]
    return graph(*(node("Concat", a, a, output=b, axis=3) for a, b in pairwise(names)))


def subgraph(name: str = "inner") -> onnx.GraphProto:
    out = helper.make_tensor_value_info("inner_y", TensorProto.FLOAT, ["N", 1, 12, 12])
    return helper.make_graph([helper.make_node("Identity", ["x"], ["inner_y"])], name, [], [out])


def nested(depth: int) -> onnx.GraphProto:
    inner = subgraph()
    for i in range(depth):
        out = helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, None)
        step = helper.make_node("If", ["condition"], [f"y{i}"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([step], f"g{i}", [], [out])
        if inner.ByteSize() > 1 << 20:
            break
    return inner


def external(location: str) -> bytes:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": "4"}.items():
            tensor.external_data.add(key=key, value=value)

    return changed(change)


def set_dims(*dims: int) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[-1].dims[:] = dims

    return change


def spoil_weight(value: float) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
        numbers = numpy_helper.to_array(tensor).copy()
        numbers.flat[0] = value
        tensor.raw_data = numbers.tobytes()

    return change


def overflow(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 2 or tensor.dims == [3]:
            tensor.raw_data = np.full(tensor.dims, 3e38, np.float32).tobytes()


def rename(name: str) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        old = model.graph.initializer[0].name
        model.graph.initializer[0].name = name
        for each in model.graph.node:
            each.input[:] = [name if given == old else given for given in each.input]

    return change


def declared(index: int, **values: object) -> Callable[[onnx.ModelProto], object]:
    """Change what the graph says of an output."""

    def change(model: onnx.ModelProto) -> None:
        output = model.graph.output[index]
        if "name" in values:
            output.name = str(values["name"])
        if "width" in values:
            output.type.tensor_type.shape.dim[1].dim_value = int(str(values["width"]))
        if "kind" in values:
            output.type.tensor_type.elem_type = int(str(values["kind"]))

    return change


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes, *, claims: int | None = None) -> bytes:
    """Return a field of bytes as protocol buffers write it."""
    return varint(number << 3 | 2) + varint(len(content) if claims is None else claims) + content


def with_graph(content: bytes) -> bytes:
    return signed(unsigned() + field(7, content))


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def torch_file(**options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(3), "bomb": Bomb()}, buffer, **options)
    return buffer.getvalue()


def picture_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (12, 12)).save(buffer, "PNG")
    return buffer.getvalue()


def function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function(
            "evil", "Run", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], model.opset_import
        )
    )


def attribute_graph(kind: str, **graphs: onnx.GraphProto) -> bytes:
    return graph(helper.make_node(kind, ["x"], ["extra"], **graphs))


OTHER, ALTERED, HOLDS = "not an ONNX file", "damaged or altered", "which the file of a classifier never does"
OPERATOR, VALUE = "is not one that classifiers are made of", "has a value that classifiers do not have"
NUMBER, NAME, APART = (
    "takes a number that classifiers do not have",
    "none that classifiers have inside",
    "do not fit together",
)

KERNEL = {"k": np.ones((1, 1, 3, 3), np.float32)}


def shape_of(**sizes: object) -> str:
    """Return the preprocessing of 12x12 grey pictures with some entries replaced, as JSON."""
    return json.dumps({"height": 12, "width": 12, "channels": 1, "mean": [0], "std": [1]} | sizes)


def input_side(side: int) -> Callable[[onnx.ModelProto], object]:
    return lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", side)


def data_type(kind: int) -> Callable[[onnx.ModelProto], object]:
    return lambda model: setattr(model.graph.initializer[0], "data_type", kind)


def opset(version: int) -> Callable[[onnx.ModelProto], object]:
    return lambda model: setattr(model.opset_import[0], "version", version)


def padded(*pads: int) -> bytes:
    return graph(node("Pad", "x", "p"), constants={"p": whole(*pads)})


def reshaped(shape: np.ndarray) -> bytes:
    return graph(node("Reshape", "x", "s"), constants={"s": shape})


# name → (bytes, a part of the one line)
ONNX: dict[str, tuple[bytes, str]] = {
    # not such a file at all
    "empty": (b"", OTHER),
    "one byte": (b"\x08", OTHER),
    "text": (b"I am a model", OTHER),
    "zeros": (bytes(4096), OTHER),
    "pickle": (pickle.dumps(Bomb()), OTHER),
    "pickle, protocol 0": (pickle.dumps(Bomb(), protocol=0), OTHER),
    "pickle, signed": (signed(pickle.dumps(Bomb())), "ModelProto"),
    "torch's file": (torch_file(), OTHER),
    "torch's file, signed": (signed(torch_file()), "ModelProto"),
    "zip with a pickle": (zipped("data.pkl", pickle.dumps(Bomb())), OTHER),
    "gzip": (gzip.compress(WHOLE), OTHER),
    "a picture": (picture_bytes(), OTHER),
    "a shell script": (b"#!/bin/sh\nmkdir exploded\n", OTHER),
    "a Python program": (b"import os; os.mkdir('exploded')\n", OTHER),
    "an ELF program": (b"\x7fELF" + bytes(100), OTHER),
    "HTML": (b"<html><script>alert(1)</script></html>", OTHER),
    "safetensors": (pack_tensors({"a": np.zeros(3)}, {"format": "eyesight-model"})[0], OTHER),
    "somebody else's ONNX": (unsigned(), OTHER),
    "the tail alone": (signed(b""), "expected a file of format"),
    # damaged
    "cut in the middle": (WHOLE[: len(WHOLE) // 2], OTHER),
    "cut by a byte": (WHOLE[:-1], OTHER),
    "a byte too many": (WHOLE + b"\0", OTHER),
    "first byte lost": (WHOLE[1:], ALTERED),
    "a bit flipped": (WHOLE[:2000] + bytes([WHOLE[2000] ^ 1]) + WHOLE[2001:], ALTERED),
    "checksum in capitals": (WHOLE[:-64] + WHOLE[-64:].upper(), ALTERED),
    "checksum of zeros": (WHOLE[:-64] + b"0" * 64, ALTERED),
    "cut inside and signed": (signed(unsigned()[:-7]), "not an ONNX file|ModelProto"),
    # protocol buffers that lie
    "a length beyond the end": (signed(field(7, b"", claims=1 << 20)), OTHER),
    "a length of 2 GB": (signed(field(7, b"", claims=(1 << 31) - 1)), OTHER),
    "a length of 2^62": (signed(field(7, b"", claims=1 << 62)), OTHER),
    "a number without end": (signed(b"\x08" + b"\xff" * 40), OTHER),
    "a group": (signed(b"\x0b" * 1000), OTHER),
    "graph as a number": (signed(b"\x38\x01"), OTHER),
    "name as a number": (with_graph(b"\x10\x01"), OTHER),
    "wire type 7": (signed(b"\x0f\x01"), OTHER),
    "field number 0": (signed(b"\x02\x00"), "field 0 of ModelProto"),
    "field number 2^28": (signed(varint(1 << 31 | 2) + b"\0"), "of ModelProto"),
    "a million empty nodes": (with_graph(field(1, b"") * 1_000_000), "entries"),
    "a million empty constants": (with_graph(field(5, b"") * 1_000_000), "entries"),
    "a million empty inputs": (with_graph(field(11, b"") * 1_000_000), "entries"),
    "a million inputs of a node": (with_graph(field(1, field(1, b"") * 1_000_000)), "entries"),
    "a million attributes": (with_graph(field(1, field(5, b"") * 1_000_000)), "entries"),
    "a million sides": (with_graph(field(5, field(1, b"\1" * 1_000_000))), "entries"),
    "a million numbers in an attribute": (with_graph(field(1, field(5, field(8, b"\1" * 1_000_000)))), "entries"),
    "a million versions": (signed(unsigned() + field(8, b"") * 1_000_000), "entries"),
    "a million entries of metadata": (signed(unsigned() + field(14, b"") * 1_000_000), "entries"),
    "a second graph": (with_graph(field(1, field(4, b"Loop"))), OPERATOR),
    # parts of ONNX that no classifier has
    "functions": (changed(function), "ModelProto.functions"),
    "training": (changed(lambda m: m.training_info.add()), "ModelProto.training_info"),
    "sparse weights": (changed(lambda m: m.graph.sparse_initializer.add()), "GraphProto.sparse_initializer"),
    "quantization by name": (changed(lambda m: m.graph.quantization_annotation.add()), "quantization_annotation"),
    "documentation": (changed(lambda m: setattr(m, "doc_string", "x" * 100)), "ModelProto.doc_string"),
    "a domain of its own": (changed(lambda m: setattr(m.graph.node[0], "domain", "evil.ops")), "NodeProto.domain"),
    "an overload": (changed(lambda m: setattr(m.graph.node[0], "overload", "other")), "NodeProto.overload"),
    "a device": (changed(lambda m: m.graph.node[0].device_configurations.add()), "device_configurations"),
    "weights as text": (changed(lambda m: m.graph.initializer[0].string_data.append(b"x")), "string_data"),
    "weights as loose numbers": (changed(lambda m: m.graph.initializer[0].float_data.append(1)), "float_data"),
    "a segment": (changed(lambda m: setattr(m.graph.initializer[0].segment, "begin", 0)), "TensorProto.segment"),
    "a tensor attribute": (
        graph(node("Constant", value=numpy_helper.from_array(np.ones(1, np.float32)))), "AttributeProto.t",
    ),
    "a sequence input": (
        changed(lambda m: m.graph.input[0].type.sequence_type.elem_type.tensor_type.SetInParent()), "sequence_type",
    ),
    # weights in other files
    "external: /etc/passwd": (external("/etc/passwd"), "TensorProto.external_data"),
    "external: ../../secret": (external("../../secret"), "TensorProto.external_data"),
    "external: the file itself": (external("model.onnx"), "TensorProto.external_data"),
    "external: a device": (external("/dev/zero"), "TensorProto.external_data"),
    "external: a link": (external("http://localhost:1/weights"), "TensorProto.external_data"),
    "external, said without a place": (
        changed(lambda m: setattr(m.graph.initializer[0], "data_location", TensorProto.EXTERNAL)), "data_location",
    ),
    # programs inside the graph
    "a loop": (attribute_graph("Loop", body=subgraph()), HOLDS),
    "a choice": (attribute_graph("If", then_branch=subgraph(), else_branch=subgraph()), HOLDS),
    "a scan": (attribute_graph("Scan", body=subgraph()), HOLDS),
    "a sequence map": (attribute_graph("SequenceMap", body=subgraph()), HOLDS),
    "graphs inside graphs": (attribute_graph("If", then_branch=nested(12)), HOLDS),
    "a loop without a body": (graph(node("Loop", "zero", "", "x")), OPERATOR),
    # operators
    "an unknown operator": (graph(node("Frobnicate")), OPERATOR),
    "an operator without a name": (graph(node("")), OPERATOR),
    "an operator like ours": (graph(node("conv", "x", "weight")), OPERATOR),
    "PyOp": (graph(node("PyOp", module="os", class_name="system")), "class"),
    "ATen": (graph(node("ATen", operator="empty")), OPERATOR),
    "chance": (graph(node("RandomNormalLike")), OPERATOR),
    "a constant of any shape": (graph(node("ConstantOfShape", "big"), constants={"big": whole(1 << 40)}), OPERATOR),
    "expand": (graph(node("Expand", "x", "big"), constants={"big": whole(1 << 20, 1, 12, 12)}), OPERATOR),
    "tile": (graph(node("Tile", "x", "big"), constants={"big": whole(1 << 20, 1, 1, 1)}), OPERATOR),
    "range": (graph(node("Range", "zero", "zero", "zero")), OPERATOR),
    "resize": (graph(node("Resize", "x", "", "s"), constants={"s": np.full(4, 1e6, np.float32)}), OPERATOR),
    "strings": (graph(node("StringNormalizer")), OPERATOR),
    "a decoder of pictures": (graph(node("ImageDecoder", "pictures")), OPERATOR),
    "einsum": (graph(node("Einsum", equation="nchw->n")), OPERATOR),
    "nonzero": (graph(node("NonZero")), OPERATOR),
    "a thousand-fold LSTM": (graph(node("LSTM", hidden_size=1 << 30)), OPERATOR),
    # sizes
    "40 doublings": (doublings(40), "definite shape"),
    "22 doublings": (doublings(22), "would make"),
    "70 doublings": (doublings(70), "would make|shape|fit together"),
    "padding of 2^40": (padded(0, 0, 0, 0, 0, 0, 0, 1 << 40), NUMBER),
    "padding of 16,000": (padded(0, 0, 16_000, 0, 0, 0, 0, 16_000), "would make"),
    "padding below nothing": (padded(0, 0, -9, 0, 0, 0, -9, 0), NUMBER),
    "padding that is computed": (graph(node("Pad", "x", "x")), "should be constant"),
    "an outer product": (
        graph(
            node("Flatten", output="row"),
            node("Transpose", "row", output="column", perm=[1, 0]),
            node("MatMul", "row", "column"),
        ),
        "more than twice",
    ),
    "constants that grow": (
        graph(node("MatMul", "tall", "flat_one"), constants={
            "tall": np.ones((9000, 1), np.float32), "flat_one": np.ones((1, 9000), np.float32),
        }), "constants alone",
    ),
    "a window of 2^40": (graph(node("MaxPool", kernel_shape=[1 << 40, 1])), VALUE),
    "a window of 16,000 in a padded picture": (
        graph(
            node("Pad", "x", "p", output="large"),
            node("MaxPool", "large", kernel_shape=[4000, 4000]),
            constants={"p": whole(0, 0, 4000, 4000, 0, 0, 4000, 4000)},
        ),
        "products",
    ),
    "a stride of nothing": (graph(node("MaxPool", kernel_shape=[2, 2], strides=[0, 0])), VALUE),
    "groups of nothing": (graph(node("Conv", "x", "k", group=0), constants=KERNEL), VALUE),
    "a dilation of 2^60": (
        graph(node("Conv", "x", "k", dilations=[1 << 60] * 2), constants=KERNEL), VALUE,
    ),
    "a negative padding": (graph(node("MaxPool", kernel_shape=[2, 2], pads=[-1] * 4)), VALUE),
    "an axis far away": (graph(node("Concat", "x", "x", axis=1 << 40)), VALUE),
    "a window of no number": (graph(node("MaxPool", kernel_shape="big")), VALUE),
    "a factor that is NaN": (graph(node("LeakyRelu", alpha=float("nan"))), VALUE),
    "an unknown attribute": (graph(node("Relu", execute="rm")), VALUE),
    "a cast to text": (graph(node("Cast", to=TensorProto.STRING)), VALUE),
    "a shape of 2^40": (reshaped(whole(1 << 40, -1)), NUMBER),
    "a shape that does not fit": (reshaped(whole(7, 1)), "cannot compute"),
    "a shape of ten thousand sides": (reshaped(np.ones(10_000, np.int64)), "whole numbers"),
    "25,000 nodes": (graph(*(node("Relu", output=f"r{i}") for i in range(25_000))), "nodes"),
    "an input of 2^40": (
        changed(input_side(1 << 40)), "what goes into",
    ),
    "a constant that claims 4 GB": (changed(set_dims(1 << 30)), "as many numbers"),
    "a constant that claims 2^63": (changed(set_dims(1 << 32, 1 << 31)), "impossible shape"),
    "a constant of fewer than none": (changed(set_dims(-1, -3)), "impossible shape"),
    "a constant of nothing": (changed(set_dims(0)), "impossible shape"),
    "a constant in nine dimensions": (changed(set_dims(*[1] * 9)), "impossible shape"),
    "a constant of text": (changed(data_type(TensorProto.STRING)), "of a type"),
    "a constant of no known type": (changed(data_type(999)), "of a type"),
    # weights and ends
    "NaN": (changed(spoil_weight(np.nan)), "finite"),
    "infinity": (changed(spoil_weight(np.inf)), "finite"),
    "minus infinity": (changed(spoil_weight(-np.inf)), "finite"),
    "weights that make infinity": (changed(overflow), "does not give a number"),
    "a cycle": (graph(node("Add", "x", "b", output="a"), node("Add", "a", "x", output="b")), "nothing before it"),
    "a value twice": (graph(node("Relu", output="a"), node("Relu", output="a")), "computed twice"),
    "an input from nowhere": (graph(node("Relu", "nowhere")), "nothing before it"),
    "two constants of one name": (changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])), "same name"),
    "a constant named as the input": (changed(rename("pictures")), "has the name"),
    "a node with two outputs": (graph(helper.make_node("Dropout", ["x"], ["a", "b"])), "expected one"),
    "a node without outputs": (graph(helper.make_node("Relu", ["x"], [])), "expected one"),
    "a name with a path": (changed(rename("../../etc/passwd")), NAME),
    "a name with a line break": (changed(rename("a\nb")), NAME),
    "a name of an escape": (changed(rename("\x1b[2J")), NAME),
    "a name of 100,000 letters": (changed(rename("a" * 100_000)), NAME),
    "an empty name": (graph(helper.make_node("Relu", ["x"], [""])), NAME),
    "another input": (changed(lambda m: setattr(m.graph.input[0], "name", "images")), "what goes into"),
    "a second input": (changed(lambda m: m.graph.input.append(m.graph.input[0])), "what goes into"),
    "no input": (changed(lambda m: m.graph.ClearField("input")), "what goes into"),
    "an input of floats": (
        changed(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.FLOAT)), "what goes into",
    ),
    "no output": (changed(lambda m: m.graph.ClearField("output")), "what comes out"),
    "another output": (changed(declared(0, name="x")), "what comes out"),
    "an output of 2^40 classes": (changed(declared(0, width=1 << 40)), "what comes out"),
    "an output of whole numbers": (changed(declared(1, kind=TensorProto.INT64)), "what comes out"),
    "outputs the other way round": (changed(lambda m: m.graph.output.reverse()), "what comes out"),
    "no graph": (changed(lambda m: m.ClearField("graph")), "what goes into"),
    "no nodes": (changed(lambda m: m.graph.ClearField("node")), "nothing computes"),
    # versions
    "operators of the future": (changed(opset(99)), "expected operators"),
    "operators of long ago": (changed(opset(1)), "expected operators"),
    "operators of Microsoft": (changed(lambda m: m.opset_import.add(domain="com.ms", version=1)), "operators of"),
    "no operators": (changed(lambda m: m.ClearField("opset_import")), "expected operators"),
    "IR of the future": (changed(lambda m: setattr(m, "ir_version", 99)), "IR version"),
    "IR without a version": (changed(lambda m: m.ClearField("ir_version")), "IR version"),
    # metadata
    "a newer format": (metadata(version="99"), "newer than this eyesight"),
    "a version of words": (metadata(version="two"), "should be a whole number"),
    "a version of 10^5000": (metadata(version="1" + "0" * 5000), "newer than"),
    "another format": (metadata(format="eyesight-model"), "expected a file of format"),
    "no classes": (metadata(classes=None), "missing"),
    "classes that are none": (metadata(classes="[]"), "classes"),
    "two classes for three": (metadata(classes='["a", "b"]'), "does not fit its classes"),
    "classes of numbers": (metadata(classes="[1, 2, 3]"), "classes"),
    "classes that are no JSON": (metadata(classes="__import__('os').mkdir('exploded')"), "not JSON"),
    "classes that nest": (metadata(classes="[" * 100_000), "not JSON"),
    "a picture of another size": (
        metadata(preprocessing=shape_of(height=99)), "what goes into",
    ),
    "a picture of 2^30": (
        metadata(preprocessing=shape_of(height=1 << 30)), "preprocessing.height",
    ),
    "a mean of NaN": (
        metadata(preprocessing=shape_of(mean=[float("nan")])), "preprocessing.mean",
    ),
    "a fit that there is not": (
        metadata(preprocessing=shape_of(fit="eval")), "preprocessing.fit",
    ),
    "an entry twice": (changed(lambda m: m.metadata_props.append(m.metadata_props[0])), "an entry twice"),
    "an unknown entry": (metadata(ort_config='{"session_options": {}}'), "ort_config"),
    "no licence": (metadata(licence=None), "licence"),
    "a provenance of its own": (metadata(provenance='{"eyesight":"1","network":"x","run":{}}'), "provenance.run"),
}  # fmt: skip


def refused(path: Path, part: str) -> None:
    """Ask for the model; check that it is refused in one line, soon, and that nothing is executed."""
    started, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with nothing_executed(), pytest.raises(FormatError) as caught:
        eyesight.load_model(path)
    line = one_line(str(caught.value))
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300 << 10  # KB
    assert line == str(caught.value)
    assert line.startswith(f"{path}: ")
    assert any(each in line for each in part.split("|")), line
    assert len(line) < 600
    assert not Path("exploded").exists()


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load what a first model loads, so that it is not counted as an attack's."""
    path = tmp_path_factory.mktemp("warm") / "model.onnx"
    path.write_bytes(WHOLE)
    eyesight.load_model(path)


@pytest.mark.parametrize("kind", ONNX)
def test_a_hostile_onnx_file_is_refused_in_one_line(kind):
    data, part = ONNX[kind]
    path = Path("model.onnx")
    path.write_bytes(data)
    refused(path, part)


def test_the_files_that_these_are_made_of_are_good(capsys):
    for data in (WHOLE, signed(unsigned()), changed(lambda m: None), metadata(), graph()):
        Path("model.onnx").write_bytes(data)
        Image.new("L", (12, 12)).save("picture.png")
        assert main(["predict", "model.onnx", "picture.png"]) == 0, capsys.readouterr().err
    assert len(ONNX) >= 100


# -- safetensors -----------------------------------------------------------------------------------------------------


def tensors(change: Callable[[dict[str, np.ndarray], dict[str, object]], object] = lambda arrays, about: None) -> bytes:
    """Return a model file with its tensors or its description changed, and a checksum that is right."""
    path = Path("whole.safetensors")
    small_classifier().save(path)
    arrays, about, _ = read_tensors(path)
    change(arrays, about)
    return pack_tensors(arrays, about)[0]


def entry(*keys: str, value: object) -> Callable[[dict[str, np.ndarray], dict[str, object]], object]:
    """Change one entry of the description, by its path."""

    def change(arrays: dict[str, np.ndarray], about: dict[str, object]) -> None:
        place: dict[str, object] = about
        for key in keys[:-1]:
            place = place[key]  # type: ignore[assignment]
        place[keys[-1]] = value

    return change


def header(text: bytes, *, claims: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if claims is None else claims) + text


def tensor(name: str, value: np.ndarray) -> Callable[[dict[str, np.ndarray], dict[str, object]], object]:
    return lambda arrays, about: arrays.update({name: value})


FIRST = "features.conv.weight"
SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "a pickle": lambda: pickle.dumps(Bomb()),
    "torch's file": torch_file,
    "a zip": lambda: zipped("data.pkl", pickle.dumps(Bomb())),
    "ONNX": unsigned,
    "a header of 2^63": lambda: header(b"{}", claims=1 << 63),
    "a header of 4 GB": lambda: header(b"{}", claims=1 << 32),
    "a header longer than the file": lambda: header(b"{}", claims=1 << 20),
    "a header of nothing": lambda: header(b""),
    "a header that nests": lambda: header(b"[" * 100_000),
    "a header that is a program": lambda: header(b"__import__('os').mkdir('exploded')"),
    "a header without a description": lambda: header(b"{}"),
    "a description of its own": lambda: header(b'{"__metadata__":{"eyesight":"{}","checksum":"' + b"0" * 64 + b'"}}'),
    "a tensor too many": lambda: tensors(tensor("extra", np.zeros(3, np.float32))),
    "a tensor called as a path": lambda: tensors(tensor("../../etc/passwd", np.zeros(3, np.float32))),
    "a tensor too few": lambda: tensors(lambda arrays, about: arrays.pop(FIRST)),
    "a tensor of another shape": lambda: tensors(tensor(FIRST, np.zeros((4, 1, 5, 5), np.float32))),
    "a tensor of whole numbers": lambda: tensors(tensor(FIRST, np.zeros((4, 1, 3, 3), np.int64))),
    "NaN": lambda: tensors(tensor(FIRST, np.full((4, 1, 3, 3), np.nan, np.float32))),
    "infinity": lambda: tensors(tensor(FIRST, np.full((4, 1, 3, 3), np.inf, np.float32))),
    "a layer too few": lambda: tensors(entry("network", "features", "layers", value=[])),
    "a layer of 2^40": lambda: tensors(entry("network", "classes", value=1 << 40)),
    "a picture of 16,000": lambda: tensors(entry("inference", "preprocessing", "height", value=16_000)),
    "a picture of 2^60": lambda: tensors(entry("inference", "preprocessing", "height", value=1 << 60)),
    "a layer that there is not": lambda: tensors(entry("network", "head", "layers", value=[["l", {"type": "exec"}]])),
    "layers that are none": lambda: tensors(entry("network", "head", value="os.system")),
    "an entry that there is not": lambda: tensors(entry("__class__", value="os.system")),
    "a temperature of nothing": lambda: tensors(entry("inference", "temperature", value=0)),
    "no classes": lambda: tensors(entry("classes", value=[])),
    "a class too many": lambda: tensors(entry("classes", value=["a", "b", "c", "d"])),
    "a newer version": lambda: tensors(entry("version", value=99)),
    "another format": lambda: tensors(entry("format", value="eyesight-predictions")),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAFETENSORS)
def test_a_hostile_tensor_file_is_refused_in_one_line(kind):
    path = Path("model.safetensors")
    path.write_bytes(SAFETENSORS[kind]())
    refused(path, "")


def test_the_tensor_file_that_these_are_made_of_is_good():
    Path("model.safetensors").write_bytes(tensors())
    assert eyesight.load_model("model.safetensors").classes == ("a", "b", "c")
