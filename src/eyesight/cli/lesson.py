"""`eyesight lesson`: what a convolutional network does, computed and drawn with the reader's own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import UsageError
from .say import say

if TYPE_CHECKING:
    from ..api.lessons import LessonSheet

Option = typer.Option

_NARROW, _WIDE = 60, 120  # columns of text


def lesson(
    topic: Annotated[str | None, typer.Argument(help="What to explain, or all.", show_default="list the topics")] = None,
    numbers: Annotated[str | None, Option("--input", metavar="NUMBERS", help="Rows parted by ;, channels by |: '1 2; 3 4 | 5 6; 7 8'. parameters, output-size, network: 200x200x3.")] = None,
    kernel: Annotated[str | None, Option(metavar="NUMBERS", help="Rows parted by ;, channels by |; or a name, see eyesight convolve.")] = None,
    stride: Annotated[int | None, Option(min=1, max=4096, help="Pixels from one window to the next.")] = None,
    padding: Annotated[Literal["valid", "same"] | None, Option(help="valid, or same: zeros around the picture.")] = None,
    size: Annotated[int | None, Option(min=1, max=255, help="Side of the window, or of the kernel whose numbers don't matter.")] = None,
    units: Annotated[int | None, Option(min=1, max=1 << 20, help="parameters: neurons of the dense layer.", show_default="64")] = None,
    filters: Annotated[int | None, Option(min=1, max=1 << 20, help="parameters: filters of the convolutional layer.", show_default="32")] = None,
    weights: Annotated[str | None, Option(metavar="NUMBERS", help="channels: two rows for the dense layer, dog and no dog.")] = None,
    rate: Annotated[float | None, Option(min=0, max=0.99, help="dropout: share that is left out.", show_default="0.5")] = None,
    model: Annotated[Path | None, Option(help="layers, filters, position, network: a run's folder or a model file; network: also a name.", show_default="trains a small one; network: lenet5")] = None,
    picture: Annotated[Path | None, Option(help="layers, filters, position: a picture to follow through the network.", show_default="the first test picture")] = None,
    output: Annotated[Path, Option("--output", "-o", help="Folder for the sheets, or a .png for one.", show_default="./lesson-TOPIC.png")] = Path(),
) -> None:  # fmt: skip
    """Explain a topic step by step with real numbers, in the terminal and on a sheet (PNG); without a topic, list them."""
    asked = {"input": numbers, "kernel": kernel, "stride": stride, "padding": padding, "size": size, "units": units,
             "filters": filters, "weights": weights, "rate": rate, "model": model, "picture": picture}  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if topic is None:
        if given:
            raise UsageError(
                "name the topic that it is for, such as: eyesight lesson convolution", field=next(iter(given))
            )
        show_topics()
        return
    from .. import api
    from ..lessons.reading import options_of
    from ..lessons.topics import LESSONS, find_topic

    if topic != "all":
        path = output if output.suffix.lower() == ".png" else output / f"lesson-{find_topic(topic, 'all')}.png"
        show(api.lesson(topic, output=path, **given))
        return
    if foreign := [name for name in given if name not in ("model", "picture")]:
        raise UsageError("all takes only --model and --picture, for the lessons on networks", field=foreign[0])
    for name in LESSONS:
        say()
        options = {option: value for option, value in given.items() if option in options_of(name)}
        show(api.lesson(name, output=output / f"lesson-{name}.png", **options))


def show_topics() -> None:
    """Print a line for each topic, in reading order."""
    from ..lessons.topics import LINES
    from .tables import print_table

    print_table(("topic", "what it shows"), LINES.items(), whole=True)
    say("next: eyesight lesson convolution, or: eyesight lesson all -o lessons")


def show(made: LessonSheet) -> None:
    """Print a lesson, in colour where the terminal has it, and where its sheet is."""
    from rich.console import Console

    from ..report.terminal import text_lines

    console = Console(highlight=False)
    width = min(max(console.width, _NARROW), _WIDE)
    for line in text_lines(made.lesson, width):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    say(f"\nsheet: {made.path}")
