"""Figures of merit of a classifier, computed from labels and logits.

In: NumPy arrays. Out: numbers and arrays. Pure maths: no files, no plots, no devices. What is undefined (the recall
of a class that never occurs) is NaN, never zero; means over classes leave those classes out.

Letters: N examples, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def softmax(logits: npt.NDArray[np.floating]) -> Floats:
    """Turn logits (N, K) into probabilities (N, K), in float64 and without overflow.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    exp = np.exp(shifted)
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))


def class_weights(labels: Ints, classes: int) -> Floats:
    """Return a weight for each class, so that all classes count the same and an example counts 1 on average: (K,).

    >>> class_weights(np.array([0, 0, 0, 1]), 3).round(3).tolist()
    [0.667, 2.0, 0.0]
    """
    counts = np.bincount(labels, minlength=classes)
    return np.where(counts > 0, len(labels) / (np.maximum(counts, 1) * (counts > 0).sum()), 0.0)


def cross_entropy(logits: npt.NDArray[np.floating], labels: Ints) -> Floats:
    """Return the loss of every example, −log p(label), in nats: shape (N,)."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels])


def confusion_matrix(labels: Ints, predicted: Ints, classes: int) -> Ints:
    """Count pairs: entry [i, j] is how many examples of class i were taken for class j. Shape (K, K).

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    flat = np.bincount(np.asarray(labels, np.int64) * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def top_k_accuracy(logits: npt.NDArray[np.floating], labels: Ints, k: int) -> float:
    """Return the share of examples whose label is among the `k` largest logits; ties and NaN count against it."""
    own = logits[np.arange(len(labels)), labels]
    rank = (~(logits < own[:, None])).sum(axis=1)  # 1 when no other class reaches the label's logit
    return float((rank <= k).mean())


@dataclass(frozen=True)
class ClassScores:
    """Per-class figures, each of shape (K,); NaN where undefined."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


def class_scores(confusion: Ints) -> ClassScores:
    """Derive precision, recall, F1 and support of every class from a confusion matrix (K, K).

    precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN). Precision is undefined for a
    class never predicted, recall for one that never occurs, F1 for one that does neither.

    >>> class_scores(np.array([[1, 1], [0, 1]])).recall.tolist()
    [0.5, 1.0]
    """
    hits = np.diag(confusion).astype(np.float64)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassScores(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predicted),
        support=support.astype(np.int64),
    )


def mean_defined(values: Floats) -> float:
    """Return the mean of the values that are not NaN; NaN when there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def chance_accuracy(labels: Ints, classes: int) -> float:
    """Return the accuracy of always guessing the most frequent class: the baseline to beat."""
    return float(np.bincount(labels, minlength=classes).max() / len(labels))


def _ratio(numerator: npt.NDArray[np.floating], denominator: npt.NDArray[np.integer]) -> Floats:
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out
