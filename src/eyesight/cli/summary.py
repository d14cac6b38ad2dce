"""`eyesight summary`: a network's layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..pictures.size import parse_size


def summary(
    network: Annotated[str, typer.Argument(help="A network's name, a run's folder, or a model file.")],
    size: Annotated[str, typer.Option("--input", help="HEIGHTxWIDTHxCHANNELS of the pictures.")] = "32x32x3",
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a network's layers with output shapes (height, width, channels) and parameters."""
    from ..models import NETWORKS, network_spec
    from ..models.summary import summarise

    if network not in NETWORKS and Path(network).exists():
        from .. import api
        from ..models.network import NetworkSpec

        spec = api.load_classifier(network).spec
        if not isinstance(spec, NetworkSpec):
            raise UsageError(f"{network}: its network is {spec.name}, whose layers only its own code knows")
    else:
        spec = network_spec(network, shape=parse_size(size), classes=classes)
    result = summarise(spec)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2))
        return
    from .tables import print_table

    rows = [(row.layer, row.kind, row.output, f"{row.parameters:,}") for row in result.rows]
    typer.echo(f"{result.network}, input {result.input}")
    print_table(("layer", "kind", "output shape", "parameters"), rows, numbers=("parameters",))
    typer.echo(f"total: {result.parameters:,} parameters, {result.flops / 1e6:,.1f} million operations a picture")
