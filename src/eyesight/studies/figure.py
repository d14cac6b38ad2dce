"""The picture of a study: train and test accuracy side by side with their spreads, and what the differences are.

In: outcomes. Out: a matplotlib figure. It computes nothing that it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..report.drawing import BLUE, ORANGE
from .folder import Record
from .outcome import ArmOutcome
from .statistics import Spread
from .table import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.46  # inches, for one way of training
_ASIDE = 0.12  # rows; so far train and test lie apart, or their error bars would hide each other
_GREY = "#5f6368"


def draw(record: Record, found: Sequence[ArmOutcome], *, against: str | None) -> Figure:
    """Draw a study.

    Args:
        record: of the study.
        found: the outcomes.
        against: name of the arm that the others are held against.
    """
    from matplotlib.figure import Figure

    by_length = record.definition.study == "epochs"
    height = 4.2 if by_length else max(3.0, _ROW * len(found) + 1.7)
    figure = Figure(figsize=(11, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    rival = next((outcome for outcome in found if outcome.name == against), None)
    if by_length:
        _lines(left, right, found)
    else:
        _points(left, found, rival)
        if record.definition.baseline is None:
            _costs(right, found)
        else:
            _differences(right, found, rival)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(caption(record), fontsize=11)
    return figure


def _points(axes: Axes, found: Sequence[ArmOutcome], rival: ArmOutcome | None) -> None:
    """Draw a row for each way of training: test and train accuracy, and the gap between them."""
    for row, outcome in enumerate(found):
        ends = [outcome.test.mean, outcome.train.mean]
        axes.plot(ends, [row, row], color="#c8ccd0", linewidth=5, zorder=1, label="" if row else "gap")
    rows = np.arange(len(found))
    _spreads(axes, rows - _ASIDE, [outcome.train for outcome in found], color=BLUE, fmt="o", label="train", lying=True)
    _spreads(axes, rows + _ASIDE, [outcome.test for outcome in found], color=ORANGE, fmt="s", label="test", lying=True)
    if rival:
        axes.axvline(rival.test.mean, color=ORANGE, linestyle=":", linewidth=1, label=f"test of {rival.label}")
    compared = len({outcome.network.name for outcome in found}) > 1
    sizes = [f"\n{outcome.network.parameters:,} parameters" if compared else "" for outcome in found]
    _rows(axes, [outcome.label + size for outcome, size in zip(found, sizes, strict=True)])
    axes.set_xlabel("accuracy")


def _differences(axes: Axes, found: Sequence[ArmOutcome], rival: ArmOutcome | None) -> None:
    """Draw how far test accuracy differs, with 95 % intervals; in colour where they leave out zero."""
    axes.axvline(0, color=_GREY, linewidth=1)
    for row, outcome in enumerate(found):
        difference = outcome.difference
        if difference is None:
            continue
        color = BLUE if difference.is_rise else ORANGE if difference.is_fall else _GREY
        if difference.low is not None and difference.high is not None:
            axes.plot([difference.low, difference.high], [row, row], color=color, linewidth=2)
        axes.plot(difference.mean, row, "o", color=color)
    _rows(axes, [""] * len(found))
    name = rival.label if rival else ""
    axes.set_xlabel(f"difference in test accuracy from {name}\n(paired by seed, 95 % interval)")
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.3f}" if value else "0")


def _costs(axes: Axes, found: Sequence[ArmOutcome]) -> None:
    """Draw how long a training takes, in the rows of the accuracies."""
    for row, outcome in enumerate(found):
        mean, sd = outcome.seconds.mean, outcome.seconds.sd or 0.0
        axes.barh(row, mean, xerr=sd or None, color="#9aa0a6", height=0.5, capsize=4)
        axes.annotate(f"{mean:,.1f} s", (mean + sd, row), xytext=(6, 0), textcoords="offset points", va="center")
    axes.margins(x=0.2)
    _rows(axes, [""] * len(found))
    axes.set_xlabel("seconds of training")


def _lines(left: Axes, right: Axes, found: Sequence[ArmOutcome]) -> None:
    """Draw accuracies, and the gap between them, against the number of epochs."""
    lengths = np.array([int(outcome.label) for outcome in found])
    _spreads(left, lengths, [outcome.train for outcome in found], color=BLUE, fmt="o-", label="train")
    _spreads(left, lengths, [outcome.test for outcome in found], color=ORANGE, fmt="s--", label="test")
    left.set_ylabel("accuracy")
    _spreads(right, lengths, [outcome.gap for outcome in found], color=_GREY, fmt="o-", label="")
    right.axhline(0, color=_GREY, linewidth=1)
    right.set_ylabel("train accuracy less test accuracy")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.set_xlabel("epochs, each length a training of its own")


def _spreads(
    axes: Axes,
    places: np.ndarray[Any, Any],
    values: Sequence[Spread],
    *,
    color: str,
    fmt: str,
    label: str,
    lying: bool = False,
) -> None:
    """Draw means with their deviations, if they have any, as points in a line that stands, or lies on its side."""
    means = [value.mean for value in values]
    deviations = [value.sd or 0.0 for value in values] if any(value.sd is not None for value in values) else None
    if label and deviations:
        label += ", ± standard deviation"
    style: dict[str, Any] = {"fmt": fmt, "color": color, "capsize": 4, "markersize": 5, "label": label}
    if lying:
        axes.errorbar(means, places, xerr=deviations, **style)
    else:
        axes.errorbar(places, means, yerr=deviations, **style)


def _rows(axes: Axes, labels: list[str]) -> None:
    """Name the rows, the first at the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
