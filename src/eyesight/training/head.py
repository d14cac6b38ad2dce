"""The last layer alone: multinomial logistic regression on features, its strength chosen by cross-validation.

In: features (N, F), labels (N,). Out: one dense layer, and what each example was taken for by a layer that had not seen
it. It knows neither pictures nor files.

The layer minimises ½‖w‖² + C · Σ cross-entropy over standardised features, where C is the strength: the larger, the
closer to the training examples. The scaling is computed into the weights afterwards.

Letters: N examples, F features, K classes, C strength.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.dataset import Ints
from ..data.mapped import is_mapped, parts, release
from ..metrics import class_weights, cross_entropy
from .logistic import fit_in_parts

Floats = npt.NDArray[Any]

STRENGTHS = tuple(float(f"{10 ** (k / 2):.2g}") for k in range(-8, 1))  # 1e-4 … 1, two for each power of ten
FOLDS = 5
_ROUNDS = 1000  # of the optimiser, at most
_TOLERANCE = {np.float64: 1e-6, np.float32: 1e-4}  # of the gradient
_UNSEEN = 5.0  # logits below the least of the others, of a class that a fold has no example of
_DOUBLE = 5_000  # examples; of more the arithmetic is in float32, which takes half of the memory
_COPIED = 16_000  # examples; of more the features are only read, which is slower by a little
_RANK = 1e-10  # of the largest eigenvalue; directions below are of rounding
_SHORT = 4_000_000  # numbers
_ERRORS = 1.0  # standard errors by which mirror images must be better


@dataclass(frozen=True, eq=False)
class Head:
    """A dense layer: logits = features · weightᵀ + bias.

    Attributes:
        weight: (K, F).
        bias: (K,).
    """

    weight: Floats
    bias: Floats

    def logits(self, features: Floats) -> npt.NDArray[np.float32]:
        """Return logits (N, K)."""
        found = np.empty((len(features), len(self.bias)), np.float32)
        for part in parts(features):
            found[part] = features[part] @ self.weight.T.astype(features.dtype) + self.bias
        return found


@dataclass(frozen=True, eq=False)
class Choice:
    """What cross-validation says.

    Attributes:
        strength: C, the one with the lowest loss.
        mirror: whether the mean of the features of a picture and of its mirror image does better than the picture.
        losses: mean loss for each strength that was tried, as `mirror` says.
        logits: (N, K) of every example, by a layer that was fitted without its fold.
    """

    strength: float
    mirror: bool
    losses: dict[float, float]
    logits: npt.NDArray[np.float32]


def mean_view(features: Floats, mirrored: Floats) -> npt.NDArray[np.float32]:
    """Return the mean of the features of pictures and of their mirror images: the mean of the logits is of this.

    Where the features are many, they are overwritten, and returned.
    """
    out = features if is_mapped(features) else np.empty(features.shape, np.float32)
    for part in parts(features):
        out[part] = (features[part] + mirrored[part]) / 2
        if out is features:
            release(mirrored)
    return out


def fit_head(features: Floats, labels: Ints, classes: int, strength: float, *, balance: bool = False) -> Head:
    """Return the layer that fits examples best, for a strength; with `balance`, every class counts as much."""
    everyone = np.ones(len(labels), np.bool_)
    (head,) = _path(features, labels, everyone, classes, [strength], balance=balance)
    return head


def choose(
    features: Floats,
    mirrored: Floats | None,
    labels: Ints,
    folds: Ints,
    classes: int,
    *,
    strengths: Sequence[float] = STRENGTHS,
    balance: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Choice:
    """Choose the strength, and whether mirror images help.

    Args:
        features: (N, F) of the pictures.
        mirrored: (N, F) of their mirror images; None where those are not to be looked at.
        labels: (N,) classes.
        folds: (N,) the fold of each example.
        classes: K.
        strengths: that are tried.
        balance: whether every class counts as much as another, in the fits and in what is chosen by.
        check: called between fits; what it raises ends the work.
    """
    weights = class_weights(labels, classes)[labels] if balance else np.ones(len(labels))  # (N,)
    plain = _cross_validate(features, labels, folds, classes, strengths, check, balance=balance)
    if mirrored is None:
        return _choice(plain, labels, weights, strengths, mirror=False)
    both = _cross_validate(mean_view(features, mirrored), labels, folds, classes, strengths, check, balance=balance)
    one, two = (
        _choice(found, labels, weights, strengths, mirror=mirror) for found, mirror in ((plain, False), (both, True))
    )
    gain = weights * (cross_entropy(one.logits, labels) - cross_entropy(two.logits, labels))  # (N,)
    return two if gain.mean() > _ERRORS * gain.std() / np.sqrt(len(gain)) else one


def _choice(found: Floats, labels: Ints, weights: Floats, strengths: Sequence[float], *, mirror: bool) -> Choice:
    losses = [float((weights * cross_entropy(logits, labels)).mean()) for logits in found]
    best = int(np.argmin(losses))  # of equal ones the weakest
    return Choice(strengths[best], mirror, dict(zip(strengths, losses, strict=True)), found[best])


def _cross_validate(
    features: Floats,
    labels: Ints,
    folds: Ints,
    classes: int,
    strengths: Sequence[float],
    check: Callable[[], None],
    *,
    balance: bool,
) -> npt.NDArray[np.float32]:
    """Return the logits of every example, by layers fitted without its fold: (strengths, N, K)."""
    logits = np.empty((len(strengths), len(labels), classes), np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        for i, head in enumerate(_path(features, labels, ~out, classes, strengths, balance=balance)):
            for part in parts(features):
                logits[i, part][out[part]] = head.logits(features[part][out[part]])
            check()
    return logits


def _path(
    features: Floats,
    labels: Ints,
    counted: npt.NDArray[np.bool_],
    classes: int,
    strengths: Sequence[float],
    *,
    balance: bool,
) -> Iterator[Head]:
    """Yield the layer for each strength, of the examples that count; each search begins where the one before ended.

    A small problem is computed by one thread: its products are so short that two would mostly wait for each other.
    """
    from threadpoolctl import threadpool_limits

    number = int(counted.sum())
    small = number * features.shape[1] < _SHORT
    with threadpool_limits(limits=1 if small else None, user_api="blas"):
        if number > _COPIED:
            yield from _search_in_parts(features, labels, counted, classes, strengths, balance=balance)
        else:
            some = (features, labels) if number == len(labels) else (features[counted], labels[counted])
            yield from _search(*some, classes, strengths, balance=balance)


def _search_in_parts(
    features: Floats,
    labels: Ints,
    counted: npt.NDArray[np.bool_],
    classes: int,
    strengths: Sequence[float],
    *,
    balance: bool,
) -> Iterator[Head]:
    """Yield the layer for each strength, of examples that are too many to be copied."""
    present = np.unique(labels[counted])
    if len(present) == 1:
        yield from _only(present, features.shape[1], classes, len(strengths))
        return
    weights = counted * (class_weights(labels[counted], classes)[labels] if balance else 1.0)  # (N,)
    compact = np.searchsorted(present, labels).clip(0, len(present) - 1)  # those of other classes do not count
    for weight, bias in fit_in_parts(features, compact, len(present), weights, strengths):
        yield _spread(Head(weight, bias), present, classes)


def _only(present: Ints, width: int, classes: int, count: int) -> Iterator[Head]:
    """Yield the layers of examples of a single class, which need no search."""
    for _ in range(count):
        yield Head(np.zeros((classes, width)), np.where(np.arange(classes) == present[0], 0, -_UNSEEN))


def _search(
    features: Floats, labels: Ints, classes: int, strengths: Sequence[float], *, balance: bool
) -> Iterator[Head]:
    """Yield the layer for each strength.

    Where there are fewer examples than features, the weights lie in the space that the examples span; so they are
    searched for there, in coordinates of an orthonormal basis, which changes neither products nor norms.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    kind = np.float64 if len(features) <= _DOUBLE else np.float32
    mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    scale[scale < 1e-6] = 1.0
    scaled: Floats = np.array(features, kind)  # a copy, and the only one
    np.subtract(scaled, mean.astype(kind), out=scaled)
    np.divide(scaled, scale.astype(kind), out=scaled)
    basis = None
    if len(scaled) < scaled.shape[1]:
        basis = _span(scaled)
        scaled = scaled @ basis
    present = np.unique(labels)
    if len(present) == 1:
        yield from _only(present, features.shape[1], classes, len(strengths))
        return
    counting = "balanced" if balance else None
    model = LogisticRegression(max_iter=_ROUNDS, tol=_TOLERANCE[kind], warm_start=True, class_weight=counting)
    for strength in strengths:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what a thousand rounds give is near enough
            model.fit(scaled, labels)
        weight, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
        if len(present) == 2:  # one row for two classes; half of it each way gives the same probabilities
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        weight = (weight if basis is None else weight @ basis.T) / scale
        yield _spread(Head(weight, bias - weight @ mean), present, classes)


def _span(examples: Floats) -> Floats:
    """Return an orthonormal basis (F, n) of the space that examples span; in a tenth of the time of a QR."""
    values, vectors = np.linalg.eigh(examples @ examples.T)
    kept = values > _RANK * values[-1]
    return np.asarray(examples.T @ (vectors[:, kept] / np.sqrt(values[kept])))


def _spread(head: Head, present: Ints, classes: int) -> Head:
    """Return a layer for all classes of one for those that there are examples of; the others are never likely."""
    if len(present) == classes:
        return head
    weight = np.repeat(head.weight.mean(axis=0, keepdims=True), classes, axis=0)
    bias = np.full(classes, head.bias.mean() - _UNSEEN)
    weight[present], bias[present] = head.weight, head.bias
    return Head(weight, bias)
