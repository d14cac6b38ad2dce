"""`eyesight presets`: configurations for the standard datasets, each made for an amount of time."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..training.plan.measured import Spread


def presets(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List what `eyesight train --preset NAME` takes: time, network, and the test accuracy to expect."""
    from ..training.plan.presets import TIMED, figures_file
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
            for preset in TIMED.values()
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    print_table(
        ("command", "network", "time", "test accuracy"),
        [
            (preset.command, preset.network or "", f"{preset.budget:g} s", _accuracy(preset.measured))
            for preset in TIMED.values()
        ],
        numbers=("time",),
        whole=True,
    )
    typer.echo(
        "network: which the time was enough for there; mean ± standard deviation over seeds, on {machine}; "
        "{origin}".format(**figures_file())
    )


def _accuracy(measured: Spread | None) -> str:
    if measured is None:
        return "not measured"
    return f"{measured.mean:.4f} ± {measured.deviation:.4f} (n = {measured.n})"
