"""`eyesight presets`: configurations for the standard datasets, each made for an amount of time."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .say import say

if TYPE_CHECKING:
    from ..training.plan.measured import Spread

_WIDTH = 80  # columns
_FAMILY = "whitened-"  # every network here is of this family; its name stands once, in the heading
_NOTES = (
    "The network is the one chosen on that machine; on yours it may be larger or smaller.",
    "Accuracy: mean ± standard deviation of n runs on {machine}; {origin}.",
    "Time: from opening the data to the saved model. A command takes 2 to 4 s more, to start and to end.",
)


def presets(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List what `eyesight train --preset NAME` takes: time, network, and the test accuracy to expect."""
    from ..training.plan.presets import PRESETS, figures_file
    from .tables import print_table

    if as_json:
        rows = [
            {
                "name": preset.name,
                "command": preset.command,
                "seconds": preset.budget,
                "config": preset.config,
                "network": preset.network,
                "measured": preset.measured and asdict(preset.measured),
            }
            for preset in PRESETS.values()
        ]
        say(json.dumps(rows, indent=2))
        return
    print_table(
        ("preset", "time", f"network, {_FAMILY}", "test accuracy", "n"),
        [
            (name, f"{preset.budget:g} s", (preset.network or "").replace(_FAMILY, ""), *_accuracy(preset.measured))
            for name, preset in PRESETS.items()
        ],
        numbers=("time", "n"),
    )
    say()
    for note in _NOTES:
        say(textwrap.fill(note.format(**figures_file()), _WIDTH))
    say(f"next: eyesight train --preset {next(iter(PRESETS))}")


def _accuracy(measured: Spread | None) -> tuple[str, str]:
    if measured is None:
        return "not measured", ""
    return f"{measured.mean:.4f} ± {measured.deviation:.4f}", str(measured.n)
