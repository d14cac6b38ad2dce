"""A classifier in whole numbers of 8 bits: its graph with scales found on training pictures, judged before it is kept.

In: a float32 graph, pictures it was trained on, pictures to judge it on. Out: the int8 graph, and `Quantized`, what it
costs and gains. Weights have a scale for each channel, numbers between the layers one for each place (QDQ format).
Source: Nagel et al., "A white paper on neural network quantization", 2021.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..data.dataset import Split
from ..errors import EyesightError
from ..pictures.preprocess import Pixels
from .exported import ExportedModel
from .onnx_file import INPUT

if TYPE_CHECKING:
    import onnx

CALIBRATED: Final = 256  # training pictures, whose numbers between the layers give the scales
MAX_DROP: Final = 0.2  # points of accuracy
_QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "MaxPool", "Relu", "Clip")
_ROUNDS, _ROUND_SECONDS = 9, 0.05  # of timing, each for both in turn
_JUDGED = 16 << 20  # bytes of pictures at a time


@dataclass(frozen=True)
class Quantized:
    """What int8 costs and gains; each pair is of float32 and of int8.

    Attributes:
        split: the pictures that it was judged on.
        count: of them.
        accuracy: share of right answers.
        bytes: size of the file.
        speed: pictures a second, median of rounds in turn.
        calibrated: training pictures that the scales were found on.
    """

    split: str
    count: int
    accuracy: tuple[float, float]
    bytes: tuple[int, int]
    speed: tuple[float, float]
    calibrated: int

    def check(self, max_drop: float) -> None:
        """Raise `EyesightError` where it loses more than so many points of accuracy, or gains no speed."""
        drop = 100 * (self.accuracy[0] - self.accuracy[1])
        if drop > max_drop + 1e-9:
            raise EyesightError(
                f"int8: {drop:.2f} points of accuracy less on {self.count:,} {self.split} pictures "
                f"({self.accuracy[0]:.4f} → {self.accuracy[1]:.4f}); allowed: {max_drop:g} (--max-drop); "
                "nothing was written"
            )
        if self.speed[1] <= self.speed[0]:
            raise EyesightError(
                f"int8: no faster here ({self.speed[0]:,.0f} → {self.speed[1]:,.0f} pictures a second); "
                "nothing was written"
            )

    def rows(self) -> list[tuple[str, str, str]]:
        """Return (what, of float32, of int8) for a table."""
        pairs = {
            f"accuracy, {self.count:,} {self.split} pictures": [f"{value:.4f}" for value in self.accuracy],
            "size": [f"{value / 1e3:,.0f} kB" for value in self.bytes],
            "pictures a second": [f"{value:,.0f}" for value in self.speed],
        }
        return [(what, exact, small) for what, (exact, small) in pairs.items()]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def quantize(graph: onnx.ModelProto, pictures: Pixels, *, batch: int) -> onnx.ModelProto:
    """Return a graph that computes in int8 what this one computes in float32.

    Args:
        graph: `pictures` to `logits`.
        pictures: uint8 (N, H, W, C), to find the scales on.
        batch: how many are computed at a time.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    named = onnx.ModelProto()
    named.CopyFrom(graph)
    for i, node in enumerate(named.graph.node):
        node.name = f"{node.op_type}{i}"
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "int8.onnx")
        quantize_static(
            named,
            path,
            _Reader(pictures, batch),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTIZED),
            nodes_to_exclude=_before_network(named.graph),
            per_channel=True,
            reduce_range=True,  # 7 bits: on processors without VNNI sums of two products of 8 bits overflow
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return plain_model(onnx.load(path))


class _Reader:
    """Hands out pictures as ONNX Runtime's quantization asks for them."""

    def __init__(self, pictures: Pixels, batch: int) -> None:
        self._parts = (pictures[start : start + batch] for start in range(0, len(pictures), batch))

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next pictures by the input's name; None after the last."""
        part = next(self._parts, None)
        return None if part is None else {INPUT: part}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime's advice, which is of no use here, from the log, and the log as it was."""
    before, disabled = list(logging.root.handlers), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        logging.root.handlers[:] = before


def _before_network(graph: onnx.GraphProto) -> list[str]:
    """Return the nodes that normalise pictures and make views, whose numbers stay exact."""
    names = []
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            break
        names.append(node.name)
    return names


def plain_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with what an exported file may have, and nothing else: constants as bytes, no notes."""
    from onnx import helper, numpy_helper

    graph = model.graph
    nodes = []
    for node in graph.node:
        copy = helper.make_node(node.op_type, list(node.input), list(node.output))
        copy.attribute.extend(node.attribute)
        for attribute in copy.attribute:
            attribute.ClearField("doc_string")
        nodes.append(copy)
    constants = [numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name) for tensor in graph.initializer]
    plain = helper.make_graph(nodes, graph.name, graph.input, graph.output, constants)
    opsets = [each for each in model.opset_import if each.domain in ("", "ai.onnx")]
    return helper.make_model(
        plain, opset_imports=opsets, ir_version=min(model.ir_version, 10), producer_name="eyesight"
    )


def judge(
    names: str, split: Split, models: tuple[ExportedModel, ExportedModel], sizes: tuple[int, int], *, calibrated: int
) -> Quantized:
    """Compare a float32 file with its int8 one on labelled pictures.

    Args:
        names: what the pictures are called.
        split: the pictures.
        models: both.
        sizes: of their files, in bytes.
        calibrated: training pictures that the scales were found on.
    """
    right, place = [0, 0], 0
    first: Pixels | None = None
    for batch in split.batches(memory=_JUDGED):
        labels = split.labels[place : place + len(batch)]
        place += len(batch)
        first = batch if first is None else first
        for k, model in enumerate(models):
            right[k] += int((model.logits(batch).argmax(axis=1) == labels).sum())
    assert first is not None  # an empty split is never chosen
    accuracy = (right[0] / len(split), right[1] / len(split))
    return Quantized(names, len(split), accuracy, sizes, _speeds(models, first), calibrated)


def _speeds(models: tuple[ExportedModel, ExportedModel], pictures: Pixels) -> tuple[float, float]:
    """Return pictures a second of each, measured in turn so that whatever else runs here slows down both."""
    pictures = pictures[: models[0].batch_size]
    times = max(1, int(_ROUND_SECONDS / max(1e-6, _seconds(models[0], pictures, 1))))
    rounds = np.array([[_seconds(model, pictures, times) for model in models] for _ in range(_ROUNDS)])
    slow, fast = (times * len(pictures) / np.median(rounds, axis=0)).tolist()
    return slow, fast


def _seconds(model: ExportedModel, pictures: Pixels, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        model.logits(pictures)
    return time.perf_counter() - began
