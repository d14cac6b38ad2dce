"""`eyesight study`: what a choice does to the result, measured side by side over several seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .arguments import given, parse_setting
from .say import say

if TYPE_CHECKING:
    from ..studies.study import Study

Option = typer.Option

_OF_RESUME = {"resume", "data_dir", "as_json", "as_markdown"}


def study(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Which study.", show_default="list them")] = None,
    data: Annotated[str | None, typer.Argument(help="digits, mnist, fashion-mnist, cifar10 or cifar100.", show_default="the study's own")] = None,
    full: Annotated[bool, Option("--full", help="All training pictures, and the time that takes.")] = False,
    seeds: Annotated[int | None, Option(min=1, max=100, help="How often each way of training is repeated.", show_default="3 or 5")] = None,
    settings: Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="A setting of all runs: recipe.optimizer=sgd.")] = None,
    data_dir: Annotated[Path | None, Option(help="Folder with the datasets.", show_default="$EYESIGHT_DATA")] = None,
    output: Annotated[Path | None, Option("--output", "-o", help="Folder of the study.", show_default="studies/NAME")] = None,
    threads: Annotated[int | None, Option(min=1, max=1024, help="CPU threads.", show_default="all cores")] = None,
    resume: Annotated[Path | None, Option(help="Go on with this study, as it was defined; a complete one is shown.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, Option("--markdown", help="Print Markdown.")] = False,
) -> None:  # fmt: skip
    """Compare ways of training over several seeds; without a name, list the studies. The same command goes on with one."""
    if as_json and as_markdown:
        raise UsageError("--markdown: expected one of --json and --markdown; received: both")
    if name is None and resume is None:
        if options := given(context):
            raise UsageError(f"{options[0]}: name the study that it is for, such as: eyesight study regularization")
        show_studies()
        return
    if resume is not None and (others := given(context, but=_OF_RESUME)):
        raise UsageError(f"{others[0]}: --resume goes on with a study as it was defined; leave it out")
    pairs = dict(parse_setting(setting) for setting in settings or ())
    from .. import api

    done = api.study(
        name, data, full=full, seeds=seeds, settings=pairs, data_dir=data_dir, output=output, threads=threads,
        resume=resume,
    )  # fmt: skip
    show(done, as_json=as_json, as_markdown=as_markdown)


def show_studies() -> None:
    """Print the studies, with what they take."""
    from ..studies.kinds import STUDIES
    from .tables import print_table

    rows = []
    for name, kind in STUDIES.items():
        sizes = zip(kind.datasets, kind.seeds, kind.minutes, strict=True)
        rows.append((name, kind.about, *(f"{data} ×{seeds}: {minutes:g} min" for data, seeds, minutes in sizes)))
    print_table(("study", "compares", "by default", "with --full"), rows)
    say("data ×seeds: about how long on two cores; with --full estimated", err=True)


def show(done: Study, *, as_json: bool, as_markdown: bool) -> None:
    """Print the results of a study."""
    if as_json:
        say(json.dumps(done.to_json(), indent=2))
    elif as_markdown:
        say(done.markdown(), nl=False)
    else:
        from ..studies.table import caption
        from .tables import print_table

        say(f"{caption(done.record)}\n")
        headings, *rows = done.table()
        print_table(headings, rows, numbers=headings[1:], unbroken=headings[:1])
        say("\n" + "\n".join(done.conclusion) + "\n")
        for note in done.notes:
            say(f"note: {note}")
    say(f"figure: {done.figure}", err=True)
