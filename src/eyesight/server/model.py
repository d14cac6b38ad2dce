"""The model that is served, and its replacement by a newer one while the server runs.

In: a function that loads a predictor. Out: pixels of a body, probabilities of pixels, class names: what
`Classifier.predict` would say of the same file, as it is the same code. It knows no network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..pictures.preprocess import Pixels, Preprocessing, read_picture

Probabilities = npt.NDArray[np.float64]


class Servable(Protocol):
    """What can be served: a classifier, or an exported file."""

    classes: tuple[str, ...]
    checksum: str | None

    @property
    def preprocessing(self) -> Preprocessing:
        """What it expects of pictures."""

    def probabilities(self, pictures: Pixels) -> Probabilities:
        """Return float64 (N, K) of pictures uint8 (N, H, W, C)."""


Load = Callable[[], Servable]


class Model:
    """A predictor that has answered once, so that the first client need not wait for it to be prepared.

    Attributes:
        classes: (K,) names.
        preprocessing: what it expects of pictures.
        checksum: SHA-256 of its file, where it has one.
    """

    def __init__(self, predictor: Servable) -> None:
        self.classes = predictor.classes
        self.preprocessing = predictor.preprocessing
        self.checksum = predictor.checksum
        self._predictor = predictor
        self.probabilities(np.zeros((1, *self.preprocessing.shape), np.uint8))

    def read(self, body: bytes, *, name: str, most: int) -> Pixels:
        """Decode and fit a picture of at most so many pixels: uint8 (H, W, C)."""
        return read_picture(body, self.preprocessing, name=name, most=most)

    def probabilities(self, pictures: Pixels) -> Probabilities:
        """Return float64 (N, K) of pictures uint8 (N, H, W, C)."""
        return self._predictor.probabilities(pictures)

    def about(self) -> dict[str, Any]:
        """Return class names and the size of pictures, as plain data."""
        height, width, channels = self.preprocessing.shape
        return {"classes": list(self.classes), "input": {"height": height, "width": width, "channels": channels}}
