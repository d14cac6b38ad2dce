"""Pictures of data and of results: grids, counts, curves, confusion, predictions.

In: arrays, rows, a report. Out: matplotlib figures. It computes nothing that it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.dataset import Dataset, Pixels, Split
from ..predictions import Predictions
from ..report.drawing import BLUE, ORANGE, show_picture
from .judge import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST_ANNOTATED = 20  # classes; beyond that numbers in the cells of a confusion matrix are unreadable
_LONGEST_LEVEL = 3  # letters; longer names are tilted under a confusion matrix
_LARGEST_COUNTED = 25  # classes; beyond that bars are too thin for numbers
_MOST_MARKED = 60  # points of a curve; beyond that marks hide the line
SHOWN = 20  # pictures in a sheet of predictions


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches; without pyplot, so that nothing global changes."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def short(name: str, length: int = 20) -> str:
    """Return a class name on one line, cut where it is too long to be drawn."""
    name = " ".join(name.split())
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def picture_grid(
    pictures: Pixels,
    titles: Sequence[str],
    *,
    columns: int = 5,
    colors: Sequence[str] | None = None,
    title: str = "",
    white: bool = False,
) -> Figure:
    """Draw pictures (N, H, W, C) in a grid, each under its title; `white` draws 0 of grey ones white, and 255 black."""
    rows = max(1, -(-len(pictures) // columns))
    longest = max((len(line) for text in titles for line in text.split("\n")), default=0)
    lines = max((text.count("\n") + 1 for text in titles), default=1)
    width = max(1.5, 0.08 * longest)
    figure = _figure(width * columns, (1.6 + 0.15 * lines) * rows + (0.4 if title else 0))
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if i < len(pictures):
            show_picture(axes, pictures[i], white=white)
            blank = "\n" * (lines - 1 - titles[i].count("\n"))  # so that all rows are equally high
            axes.set_title(blank + titles[i], fontsize=9, color=colors[i] if colors else "black")
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def class_grid(data: Dataset, split: Split, *, per_class: int = 2) -> Figure:
    """Draw the first pictures of every class, with class names; of at most 25 classes, the first ones."""
    shown = range(min(len(data.classes), 25))
    ids = [i for label in shown for i in np.flatnonzero(split.labels == label)[:per_class].tolist()]
    titles = [short(data.classes[label]) for label in split.labels[ids]]
    some = f"the first {len(shown)} of {len(data.classes)} classes" if len(shown) < len(data.classes) else "the classes"
    columns = min(5 * per_class, max(1, len(ids)))
    return picture_grid(split.gather(ids), titles, columns=columns, title=f"{data.name}: {some}")


def label_counts(data: Dataset) -> Figure:
    """Draw how many pictures each class has, in every split."""
    splits = data.splits()
    if data.protocol == "test-as-validation":
        splits.pop("validation")
    classes = len(data.classes)
    few = classes <= _LARGEST_COUNTED
    figure = _figure(8, max(2.2, (0.28 if few else 0.15) * classes + 1.3))
    axes = figure.subplots()
    most = np.sum([split.label_counts(classes) for split in splits.values()], axis=0).max()
    offset = np.zeros(classes)
    for (name, split), color in zip(splits.items(), (BLUE, ORANGE, "#9aa0a6"), strict=False):
        counts = split.label_counts(classes)
        bars = axes.barh(np.arange(classes), counts, left=offset, color=color, label=f"{name} ({len(split):,})")
        if few:
            wide_enough = [f"{n:,}" if n > 0.05 * most else "" for n in counts]
            axes.bar_label(bars, wide_enough, label_type="center", color="white", fontsize=8)
        offset += counts
    axes.set_yticks(np.arange(classes), [short(name, 30) for name in data.classes], fontsize=9 if few else 7)
    axes.set_ylim(classes - 0.4, -0.6)  # the first class at the top
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _whole_numbers(axes)
    axes.set_xlabel("pictures")
    axes.set_title(f"{data.name}: pictures of each class", fontsize=11)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def curves(
    rows: Sequence[dict[str, Any]], *, trained: Sequence[float] | None = None, validation: str = "validation"
) -> Figure:
    """Draw accuracy and loss over what was trained.

    Args:
        rows: as in metrics.jsonl.
        trained: epochs at every row; updates are drawn where it is not given.
        validation: what the second curve is called: the test set, where that was validated on.
    """
    figure = _figure(10, 3.8)
    places = [row["step"] for row in rows] if trained is None else list(trained)
    marker = 4 if len(rows) <= _MOST_MARKED else 0
    for axes, key in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(places, [row[key] for row in rows], "o-", color=BLUE, markersize=marker, label="training")
        if rows and f"val_{key}" in rows[0]:
            values = [row[f"val_{key}"] for row in rows]
            axes.plot(places, values, "s--", color=ORANGE, markersize=marker, label=validation)
        axes.set_xlabel("updates" if trained is None else "epochs")
        axes.set_title(key)
        if len(rows) == 1:
            axes.set_xlim(places[0] - 0.5, places[0] + 0.5)
        if places and places[-1] >= 1:
            _whole_numbers(axes)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _whole_numbers(axes: Axes) -> None:
    """Let the horizontal axis show nothing between whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def confusion(report: Report) -> Figure:
    """Draw the confusion matrix as a heat map: rows the true class, columns the predicted one.

    The colour is the share of the row, so that rare classes are as visible as frequent ones; the numbers are counts.
    """
    names = [short(row.label, 24) for row in report.per_class]
    counts = np.array(report.confusion_matrix)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    small = len(names) <= _LARGEST_ANNOTATED
    side = max(2.4, min(0.5 * len(names), 12))  # inches, of the matrix alone
    size = min(9.0, 58 * side / len(names))  # points, of the names: they must fit their rows
    margin = 0.8 + 0.009 * size * max(map(len, names))
    figure = _figure(side + margin + 1, side + 0.8 * margin)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(
        image, ax=axes, label="share of the true class", fraction=0.04, pad=0.02, aspect=20 if small else 35
    )
    tilted = small and max(map(len, names)) > _LONGEST_LEVEL
    rotation = 45 if tilted else 0 if small else 90
    axes.set_xticks(np.arange(len(names)), names, rotation=rotation, ha="right" if tilted else "center")
    if tilted:
        for tick in axes.get_xticklabels():
            tick.set_rotation_mode("anchor")
    axes.set_yticks(np.arange(len(names)), names)
    axes.tick_params(labelsize=size, length=0)
    if small:
        for i, j in np.ndindex(*counts.shape):
            color = "white" if share[i, j] > 0.5 else "black" if counts[i, j] else "#bbbbbb"
            axes.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=8, color=color)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true class")
    axes.set_title(f"{report.split}: accuracy {report.accuracy:.4f}", fontsize=11)
    return figure


