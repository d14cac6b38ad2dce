"""Multinomial logistic regression on more examples than should be copied: the features are only read, in parts.

In: features (N, F), labels (N,), which examples count. Out: a dense layer for each strength. It minimises what
scikit-learn's `LogisticRegression` does on standardised features, by the same method (L-BFGS), and ends where that
does; the features are standardised in the weights rather than in a copy.

Letters: N examples, F features, K classes, C strength.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.dataset import Ints
from ..data.mapped import parts

Floats = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

_ROUNDS = 1000  # of the optimiser, at most
_TOLERANCE = 1e-4  # of the gradient


def standard_scale(features: Floats, counted: npt.NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
    """Return mean and standard deviation (F,) of the features of the examples that count; of constant ones 1."""
    number = int(counted.sum())
    mean = _sum(features, counted, lambda rows: rows) / number
    scale = np.sqrt(_sum(features, counted, lambda rows: np.square(rows - mean)) / number)
    scale[scale < 1e-6] = 1.0
    return mean, scale


def _sum(features: Floats, counted: npt.NDArray[np.bool_], change: Any) -> Doubles:
    total = np.zeros(features.shape[1])
    for part in parts(features):
        total += change(features[part][counted[part]].astype(np.float64)).sum(axis=0)
    return total


def fit_in_parts(
    features: Floats, labels: Ints, classes: int, weights: Floats, strengths: Sequence[float]
) -> Iterator[tuple[Doubles, Doubles]]:
    """Yield weight (K, F) and bias (K,) for each strength, each search beginning where the one before ended.

    Args:
        features: (N, F).
        labels: (N,) from 0 to K - 1; every class has an example that counts.
        classes: K.
        weights: (N,) by which examples count; 0 for not at all.
        strengths: C.
    """
    from scipy.optimize import minimize

    mean, scale = standard_scale(features, weights > 0)
    loss = _Loss(features, labels, classes, np.asarray(weights, np.float32), mean, scale)
    found = np.zeros(loss.rows * (features.shape[1] + 1))
    for strength in strengths:
        options = {"maxiter": _ROUNDS, "maxls": 50, "gtol": _TOLERANCE, "ftol": 64 * np.finfo(float).eps}
        found = minimize(loss, found, (strength,), "L-BFGS-B", jac=True, options=options).x
        weight, bias = loss.layer(found)
        yield weight / scale, bias - (weight / scale) @ mean


class _Loss:
    """½‖w‖² / C + Σ cross-entropy, divided by the sum of the weights: a function of a flat array, and its gradient.

    Of two classes one row is searched for, half of which each way gives the same probabilities.
    """

    def __init__(
        self,
        features: Floats,
        labels: Ints,
        classes: int,
        weights: npt.NDArray[np.float32],
        mean: Doubles,
        scale: Doubles,
    ) -> None:
        self.features, self.labels, self.weights, self.mean, self.scale = features, labels, weights, mean, scale
        self.rows = 1 if classes == 2 else classes
        self.total = float(weights.sum(dtype=np.float64))

    def layer(self, flat: Doubles) -> tuple[Doubles, Doubles]:
        """Return weight (K, F) and bias (K,) of standardised features."""
        both = flat.reshape(self.rows, -1)
        both = np.concatenate([-both, both]) / 2 if self.rows == 1 else both
        return both[:, :-1], both[:, -1]

    def __call__(self, flat: Doubles, strength: float) -> tuple[float, Doubles]:
        """Return the loss and its gradient."""
        weight, bias = self.layer(flat)
        scaled = (weight / self.scale).astype(np.float32)  # (K, F)
        shift = (bias - (weight / self.scale) @ self.mean).astype(np.float32)
        loss, sums = 0.0, np.zeros(len(bias))
        slope = np.zeros(weight.shape)  # of scaled weights
        for part in parts(self.features):
            rows, labels, weights = self.features[part], self.labels[part], self.weights[part]
            logits = rows @ scaled.T + shift  # (n, K)
            logits -= logits.max(axis=1, keepdims=True)
            likely = np.exp(logits)
            normal = likely.sum(axis=1, keepdims=True)
            right = np.arange(len(labels)), labels
            loss += float(weights @ (np.log(normal[:, 0]) - logits[right]).astype(np.float64))
            likely /= normal
            likely[right] -= 1
            likely *= weights[:, None]
            slope += likely.T @ rows
            sums += likely.sum(axis=0, dtype=np.float64)
        slope = (slope - np.outer(sums, self.mean)) / self.scale
        gradient = np.concatenate([slope, sums[:, None]], axis=1)
        if self.rows == 1:
            gradient = (gradient[1:] - gradient[:1]) / 2
        free = flat.reshape(self.rows, -1)[:, :-1]
        gradient[:, :-1] += free / strength
        loss += 0.5 * float(np.square(free).sum()) / strength
        return loss / self.total, gradient.reshape(-1) / self.total
