"""Everything that a training must remember to go on as if it had never stopped.

In: a network, its optimizer, and what has happened so far. Out: `TrainState`, which turns into named arrays and plain
data and back. It does not know files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import FormatError
from ..formats import Arrays, Storable
from ..models.torch_network import lazy_array, load_arrays
from .optim import averaging, optimizers
from .optim.averaging import Average, NoAverage


@dataclass
class Best:
    """The best weights so far, by the validation figure: by name, their epoch (from 1), whether they are averaged."""

    epoch: int = 0
    averaged: bool = False
    weights: Arrays = field(default_factory=dict)


@dataclass
class TrainState:
    """The state between two updates.

    Attributes:
        network, optimizer: what is being trained, and with what.
        step: updates done.
        seconds: of training and validation so far, over all sittings.
        sums: (3,) float64 on the device: loss × pictures, right answers and pictures of the epoch so far.
        history: a row for every epoch.
        best: see `Best`.
        stopped: why early stopping ended the training, or "".
        average: of the weights.
        clock: the progress before each update so far, where it was measured by a clock.
        threads: the choices of CPU threads that the updates so far were made with, as plain data; see `threads.Choice`.
        validating, saving: seconds that validation and saving took last; None before the first time.
        noted: finite weights and buffers to go back to, with their step: the last two, the last one last; not saved.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    sums: torch.Tensor
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: Best = field(default_factory=Best)
    stopped: str = ""
    average: Average = field(default_factory=NoAverage)
    clock: list[float] = field(default_factory=list)
    threads: list[Sequence[Any]] = field(default_factory=list)
    validating: float | None = None
    saving: float = 0.0
    noted: list[tuple[int, dict[str, torch.Tensor]]] = field(default_factory=list)

    def arrays(self) -> dict[str, Storable]:
        """Return all tensors by name: network/…, optimizer/…, average/…, best/…, clock, sums.

        They are copied one at a time, when they are written: the state is not in memory twice.
        """
        memory = optimizers.state(self.optimizer, self.network.named_parameters())
        return {
            **{f"network/{name}": lazy_array(value) for name, value in self.network.state_dict().items()},
            **{f"optimizer/{name}": lazy_array(value) for name, value in memory.items()},
            **{f"average/{name}": lazy_array(value) for name, value in self.average.mean.items()},
            **{f"best/{name}": array for name, array in self.best.weights.items()},
            "clock": np.array(self.clock, np.float64),
            "sums": lazy_array(self.sums),
        }

    def facts(self) -> dict[str, Any]:
        """Return all that is not a tensor, as plain data."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "best_epoch": self.best.epoch,
            "best_averaged": self.best.averaged,
            "averaged": self.average.count,
            "threads": self.threads,
            "validating": self.validating,
            "saving": self.saving,
            "stopped": self.stopped,
        }

    def load(self, arrays: Arrays, facts: dict[str, Any], source: str) -> None:
        """Restore what `arrays` and `facts` gave.

        Raises:
            FormatError: the tensors do not fit the network, or something is missing.
        """
        try:
            self._load(arrays, facts, source)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(f"{source}: not a whole state of a training ({error!r})") from None

    def _load(self, arrays: Arrays, facts: dict[str, Any], source: str) -> None:
        parts: dict[str, Arrays] = {"network": {}, "optimizer": {}, "average": {}, "best": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition("/")
            if rest:
                parts[part][rest] = array
        load_arrays(self.network, parts["network"], source)
        optimizers.load(self.optimizer, self.network.named_parameters(), _tensors(parts["optimizer"]))
        averaging.load(self.average, self.network, _tensors(parts["average"]), facts["averaged"])
        self.sums.copy_(torch.from_numpy(arrays["sums"]))
        self.step, self.seconds = facts["step"], facts["seconds"]
        self.validating, self.saving = facts["validating"], facts["saving"]
        self.history, self.stopped = facts["history"], facts["stopped"]
        self.threads = facts.get("threads", [])  # earlier states had a fixed number
        self.best = Best(facts["best_epoch"], facts["best_averaged"], parts["best"])
        self.clock = arrays["clock"].tolist() if "clock" in arrays else []  # version 1 had none


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
