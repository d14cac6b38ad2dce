"""What a classifier said of every example of a split, as one file: all that judging needs.

In: ids, labels, logits. Out: `Predictions` and its `.safetensors` file. Judging, comparing and calibrating are
functions of it. It knows neither networks nor pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from .data.dataset import Split, split_fingerprint
from .errors import FormatError
from .formats import Arrays, read_tensors, upgrade, write_tensors
from .metrics import softmax
from .predictor import Predictor

PREDICTIONS_FORMAT, PREDICTIONS_VERSION = "eyesight-predictions", 1

_GATHERED = 16 << 20  # bytes of pictures at a time


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits for a split.

    Attributes:
        example_ids: (N,) stable ids, for example "test/17".
        labels: (N,) true classes.
        logits: (N, K) float32.
        classes: (K,) names.
        split: its name.
        fold: which fold of a cross-validation, if any.
        folds: (N,) of predictions of a whole cross-validation, the fold of each example.
        model: checksum of the model file.
        data: fingerprint of the split's pictures and labels.
    """

    example_ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    classes: tuple[str, ...]
    split: str
    model: str
    data: str
    fold: int | None = None
    folds: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(N,) the class of the largest logit."""
        return np.asarray(self.logits.argmax(axis=1), np.int64)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """(N, K) softmax of the logits."""
        return softmax(self.logits)

    def save(self, path: str | Path) -> None:
        """Write the predictions to one `.safetensors` file, atomically."""
        description = {
            "format": PREDICTIONS_FORMAT,
            "version": PREDICTIONS_VERSION,
            "split": self.split,
            "fold": self.fold,
            "model": self.model,
            "data": self.data,
            "classes": list(self.classes),
        }
        # joined by the one character that no file name can have
        ids = np.frombuffer("\0".join(self.example_ids).encode(), np.uint8)
        arrays: Arrays = {"example_ids": ids, "labels": self.labels, "logits": self.logits}
        if self.folds is not None:
            arrays["folds"] = self.folds
        write_tensors(Path(path), arrays, description)

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read predictions from their file.

        Raises:
            FormatError: not a predictions file, cut off, altered, newer, or not consistent with itself.
        """
        path = Path(path)
        arrays, description, _ = read_tensors(path)
        description = upgrade(description, path, name=PREDICTIONS_FORMAT, version=PREDICTIONS_VERSION, upgrades={})
        try:
            about = _Description.model_validate(description)
            labels, logits, ids = (arrays[name] for name in ("labels", "logits", "example_ids"))
            example_ids = tuple(ids.tobytes().decode().split("\0")) if ids.size else ()
        except (ValidationError, KeyError, UnicodeDecodeError):
            raise FormatError(f"{path}: an entry of its description is missing or wrong") from None
        n, k = len(example_ids), len(about.classes)
        if (labels.shape, labels.dtype) != ((n,), np.int64) or (logits.shape, logits.dtype) != ((n, k), np.float32):
            raise FormatError(f"{path}: its ids, labels and logits do not fit together")
        folds = arrays.get("folds")
        if folds is not None and (folds.shape, folds.dtype) != ((n,), np.int64):
            raise FormatError(f"{path}: its ids and folds do not fit together")
        if n and not 0 <= labels.min() <= labels.max() < k:
            raise FormatError(f"{path}: its labels should be from 0 to {k - 1}")
        own = about.model_dump(exclude={"format", "version"})
        return cls(example_ids=example_ids, labels=labels, logits=logits, folds=folds, **own)


class _Description(BaseModel):
    """What a predictions file says of itself, beside its arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["eyesight-predictions"]
    version: Literal[1]
    split: str
    fold: int | None
    model: str
    data: str
    classes: tuple[str, ...]


def predict_split(predictor: Predictor, split: Split, *, model: str) -> Predictions:
    """Classify every example of a split.

    Args:
        predictor: a classifier, or anything with its protocol.
        split: the pictures.
        model: checksum of the model file, to be noted.
    """
    none = np.empty((0, len(predictor.classes)), np.float32)
    logits = np.concatenate([none, *(predictor.logits(batch) for batch in split.batches(memory=_GATHERED))])
    return Predictions(
        example_ids=tuple(split.example_ids),
        labels=split.labels,
        logits=logits,
        classes=predictor.classes,
        split=split.name,
        model=model,
        data=split_fingerprint(split),
    )
