"""The picture of a bench: a bar for every setting, as long as it is fast, with its speed-up.

In: a `BenchReport`. Out: a matplotlib figure. It computes nothing that it draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..report.drawing import BLUE, ORANGE
from .report import BenchReport, Measurement, number, ratio
from .settings import TASKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (BLUE, ORANGE, "#5f6368", "#7b3fa0", "#3c8d40", "#b3261e")  # of places; more of them begin again
_BAR, _GAP = 0.25, 0.2  # inches: one bar, and between batch sizes
_ROOM = 1.25  # width of a panel as a multiple of its longest bar: labels stand beside the bars


def throughput(report: BenchReport) -> Figure:
    """Draw pictures a second: a panel for each task, a group for each batch size, a bar for each setting."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    sizes = list(dict.fromkeys(result.setting.batch_size for result in report.results))
    places = list(dict.fromkeys(result.setting.where for result in report.results))
    colors = {place: _COLORS[i % len(_COLORS)] for i, place in enumerate(places)}
    figure = Figure(figsize=(11, len(sizes) * (len(places) * _BAR + _GAP) + 1.6), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(TASKS), sharey=True), TASKS, strict=True):
        _panel(axes, [result for result in report.results if result.setting.task == task], sizes, colors)
        axes.set_title(task, fontsize=11)
    figure.get_axes()[0].set_ylabel("batch size")
    rows, columns, channels = report.input
    against = f"; ×: times as fast as {report.reference}" if report.reference else ""
    figure.suptitle(f"{report.network}, {columns}x{rows}x{channels}{against}", fontsize=11)
    patches = [Patch(color=color, label=place) for place, color in colors.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(4, len(patches)), frameon=False)
    return figure


def _panel(axes: Axes, results: list[Measurement], sizes: list[int], colors: dict[str, str]) -> None:
    """Draw the bars of one task, the first batch size at the top."""
    from matplotlib.ticker import MaxNLocator

    places = list(dict.fromkeys(result.setting.where for result in results))
    pitch = len(colors) + _GAP / _BAR
    longest = 0.0
    for result in results:
        place = sizes.index(result.setting.batch_size) * pitch + places.index(result.setting.where)
        rate = result.rate or 0
        low, high = result.quartiles or (rate, rate)
        longest = max(longest, high)
        axes.barh(place, rate, height=0.86, color=colors[result.setting.where])
        axes.plot((low, high), (place, place), color="black", linewidth=0.8)
        axes.annotate(_label(result), (high, place), (5, 0), textcoords="offset points", va="center", fontsize=8)
    middles = [i * pitch + (len(colors) - 1) / 2 for i in range(len(sizes))]
    axes.set_yticks(middles, [f"{size:,}" for size in sizes])
    axes.set_ylim((len(sizes) - 1) * pitch + len(colors) - 0.3, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, _ROOM * longest or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("pictures a second: median and quartiles")
    axes.spines[["top", "right"]].set_visible(False)


def _label(result: Measurement) -> str:
    if result.rate is None:
        return result.problem or "not measured"
    return number(result.rate) + (f"  ×{ratio(result.speed_up)}" if result.speed_up else "")
