"""`eyesight predict`: name what is in pictures."""

from __future__ import annotations

import csv
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import PictureError, UsageError

if TYPE_CHECKING:
    from ..predictor import Answers


def predict(
    model: Annotated[
        Path,
        typer.Argument(
            help="A run's folder, a model file (.safetensors or .onnx), or efficientnet-lite0, -lite1, -lite2: the thousand classes of ImageNet."
        ),
    ],
    pictures: Annotated[list[str], typer.Argument(help="Files, folders, patterns; - reads one picture from stdin.")],
    top: Annotated[int, typer.Option(min=1, help="Classes to give for each picture.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a line for each picture and class.")] = False,
) -> None:
    """Classify pictures of any size and kind. Those that cannot be read are reported and skipped; the exit code is 1 then."""
    if as_json and as_csv:
        raise UsageError("--json, --csv: choose one")
    from .. import api
    from ..pictures.sources import picture_files

    paths = [path for item in pictures for path in ([item] if item == "-" else picture_files([item]))]
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        predictor = api.load_model(model)
    for note in notes:
        typer.echo(f"eyesight: {note.message}", err=True)
    inputs = [sys.stdin.buffer.read() if path == "-" else path for path in paths]  # stdin last: it may be a terminal
    failed: list[PictureError] = []

    def skip(error: PictureError) -> None:
        failed.append(error)
        typer.echo(f"eyesight: skipped: {error}", err=True)

    results = predictor.predict(inputs, top=top, on_error=skip)
    if as_json:
        typer.echo(json.dumps([result.to_json() for result in results], indent=2, ensure_ascii=False))
    elif as_csv:
        write_csv(results)
    elif results:
        write_table(results)
    if failed:
        typer.echo(f"eyesight: error: {len(failed)} of {len(inputs)} pictures could not be read", err=True)
        raise typer.Exit(1)


def write_table(results: Answers) -> None:
    """Print a line for each picture: its name, and each class with its probability."""
    from .tables import print_table

    rows = [(r.source, *(text for name, p in r.top for text in (name, f"{p:.4f}"))) for r in results]
    count = len(results[0].top)
    columns = ["picture", *(text for k in range(1, count + 1) for text in (f"class {k}", f"p{k}"))]
    print_table(columns, rows, numbers=[f"p{k}" for k in range(1, count + 1)], whole=True)


def write_csv(results: Answers) -> None:
    """Print source, rank, label and probability."""
    writer = csv.writer(sys.stdout)
    writer.writerow(("source", "rank", "label", "probability"))
    for result in results:
        for rank, (name, probability) in enumerate(result.top, start=1):
            writer.writerow((result.source, rank, name, f"{probability:.6f}"))
