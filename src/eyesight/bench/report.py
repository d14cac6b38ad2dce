"""What the timing says: medians, spread, speed-ups, and sentences computed from them.

In: a `Bench` that has run, wholly or in part. Out: `BenchReport`, plain data. It does not draw or print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from ..environment import describe_environment
from .measure import OPTIMIZER, ROUNDS, Bench
from .settings import TASKS, Setting

_VERBS = {"training": "trains", "prediction": "predicts"}


@dataclass(frozen=True)
class Measurement:
    """What one setting came to.

    Attributes:
        setting: what was measured.
        rate: median of the rounds, in pictures a second; None where it could not be measured.
        quartiles: first and third of the rounds.
        rounds: how many were measured.
        speed_up: `rate` as a multiple of the reference's at the same task and batch size; None without one.
        problem: why it could not be measured, or None.
    """

    setting: Setting
    rate: float | None = None
    quartiles: tuple[float, float] | None = None
    rounds: int = 0
    speed_up: float | None = None
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        values = asdict(self)
        setting: dict[str, Any] = values.pop("setting")
        return setting | {"pictures_per_second": values.pop("rate")} | values


@dataclass(frozen=True)
class BenchReport:
    """All results of one network.

    Attributes:
        network, input, classes, parameters: what was measured; the input is (H, W, C).
        optimizer: that trained.
        seconds: measured time for each setting.
        machine: see `describe_environment`; also `devices` (description by name) and `load` (before measuring).
        complete: whether every setting has all its rounds, or a problem.
        reference: what speed-ups are against (CPU fp32 with the most threads), in words; None if it was not measured.
        results: by task, batch size, device, precision and threads.
        notes: what was left out, and why.
        conclusion: sentences computed from the results.
    """

    network: str
    input: tuple[int, int, int]
    classes: int
    parameters: int
    optimizer: str
    seconds: float
    machine: dict[str, Any]
    complete: bool
    reference: str | None
    results: tuple[Measurement, ...]
    notes: tuple[str, ...]
    conclusion: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        head = {"format": "eyesight-bench", "version": 1}
        return head | asdict(self) | {"results": [result.to_json() for result in self.results]}


def report(bench: Bench, *, found: Sequence[str], notes: Sequence[str], load: float | None) -> BenchReport:
    """Return what a bench has measured so far.

    Args:
        bench: the measurements.
        found: names of the devices of this machine, measured or not.
        notes: what was left out, and why.
        load: load average of the machine before measuring, if known.
    """
    # a GPU deserves no easier rival than all threads
    on_cpu = [setting for setting in bench.settings if (setting.device, setting.precision) == ("cpu", "fp32")]
    reference = max(on_cpu, key=lambda setting: setting.threads or 0, default=None)
    results = tuple(_summarise(bench, setting, reference) for setting in bench.settings)
    channels, height, width = bench.spec.input
    devices = {name: describe_device(name) for name in dict.fromkeys(setting.device for setting in bench.settings)}
    name = reference.where if reference else None
    complete = all(result.problem or result.rounds == ROUNDS for result in results)
    cut = [] if complete else [f"interrupted: not all of the {ROUNDS} rounds were measured"]
    return BenchReport(
        network=bench.network,
        input=(height, width, channels),
        classes=bench.spec.classes,
        parameters=bench.spec.parameters(),
        optimizer=OPTIMIZER,
        seconds=bench.seconds,
        machine=describe_environment() | {"devices": devices, "load": load},
        complete=complete,
        reference=name,
        results=results,
        notes=(*notes, *cut),
        conclusion=tuple(_conclude(results, name, devices, found)),
    )


def describe_device(name: str) -> str:
    """Return the model of a device."""
    if name.startswith("cuda"):
        return torch.cuda.get_device_name(name)
    return str(describe_environment()["processor"])


def _summarise(bench: Bench, setting: Setting, reference: Setting | None) -> Measurement:
    if setting in bench.problems:
        return Measurement(setting, problem=bench.problems[setting])
    rates = bench.rates[setting]
    if not rates:
        return Measurement(setting)
    low, rate, high = np.quantile(rates, (0.25, 0.5, 0.75)).tolist()
    rivals = []
    if reference:
        rival = replace(reference, task=setting.task, batch_size=setting.batch_size)
        rivals = [] if rival in bench.problems else bench.rates.get(rival, [])
    speed_up = rate / float(np.median(rivals)) if rivals else None
    return Measurement(setting, rate, (low, high), len(rates), speed_up)


def _conclude(
    results: Sequence[Measurement], reference: str | None, devices: dict[str, str], found: Sequence[str]
) -> list[str]:
    """Return the fastest setting of each task, and how much faster a GPU is."""
    sentences = []
    for task in TASKS:
        measured = [result for result in results if result.setting.task == task and result.rate]
        if measured:
            sentences.append(_name_fastest(measured, reference))
    gpus = [name for name in devices if name != "cpu"]
    if gpus:
        return sentences + [f"{name} ({devices[name]}) {_gains(results, name, reference)}." for name in gpus]
    unused = [name for name in found if name != "cpu"]
    reason = f"{', '.join(unused)} was left out" if unused else "no GPU was found here"
    return [*sentences, f"How much faster a GPU is was not measured: {reason}."]


def _name_fastest(measured: Sequence[Measurement], reference: str | None) -> str:
    """Name the fastest of one task's settings, and say where its lead may be chance."""
    best = max(measured, key=lambda result: result.rate or 0)
    where, size = best.setting.where, best.setting.batch_size
    text = f"{best.setting.task.capitalize()} is fastest on {where} at batch size {size}: {number(best.rate or 0)}"
    text += " pictures/s"
    if where == reference:
        others = any(result.setting.where != reference for result in measured)
        return text + (", which is what the others are compared with." if others else ".")
    if not best.speed_up:
        return f"{text}."
    rivals = [r for r in measured if (r.setting.batch_size, r.setting.where) == (size, reference)]
    overlap = any(best.quartiles[0] <= r.quartiles[1] for r in rivals if best.quartiles and r.quartiles)
    unclear = "; that may be chance, as their quartiles overlap" if overlap else ""
    return f"{text}, {ratio(best.speed_up)} times {reference} at that batch size{unclear}."


def _gains(results: Sequence[Measurement], device: str, reference: str | None) -> str:
    """Say how many times as fast as the reference a device is, at the batch sizes with the least and the most gain."""
    parts = []
    for task in TASKS:
        gains: dict[int, float] = {}
        for result in results:
            if (result.setting.task, result.setting.device) == (task, device) and result.speed_up:
                size = result.setting.batch_size
                gains[size] = max(result.speed_up, gains.get(size, 0))
        if gains:
            sizes = sorted(gains, key=gains.__getitem__)
            ends = dict.fromkeys((sizes[0], sizes[-1]))
            parts.append(f"{_VERBS[task]} " + " to ".join(f"{ratio(gains[b])} (batch size {b})" for b in ends))
    if not parts:
        return "was measured, but not what speed-ups are against, CPU fp32"
    return f"{' and '.join(parts)} times as fast as {reference}"


def number(rate: float) -> str:
    """Return pictures a second with about three digits or more.

    >>> [number(rate) for rate in (0.1234, 12.34, 1234.5)]
    ['0.123', '12.3', '1,234']
    """
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def ratio(value: float) -> str:
    """Return a multiple with two or three digits.

    >>> [ratio(value) for value in (0.5, 1.234, 45.6)]
    ['0.50', '1.23', '46']
    """
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
