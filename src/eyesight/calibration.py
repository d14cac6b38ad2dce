"""How well probabilities tell the share of right answers, and the temperature that makes them tell it better.

In: NumPy arrays. Out: numbers and arrays. Pure maths: no files, no networks.

Letters: N examples, K classes, T the temperature that logits are divided by.

Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .metrics import Floats, Ints, softmax

BINS = 15  # as in the paper, so that figures can be compared with others'
LOWEST, HIGHEST = 0.05, 20.0  # temperatures; what lies outside comes from networks that have learned nothing
_HALVINGS = 20  # of the range of log T: to a millionth of it


@dataclass(frozen=True)
class Reliability:
    """Examples by how sure the classifier was, in bins of equal width from 0 to 1; each of shape (BINS,).

    Attributes:
        count: examples in the bin.
        confidence: their mean probability of the answer; NaN in an empty bin.
        accuracy: their share of right answers; NaN in an empty bin.
    """

    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def calibration_error(self) -> float:
        """The expected calibration error: mean distance of accuracy from confidence, weighted by count."""
        full = self.count > 0
        distance = np.abs(self.accuracy[full] - self.confidence[full])
        return float((self.count[full] * distance).sum() / self.count.sum())


def reliability(probabilities: Floats, labels: Ints, *, bins: int = BINS) -> Reliability:
    """Sort examples into bins by the probability of the answer; a bin holds its upper edge, as in the paper.

    Args:
        probabilities: (N, K); N at least 1.
        labels: (N,) true classes.
        bins: how many.

    >>> reliability(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), bins=2).accuracy.tolist()
    [nan, 0.5]
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=values, minlength=bins) for values in (confidence, right))
    with np.errstate(invalid="ignore"):
        mean_confidence, accuracy = (total / count for total in sums)
    return Reliability(count, mean_confidence, accuracy)


def calibration_error(probabilities: Floats, labels: Ints, *, bins: int = BINS) -> float:
    """Return the expected calibration error (ECE): 0 where of answers given with p, the share p is right.

    >>> round(calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])), 3)
    0.4
    """
    return reliability(probabilities, labels, bins=bins).calibration_error


def fit_temperature(logits: npt.NDArray[np.floating], labels: Ints) -> float:
    """Return the temperature with the lowest cross-entropy, between `LOWEST` and `HIGHEST`.

    One more example is counted whose class is unknown, each class equally likely. Without it, a small set without a
    mistake would ask for a temperature of zero, and so for certainty (Platt's remedy, "Probabilistic outputs for
    support vector machines", 1999); among many examples it does not count.

    The derivative of that loss by 1/T is the mean of (expected logit − logit of the label), and rises with 1/T. So its
    zero is found by halving the range of log T, which cannot fail.

    Args:
        logits: (N, K) at temperature 1.
        labels: (N,) true classes.

    Returns:
        The temperature, to four decimals; 1 where the logits tell nothing: none, all equal, or not finite.

    >>> fit_temperature(np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    2.3604
    """
    z = np.asarray(logits, np.float64)
    if not z.size or not np.isfinite(z).all():
        return 1.0
    wanted = z[np.arange(len(z)), labels].mean() + z.mean() / len(z)

    def slope(log_t: float) -> float:
        expected = (softmax(z / np.exp(log_t)) * z).sum(axis=1).mean()
        return float(expected * (1 + 1 / len(z)) - wanted)

    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (found := slope(middle)) == 0:
            return round(float(np.exp(middle)), 4)
        low, high = (middle, high) if found > 0 else (low, middle)
    return round(float(np.exp((low + high) / 2)), 4)
