"""`eyesight runs`: what has been trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import EyesightError, RunError
from .say import say

if TYPE_CHECKING:
    from ..run import RunFolder


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with updates, seed and start.")] = False,
) -> None:
    """List runs: data, network, how far, and how good."""
    from ..run import list_runs

    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; make a run with: eyesight train")
    rows = [row for run in list_runs(folder) if (row := describe(run))]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    if not rows:
        say(f"{folder}: no runs yet; make one with: eyesight train", err=True)
        return
    from .tables import print_table

    columns = ("run", "data", "model", "status", "trained", "validation", "test", "seconds")
    for row in rows:
        row["trained"] = length(row)
        row["seconds"] = row["seconds"] and f"{row['seconds']:,.1f}"
    table = [[show(row[column]) for column in columns] for row in rows]
    print_table(columns, table, numbers=("validation", "test", "seconds"), unbroken=("run",))


def describe(run: RunFolder) -> dict[str, Any] | None:
    """Return what there is to say of one run; one that cannot be read is told on stderr and left out."""
    try:
        about, metrics = run.about(), run.metrics()
        epochs = run.trained_epochs(metrics)
    except EyesightError as error:
        say(f"eyesight: skipped: {error}", err=True)
        return None
    kept: dict[str, Any] = next((row for row in metrics if row["epoch"] == about.get("kept_epoch")), {})
    honest = about.get("protocol") != "test-as-validation"  # there the figure is of the test set
    own = [r for r in run.reports() if r["model"] == about.get("model_checksum") and r["split"] == "test"]
    return {
        "run": str(run.path),
        "data": about.get("data"),
        "model": about.get("model"),
        "seed": about.get("seed"),
        "status": about.get("status"),
        "updates": metrics[-1]["step"] if metrics else 0,
        "method": about.get("method", "gradient"),
        "epochs": None if epochs is None else round(epochs[-1], 3) if epochs else 0.0,
        "validation": kept.get("val_accuracy", kept.get("oof_accuracy")) if honest else None,
        "test": own[-1]["accuracy"] if own else None,
        "seconds": metrics[-1]["seconds"] if metrics else None,
        "started": str(about.get("created", ""))[:16].replace("T", " "),
    }


def length(row: dict[str, Any]) -> str:
    """Return how much was trained, in words.

    >>> [length({"epochs": epochs, "updates": 40}) for epochs in (1.0, 2.5, None)]
    ['1 epoch', '2.5 epochs', '40 updates']
    """
    if row.get("method") == "probe":
        return "the last layer" if row["updates"] else "nothing yet"
    epochs = row["epochs"]
    if epochs is None:
        return f"{row['updates']:,} updates"
    return "1 epoch" if epochs == 1 else f"{round(epochs, 1):g} epochs"


def show(value: Any) -> str:
    """Return a cell's text."""
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
