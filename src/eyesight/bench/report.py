"""What the timing says: medians, spread, speed-ups, and sentences computed from them.

In: a `Bench` that has run, wholly or in part. Out: `BenchReport`, plain data. It does not draw or print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..environment import describe_environment
from .measure import OPTIMIZER, ROUNDS, Bench
from .settings import TASKS, Setting, Task

_VERBS = {"training": "trains", "prediction": "predicts"}


@dataclass(frozen=True)
class Row:
    """One setting's result.

    Attributes:
        setting: what was measured.
        rate: median of the rounds, in pictures a second; None where it could not be measured.
        quartiles: first and third of the rounds.
        rounds: how many were measured.
        speed_up: `rate` as a multiple of the reference's at the same task and batch size; None without one.
        problem: why it could not be measured, or "".
    """

    setting: Setting
    rate: float | None
    quartiles: tuple[float, float] | None
    rounds: int
    speed_up: float | None
    problem: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        setting = self.setting
        return {
            "task": setting.task,
            "device": setting.device,
            "precision": setting.precision,
            "threads": setting.threads,
            "batch_size": setting.batch_size,
            "pictures_per_second": self.rate,
            "quartiles": self.quartiles,
            "rounds": self.rounds,
            "speed_up": self.speed_up,
            "problem": self.problem or None,
        }


@dataclass(frozen=True)
class BenchReport:
    """All results of one network.

    Attributes:
        network, shape, classes, parameters: what was measured; shape is (H, W, C).
        seconds: measured time for each setting.
        machine: see `describe_environment`; also `devices` (description by name) and `load` (before measuring).
        complete: whether every setting has all its rounds, or a problem.
        reference: what speed-ups are against (CPU fp32 with the most threads), in words; None if it was not measured.
        rows: by task, batch size, device, precision and threads.
        notes: what was left out, and why.
        conclusion: sentences computed from the rows.
    """

    network: str
    shape: tuple[int, int, int]
    classes: int
    parameters: int
    seconds: float
    machine: dict[str, Any]
    complete: bool
    reference: str | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    conclusion: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "format": "eyesight-bench",
            "version": 1,
            "network": self.network,
            "input": self.shape,
            "classes": self.classes,
            "parameters": self.parameters,
            "optimizer": OPTIMIZER,
            "seconds": self.seconds,
            "machine": self.machine,
            "reference": self.reference,
            "complete": self.complete,
            "results": [row.to_json() for row in self.rows],
            "notes": self.notes,
            "conclusion": self.conclusion,
        }


def report(bench: Bench, *, found: Sequence[str], notes: Sequence[str], load: float | None) -> BenchReport:
    """Return what a bench has measured so far.

    Args:
        bench: the measurements.
        found: names of the devices of this machine, measured or not.
        notes: what was left out, and why.
        load: load average of the machine before measuring, if known.
    """
    reference = _reference(bench.settings)
    rows = tuple(_row(bench, setting, reference) for setting in bench.settings)
    channels, height, width = bench.spec.input
    devices = {name: describe_device(name) for name in dict.fromkeys(setting.device for setting in bench.settings)}
    name = reference.where if reference else None
    complete = all(row.problem or row.rounds == ROUNDS for row in rows)
    cut = [] if complete else [f"interrupted: not all of the {ROUNDS} rounds were measured"]
    return BenchReport(
        network=bench.network,
        shape=(height, width, channels),
        classes=bench.spec.classes,
        parameters=bench.spec.parameters(),
        seconds=bench.seconds,
        machine=describe_environment() | {"devices": devices, "load": load},
        complete=complete,
        reference=name,
        rows=rows,
        notes=(*notes, *cut),
        conclusion=tuple(_conclusion(rows, name, devices, found)),
    )


def describe_device(name: str) -> str:
    """Return the model of a device."""
    if name.startswith("cuda"):
        return torch.cuda.get_device_name(name)
    return str(describe_environment()["processor"])


def _reference(settings: Sequence[Setting]) -> Setting | None:
    """Return a setting on the CPU in fp32 with the most threads: a GPU deserves no easier rival."""
    candidates = [setting for setting in settings if setting.device == "cpu" and setting.precision == "fp32"]
    return max(candidates, key=lambda setting: setting.threads or 0, default=None)


def _row(bench: Bench, setting: Setting, reference: Setting | None) -> Row:
    problem = bench.problems.get(setting, "")
    rates = [] if problem else bench.rates[setting]
    if not rates:
        return Row(setting, None, None, 0, None, problem)
    low, rate, high = np.quantile(rates, (0.25, 0.5, 0.75)).tolist()
    speed_up = None
    if reference:
        against = replace(reference, task=setting.task, batch_size=setting.batch_size)
        if against not in bench.problems and (others := bench.rates[against]):
            speed_up = rate / float(np.median(others))
    return Row(setting, rate, (low, high), len(rates), speed_up, "")


def _conclusion(rows: Sequence[Row], reference: str | None, devices: dict[str, str], found: Sequence[str]) -> list[str]:
    """Return the fastest setting of each task, and how much faster a GPU is."""
    sentences = [sentence for task in TASKS if (sentence := _fastest(rows, task, reference))]
    gpus = [name for name in devices if name != "cpu"]
    if gpus:
        return sentences + [f"{name} ({devices[name]}) {_gains(rows, name, reference)}." for name in gpus]
    unused = [name for name in found if name != "cpu"]
    reason = f"{', '.join(unused)} was left out" if unused else "no GPU was found here"
    return [*sentences, f"How much faster a GPU is was not measured: {reason}."]


def _fastest(rows: Sequence[Row], task: Task, reference: str | None) -> str:
    best = max((row for row in rows if row.setting.task == task), key=lambda row: row.rate or 0, default=None)
    if best is None or best.rate is None:
        return ""
    text = (
        f"{task.capitalize()} is fastest on {best.setting.where} at batch size {best.setting.batch_size}: "
        f"{number(best.rate)} pictures/s"
    )
    if best.setting.where == reference:
        return text + ", which is what the others are compared with."
    if not best.speed_up:
        return f"{text}."
    unclear = "" if _apart(rows, best, reference) else "; that may be chance, as their quartiles overlap"
    return f"{text}, {ratio(best.speed_up)} times {reference} at that batch size{unclear}."


def _apart(rows: Sequence[Row], row: Row, reference: str | None) -> bool:
    """Tell whether a row is clearly faster than the reference: their quartiles do not overlap."""
    place = (row.setting.task, row.setting.batch_size, reference)
    own = [other for other in rows if (other.setting.task, other.setting.batch_size, other.setting.where) == place]
    return all(row.quartiles[0] > other.quartiles[1] for other in own if row.quartiles and other.quartiles)


def _gains(rows: Sequence[Row], device: str, reference: str | None) -> str:
    """Say how many times as fast as the reference a device is, at the batch sizes with the least and the most gain."""
    parts = []
    for task in TASKS:
        gains: dict[int, float] = {}
        for row in rows:
            if (row.setting.task, row.setting.device) == (task, device) and row.speed_up:
                size = row.setting.batch_size
                gains[size] = max(row.speed_up, gains.get(size, 0))
        if gains:
            ends = sorted({min(gains, key=gains.__getitem__), max(gains, key=gains.__getitem__)}, key=gains.__getitem__)
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
