"""What presets reached, as JSON files in the package hold it: written by benchmarks, read by lists and tables.

In: a package and a file's name. Out: its contents, and accuracies over runs. It knows no preset.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Test accuracy over several runs: mean, sample standard deviation, runs, and their median time in seconds."""

    mean: float
    deviation: float
    n: int
    seconds_median: float


@cache
def read_figures(package: str, file: str) -> dict[str, Any]:
    """Return the contents of a file: where its figures come from, on which machine, and the figures."""
    values: dict[str, Any] = json.loads(resources.files(package).joinpath(file).read_text(encoding="utf-8"))
    return values
