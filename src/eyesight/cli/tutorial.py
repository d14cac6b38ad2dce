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
from .say import say

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
    """Print what each tutorial is, what it reaches, and where the figures come from; no line is wider than 80."""
    from ..lessons.tutorials.programs import TUTORIALS, figures_file
    from ..report.terminal import align_columns

    if as_json:
        values = [asdict(t) | {"command": t.command, "measured": asdict(t.measured)} for t in TUTORIALS.values()]
        say(json.dumps(values, indent=2, ensure_ascii=False))
        return
    what = [
        (t.name, f"{t.parameters:,}", f"{t.title}: {t.layers}. It says: {t.measured.published}.")
        for t in TUTORIALS.values()
    ]
    rows: list[tuple[str, ...]] = []
    for name, known in ((name, tutorial.measured) for name, tutorial in TUTORIALS.items()):
        spreads = (known.keras, known.eyesight, known.ours)
        rows.append((name, *(f"{s.mean:.3f} ± {s.deviation:.3f}" if s else "not measured" for s in spreads)))
        rows.append(("", *(f"{s.seconds_median:.0f} s, n = {s.n}" if s else "" for s in spreads)))
    file = figures_file()
    notes = (
        "accuracy: mean ± standard deviation of n runs; time: their median",
        f"machine: {file['machine']}",
        f"Keras here: {file['origin']['keras']}",
        f"eyesight, ours: {file['origin']['eyesight']}",
    )
    lines = [
        *align_columns(("name", "parameters", "what it is"), what, numbers=("parameters",), width=80),
        "",
        *align_columns(("test accuracy and time", "Keras here", "eyesight", "ours (--ours)"), rows),
        "",
        *(part for note in notes for part in textwrap.wrap(note, 80, subsequent_indent="  ")),
        "next: eyesight tutorial lenet5-mnist --ours",
    ]
    say("\n".join(lines))
