"""The gap between training and test accuracy after the last epoch, and what the tutorials say of it.

In: a row of metrics, a report. Out: `Overfitting`, and sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...evaluation.judge import Report
from ...evaluation.overfitting import Overfitting, Share


def measure_gap(row: Mapping[str, Any], report: Report, *, pictures: int) -> Overfitting:
    """Return both accuracies.

    Args:
        row: of the last epoch; its accuracy is over the epoch, as Keras prints it.
        report: of the test pictures.
        pictures: number of training pictures.
    """
    learned = Share("train", round(row["accuracy"] * pictures), pictures)
    return Overfitting(learned, Share("test", round(report.accuracy * report.n), report.n))


def describe_gap(found: Overfitting) -> str:
    """Say how much better the network is on pictures that it has learned from, and whether that is overfitting."""
    return (
        f"In the last epoch {found.learned.accuracy:.1%} of the training pictures were classified right, and "
        f"{found.others.accuracy:.1%} of the test pictures are: a gap of {100 * found.gap:.1f} percentage points. "
        + (
            "It is overfitting: the network knows its training pictures better than what they show."
            if found.overfits
            else "It is no overfitting: that would be a gap of 2 points or more that chance does not explain."
        )
    )


def describe_dropout(found: Overfitting) -> str:
    """Say what the tutorial says of dropout, where it is true."""
    if not found.overfits:
        return "The tutorial says that dropout would reduce the overfitting; here there is none that it could reduce."
    return (
        f"Dropout would reduce the overfitting, the gap of {100 * found.gap:.1f} points: during training it leaves out "
        "a random share of the neurons in each update, so that none can rely on one other."
    )
