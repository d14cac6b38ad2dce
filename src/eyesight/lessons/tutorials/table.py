"""What the tutorials, Keras and eyesight reach, side by side: the list of all, and the last table of a run.

In: presets, and the outcome of runs. Out: columns and rows of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...training.plan.measured import Spread
from .programs import PRESETS, Preset, figures_file, find

UNKNOWN = "not measured"

WHAT_COLUMNS = ("name", "tutorial", "network", "parameters")
FIGURE_COLUMNS = ("test accuracy and time", "the tutorial", "Keras here", "eyesight", "ours (--ours)")
TABLE_COLUMNS = ("", "test accuracy", "length", "time")


@dataclass(frozen=True)
class Measurement:
    """A run: what it is called in the table, its test accuracy, epochs or updates, and seconds."""

    name: str
    accuracy: float
    length: str
    seconds: float


def accuracy(spread: Spread | None) -> str:
    """Return mean, deviation and number of runs.

    >>> accuracy(Spread(0.8749, 0.01048, 5, 108.2))
    '0.875 ± 0.010 (n = 5)'
    """
    return UNKNOWN if spread is None else f"{spread.mean:.3f} ± {spread.deviation:.3f} (n = {spread.n})"


def time(spread: Spread | None) -> str:
    """Return the median time."""
    return UNKNOWN if spread is None else f"{spread.seconds_median:.0f} s"


def both(spread: Spread | None) -> str:
    """Return accuracy and time in one cell."""
    return UNKNOWN if spread is None else f"{accuracy(spread)}, {time(spread)}"


def what_rows() -> list[tuple[str, ...]]:
    """Return a row for each tutorial: what it is."""
    return [(p.name, p.title, p.layers, f"{p.parameters:,}") for p in map(find, PRESETS)]


def figure_rows() -> list[tuple[str, ...]]:
    """Return a row for each tutorial: the accuracy and the time to expect."""
    found = [(preset.name, preset.measured) for preset in map(find, PRESETS)]
    return [(name, m.published, both(m.keras), both(m.eyesight), both(m.ours)) for name, m in found]


def notes() -> list[str]:
    """Return where those figures come from."""
    values = figures_file()
    return [
        "accuracy: mean ± standard deviation of n runs; time: their median",
        f"machine: {values['machine']}",
        f"Keras here: {values['origin']['keras']}",
        f"eyesight, ours: {values['origin']['eyesight']}",
    ]


def result_rows(preset: Preset, runs: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """Return the rows of the last table: the tutorial, Keras, and what was trained now."""
    got = preset.measured
    rows: list[tuple[str, ...]] = [
        ("the tutorial says", got.published, "", ""),
        ("Keras here", accuracy(got.keras), "", time(got.keras)),
    ]
    return rows + [(run.name, f"{run.accuracy:.4f}", run.length, f"{run.seconds:.1f} s") for run in runs]


def conclusion(tutorial: Measurement, ours: Measurement) -> str:
    """Say how much better ours is, and in what part of the time.

    >>> conclusion(Measurement("this run", 0.68, "10 epochs", 100), Measurement("ours", 0.75, "10 epochs", 80))
    'Ours: 0.7500 against 0.6800, 7.0 percentage points more, in 0.80 of the time.'
    """
    gain, share = 100 * (ours.accuracy - tutorial.accuracy), ours.seconds / tutorial.seconds
    more = "more" if gain >= 0 else "less"
    return (
        f"Ours: {ours.accuracy:.4f} against {tutorial.accuracy:.4f}, {abs(gain):.1f} percentage points {more}, "
        f"in {share:.2f} of the time."
    )
