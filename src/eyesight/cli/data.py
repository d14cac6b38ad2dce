"""`eyesight data`: which datasets there are, and what is in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .arguments import Command

app = typer.Typer(help="Datasets: which there are, and what is in them.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option(help="Folder with the datasets.", show_default="$EYESIGHT_DATA")]


@app.command("list", cls=Command)
def list_datasets(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the datasets that have a name, and where each was found."""
    from ..data import catalog

    folders = catalog.data_folders(data_dir)
    rows = []
    for name in catalog.names():
        entry = catalog.entry(name)
        place = "embedded" if name == "digits" else catalog.locate(name, folders)
        rows.append(
            {
                "name": name,
                "what": entry.title,
                "size": entry.size,
                "classes": len(entry.classes),
                "train": entry.counts[0],
                "test": entry.counts[1],
                "found": None if place is None else str(place),
                "files": entry.files,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from .tables import print_table

    columns = ("name", "what", "size", "classes", "train", "test", "found")
    table = [
        [f"{row[c]:,}" if isinstance(row[c], int) else row[c] or f"no: needs {row['files']}" for c in columns]
        for row in rows
    ]
    print_table(columns, table, numbers=("classes", "train", "test"))


@app.command("show", cls=Command)
def show_dataset(
    name: Annotated[str, typer.Argument(help="A dataset's name.")] = "digits",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the two PNG files.")] = Path(),
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Count the labels of a dataset, and draw its pictures with their class names."""
    from .. import api
    from ..evaluation import figures
    from ..report.drawing import save

    data = api.load_data(name, data_dir=data_dir, validation=0)
    counts = {split: part.label_counts(len(data.classes)).tolist() for split, part in data.splits().items()}
    drawn = {"pictures": figures.class_grid(data, data.train), "label-counts": figures.label_counts(data)}
    files = [save(figure, output / f"{name}-{what}.png") for what, figure in drawn.items()]
    if as_json:
        facts = {"name": name, "shape": data.shape, "classes": data.classes, "counts": counts}
        typer.echo(json.dumps(facts | {"fingerprint": data.fingerprint, "figures": [str(f) for f in files]}, indent=2))
        return
    from .tables import print_table

    typer.echo(repr(data))
    rows = [(k, label, *(f"{counts[split][k]:,}" for split in counts)) for k, label in enumerate(data.classes)]
    print_table(("label", "class", *counts), rows, numbers=("label", *counts))
    typer.echo(f"pictures: {files[0]}\ncounts:   {files[1]}")
