"""`eyesight embed`: the features of pictures in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .say import say

_SHOWN = 5  # pictures that cannot be read, named one by one


def embed(
    pictures: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, patterns; before them perhaps a run on photos, whose pretrained network is taken."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file: .npy (with a .csv of the paths beside it) or .parquet.")
    ] = Path("features.npy"),
    backbone: Annotated[
        str | None, typer.Option(help="efficientnet-lite0, -lite1, -lite2.", show_default="efficientnet-lite0")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.", show_default="all")] = None,
) -> None:
    """Write what a pretrained network makes of pictures: a row of numbers for each, alike for pictures of like things. Those that cannot be read are left out and named; the exit code is 1 then."""
    from ..api.features import check_output
    from ..api.features import embed as compute
    from ..progress import PictureReport

    check_output(output)
    run = pictures[0] if (Path(pictures[0]) / "run.json").is_file() else None
    named = pictures[1:] if run else pictures
    if not named:
        raise UsageError(f"expected pictures after {run}", field="pictures")
    report = PictureReport()
    try:
        found = compute(named, backbone=backbone, run=run, threads=threads, progress=report)
    finally:
        report.close_bar()
    files = found.save(output)
    for path, reason in list(found.reasons.items())[:_SHOWN]:
        say(f"eyesight: skipped: {path}: {reason}", err=True)
    rows, width = found.features.shape
    say(f"{rows:,} pictures, {width:,} features each by {found.backbone}: {', '.join(map(str, files))}")
    if found.reasons:
        total = rows + len(found.reasons)
        say(f"eyesight: error: {len(found.reasons)} of {total} pictures could not be read", err=True)
        raise typer.Exit(1)
