"""Which labels are likely wrong: those that a model that never saw them would not give.

In: features and labels of pictures. Out: probabilities out of fold, and an order of the labels from the most doubtful
on. It knows no pictures.

Letters: N pictures, F features, K classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 5
_REPEATS = 3  # times that the pictures are dealt into folds anew, for small sets
_FEW = 2000  # pictures up to which they are
_STRENGTH = 0.01  # inverse of the penalty on weights: benchmarks/check.py finds 0.75 of swapped labels; 0.66 at 0.1
_SURE = 0.9  # of the probability of another class, from which on a label is called likely wrong


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
        seed: of the draw of folds.
    """
    repeats = _REPEATS if len(labels) <= _FEW else 1
    total = np.zeros((len(labels), classes))
    for repeat in range(repeats):
        folds = deal(labels, groups, seed=seed + repeat)
        for fold in range(FOLDS):
            held_out = folds == fold
            if held_out.any() and not held_out.all():
                total[held_out] += _predict(features, labels, ~held_out, held_out, classes)
    return np.asarray(total / repeats)


def deal(labels: Ints, groups: Ints, *, seed: int) -> Ints:
    """Return a fold for every picture (N,): every class spread evenly, every group in one."""
    random = np.random.default_rng([seed, 20])
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = random.permutation(len(first))
    by_class = shuffled[np.argsort(labels[first][shuffled], kind="stable")]
    folds = np.empty(len(first), np.int64)
    folds[by_class] = np.arange(len(first)) % FOLDS
    return np.asarray(folds[group])


def _predict(
    features: npt.NDArray[np.floating],
    labels: Ints,
    known: npt.NDArray[np.bool_],
    asked: npt.NDArray[np.bool_],
    classes: int,
) -> Floats:
    """Return probabilities of pictures that are `asked` by a linear model of those that are `known`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(labels[known])
    result = np.zeros((int(asked.sum()), classes))
    if len(seen) == 1:
        result[:, seen[0]] = 1
        return result
    mean = features[known].mean(axis=0)
    scale = float(features[known].std()) or 1.0  # one for all: a feature that hardly varies is no stronger for it
    model = LogisticRegression(C=_STRENGTH, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an order of doubts needs no last digit
        model.fit((features[known] - mean) / scale, labels[known])
    result[:, seen] = model.predict_proba((features[asked] - mean) / scale)
    return result


def doubt(probabilities: Floats, labels: Ints) -> Doubts:
    """Return how doubtful labels are.

    A label is likely wrong where the model is surer of another class than it is, on average, of pictures that bear
    that class (confident learning: Northcutt, Jiang and Chuang 2021), and as good as sure.

    >>> found = doubt(np.array([[0.9, 0.1], [0.02, 0.98], [0.1, 0.9]]), np.array([0, 0, 1]))
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
