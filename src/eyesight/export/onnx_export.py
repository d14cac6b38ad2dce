"""A classifier as an ONNX file, proven before it is written.

In: `Origin`, pictures to prove it on. Out: the file's bytes and its certificate. A user's own module goes through
torch's exporter, any other network is the engine's own graph. It writes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..classifier import OpaqueSpec
from ..pictures.preprocess import Pixels
from .exported import ExportedModel
from .onnx_file import INPUT, PROBABILITIES, pack_onnx
from .origin import Origin
from .parity import Certificate, Sample, compare


@dataclass(frozen=True)
class Proven:
    """A file that answers as the classifier does.

    Attributes:
        data: its bytes.
        certificate: the proof.
    """

    data: bytes
    certificate: Certificate


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
    classifier = origin.classifier
    if isinstance(classifier.spec, OpaqueSpec):
        from .opaque import opaque_graph

        return pack_onnx(opaque_graph(classifier), origin.description())
    return pack_onnx(classifier.graph(), origin.description())
