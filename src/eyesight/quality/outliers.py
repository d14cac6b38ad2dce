"""Which pictures are unlike all others in light, focus, size or shape.

In: facts of pictures. Out: for each that stands out, what it is and the measured value. Limits are those of the
pictures themselves, between bounds: a set of night photos is not all dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..pictures.decode import LARGE
from .examine import Facts

Floats = npt.NDArray[np.float64]

_BLANK = 3.0  # grey levels of deviation, in any channel: one colour, with the noise of a JPEG
_DARK, _DARKEST = 40.0, 12.0  # mean grey levels: above the one nothing is dark, below the other everything
_PALE, _PALE_CONTRAST = 225.0, 25.0  # mean grey level and contrast of what light has washed out
_FAR = 3.5  # robust standard deviations from the median
_TINY, _TINY_SHARE = 32, 1 / 6  # pixels of the shorter side; and against the median
_LONG = 2.5  # times as long as wide
_ENOUGH = 20  # pictures, from which on the limits are their own


@dataclass(frozen=True)
class Outlier:
    """A picture that stands out.

    Attributes:
        index: its number.
        kind: blank, dark, pale, blurred, tiny, huge or long.
        text: what was measured.
    """

    index: int
    kind: str
    text: str


def find_outliers(facts: Sequence[Facts], *, small: bool) -> Iterator[Outlier]:
    """Yield what stands out; of small pictures only those of one colour."""
    if not facts:
        return
    dark, blurred, narrow = _limits(facts)
    for i, fact in enumerate(facts):
        size = f"{fact.width}x{fact.height} pixels"
        if fact.spread < _BLANK:
            yield Outlier(i, "blank", f"one colour (deviation {fact.spread:.1f} of 255)")
            continue
        if small:
            continue
        if fact.brightness < dark:
            yield Outlier(i, "dark", f"mean brightness {fact.brightness:.0f} of 255")
        elif fact.brightness > _PALE and fact.contrast < _PALE_CONTRAST:
            yield Outlier(i, "pale", f"mean brightness {fact.brightness:.0f} of 255, contrast {fact.contrast:.0f}")
        if 0 < fact.sharpness < blurred:
            yield Outlier(i, "blurred", f"detail {fact.sharpness / blurred:.2f} of the limit")
        if min(fact.width, fact.height) < narrow:
            yield Outlier(i, "tiny", size)
        if fact.width * fact.height > LARGE:
            yield Outlier(i, "huge", f"{size}; shrunk while it is read")
        if max(fact.width, fact.height) > _LONG * min(fact.width, fact.height):
            yield Outlier(i, "long", size)


def _limits(facts: Sequence[Facts]) -> tuple[float, float, float]:
    """Return below which brightness, sharpness and shorter side a picture stands out."""
    sides = np.array([min(fact.width, fact.height) for fact in facts], float)
    sharp = np.log([fact.sharpness for fact in facts if fact.sharpness > 0] or [1.0])
    if len(facts) < _ENOUGH:
        return _DARKEST, 0.0, float(_TINY)
    light = np.array([fact.brightness for fact in facts])
    return (
        float(np.clip(_low(light), _DARKEST, _DARK)),
        float(np.exp(_low(sharp))),
        max(float(_TINY), float(np.median(sides)) * _TINY_SHARE),
    )


def _low(values: Floats) -> float:
    """Return what lies far below the median, by the deviation of the lower half."""
    median = np.median(values)
    below = median - values[values <= median]
    return float(median - _FAR * 1.4826 * np.median(below))
