"""`eyesight tutorial`: the five tutorials, listed and run."""

from __future__ import annotations

import json
import textwrap
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

    api.tutorial(name, ours=ours, output=output, seed=seed, epochs=epochs, updates=updates, data_dir=data_dir,
                 device=device, threads=threads, overwrite=overwrite)  # fmt: skip


def show_list(as_json: bool) -> None:
    """Print a row for each tutorial, and where the figures come from."""
    from ..lessons.tutorials.programs import TUTORIALS

    if as_json:
        rows = [asdict(t) | {"command": t.command, "measured": asdict(t.measured)} for t in TUTORIALS.values()]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from ..lessons.tutorials.table import FIGURE_COLUMNS, WHAT_COLUMNS, figure_rows, notes, what_rows
    from ..report.terminal import align_columns

    wrapped = (part for note in notes() for part in textwrap.wrap(note, 80, subsequent_indent="  "))
    lines = [
        *align_columns(WHAT_COLUMNS, what_rows(), numbers=("parameters",), width=80),
        "",
        *align_columns(FIGURE_COLUMNS, figure_rows()),
        "",
        *wrapped,
        "next: eyesight tutorial lenet5-mnist --ours",
    ]
    typer.echo("\n".join(lines))
