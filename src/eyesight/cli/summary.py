"""`eyesight summary`: a network's layers, as a table and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..pictures.size import parse_size
from .say import say

_INPUT, _CLASSES = "32x32x3", 10


def summary(
    network: Annotated[str, typer.Argument(help="A network's name, a run's folder, or a model file.")],
    input: Annotated[str | None, typer.Option(help="HEIGHTxWIDTHxCHANNELS of the pictures.", show_default=_INPUT)] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Number of classes.", show_default=str(_CLASSES))] = None,
    diagram: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the network too: an .svg or .png.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Print a network's layers with output shapes (height, width, channels) and parameters."""
    from ..api.networks import find_network
    from ..models import NETWORKS
    from ..models.diagram import diagram as draw
    from ..models.summary import summarise

    shape = parse_size(input) if input else None
    if network in NETWORKS or not Path(network).exists():
        shape, classes = shape or parse_size(_INPUT), classes or _CLASSES
    spec, names = find_network(network, input=shape, classes=classes)
    if diagram is not None:
        draw(spec, classes=names).save(diagram)
    result = summarise(spec)
    if as_json:
        say(json.dumps(result.to_json(), indent=2))
    else:
        from .tables import print_table

        rows = [(row.layer, row.kind, row.output, f"{row.parameters:,}") for row in result.rows]
        say(f"{result.network}, input {result.input}")
        print_table(("layer", "kind", "output shape", "parameters"), rows, numbers=("parameters",))
        say(f"total: {result.parameters:,} parameters, {result.flops / 1e6:,.1f} million operations a picture")
    if diagram is not None:
        say(f"diagram: {diagram}", err=True)
