"""How good a classifier is, from its predictions.

In: `Predictions`. Out: `Report`: numbers only, as plain data too. It needs neither the network nor the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np

from ..calibration import calibration_error
from ..errors import DataError
from ..intervals import wilson
from ..metrics import (
    ClassScores,
    chance_accuracy,
    class_scores,
    confusion_matrix,
    cross_entropy,
    mean_defined,
    softmax,
    top_k_accuracy,
)
from ..predictions import Predictions
from ..run import REPORT_FORMAT, REPORT_VERSION

_MISTAKES = 10


@dataclass(frozen=True)
class ClassReport:
    """One class; None where a figure is undefined (see `metrics.class_scores`)."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: which example, its class, what it was taken for, and how sure the classifier was."""

    position: int
    example: str
    source: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Report:
    """The judgement on one split.

    Attributes:
        split, n: which examples, and how many.
        model, data: checksum of the model file, and fingerprint of the split.
        accuracy: share of right answers, with its 95 % Wilson interval.
        top5_accuracy: share of examples with the right class among the five most probable; None up to 5 classes.
        balanced_accuracy: mean recall over the classes that occur.
        macro_f1: mean F1 over the classes that occur or are predicted.
        chance: accuracy of always guessing the most frequent class.
        loss: mean cross-entropy in nats.
        temperature: that logits were divided by, fitted on validation pictures; 1 where none was.
        calibration_error, calibration_error_before: expected calibration error (see `calibration`) with the
            temperature, and what it would be without.
        per_class: figures of each class.
        confusion_matrix: [i][j]: examples of class i taken for class j.
        mistakes: the wrong answers the classifier was surest of.
        overfitting: one sentence that says whether the network has learned its training pictures by heart; "" where
            nothing can be said.
        notes: what a reader must know to read the numbers right.
    """

    split: str
    n: int
    model: str
    data: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    top5_accuracy: float | None
    balanced_accuracy: float
    macro_f1: float
    chance: float
    loss: float
    temperature: float
    calibration_error: float
    calibration_error_before: float
    per_class: tuple[ClassReport, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...]
    overfitting: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data, with its format and version."""
        return {"format": REPORT_FORMAT, "version": REPORT_VERSION, **asdict(self)}

    def headline(self) -> list[tuple[str, str]]:
        """Return the overall figures as (name, value) in the order to show them."""
        low, high = self.accuracy_interval
        rows = [("accuracy", f"{self.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f}, n = {self.n:,})")]
        if self.top5_accuracy is not None:
            rows.append(("top-5 accuracy", f"{self.top5_accuracy:.4f}"))
        rows += [
            ("balanced accuracy", f"{self.balanced_accuracy:.4f}"),
            ("macro F1", f"{self.macro_f1:.4f}"),
            ("chance", f"{self.chance:.4f}  (always the most frequent class)"),
            ("loss", f"{self.loss:.4f}"),
            ("calibration error", self._calibration()),
        ]
        return rows

    def _calibration(self) -> str:
        text = f"{self.calibration_error:.4f}"
        if self.temperature == 1:
            return text
        return f"{text}  ({self.calibration_error_before:.4f} without the temperature {self.temperature:.2f})"

    def confusions(self, count: int = 5) -> list[tuple[str, str, int]]:
        """Return the most frequent (class, taken for, how often), largest first."""
        matrix = np.array(self.confusion_matrix)
        np.fill_diagonal(matrix, 0)
        order = np.argsort(-matrix, axis=None, kind="stable")[:count]
        names = [row.label for row in self.per_class]
        pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, matrix.shape), strict=True)]
        return [(names[i], names[j], int(matrix[i, j])) for i, j in pairs if matrix[i, j] > 0]

    def _repr_html_(self) -> str:
        head = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self.headline())
        rows = "".join(
            f"<tr><td>{escape(c.label)}</td>"
            + "".join(f"<td>{number(value)}</td>" for value in (c.precision, c.recall, c.f1))
            + f"<td>{c.support:,}</td></tr>"
            for c in self.per_class
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in (self.overfitting, *self.notes) if note)
        columns = "".join(f"<th>{name}</th>" for name in ("class", "precision", "recall", "F1", "support"))
        return f"<table>{head}</table><table><tr>{columns}</tr>{rows}</table>{notes}"


def judge(
    predictions: Predictions,
    *,
    temperature: float = 1.0,
    source: Callable[[int], str] | None = None,
    overfitting: str = "",
    notes: tuple[str, ...] = (),
) -> Report:
    """Compute the report of a split.

    Args:
        predictions: of the split.
        temperature: that the logits have been divided by.
        source: tells where example i came from, for the list of mistakes.
        overfitting, notes: to go into the report.

    Raises:
        DataError: there are no examples, or a logit is NaN or infinite.
    """
    if not len(predictions):
        raise DataError(f"{predictions.split}: no examples to judge")
    labels, logits, classes = predictions.labels, predictions.logits, predictions.classes
    if bad := int((~np.isfinite(logits).all(axis=1)).sum()):
        raise DataError(
            f"{predictions.split}: the logits of {bad:,} of {len(logits):,} examples are not finite numbers"
        )
    predicted = predictions.predicted
    confusion = confusion_matrix(labels, predicted, len(classes))
    scores = class_scores(confusion)
    correct = int((predicted == labels).sum())
    return Report(
        split=predictions.split,
        n=len(predictions),
        model=predictions.model,
        data=predictions.data,
        accuracy=correct / len(predictions),
        accuracy_interval=wilson(correct, len(predictions)),
        top5_accuracy=top_k_accuracy(logits, labels, 5) if len(classes) > 5 else None,
        balanced_accuracy=mean_defined(scores.recall),
        macro_f1=mean_defined(scores.f1),
        chance=chance_accuracy(labels, len(classes)),
        loss=float(cross_entropy(logits, labels).mean()),
        temperature=temperature,
        calibration_error=calibration_error(predictions.probabilities, labels),
        calibration_error_before=calibration_error(softmax(logits * temperature), labels),
        per_class=_per_class(scores, classes),
        confusion_matrix=tuple(tuple(row) for row in confusion.tolist()),
        mistakes=_mistakes(predictions, source),
        overfitting=overfitting,
        notes=notes,
    )


def _per_class(scores: ClassScores, classes: tuple[str, ...]) -> tuple[ClassReport, ...]:
    columns = (scores.precision, scores.recall, scores.f1)
    precision, recall, f1 = ([_none_if_nan(value) for value in column] for column in columns)
    return tuple(
        ClassReport(name, precision[k], recall[k], f1[k], int(scores.support[k])) for k, name in enumerate(classes)
    )


def _mistakes(predictions: Predictions, source: Callable[[int], str] | None) -> tuple[Mistake, ...]:
    predicted = predictions.predicted
    wrong = np.flatnonzero(predicted != predictions.labels)
    sureness = softmax(predictions.logits[wrong]).max(axis=1) if len(wrong) else np.empty(0)
    order = np.argsort(-sureness, kind="stable")[:_MISTAKES]
    return tuple(
        Mistake(
            position=int(i),
            example=predictions.example_ids[i],
            source=source(int(i)) if source else predictions.example_ids[i],
            label=predictions.classes[predictions.labels[i]],
            predicted=predictions.classes[predicted[i]],
            probability=float(p),
        )
        for i, p in zip(wrong[order], sureness[order], strict=True)
    )


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def number(value: float | None) -> str:
    """Return a figure as tables show it; a dash where it is undefined."""
    return "–" if value is None else f"{value:.4f}"
