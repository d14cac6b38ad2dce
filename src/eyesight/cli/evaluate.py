"""`eyesight evaluate`: judge a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .say import say

if TYPE_CHECKING:
    from ..evaluation.evaluate import Evaluation
    from ..evaluation.judge import Report

_LONGEST_NAME = 20  # letters of a class beside the confusion matrix; the table above it has the whole name


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    split: Annotated[str | None, typer.Option(help="test, validation or train.", show_default="test")] = None,
    weights: Annotated[Literal["kept", "last"], typer.Option(help="kept or last: they differ where the best epoch was not the last.")] = "kept",
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the datasets, or the photos.", show_default="$EYESIGHT_DATA, else where they were")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    show_figures: Annotated[bool, typer.Option("--open", help="Open the figures.")] = False,
) -> None:  # fmt: skip
    """Judge a run on pictures it has not learned from; report, predictions and figures go into its folder."""
    from .. import api

    result = api.open_run(run).evaluate(split, data_dir=data_dir, weights=weights)
    if as_json:
        say(json.dumps(result.report.to_json(), indent=2))
    else:
        show(result)
    if result.repeats:
        say("as before: the same classifier on the same pictures, with the same numbers", err=True)
    say(f"figures: {result.figures['confusion'].parent}", err=True)
    say(f"report and predictions: {result.folder}", err=True)
    if show_figures:
        from .opening import open_files

        open_files(result.figures[name] for name in ("confusion", "samples", "mistakes") if name in result.figures)


def show(result: Evaluation) -> None:
    """Print the report as tables."""
    from ..evaluation.judge import number
    from .tables import print_table

    report = result.report
    print_table(("", ""), report.headline())
    for line in (report.overfitting, *(f"note: {note}" for note in report.notes)):
        say(line) if line else None
    say()
    rows = [(c.label, number(c.precision), number(c.recall), number(c.f1), f"{c.support:,}") for c in report.per_class]
    columns = ("class", "precision", "recall", "F1", "support")
    print_table(columns, rows, numbers=columns[1:])
    show_confusion(report)
    if confusions := report.confusions():
        say("\nmost frequent confusions")
        print_table(("class", "taken for", "times"), [(a, b, f"{n:,}") for a, b, n in confusions], numbers=("times",))
    if report.mistakes:
        say("\nsurest mistakes")
        mistakes = [(m.example, m.label, m.predicted, f"{m.probability:.4f}") for m in report.mistakes]
        print_table(("example", "class", "taken for", "probability"), mistakes, numbers=("probability",))


def show_confusion(report: Report) -> None:
    """Print the confusion matrix where it fits; the figure has it in any case."""
    from .tables import print_table, table_width

    names = [f"{k} {' '.join(c.label.split())}" for k, c in enumerate(report.per_class)]
    names = [name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1].rstrip() + "…" for name in names]
    numbers = [str(k) for k in range(len(names))]
    widest = max(len(str(n)) for row in report.confusion_matrix for n in row)
    if max(map(len, names)) + len(names) * (max(widest, len(numbers[-1])) + 2) > table_width():
        return
    say("\nconfusion matrix: a row for each true class, a column for each predicted one")
    matrix = [(name, *row) for name, row in zip(names, report.confusion_matrix, strict=True)]
    print_table(("", *numbers), matrix, numbers=numbers)
