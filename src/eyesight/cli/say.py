"""Writing to the terminal.

In: text with names of files and classes in it. Out: the same text on stdout or stderr, of which nothing is obeyed.
"""

from __future__ import annotations

import typer

from ..report.visible import visible


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text; with `err` to stderr, without `nl` without a line break at its end."""
    typer.echo(visible(str(text)), err=err, nl=nl)
