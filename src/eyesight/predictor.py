"""What every classifier shares, wherever its logits are computed: pictures of any kind in, named answers out.

In: something that turns stored pictures into logits. Out: probabilities, `Answer`. A `Classifier` is one, an exported
file another, and who uses either need not know which. It knows neither networks nor files of models.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import PictureError, UsageError
from .metrics import softmax
from .pictures.inputs import named_pictures
from .pictures.preprocess import Pixels, Preprocessing, read_picture

Logits = npt.NDArray[np.float32]

_MOST_PICTURES = 256  # at a time: large enough for full speed on two cores
_MOST_BYTES = 64 << 20  # of such pictures, as they are stored


class Predictor(Protocol):
    """Anything that turns stored pictures into logits; a classifier here, an exported file elsewhere."""

    classes: tuple[str, ...]

    def logits(self, pictures: Pixels) -> Logits:
        """Return float32 logits (N, K) for uint8 pictures (N, H, W, C) of the stored size."""


@dataclass(frozen=True)
class Answer:
    """What a classifier says of one picture.

    Attributes:
        source: file name, or the picture's place in the list.
        top: (class name, probability), most probable first.
        unsure: whether the largest probability is below the threshold that was asked for; None where none was.
    """

    source: str
    top: tuple[tuple[str, float], ...]
    unsure: bool | None = None

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.top[0][0]

    @property
    def probability(self) -> float:
        """The probability of `label`."""
        return self.top[0][1]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: source, label, probability, the top classes in order, and whether it is unsure."""
        top = [{"label": name, "probability": value} for name, value in self.top]
        unsure = {} if self.unsure is None else {"unsure": self.unsure}
        return {"source": self.source, "label": self.label, "probability": self.probability, "top": top, **unsure}


class Answers(list[Answer]):
    """Answers for several pictures; a table in a notebook."""

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(p.source)}</td>"
            + "".join(f"<td>{escape(name)}</td><td>{value:.1%}</td>" for name, value in p.top)
            + "</tr>"
            for p in self
        )
        return f"<table>{rows}</table>"


class PicturePredictor(ABC):
    """A predictor that knows what it expects of pictures, and so takes them as they come.

    Attributes:
        classes: (K,) names.
        checksum: SHA-256 of the file it came from, else None.
    """

    classes: tuple[str, ...]
    checksum: str | None = None

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the pixels that `logits` takes."""

    @abstractmethod
    def logits(self, pictures: Pixels) -> Logits:
        """Return float32 logits (N, K), divided by the temperature.

        Args:
            pictures: uint8 (N, H, W, C) of the stored size.
        """

    def probabilities(self, pictures: Pixels) -> npt.NDArray[np.float64]:
        """Return probabilities (N, K); see `logits`."""
        return softmax(self.logits(pictures))

    def predict(
        self,
        inputs: Any,
        *,
        top: int = 5,
        threshold: float | None = None,
        on_error: Callable[[PictureError], None] | None = None,
    ) -> Answers:
        """Classify pictures of any size and kind.

        Args:
            inputs: a file, folder or pattern; the bytes of a file, or one opened for reading; a Pillow image; an array
                (H, W) or (H, W, C) of uint8; or a list of these.
            top: how many classes to give for each picture.
            threshold: answers whose largest probability is below are `unsure`.
            on_error: called with the error of every picture that cannot be read, which is then left out; without
                it the first such error is raised.

        Returns:
            One `Answer` for each readable picture, in order.

        Raises:
            PictureError: a picture cannot be read and `on_error` is not given.
            UsageError: `top` below 1, a threshold that is no probability, or an input of another type.
        """
        if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
            raise UsageError(f"expected a whole number, 1 or more; received: {top!r}", field="top")
        if on_error is not None and not callable(on_error):
            raise UsageError(f"expected a function of an error; received: {on_error!r}", field="on_error")
        check_threshold(threshold)
        results = Answers()
        for chunk in _chunks(named_pictures(inputs), self.pictures_at_once()):
            names, pictures = [], []
            for name, picture in chunk:
                try:
                    pictures.append(read_picture(picture, self.preprocessing, name=name))
                    names.append(name)
                except PictureError as error:
                    if on_error is None:
                        raise
                    on_error(error)
            if pictures:
                results += self._named(names, self.probabilities(np.stack(pictures)), top, threshold)
        return results

    def pictures_at_once(self, held: int = 1) -> int:
        """Return how many stored pictures fit in 64 MB, each byte of them counted `held` times; 256 at most."""
        return max(1, min(_MOST_PICTURES, _MOST_BYTES // (held * math.prod(self.preprocessing.shape))))

    def check_pictures(self, pictures: object) -> None:
        """Raise `UsageError` unless they are uint8 (N, H, W, C) of the stored size."""
        shape = self.preprocessing.shape
        if not isinstance(pictures, np.ndarray):
            raise UsageError(f"pictures: expected an array of uint8; received: {type(pictures).__name__}")
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != shape:
            raise UsageError(
                f"pictures: expected uint8 of shape (N, {', '.join(map(str, shape))}); "
                f"received: {pictures.dtype} of shape {pictures.shape}"
            )

    def _named(
        self, names: list[str], probabilities: npt.NDArray[np.float64], top: int, threshold: float | None
    ) -> Iterable[Answer]:
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for name, row, best in zip(names, probabilities, order, strict=True):
            unsure = None if threshold is None else bool(row[best[0]] < threshold)
            yield Answer(name, tuple((self.classes[k], float(row[k])) for k in best), unsure)


def check_threshold(threshold: object) -> None:
    """Raise `UsageError` unless a threshold is a probability between 0 and 1, or None."""
    if threshold is not None and not (isinstance(threshold, int | float) and 0 < threshold < 1):
        raise UsageError(f"expected a probability between 0 and 1; received: {threshold!r}", field="threshold")


def _chunks(items: Iterable[tuple[str, Any]], size: int) -> Iterable[list[tuple[str, Any]]]:
    chunk: list[tuple[str, Any]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
