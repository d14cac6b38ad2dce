"""The figures that the tutorials draw and a report does not.

In: rows of metrics, pictures, labels. Out: matplotlib figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ...pictures.preprocess import Pixels
from ...report.drawing import show_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MARKED = 30  # rows; more markers than that hide the line

Axis = tuple[str, str]  # a key of the rows, and what it is called
Line = tuple[str, str, str]  # the same, and matplotlib's short word for colour and dashes, such as "r--"
TRAINING, TEST = ("accuracy", "training", "C0o-"), ("val_accuracy", "test", "C1s--")


def line_plot(
    rows: Sequence[dict[str, Any]],
    lines: Sequence[Line],
    *,
    title: str,
    x: Axis = ("epoch", "epoch"),
    y: str,
    limits: tuple[float, float] | None = None,
    legend: Literal["best", "lower right"] = "best",
) -> Figure:
    """Draw one or two figures of the rows as lines.

    Args:
        rows: as in metrics.jsonl.
        lines: which figures, their names, and how they are drawn; markers only where they are few.
        title: of the whole.
        x: what is counted along the horizontal axis, and its name.
        y: name of the vertical axis.
        limits: of the vertical axis, where the tutorial fixes them.
        legend: its place, where there is more than one line.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    places = [row[x[0]] for row in rows]
    for key, name, style in lines:
        shown = style if len(rows) <= _MOST_MARKED else style.replace("o", "").replace("s", "")
        axes.plot(places, [row[key] for row in rows], shown, label=name, ms=4)
    axes.set_xlabel(x[1])
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if limits:
        axes.set_ylim(*limits)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(frameon=False, loc=legend)
    return figure


def first_picture(picture: Pixels, label: str) -> Figure:
    """Draw one picture (H, W, C) with rulers at its sides and a scale of its grey values."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4), layout="constrained")
    axes = figure.subplots()
    show_picture(axes, picture)
    axes.set_title(label, fontsize=11)
    axes.set_xlabel("pixel, from the left")
    axes.set_ylabel("pixel, from the top")
    if picture.shape[2] == 1:
        figure.colorbar(axes.images[0], ax=axes, label="grey value", fraction=0.046, pad=0.03)
    return figure
