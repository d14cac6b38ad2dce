"""Presets: whole configurations by name, each for a standard dataset and an amount of time.

In: a name. Out: a `Preset`: a configuration as plain data, and the test accuracy to expect. `eyesight presets` lists
them, `eyesight train --preset NAME` runs one. It does not know the network: `planner` chooses that and its batches from
the time and the speed of the machine, so that a preset suits slow machines and fast ones.

The accuracies stand in presets.json beside this file, written by benchmarks/accuracy_in_time.py. The recipes were
chosen on pictures held out of the training sets. There is none under 4 seconds: a command is a new process, and torch
prepares its kernels in the first updates, so that what it reached in less time varied from 0.3 to 0.98.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import UnknownNameError
from .measured import Spread, read_figures

FIGURES_FILE = "presets.json"

_NO_FLIP = {"flip": False}  # too little time to learn mirror images as well
_SIX_VIEWS = {"views": "mirror-shift"}  # gained 0.003 on Fashion-MNIST in two minutes, nothing in 20 s or less


@dataclass(frozen=True)
class Preset:
    """A configuration for a dataset and an amount of time; the planner adds what is left open.

    With `epochs` or `updates` in place of the time nothing is planned, and it takes the default network.

    Attributes:
        data: name of the dataset.
        budget: seconds from opening the data to the saved model; starting Python comes on top.
        recipe: entries of the recipe other than the budget.
    """

    data: str
    budget: float
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The dataset and the time, as in mnist-4s."""
        return f"{self.data}-{self.budget:g}s"

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"eyesight train --preset {self.name}"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration; no pictures are held out for validation, as there is nothing left to choose."""
        return {
            "data": {"name": self.data, "validation": 0.0},
            "recipe": {"budget": self.budget, "keep": "last", **self.recipe},
        }

    @property
    def measured(self) -> Spread | None:
        """Test accuracy over seeds, or None where it was not measured."""
        entry = figures_file()["presets"].get(self.name)
        return Spread(**{key: value for key, value in entry.items() if key != "network"}) if entry else None

    @property
    def network(self) -> str | None:
        """The network that the planner chose on the machine of the figures."""
        found: str | None = figures_file()["presets"].get(self.name, {}).get("network")
        return found


_ALL = (
    Preset("mnist", 4),
    Preset("mnist", 20),
    Preset("mnist", 120, {"shift": 2}),
    Preset("fashion-mnist", 4, _NO_FLIP),
    Preset("fashion-mnist", 8, _NO_FLIP),
    Preset("fashion-mnist", 12, _NO_FLIP),
    Preset("fashion-mnist", 20),
    Preset("fashion-mnist", 120, _SIX_VIEWS),
    Preset("fashion-mnist", 360, _SIX_VIEWS),
    Preset("cifar10", 4),
    Preset("cifar10", 8),
    Preset("cifar10", 40),
    Preset("cifar10", 120, _SIX_VIEWS),
    Preset("cifar10", 480, _SIX_VIEWS),
    Preset("cifar10", 1920, _SIX_VIEWS),
)
PRESETS = {preset.name: preset for preset in _ALL}


def find(name: str) -> Preset:
    """Return the preset of a name; an unknown one is refused with the nearest."""
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]


def figures_file() -> dict[str, Any]:
    """Return the contents of presets.json: the figures, their machine, and how they were measured."""
    return read_figures(__package__, FIGURES_FILE)
