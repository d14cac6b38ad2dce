"""Pictures of data and of results: grids, counts, curves, confusion, predictions.

In: arrays, rows, a report. Out: matplotlib figures, and PNG files of them. It computes nothing that it draws.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.dataset import Dataset, Pixels, Split
from ..formats import write_bytes
from ..predictions import Predictions
from .judge import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and orange stay apart for every kind of colour vision; right and wrong are marked by a sign as well.
BLUE, ORANGE, GREY = "#1f5fa8", "#d1600a", "#5f6368"
_DPI = 110
_LARGEST_ANNOTATED = 20  # classes; beyond that numbers in the cells of a confusion matrix are unreadable


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, atomically."""
    write_bytes(path, png(figure))
    return path


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches; without pyplot, so that nothing global changes."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def picture_grid(
    pictures: Pixels, titles: Sequence[str], *, columns: int = 5, colors: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draw pictures (N, H, W, C) in a grid, each under its title."""
    rows = -(-len(pictures) // columns)
    longest = max((len(line) for text in titles for line in text.split("\n")), default=0)
    width = max(1.5, 0.085 * longest)
    figure = _figure(width * columns, 1.75 * rows + (0.4 if title else 0))
    for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if i < len(pictures):
            show_picture(axes, pictures[i])
            axes.set_title(titles[i], fontsize=9, color=colors[i] if colors else "black")
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def show_picture(axes: Axes, picture: Pixels) -> None:
    """Draw one picture (H, W, C), 0 black and 255 white, without smoothing small ones."""
    grey = picture.shape[2] == 1
    axes.imshow(picture[..., 0] if grey else picture, cmap="gray" if grey else None, vmin=0, vmax=255)


def class_grid(data: Dataset, split: Split, *, per_class: int = 2) -> Figure:
    """Draw the first pictures of every class, with class names; of at most 25 classes, the first ones."""
    shown = range(min(len(data.classes), 25))
    ids = [i for label in shown for i in np.flatnonzero(split.labels == label)[:per_class].tolist()]
    titles = [data.classes[label] for label in split.labels[ids]]
    return picture_grid(split.gather(ids), titles, columns=min(5 * per_class, max(1, len(ids))))


def label_counts(data: Dataset) -> Figure:
    """Draw how many pictures each class has, in every split."""
    splits = data.splits()
    if data.protocol == "test-as-validation":
        splits.pop("validation")
    classes = len(data.classes)
    figure = _figure(8, max(2.5, 0.28 * classes + 1))
    axes = figure.subplots()
    offset = np.zeros(classes)
    for (name, split), color in zip(splits.items(), (BLUE, ORANGE, "#9aa0a6"), strict=False):
        counts = split.label_counts(classes)
        bars = axes.barh(np.arange(classes), counts, left=offset, color=color, label=f"{name} ({len(split):,})")
        if classes <= 25:
            axes.bar_label(
                bars, [f"{n:,}" if n else "" for n in counts], label_type="center", color="white", fontsize=8
            )
        offset += counts
    axes.set_yticks(np.arange(classes), data.classes, fontsize=9 if classes <= 25 else 5)
    axes.invert_yaxis()
    axes.set_xlabel("pictures")
    axes.set_title(f"{data.name}: pictures of each class")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14 if classes <= 25 else -0.03), ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def curves(rows: Sequence[dict[str, Any]], *, validation: str = "validation") -> Figure:
    """Draw accuracy and loss over the epochs.

    Args:
        rows: as in metrics.jsonl.
        validation: what the second curve is called: the test set, where that was validated on.
    """
    figure = _figure(10, 3.8)
    epochs = [row["epoch"] for row in rows]
    for axes, key in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(epochs, [row[key] for row in rows], "o-", color=BLUE, markersize=4, label="training")
        if rows and f"val_{key}" in rows[0]:
            values = [row[f"val_{key}"] for row in rows]
            axes.plot(epochs, values, "s--", color=ORANGE, markersize=4, label=validation)
        axes.set_xlabel("epoch")
        axes.set_title(key)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion(report: Report) -> Figure:
    """Draw the confusion matrix as a heat map: rows the true class, columns the predicted one.

    The colour is the share of the row, so that rare classes are as visible as frequent ones; the numbers are counts.
    """
    names = [row.label for row in report.per_class]
    counts = np.array(report.confusion_matrix)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, min(0.55 * len(names) + 2, 14))
    figure = _figure(side + 1, side)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    small = len(names) <= _LARGEST_ANNOTATED
    axes.set_xticks(np.arange(len(names)), names, rotation=90 if not small else 45, ha="right" if small else "center")
    axes.set_yticks(np.arange(len(names)), names)
    axes.tick_params(labelsize=9 if small else 4, length=0)
    if small:
        for i, j in np.ndindex(*counts.shape):
            color = "white" if share[i, j] > 0.5 else "black" if counts[i, j] else "#bbbbbb"
            axes.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=8, color=color)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true class")
    axes.set_title(f"{report.split}: accuracy {report.accuracy:.4f}")
    return figure


def sample_predictions(predictions: Predictions, split: Split, *, count: int = 20) -> Figure:
    """Draw the first examples with what they were taken for: ✓ right (blue), ✗ wrong (orange)."""
    ids = np.arange(min(count, len(split)))
    title = f"{split.name}: the first {len(ids)} examples"
    return _marked(predictions, split, ids, title)


def confident_mistakes(report: Report, predictions: Predictions, split: Split) -> Figure | None:
    """Draw the wrong answers that the classifier was surest of; None when it made none."""
    ids = np.array([mistake.position for mistake in report.mistakes], np.int64)
    return _marked(predictions, split, ids, f"{split.name}: the surest mistakes") if len(ids) else None


def _marked(predictions: Predictions, split: Split, ids: npt.NDArray[np.int64], title: str) -> Figure:
    predicted, probabilities = predictions.predicted, predictions.probabilities
    titles, colors = [], []
    for i in ids:
        name, truth = predictions.classes[predicted[i]], predictions.classes[predictions.labels[i]]
        right = name == truth
        probability = f"{probabilities[i, predicted[i]]:.0%}"
        titles.append(f"✓ {name} {probability}" if right else f"✗ {name} {probability}\nis {truth}")
        colors.append(BLUE if right else ORANGE)
    return picture_grid(split.gather(ids), titles, colors=colors, title=title)
