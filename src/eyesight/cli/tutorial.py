"""`eyesight tutorial`: the five tutorials, listed and run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .arguments import given

Option = typer.Option


def tutorial(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Which one.", show_default="list them")] = None,
    ours: Annotated[bool, Option("--ours", help="Afterwards train our own configuration on the same data, in no more time, and compare.")] = False,
    output: Annotated[Path | None, Option("--output", "-o", help="Folder of the run; ours goes into the same with -ours at its end.", show_default="runs/NAME-N")] = None,
    seed: Annotated[int | None, Option(min=0, help="Of first weights and order.", show_default="the tutorial's")] = None,
    epochs: Annotated[int | None, Option(min=1, help="Another length than the tutorial's.")] = None,
    updates: Annotated[int | None, Option(min=1, help="Another length, counted in updates.")] = None,
    data_dir: Annotated[Path | None, Option(help="Folder with the datasets.", show_default="$EYESIGHT_DATA")] = None,
    device: Annotated[str | None, Option(help="auto, cpu, cuda, …", show_default="auto")] = None,
    threads: Annotated[int | None, Option(min=1, help="CPU threads.", show_default="all cores")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace older runs in --output.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the list as JSON.")] = False,
) -> None:  # fmt: skip
    """Run a well-known tutorial to the letter, with a plain account of each step; without a name, list the five."""
    if name is None:
        if options := given(context, but={"as_json"}):
            raise UsageError(f"{options[0]}: name the tutorial that it is for, such as: eyesight tutorial lenet5-mnist")
        show_list(as_json)
        return
    if as_json:
        raise UsageError("--json: only for the list, without a name; a run's files are JSON already")
    from .. import api

    api.tutorial(
        name,
        ours=ours,
        output=output,
        seed=seed,
        epochs=epochs,
        updates=updates,
        data_dir=data_dir,
        device=device,
        threads=threads,
        overwrite=overwrite,
    )


def show_list(as_json: bool) -> None:
    """Print a row for each tutorial, and where the figures come from."""
    from ..lessons.tutorials.programs import PRESETS, find

    if as_json:
        presets = [find(name) for name in PRESETS]
        rows = [asdict(preset) | {"command": preset.command, "measured": asdict(preset.measured)} for preset in presets]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from ..lessons.tutorials.table import FIGURE_COLUMNS, WHAT_COLUMNS, figure_rows, notes, what_rows
    from .tables import print_table

    print_table(WHAT_COLUMNS, what_rows(), numbers=("parameters",), whole=True)
    typer.echo()
    print_table(FIGURE_COLUMNS, figure_rows(), whole=True)
    for note in notes():
        typer.echo(note)
    typer.echo("next: eyesight tutorial lenet5-mnist --ours")
