"""The list of the tutorials: what each is, and what the tutorial, Keras and eyesight reach.

In: the tutorials and what was measured. Out: columns and rows of text, none wider than 80 columns together.
"""

from __future__ import annotations

from ...training.plan.measured import Spread
from .programs import TUTORIALS, figures_file

UNKNOWN = "not measured"

WHAT_COLUMNS = ("name", "parameters", "what it is")
FIGURE_COLUMNS = ("test accuracy and time", "Keras here", "eyesight", "ours (--ours)")


def write_accuracy(spread: Spread | None) -> str:
    """Return mean, deviation and number of runs.

    >>> write_accuracy(Spread(0.8749, 0.01048, 5, 108.2))
    '0.875 ± 0.010 (n = 5)'
    """
    return UNKNOWN if spread is None else f"{spread.mean:.3f} ± {spread.deviation:.3f} (n = {spread.n})"


def write_time(spread: Spread | None) -> str:
    """Return the median time."""
    return UNKNOWN if spread is None else f"{spread.seconds_median:.0f} s"


def what_rows() -> list[tuple[str, ...]]:
    """Return a row for each tutorial: what it is, and what it says it reaches."""
    return [
        (t.name, f"{t.parameters:,}", f"{t.title}: {t.layers}. It says: {t.measured.published}.")
        for t in TUTORIALS.values()
    ]


def figure_rows() -> list[tuple[str, ...]]:
    """Return for each tutorial a row of accuracies and, below it, one of times with the number of runs."""
    rows: list[tuple[str, ...]] = []
    for name, tutorial in TUTORIALS.items():
        known = tutorial.measured
        spreads = (known.keras, known.eyesight, known.ours)
        rows.append((name, *(f"{s.mean:.3f} ± {s.deviation:.3f}" if s else UNKNOWN for s in spreads)))
        rows.append(("", *(f"{s.seconds_median:.0f} s, n = {s.n}" if s else "" for s in spreads)))
    return rows


def notes() -> list[str]:
    """Return where those figures come from."""
    values = figures_file()
    return [
        "accuracy: mean ± standard deviation of n runs; time: their median",
        f"machine: {values['machine']}",
        f"Keras here: {values['origin']['keras']}",
        f"eyesight, ours: {values['origin']['eyesight']}",
    ]
