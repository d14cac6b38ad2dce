"""Whether a network has learned its training pictures by heart, in one sentence.

In: a classifier and the pictures it learned from, and others. Out: `Overfitting`. It reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..data.dataset import Dataset, Split
from ..data.split import draw
from ..intervals import wilson
from ..predictions import predict_split
from ..predictor import Predictor

_MOST = 5_000  # pictures of each kind: with them an accuracy of 0.9 is known to 0.008
_SMALLEST = 0.02  # gap that is worth a word, however sure it is


@dataclass(frozen=True)
class Share:
    """How many of `n` pictures of a split were answered right."""

    split: str
    right: int
    n: int

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.n

    @property
    def half_width(self) -> float:
        """Half of the accuracy's 95 % interval."""
        low, high = wilson(self.right, self.n)
        return (high - low) / 2


@dataclass(frozen=True)
class Overfitting:
    """Accuracy on pictures that were learned from, and on others, both with the kept weights as in any prediction."""

    learned: Share
    others: Share

    @property
    def gap(self) -> float:
        """Accuracy on training pictures less that on others."""
        return self.learned.accuracy - self.others.accuracy

    @property
    def overfits(self) -> bool:
        """Whether the gap is worth a word, and more than chance explains."""
        return self.gap > max(_SMALLEST, self.learned.half_width + self.others.half_width)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Overfitting:
        """Return what `to_json` gave."""
        return cls(Share(**values["learned"]), Share(**values["others"]))

    def __str__(self) -> str:
        figures = f"train {self.learned.accuracy:.3f}, {self.others.split} {self.others.accuracy:.3f}"
        if not self.overfits:
            return f"{figures}: it does not overfit"
        return (
            f"{figures}: it overfits ({100 * self.gap:.1f} points); more pictures, augmentation or dropout would help"
        )


def measure_overfitting(predictor: Predictor, data: Dataset) -> Overfitting | None:
    """Judge as many training pictures as others; None without validation and test pictures.

    Args:
        predictor: the classifier.
        data: what it was trained on, split as it was. The others are its validation pictures; where it has none, those
            of the test set.
    """
    others = data.validation or data.test
    if others is None:
        return None
    n = min(len(others), len(data.train), _MOST)
    name = "test" if data.validation is None or data.protocol == "test-as-validation" else "validation"
    return Overfitting(_judge(predictor, data.train, n, "train"), _judge(predictor, others, n, name))


def _judge(predictor: Predictor, split: Split, n: int, name: str) -> Share:
    predictions = predict_split(predictor, draw(split, n, seed=0), model="")
    return Share(name, int((predictions.predicted == predictions.labels).sum()), n)
