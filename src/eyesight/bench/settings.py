"""What is measured: one `Setting` for every task, device, precision, number of threads and batch size.

In: what the user asked for, or nothing. Out: settings, and notes on what was left out. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from ..device import Precision, bf16_is_right, choose_device
from ..errors import UsageError

Task = Literal["training", "prediction"]

TASKS: tuple[Task, ...] = get_args(Task)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Setting:
    """What is computed, and where and how.

    Attributes:
        task: training (a whole update) or prediction (logits).
        device: cpu, cuda:0, …
        precision: of convolutions and dense layers.
        threads: of the CPU; None on other devices.
        batch_size: pictures at a time.
    """

    task: Task
    device: str
    precision: Precision
    threads: int | None
    batch_size: int

    @property
    def where(self) -> str:
        """Device, precision and threads in words.

        >>> Setting("training", "cpu", "bf16", 2, 32).where
        'cpu bf16 (2 threads)'
        """
        threads = f" ({self.threads} thread{'s' * (self.threads > 1)})" if self.threads else ""
        return f"{self.device} {self.precision}{threads}"


def find_devices() -> tuple[list[str], list[str]]:
    """Return the names of the devices that this machine can use, the CPU first, and notes on those it cannot."""
    names = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    names += ["mps"] if torch.backends.mps.is_available() else []
    usable, notes = [], []
    for name in names:
        try:
            usable.append(str(choose_device(name)))
        except UsageError:
            notes.append(f"{name} is left out: not usable with this machine and build of torch")
    return usable, notes


def check_devices(names: Sequence[str]) -> list[str]:
    """Return the devices of these names, each once and a GPU with its number.

    Raises:
        UsageError: one is not here.
    """
    devices = []
    for name in names:
        try:
            device = choose_device(name)
        except UsageError:
            here = ", ".join(find_devices()[0])
            message = f"--devices: expected some of {here}, which this machine has; received: {name!r}"
            raise UsageError(message) from None
        numbered = device.type == "cuda" and device.index is None
        devices.append(f"cuda:{torch.cuda.current_device()}" if numbered else str(device))
    return list(dict.fromkeys(devices))


def plan(
    devices: Sequence[str],
    *,
    precisions: Sequence[str] = PRECISIONS,
    threads: Sequence[int] = (),
    batch_sizes: Sequence[int],
) -> tuple[list[Setting], list[str]]:
    """Return all settings, and notes on precisions that were left out because their results are wrong.

    Args:
        devices: names, as from `find_devices` or `check_devices`.
        precisions: that training is measured at, bf16 only where its results are right; prediction is always fp32.
        threads: of the CPU; torch's own number where none is given.
        batch_sizes: pictures at a time.

    Raises:
        UsageError: there is no such precision, or nothing is left to train with.
    """
    if unknown := [name for name in precisions if name not in PRECISIONS]:
        raise UsageError(f"--precisions: expected some of {', '.join(PRECISIONS)}; received: {unknown[0]!r}")
    places: dict[Task, list[tuple[str, Precision, int | None]]] = {"training": [], "prediction": []}
    notes = []
    for device in devices:
        counts = (threads or (torch.get_num_threads(),)) if device == "cpu" else (None,)
        places["prediction"] += [(device, "fp32", count) for count in counts]
        for precision in (name for name in PRECISIONS if name in precisions):
            if precision == "fp32" or _bf16_works(torch.device(device)):
                places["training"] += [(device, precision, count) for count in counts]
            else:
                notes.append(f"{device} bf16 is left out: it is missing here, or its results differ from fp32")
    if not places["training"]:
        raise UsageError(f"--precisions: nothing is left to measure: {'; '.join(notes)}")
    return [Setting(task, *place, size) for task in TASKS for size in batch_sizes for place in places[task]], notes


def _bf16_works(device: torch.device) -> bool:
    try:
        return bf16_is_right(device)
    except (RuntimeError, TypeError):  # a device without it
        return False
