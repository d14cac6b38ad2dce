"""Which labels are likely wrong: those that a model that never saw them would not give.

In: features and labels of pictures. Out: probabilities out of fold, and an order of the labels from the most doubtful
on. It knows no pictures.

Letters: N pictures, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.folds import deal_folds
from ..metrics import softmax
from ..training.head import FOLDS, choose

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FEW = 2000  # pictures that the strength of the model is chosen on
_SURE = 0.9  # of the probability of another class, from which on a label is always called likely wrong


@dataclass(frozen=True, eq=False)
class Doubts:
    """What a model makes of labels that it was not trained on.

    Attributes:
        order: (N,) pictures from the most doubtful label on.
        margins: (N,) probability of the label, less that of the most likely other class.
        other: (N,) that other class.
        likely: (N,) whether the label is likely wrong.
        accuracy: share of the labels that the model gives too.
    """

    order: Ints
    margins: Floats
    other: Ints
    likely: npt.NDArray[np.bool_]
    accuracy: float


def out_of_fold(
    features: npt.NDArray[np.floating], labels: Ints, groups: Ints, *, classes: int, seed: int = 0
) -> Floats:
    """Return probabilities (N, K), each of a model that was trained without the picture and without its group.

    Args:
        features: (N, F).
        labels: (N,).
        groups: (N,) copies of one picture share a number, so that none of them tells the other's label.
        classes: K.
        seed: of the draw of folds, and of the pictures that the model's strength is chosen on.
    """
    folds = deal_folds(labels, FOLDS, groups=groups, seed=seed)
    few = np.sort(np.random.default_rng([seed, 20]).permutation(len(labels))[:_FEW])
    values = np.asarray(features, np.float32)
    found = choose(values[few], None, labels[few], folds[few], classes)
    if len(few) < len(labels):
        found = choose(values, None, labels, folds, classes, strengths=(found.strength,))
    return softmax(found.logits)


def doubt(probabilities: Floats, labels: Ints) -> Doubts:
    """Return how doubtful labels are.

    A label is likely wrong where the model is surer of another class than it is, on average, of pictures that bear
    that class (confident learning: Northcutt, Jiang and Chuang 2021), and as good as sure.

    >>> found = doubt(np.array([[0.9, 0.1], [0.02, 0.98], [0.2, 0.8]]), np.array([0, 0, 1]))
    >>> found.order.tolist(), found.likely.tolist()
    ([1, 2, 0], [False, True, False])
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    other = others.argmax(axis=1)
    margins = own - others[rows, other]
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    sure = np.bincount(labels, own, minlength=classes) / np.maximum(counts, 1)
    likely = (margins < 0) & (others[rows, other] >= np.minimum(np.maximum(sure[other], 0.5), _SURE))
    return Doubts(np.argsort(margins, kind="stable"), margins, other, likely, float((margins > 0).mean()))
