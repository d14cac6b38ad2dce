"""How far the means of a few seeds can be trusted, and which of their differences are more than chance.

In: figures by seed. Out: means, spreads, differences with their intervals. Pure maths: no files, no names of studies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit  # quantiles of Student's t


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of `n` figures; one figure has no deviation."""

    mean: float
    sd: float | None
    n: int


def spread(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation (of a sample: divided by n − 1).

    >>> spread([1.0, 2.0, 3.0])
    Spread(mean=2.0, sd=1.0, n=3)
    """
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class Difference:
    """The mean of differences paired by seed, and the bounds of its 95 % interval; one pair gives no interval."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def is_rise(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low is not None and self.low > 0

    @property
    def is_fall(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high is not None and self.high < 0


def paired(values: Mapping[int, float], reference: Mapping[int, float], *, step: float) -> Difference | None:
    """Compare figures with others of the same seeds; None where they have no seed in common.

    Pairs share first weights and the order of the pictures as far as the networks allow, so what these do cancels out.
    The interval is Student's: mean ± t · deviation / √n. The deviation is taken as no less than one `step`: figures
    that are counts of few pictures can agree by chance, and would then seem certain.

    Args:
        values, reference: figure by seed.
        step: the least by which two figures can differ, for an accuracy 1 / number of pictures.

    Source: Student, "The probable error of a mean", Biometrika 1908.

    >>> paired({0: 0.92, 1: 0.93, 2: 0.94}, {0: 0.90, 1: 0.91, 2: 0.92}, step=0.001).is_rise
    True
    """
    seeds = sorted(values.keys() & reference.keys())
    if not seeds:
        return None
    found = spread([values[seed] - reference[seed] for seed in seeds])
    if found.sd is None:
        return Difference(found.mean, None, None, found.n)
    half = float(stdtrit(found.n - 1, 0.975)) * max(found.sd, step) / math.sqrt(found.n)
    return Difference(found.mean, found.mean - half, found.mean + half, found.n)
