"""`eyesight predict`: name what is in pictures."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import EyesightError, PictureError, UsageError
from .say import say

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
    top: Annotated[
        int | None, typer.Option(min=1, help="Classes to give for each picture.", show_default="3; 1 in a file")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Say unsure where the largest probability is below, such as 0.8.", show_default="never"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: a line for each picture and class.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a .csv, .jsonl or .parquet file, for any number of pictures. Interrupted, the same command goes on.",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="With --output: a column for each class too.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --output.")] = False,
) -> None:
    """Classify pictures of any size and kind. Those that cannot be read are reported and skipped; the exit code is 1 then."""
    if as_json and as_csv:
        raise UsageError("--json, --csv: choose one")
    if threshold is not None and (as_csv or output is not None):
        raise UsageError("--threshold: not for tables, which have the probability itself")
    if output is not None:
        if as_json or as_csv:
            raise UsageError("--output: its ending says what it is, without --json or --csv")
        write_file(model, pictures, output, top=top or 1, probabilities=probabilities, overwrite=overwrite)
        return
    if probabilities or overwrite:
        raise UsageError(f"{'--probabilities' if probabilities else '--overwrite'}: only with --output")
    from .. import api
    from ..pictures.sources import picture_files

    paths = [path for item in pictures for path in ([item] if item == "-" else picture_files([item]))]
    with telling_warnings():
        predictor = api.load_model(model)
    inputs = [sys.stdin.buffer.read() if path == "-" else path for path in paths]  # stdin last: it may be a terminal
    failed: list[PictureError] = []

    def skip(error: PictureError) -> None:
        failed.append(error)
        say(f"eyesight: skipped: {error}", err=True)

    results = predictor.predict(inputs, top=top or 3, threshold=threshold, on_error=skip)
    if as_json:
        say(json.dumps([result.to_json() for result in results], indent=2, ensure_ascii=False))
    elif as_csv:
        write_csv(results)
    elif results:
        write_table(results)
    if failed:
        say(f"eyesight: error: {len(failed)} of {len(inputs)} pictures could not be read", err=True)
        raise typer.Exit(1)


@contextlib.contextmanager
def telling_warnings() -> Iterator[None]:
    """Print a line for each warning inside."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        yield
    for note in notes:
        say(f"eyesight: {note.message}", err=True)


def write_file(
    model: Path, pictures: list[str], output: Path, *, top: int, probabilities: bool, overwrite: bool
) -> None:
    """Write a row for each picture to a file."""
    if "-" in pictures:
        raise UsageError("expected files and folders with --output; received: -", field="pictures")
    from .. import api
    from ..progress import PictureReport
    from ..report.document import count

    report = PictureReport()
    try:
        with telling_warnings():
            found = api.predict_files(
                model, pictures, output, top=top, probabilities=probabilities, overwrite=overwrite, progress=report
            )
    finally:
        report.close_bar()
    for path, reason in found.reasons.items():
        say(f"eyesight: no answer: {path}: {reason}", err=True)
    say(f"{count(found.pictures, 'picture')}: {found.path}")
    if found.errors:
        raise EyesightError(f"{found.errors:,} of {found.pictures:,} pictures could not be read")


def write_table(results: Answers) -> None:
    """Print a line for each picture: its name, and each class with its probability; the first as unsure where it is."""
    from .tables import print_table

    rows = []
    for r in results:
        names = [f"unsure ({r.label})" if r.unsure else r.label, *(name for name, _ in r.top[1:])]
        rows.append(
            (r.source, *(text for name, (_, p) in zip(names, r.top, strict=True) for text in (name, f"{p:.4f}")))
        )
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
