"""`eyesight export`: a classifier as a file that answers as it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .say import say

if TYPE_CHECKING:
    from ..api.exporting import Export


def export(
    source: Annotated[str, typer.Argument(help="A run's folder, a model file, or the name of a pretrained network.")],
    format: Annotated[str, typer.Option(help="onnx, web (one HTML page that runs the network by itself), keras (weights), labels (class names for other programs) or card (a description).")] = "onnx",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file.", show_default="in RUN/export")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Of onnx: whole numbers of 8 bits; refused where that loses accuracy or gains no speed.")] = False,
    max_drop: Annotated[float | None, typer.Option(help="With --int8: points of accuracy that it may lose.", show_default="0.2")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of web: the page says unsure where the largest probability is below.", show_default="never")] = None,
    examples: Annotated[int, typer.Option(help="Of web: how many of the pictures it is proven on the page offers to its readers.")] = 0,
    pictures: Annotated[list[str] | None, typer.Option(help="Pictures to prove it on: a file or folder; may be repeated.", show_default="held-out ones of the run's data")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the classifier, to stand in the file.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with the datasets, or the photos.", show_default="$EYESIGHT_DATA, else where they were")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:  # fmt: skip
    """Write a classifier as one file that answers as it does: for other programs, another machine, a page. Before anything is written, the same pictures go through both."""
    from ..api.exporting import export_model

    options: dict[str, Any] = {"int8": True} if int8 else {}
    if max_drop is not None:
        options["max_drop"] = max_drop
    if threshold is not None:
        options["threshold"] = threshold
    if examples:
        options["examples"] = examples
    made = export_model(
        source, output, format=format, pictures=pictures or (), data_dir=data_dir, licence=licence, overwrite=overwrite,
        **options,
    )  # fmt: skip
    if as_json:
        say(json.dumps(made.to_json(), indent=2, ensure_ascii=False))
    else:
        show(made)


def show(made: Export) -> None:
    """Print the certificate as a table, and the files."""
    from .tables import print_table

    if made.certificate:
        columns = ("answers from", "largest difference", "same class")
        print_table(columns, made.certificate.rows(), numbers=columns[1:])
        say(f"\ncompared with the classifier on {made.certificate.source}")
    if made.quantized:
        say()
        print_table(("", "float32", "int8"), made.quantized.rows(), numbers=("float32", "int8"))
    for path in made.files:
        say(f"wrote {path} ({size(path.stat().st_size)})")


def size(count: int) -> str:
    """Return a number of bytes in words.

    >>> size(512), size(18_551_834)
    ('512 bytes', '18.6 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
