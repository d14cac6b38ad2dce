"""A classifier as an ONNX file, proven before it is written.

In: `Origin`, pictures to prove it on. Out: the file's bytes and its certificate. A user's own module goes through
torch's exporter, any other network is the engine's own graph. It writes nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..classifier import OpaqueSpec
from ..data.dataset import Dataset, Split
from ..pictures.preprocess import Pixels
from .exported import ExportedModel
from .onnx_file import INPUT, PROBABILITIES, pack_onnx
from .origin import Origin
from .parity import Sample, compare
from .proven import Proven
from .quantize import CALIBRATED, MAX_DROP, judge, quantize

if TYPE_CHECKING:
    import onnx

_DECIDED = 10_000  # training pictures at most, where no others were held out


def make_onnx(origin: Origin, sample: Sample, *, name: str) -> Proven:
    """Return the ONNX file of a classifier.

    Args:
        origin: the classifier.
        sample: pictures to prove it on.
        name: of the file, in the certificate and in errors.

    Raises:
        EyesightError: it answers otherwise than the classifier.
        UsageError: a user's own module that torch cannot export.
    """
    data = onnx_bytes(origin)
    exported = ExportedModel.from_bytes(data, source=name)  # whatever is written can be read
    files = {name: hashlib.sha256(data).hexdigest()}
    certificate = compare(origin.classifier, {"onnx": Plain(data, exported)}, sample, files=files)
    certificate.check()
    return Proven(data, certificate)


def make_int8(origin: Origin, sample: Sample, data: Dataset, *, name: str, max_drop: float = MAX_DROP) -> Proven:
    """Return the ONNX file of a classifier in whole numbers of 8 bits.

    Args:
        origin: the classifier.
        sample: pictures to state the differences on.
        data: what it was trained on: its training pictures give the scales, its validation pictures decide.
        name: of the file.
        max_drop: points of accuracy that it may lose.

    Raises:
        EyesightError: it loses more, or is no faster here.
    """
    graph = _graph(origin)
    exact = pack_onnx(graph, origin.description())
    full = ExportedModel.from_bytes(exact, source=name)
    calibration, judged, said = _splits(data)
    whole = quantize(graph, calibration.gather(np.arange(len(calibration))), batch=full.batch_size)
    small = pack_onnx(whole, origin.description("int8"))
    exported = ExportedModel.from_bytes(small, source=name)
    sizes = (len(exact), len(small))
    quantized = judge(said, judged, (full, exported), sizes, calibrated=len(calibration))
    quantized.check(max_drop)
    others = {"onnx": Plain(exact, full), "int8": Plain(small, exported)}
    files = {name: hashlib.sha256(small).hexdigest()}
    certificate = compare(origin.classifier, others, sample, tolerances={"int8": None}, files=files)
    certificate.check()
    return Proven(small, certificate, quantized)


def _splits(data: Dataset) -> tuple[Split, Split, str]:
    """Return pictures to find scales on, others to decide on, and what those are called.

    Where no validation pictures were held out, training pictures that the scales were not found on decide.
    """
    train = data.train
    places = np.unique(np.linspace(0, len(train) - 1, min(CALIBRATED, (len(train) + 1) // 2)).astype(np.int64))
    calibration = train.select(places, name="train")
    if data.validation and data.protocol != "test-as-validation":
        return calibration, data.validation, "validation"
    rest = np.setdiff1d(np.arange(len(train)), places)
    return calibration, train.select(rest[:_DECIDED], name="train"), "training"


class Plain:
    """The file as anybody uses it: ONNX Runtime alone, and the probabilities that come out of the graph.

    Args:
        data: the file.
        exported: the same, read by us; tells how many pictures fit at a time.
    """

    def __init__(self, data: bytes, exported: ExportedModel) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self._at_once = exported.batch_size

    def probabilities(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        """Return float32 (N, K)."""
        starts = range(0, len(pictures), self._at_once)
        parts = [pictures[start : start + self._at_once] for start in starts]
        return np.concatenate([self._session.run([PROBABILITIES], {INPUT: part})[0] for part in parts])


def onnx_bytes(origin: Origin) -> bytes:
    """Return the bytes of the ONNX file, not yet proven."""
    return pack_onnx(_graph(origin), origin.description())


def _graph(origin: Origin) -> onnx.ModelProto:
    if isinstance(origin.classifier.spec, OpaqueSpec):
        from .opaque import opaque_graph

        return opaque_graph(origin.classifier)
    return origin.classifier.graph()
