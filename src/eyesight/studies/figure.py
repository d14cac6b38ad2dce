"""The picture of a study: train and test accuracy side by side with their spreads, and what the differences are.

In: outcomes. Out: a matplotlib figure. It computes nothing that it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..report.drawing import BLUE, ORANGE
from .folder import Record
from .outcome import Outcome
from .statistics import Spread
from .table import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW = 0.46  # inches, for one way of training
_ASIDE = 0.12  # rows; so far train and test lie apart, or their error bars would hide each other
_GREY = "#5f6368"


def draw(record: Record, found: Sequence[Outcome], *, against: str | None) -> Figure:
    """Draw a study.

    Args:
        record: of the study.
        found: the outcomes.
        against: name of the arm that the others are held against.
    """
    from matplotlib.figure import Figure

    study = record.definition.study
    height = 4.2 if study == "epochs" else max(3.0, _ROW * len(found) + 1.7)
    figure = Figure(figsize=(11, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    if study == "epochs":
        _lines(left, found)
        _gaps(right, found)
    else:
        _points(left, found, against)
        if record.definition.baseline is None:
            _costs(right, found)
        else:
            _differences(right, found, against)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(caption(record), fontsize=11)
    return figure


def _points(axes: Axes, found: Sequence[Outcome], against: str | None) -> None:
    """Draw a row for each way of training: test and train accuracy, and the gap between them."""
    rows = range(len(found))
    for row, outcome in zip(rows, found, strict=True):
        ends = [outcome.test.mean, outcome.train.mean]
        axes.plot(ends, [row, row], color="#c8ccd0", linewidth=5, zorder=1, label="" if row else "gap")
    for color, marker, label, values, aside in (
        (BLUE, "o", "train", [outcome.train for outcome in found], -_ASIDE),
        (ORANGE, "s", "test", [outcome.test for outcome in found], _ASIDE),
    ):
        places = [row + aside for row in rows]
        axes.errorbar(
            [value.mean for value in values], places, xerr=_deviations(values), fmt=marker, color=color, capsize=4,
            markersize=6, label=_legend(label, values),
        )  # fmt: skip
    base = next((outcome for outcome in found if outcome.name == against), None)
    if base:
        axes.axvline(base.test.mean, color=ORANGE, linestyle=":", linewidth=1, label=f"test of {base.label}")
    axes.set_yticks(rows, [_row_label(outcome, found) for outcome in found])
    axes.set_ylim(len(found) - 0.5, -0.5)  # the first at the top
    axes.set_xlabel("accuracy")


def _row_label(outcome: Outcome, found: Sequence[Outcome]) -> str:
    """Return a row's label, with the number of parameters where networks are compared."""
    compared = len({each.network.name for each in found}) > 1
    return f"{outcome.label}\n{outcome.network.parameters:,} parameters" if compared else outcome.label


def _differences(axes: Axes, found: Sequence[Outcome], against: str | None) -> None:
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
    axes.set_yticks(range(len(found)), [""] * len(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    name = next((outcome.label for outcome in found if outcome.name == against), "")
    axes.set_xlabel(f"difference in test accuracy from {name}\n(paired by seed, 95 % interval)")
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.3f}" if value else "0")


def _costs(axes: Axes, found: Sequence[Outcome]) -> None:
    """Draw how long a training takes, in the rows of the accuracies."""
    times = [outcome.seconds for outcome in found]
    rows, means = range(len(found)), [value.mean for value in times]
    axes.barh(rows, means, xerr=_deviations(times), color="#9aa0a6", height=0.5, capsize=4)
    for row, value in zip(rows, times, strict=True):
        place = (value.mean + (value.sd or 0.0), row)
        axes.annotate(f"{value.mean:,.1f} s", place, xytext=(6, 0), textcoords="offset points", va="center")
    axes.margins(x=0.2)
    axes.set_yticks(rows, [""] * len(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel("seconds of training")


def _lines(axes: Axes, found: Sequence[Outcome]) -> None:
    """Draw accuracies against the number of epochs."""
    lengths = [int(outcome.label) for outcome in found]
    for color, style, label, values in (
        (BLUE, "o-", "train", [outcome.train for outcome in found]),
        (ORANGE, "s--", "test", [outcome.test for outcome in found]),
    ):
        axes.errorbar(
            lengths, [value.mean for value in values], yerr=_deviations(values), fmt=style, color=color, capsize=4,
            markersize=5, label=_legend(label, values),
        )  # fmt: skip
    _lengths(axes, lengths)
    axes.set_ylabel("accuracy")


def _gaps(axes: Axes, found: Sequence[Outcome]) -> None:
    """Draw the gap between train and test accuracy against the number of epochs."""
    gaps = [outcome.gap for outcome in found]
    lengths = [int(outcome.label) for outcome in found]
    axes.errorbar(lengths, [gap.mean for gap in gaps], yerr=_deviations(gaps), fmt="o-", color=_GREY, capsize=4)
    axes.axhline(0, color=_GREY, linewidth=1)
    _lengths(axes, lengths)
    axes.set_ylabel("train accuracy less test accuracy")


def _lengths(axes: Axes, lengths: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.set_xlabel("epochs, each length a training of its own")


def _legend(label: str, values: Sequence[Spread]) -> str:
    return f"{label}, ± standard deviation" if any(value.sd is not None for value in values) else label


def _deviations(values: Sequence[Spread]) -> list[float] | None:
    """Return the lengths of error bars; none where nothing has a spread."""
    return [value.sd or 0.0 for value in values] if any(value.sd is not None for value in values) else None
