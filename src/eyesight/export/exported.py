"""An exported file at work: it answers like the classifier that it was made from, without torch and without the run.

In: an `.onnx` file that an export wrote. Out: probabilities for pictures of any kind. It knows nothing of networks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..engine.session import Session
from ..errors import FormatError
from ..formats import check_path
from ..pictures.preprocess import Pixels, Preprocessing
from ..predictor import Logits, PicturePredictor
from .onnx_file import OnnxDescription, read_onnx, unpack_onnx


class ExportedModel(PicturePredictor):
    """A classifier that was exported as ONNX.

    Attributes:
        description: all that the file says of itself: classes, preprocessing, provenance, licence.
        classes: (K,) names.
        checksum: the file's own.
    """

    def __init__(self, session: Session, description: OnnxDescription, *, checksum: str | None = None) -> None:
        self._session = session
        self.description = description
        self.classes = description.classes
        self.checksum = checksum

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> ExportedModel:
        """Read an exported file. Nothing in it is ever executed but a graph of known operators.

        Args:
            path: the `.onnx` file.
            threads: that compute; None for as many as this process may use.

        Raises:
            FormatError: not such a file, cut off, altered, newer, or with a graph that no classifier has.
        """
        check_path(path, "path")
        return cls.from_bytes(read_onnx(Path(path)), source=str(path), threads=threads)

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str, threads: int | None = None) -> ExportedModel:
        """Take the bytes of an exported file; see `load`. Errors call it `source`."""
        model, description, held = unpack_onnx(data, source)
        try:
            session = Session(model, bytes_per_picture=held, threads=threads)
            blank = session.run(np.zeros((1, *description.preprocessing.shape), np.uint8))
        except Exception as error:  # of classes that ONNX Runtime keeps to itself
            reason = " ".join(str(error).split())[:200]
            raise FormatError(f"{source}: ONNX Runtime cannot compute its graph ({reason})") from None
        if blank.shape != (1, len(description.classes)) or not np.isfinite(blank).all():
            raise FormatError(f"{source}: its graph does not give a number for every class")
        return cls(session, description, checksum=data[-64:].decode())

    @property
    def batch_size(self) -> int:
        """How many pictures are computed at once."""
        return self._session.batch_size

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the pixels that the graph takes."""
        return self.description.preprocessing

    def logits(self, pictures: Pixels) -> Logits:
        """Return float32 logits (N, K), divided by the temperature.

        Args:
            pictures: uint8 (N, H, W, C) of the stored size.
        """
        self.check_pictures(pictures)
        return self._session.run(pictures)

    def __repr__(self) -> str:
        height, width, channels = self.preprocessing.shape
        name = self.description.provenance.network
        return f"ExportedModel({name!r}: {width}x{height}x{channels} → {len(self.classes)} classes)"
