"""`eyesight bundle`: a classifier for a machine without the internet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .say import say


def bundle(
    source: Annotated[str, typer.Argument(help="A run's folder, a model file, or the name of a pretrained network.")],
    output: Annotated[Path, typer.Argument(help="The folder to write; it must not exist.")],
) -> None:
    """Write a folder that predicts and serves on a machine without the internet: the model, wheels without torch, and a program that installs them."""
    from ..api.bundling import bundle as make_bundle
    from .export import size

    made = make_bundle(source, output, say=lambda text: say(text, err=True))
    say(f"wrote {made.path} ({size(made.size)}, {made.wheels} wheels); there: sh {made.path.name}/install.sh")
