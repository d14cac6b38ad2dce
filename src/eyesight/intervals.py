"""Intervals around proportions: how far an accuracy measured on n pictures can be trusted.

In: counts. Out: bounds. Pure maths.
"""

from __future__ import annotations

import math


def wilson(successes: int, n: int, *, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion; 95 % by default.

    It keeps its coverage near 0 and 1 and for small n, where the textbook interval p ± z·√(p(1−p)/n) fails.

    Args:
        successes: how many of the `n` trials succeeded.
        n: number of trials, at least 1.
        z: the normal quantile of the confidence level.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.

    >>> [round(bound, 4) for bound in wilson(90, 100)]
    [0.8256, 0.9448]
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1; received: {successes} of {n}")
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)
