"""The `eyesight` program: its commands, and what becomes of errors.

In: argv. Out: an exit code: 0, 1 failure, 2 usage, 130 or 143 interrupted. Every error is one line on stderr; with
--debug the traceback as well. Importing this loads neither torch nor NumPy, so that --help answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..errors import EyesightError, InterruptedRun
from ..report.visible import visible
from . import (
    bench,
    bundle,
    convolve,
    data,
    embed,
    evaluate,
    export,
    lesson,
    predict,
    presets,
    runs,
    serve,
    study,
    summary,
    train,
    tutorial,
)
from .arguments import Command
from .say import say
from .streams import ClosedStdout, prepare_streams

app = typer.Typer(
    name="eyesight",
    help="Pictures in, a judged and usable image classifier out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", cls=Command)(train.train)
app.command("presets", cls=Command)(presets.presets)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("predict", cls=Command)(predict.predict)
app.command("embed", cls=Command)(embed.embed)
app.command("export", cls=Command)(export.export)
app.command("bundle", cls=Command)(bundle.bundle)
app.command("serve", cls=Command)(serve.serve)
app.command("runs", cls=Command)(runs.runs)
app.command("summary", cls=Command)(summary.summary)
app.command("study", cls=Command)(study.study)
app.command("bench", cls=Command)(bench.bench)
app.command("convolve", cls=Command)(convolve.convolve)
app.command("lesson", cls=Command)(lesson.lesson)
app.command("tutorial", cls=Command)(tutorial.tutorial)
app.add_typer(data.app, name="data")

# Typer brings its own copy of click; only these two of its exceptions are public, and they lead to their base.
_UsageProblem = typer.BadParameter.__mro__[1]


def _version(asked: bool) -> None:
    if asked:
        say(f"eyesight {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
) -> None:
    """Take the options before the command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    prepare_streams()
    try:
        code = int(app(arguments, prog_name="eyesight", standalone_mode=False) or 0)
        if code == 130:  # typer has turned Ctrl-C into it
            print("eyesight: error: interrupted", file=sys.stderr)
        sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
        if isinstance(sys.stdout, ClosedStdout):
            sys.stdout.check()
        return code
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError):
            _drop_output()
        if type(error).__name__ == "NoArgsIsHelpError":  # a command that wants another word shows its help
            print(str(error), file=sys.stderr)
            return 2
        message, code = explain(error)
        if message:
            print(visible(f"eyesight: error: {message}"), file=sys.stderr)
        return code


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line and the exit code for an error; an empty line says nothing."""
    if isinstance(error, EyesightError | InterruptedRun):
        return one_line(str(error)), error.exit_code
    if isinstance(error, _UsageProblem):
        text = one_line(getattr(error, "format_message", error.__str__)())
        return text.replace("Value error, ", "").replace("Input should", "should"), 2
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted", 130
    if isinstance(error, BrokenPipeError):
        return "", 1  # whoever read the output has gone
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        reason = "no space left on the disk" if error.errno == errno.ENOSPC else (error.strerror or str(error)).lower()
        return f"{place}{reason}", 1
    if isinstance(error, MemoryError):
        return "out of memory", 1
    if (
        isinstance(error, ModuleNotFoundError)
        and (package := (error.name or "eyesight").partition(".")[0]) != "eyesight"
    ):
        return f"this needs the package {package}, which is not installed", 1
    return (
        f"{one_line(str(error)) or type(error).__name__} (a fault in eyesight: run again with --debug and report it)",
        1,
    )


def _drop_output() -> None:
    """Let what stdout could not take go nowhere, so that Python does not try, and complain, once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(text: str) -> str:
    """Return the text without line breaks."""
    return " ".join(text.split())
