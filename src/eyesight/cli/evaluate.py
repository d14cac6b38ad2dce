"""`eyesight evaluate`: judge a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ..api import Evaluation

_LARGEST_MATRIX = 12  # classes whose confusion matrix still fits a terminal


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    split: Annotated[str | None, typer.Option(help="test, validation or train.", show_default="test")] = None,
    weights: Annotated[Literal["kept", "last"], typer.Option(help="kept or last: they differ where the best epoch was not the last.")] = "kept",
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the datasets.", show_default="$EYESIGHT_DATA, else where they were")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:  # fmt: skip
    """Judge a run on pictures it has not learned from; report, predictions and figures go into its folder."""
    from .. import api

    result = api.open_run(run).evaluate(split, data_dir=data_dir, weights=weights)
    if as_json:
        typer.echo(json.dumps(result.report.to_json(), indent=2))
    else:
        show(result)
    typer.echo(f"figures, predictions and report: {result.folder}", err=True)


def show(result: Evaluation) -> None:
    """Print the report as tables."""
    from ..evaluation.judge import number
    from .tables import print_table

    report = result.report
    print_table(("", ""), report.headline())
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo()
    rows = [(c.label, number(c.precision), number(c.recall), number(c.f1), f"{c.support:,}") for c in report.per_class]
    columns = ("class", "precision", "recall", "F1", "support")
    print_table(columns, rows, numbers=columns[1:])
    if len(report.per_class) <= _LARGEST_MATRIX:
        typer.echo("\nconfusion matrix: a row for each true class, a column for each predicted one")
        names = [c.label for c in report.per_class]
        numbers = [str(k) for k in range(len(names))]
        matrix = [
            (f"{k} {name}", *row) for k, (name, row) in enumerate(zip(names, report.confusion_matrix, strict=True))
        ]
        print_table(("", *numbers), matrix, numbers=numbers)
    if confusions := report.confusions():
        typer.echo("\nmost frequent confusions")
        print_table(("class", "taken for", "times"), [(a, b, f"{n:,}") for a, b, n in confusions], numbers=("times",))
    if report.mistakes:
        typer.echo("\nsurest mistakes")
        mistakes = [(m.example, m.label, m.predicted, f"{m.probability:.4f}") for m in report.mistakes]
        print_table(("example", "class", "taken for", "probability"), mistakes, numbers=("probability",))