def choose_sample(count: int, *, most: int = SHOWN) -> npt.NDArray[np.int64]:
    """Return positions taken evenly from so many examples: photos in folders come one class after the other."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def sample_predictions(predictions: Predictions, split: Split, *, count: int = SHOWN) -> Figure:
    """Draw some examples with what they were taken for: ✓ right (blue), ✗ wrong (orange)."""
    ids = choose_sample(len(split), most=count)
    return _marked(predictions, split, ids, f"{split.name}: {len(ids)} examples")


def confident_mistakes(report: Report, predictions: Predictions, split: Split) -> Figure | None:
    """Draw the wrong answers that the classifier was surest of; None when it made none."""
    ids = np.array([mistake.position for mistake in report.mistakes], np.int64)
    return _marked(predictions, split, ids, f"{split.name}: the surest mistakes") if len(ids) else None


def _marked(predictions: Predictions, split: Split, ids: npt.NDArray[np.int64], title: str) -> Figure:
    predicted, probabilities = predictions.predicted, predictions.probabilities
    titles, colors = [], []
    for i in ids:
        name, truth = (short(predictions.classes[k]) for k in (predicted[i], predictions.labels[i]))
        right = predicted[i] == predictions.labels[i]
        probability = f"{probabilities[i, predicted[i]]:.0%}"
        titles.append(f"✓ {name} ({probability})" if right else f"✗ {name} ({probability})\nis {truth}")
        colors.append(BLUE if right else ORANGE)
    return picture_grid(split.gather(ids), titles, colors=colors, title=title)
