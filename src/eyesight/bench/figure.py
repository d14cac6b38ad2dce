"""The picture of a bench: a bar for every setting, as long as it is fast, with its speed-up.

In: a `BenchReport`. Out: a matplotlib figure. It computes nothing that it draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..report.drawing import BLUE, ORANGE
from .report import BenchReport, Row, number, ratio
from .settings import TASKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (BLUE, ORANGE, "#5f6368", "#7b3fa0")  # of devices, the CPU first; more of them begin again
_PALEST = 0.45  # how strong the first colour of a device is; the last has its full strength
_BAR, _GAP = 0.25, 0.2  # inches: one bar, and between batch sizes
_ROOM = 1.25  # width of a panel as a multiple of its longest bar: labels stand beside the bars


def throughput(report: BenchReport) -> Figure:
    """Draw pictures a second: a panel for each task, a group for each batch size, a bar for each setting."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    sizes = list(dict.fromkeys(row.setting.batch_size for row in report.rows))
    colors = _colors(report)
    height = len(sizes) * (len(colors) * _BAR + _GAP) + 1.6
    figure = Figure(figsize=(11, height), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(TASKS), sharey=True), TASKS, strict=True):
        _panel(axes, [row for row in report.rows if row.setting.task == task], sizes, colors)
        axes.set_title(task, fontsize=11)
    figure.get_axes()[0].set_ylabel("batch size")
    rows, columns, channels = report.shape
    against = f"; ×: times as fast as {report.reference}" if report.reference else ""
    figure.suptitle(f"{report.network}, {columns}x{rows}x{channels}{against}", fontsize=11)
    patches = [Patch(color=color, label=where) for where, color in colors.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(4, len(patches)), frameon=False)
    return figure


def _colors(report: BenchReport) -> dict[str, tuple[float, float, float]]:
    """Return a colour for each combination of device, precision and threads: a hue for a device, in several tints."""
    from matplotlib.colors import to_rgb

    by_device: dict[str, list[str]] = {}
    for row in report.rows:
        names = by_device.setdefault(row.setting.device, [])
        if row.setting.where not in names:
            names.append(row.setting.where)
    colors = {}
    for i, names in enumerate(by_device.values()):
        red, green, blue = to_rgb(_COLORS[i % len(_COLORS)])
        for k, name in enumerate(names):
            strength = 1 - (1 - _PALEST) * (len(names) - 1 - k) / max(1, len(names) - 1)
            colors[name] = (1 - strength * (1 - red), 1 - strength * (1 - green), 1 - strength * (1 - blue))
    return colors


def _panel(axes: Axes, rows: list[Row], sizes: list[int], colors: dict[str, tuple[float, float, float]]) -> None:
    """Draw the bars of one task, the first batch size at the top."""
    from matplotlib.ticker import MaxNLocator

    pitch = len(colors) + _GAP / _BAR
    order = list(colors)
    for row in rows:
        place = sizes.index(row.setting.batch_size) * pitch + order.index(row.setting.where)
        rate = row.rate or 0
        low, high = row.quartiles or (rate, rate)
        axes.barh(place, rate, height=0.86, color=colors[row.setting.where])
        axes.plot((low, high), (place, place), color="black", linewidth=0.8)
        end = (max(rate, high), place)
        axes.annotate(_label(row), end, (5, 0), textcoords="offset points", va="center", fontsize=8)
    middles = [i * pitch + (len(colors) - 1) / 2 for i in range(len(sizes))]
    axes.set_yticks(middles, [f"{size:,}" for size in sizes])
    axes.set_ylim((len(sizes) - 1) * pitch + len(colors) - 0.3, -0.7)
    axes.tick_params(axis="y", length=0)
    longest = max((max(row.rate or 0, *(row.quartiles or (0,))) for row in rows), default=0)
    axes.set_xlim(0, _ROOM * longest or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("pictures a second: median and quartiles")
    axes.spines[["top", "right"]].set_visible(False)


def _label(row: Row) -> str:
    if row.rate is None:
        return row.problem or "not measured"
    return number(row.rate) + (f"  ×{ratio(row.speed_up)}" if row.speed_up else "")
