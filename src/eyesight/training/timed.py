"""Whole configurations for MNIST, Fashion-MNIST and CIFAR-10 by name, each made for an amount of time.

In: a name. Out: a `TimedPreset`: a configuration as plain data, and what it reached. `eyesight train --preset NAME`
runs it. What they reached stands in timed.json beside this file, as benchmarks/accuracy_in_time.py measured it.

Networks and recipes were chosen on pictures held out of the training sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UnknownNameError
from .figures import Spread, read_figures

FIGURES_FILE = "timed.json"

_USUAL_BATCH = 250  # said here, so that a preset is the same on every machine
_AS_THEY_ARE = {"flip": False}  # where time is too short to learn mirror images as well
_SIX_VIEWS = {"views": "mirror-shift"}
_SMALLER_FIRST = {"resolution": [[0.4, 0.5], [0.75, 0.75]]}


@dataclass(frozen=True)
class TimedPreset:
    """A configuration for a dataset and an amount of time; what is not in it comes from the network's own recipe.

    Attributes:
        data: name of the dataset.
        budget: seconds, from opening the data to the saved model.
        model: name of the network.
        recipe: entries of the recipe beside the time.
    """

    data: str
    budget: float
    model: str
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
            "model": {"name": self.model},
            "recipe": {"budget": self.budget, "keep": "last", "batch_size": _USUAL_BATCH, **self.recipe},
        }

    @property
    def measured(self) -> Spread | None:
        """Test accuracy over seeds, where it has been measured."""
        entry = figures_file()["presets"].get(self.name)
        return None if entry is None else Spread(**entry)


_PRESETS = (
    TimedPreset("mnist", 0.8, "whitened-16-32-32", {"batch_size": 64}),
    TimedPreset("mnist", 4, "whitened-16-32-32"),
    TimedPreset("mnist", 20, "whitened-32-64-64"),
    TimedPreset("mnist", 120, "whitened-32-64-64", {"batch_size": 1000, "shift": 1}),
    TimedPreset("fashion-mnist", 4, "whitened-32-64-64-s2", _AS_THEY_ARE),
    TimedPreset("fashion-mnist", 8, "whitened-32-64-64-s2", _AS_THEY_ARE),
    TimedPreset("fashion-mnist", 12, "whitened-16-32-32", _AS_THEY_ARE | {"batch_size": 400}),
    TimedPreset("fashion-mnist", 20, "whitened-32-64-64"),
    TimedPreset("fashion-mnist", 120, "whitened-64-128-128", {"batch_size": 1000}),
    TimedPreset("fashion-mnist", 360, "whitened-64-128-128", {"batch_size": 1500}),
    TimedPreset("cifar10", 4, "whitened-32-64-64-s2"),
    TimedPreset("cifar10", 8, "whitened-32-64-64-s2"),
    TimedPreset("cifar10", 40, "whitened-32-64-64"),
    TimedPreset("cifar10", 120, "whitened-64-128-128", _SMALLER_FIRST | _SIX_VIEWS | {"batch_size": 500}),
    TimedPreset("cifar10", 480, "whitened-64-256-256", _SMALLER_FIRST | _SIX_VIEWS | {"batch_size": 1500}),
    TimedPreset("cifar10", 1920, "whitened-128-384-384", _SMALLER_FIRST | _SIX_VIEWS | {"batch_size": 1500}),
)
TIMED = {preset.name: preset for preset in _PRESETS}


def find(name: str) -> TimedPreset:
    """Return the preset of a name; an unknown one is refused with the nearest."""
    if name not in TIMED:
        raise UnknownNameError("preset", name, TIMED)
    return TIMED[name]


def figures_file() -> dict[str, Any]:
    """Return the contents of timed.json: how and on which machine the figures were measured, and the figures."""
    return read_figures(FIGURES_FILE)
