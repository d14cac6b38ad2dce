"""Whole configurations for MNIST, Fashion-MNIST and CIFAR-10 by name, each made for an amount of time.

In: a name. Out: a `TimedPreset`: a configuration as plain data, and what it reached. `eyesight train --preset NAME`
runs it. What they reached stands in presets.json beside this file, as benchmarks/accuracy_in_time.py measured it.

The network and its batches follow from the time and the speed of the machine (`planner`), so that a preset is right on
slow machines and on fast ones. What is said here beside them was chosen on pictures held out of the training sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import UnknownNameError
from .measured import Spread, read_figures

FIGURES_FILE = "presets.json"

_AS_THEY_ARE = {"flip": False}  # where time is too short to learn mirror images as well
_SIX_VIEWS = {"views": "mirror-shift"}


@dataclass(frozen=True)
class TimedPreset:
    """A configuration for a dataset and an amount of time; what is not in it comes from the planner.

    Run for a number of epochs or updates instead of the time, it takes the default network, as nothing is planned then.

    Attributes:
        data: name of the dataset.
        budget: seconds, from opening the data to the saved model.
        recipe: entries of the recipe beside the time.
    """

    data: str
    budget: float
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The dataset and the time."""
        return f"{self.data}-{self.budget:g}s"

    @property
    def command(self) -> str:
        """What runs it."""
        return f"eyesight train --preset {self.name}"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration: all training pictures, and none held out, as there is nothing to choose."""
        return {
            "data": {"name": self.data, "validation": 0.0},
            "recipe": {"budget": self.budget, "keep": "last", **self.recipe},
        }

    @property
    def measured(self) -> Spread | None:
        """Test accuracy over seeds, where it has been measured."""
        entry = figures_file()["presets"].get(self.name)
        return Spread(**{key: value for key, value in entry.items() if key != "network"}) if entry else None

    @property
    def network(self) -> str | None:
        """The network that the time was enough for where it was measured."""
        found: str | None = figures_file()["presets"].get(self.name, {}).get("network")
        return found


_PRESETS = (
    TimedPreset("mnist", 0.6),
    TimedPreset("mnist", 0.8),
    TimedPreset("mnist", 4),
    TimedPreset("mnist", 20),
    TimedPreset("mnist", 120, {"shift": 2}),
    TimedPreset("fashion-mnist", 4, _AS_THEY_ARE),
    TimedPreset("fashion-mnist", 8, _AS_THEY_ARE),
    TimedPreset("fashion-mnist", 12, _AS_THEY_ARE),
    TimedPreset("fashion-mnist", 20),
    TimedPreset("fashion-mnist", 120, _SIX_VIEWS),
    TimedPreset("fashion-mnist", 360, _SIX_VIEWS),
    TimedPreset("cifar10", 4),
    TimedPreset("cifar10", 8),
    TimedPreset("cifar10", 40),
    TimedPreset("cifar10", 120, _SIX_VIEWS),
    TimedPreset("cifar10", 480, _SIX_VIEWS),
    TimedPreset("cifar10", 1920, _SIX_VIEWS),
)
TIMED = {preset.name: preset for preset in _PRESETS}


def find(name: str) -> TimedPreset:
    """Return the preset of a name; an unknown one is refused with the nearest."""
    if name not in TIMED:
        raise UnknownNameError("preset", name, TIMED)
    return TIMED[name]


def figures_file() -> dict[str, Any]:
    """Return the contents of presets.json: how and on which machine the figures were measured, and the figures."""
    return read_figures(__package__, FIGURES_FILE)
