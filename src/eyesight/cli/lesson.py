"""`eyesight lesson`: what a convolutional network does, computed and drawn with the reader's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import UnknownNameError, UsageError
from .arguments import parse_size

if TYPE_CHECKING:
    from ..report.document import Lesson

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
    given = {name: value for name, value in asked.items() if value is not None}
    from ..lessons.topics import LESSONS, SYNONYMS

    if topic is None:
        if given:
            option = next(iter(given))
            raise UsageError(f"--{option}: name the topic that it is for, such as: eyesight lesson convolution")
        show_topics()
        return
    topic = SYNONYMS.get(topic, topic)
    if topic != "all" and topic not in LESSONS:
        raise UnknownNameError("lesson", topic, [*LESSONS, *SYNONYMS, "all"])
    several = topic == "all"
    topics = list(LESSONS) if several else [topic]
    if several and (foreign := [name for name in given if name not in ("model", "picture")]):
        raise UsageError(f"--{foreign[0]}: all takes only --model and --picture, for the lessons on networks")
    # all are read before anything is told or trained
    arguments = {name: read(name, given if not several else _of_topic(name, given)) for name in topics}
    single = output.suffix.lower() == ".png" and not several
    for name in topics:
        if several:
            typer.echo()
        show(
            LESSONS.load(name)(**_with_subject(name, arguments[name])),
            output if single else output / f"lesson-{name}.png",
        )


def show_topics() -> None:
    """Print a line for each topic, in reading order."""
    from ..lessons.topics import LINES
    from .tables import print_table

    print_table(("topic", "what it shows"), LINES.items(), whole=True)
    typer.echo("next: eyesight lesson convolution, or: eyesight lesson all -o lessons")


def show(made: Lesson, path: Path) -> None:
    """Print a lesson, and save its sheet."""
    from rich.console import Console

    from ..report.drawing import save
    from ..report.sheet import sheet
    from ..report.terminal import text_lines

    console = Console(highlight=False)
    width = min(max(console.width, _NARROW), _WIDE)
    for line in text_lines(made, width):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    save(sheet(made), path)
    typer.echo(f"\nsheet: {path}")


def read(topic: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a topic's options stand for.

    Args:
        topic: a lesson's name.
        given: options and their text.

    Raises:
        UsageError: an option that belongs to another topic, or a value that is none.
    """
    readers = _readers()[topic]
    if others := [option for option in given if option not in readers]:
        takes = ", ".join(f"--{option}" for option in readers) or "none"
        raise UsageError(f"--{others[0]}: does not belong to the lesson {topic}, which takes {takes}")
    return {readers[option][0]: readers[option][1](value) for option, value in given.items()}


def _readers() -> dict[str, dict[str, tuple[str, Callable[[Any], Any]]]]:
    """Return for each topic its options: the argument that each stands for, and what reads it."""
    from ..lessons import reading

    picture = {"input": ("picture", reading.matrix)}
    kernel = {"kernel": ("kernel", reading.kernel)}
    network: dict[str, tuple[str, Callable[[Any], Any]]] = {"model": ("model", Path), "picture": ("picture", Path)}
    stride, size = {"stride": ("stride", int)}, {"size": ("size", int)}
    return {
        "picture": {"input": ("planes", reading.planes)},
        "parameters": {"input": ("shape", parse_size), "units": ("units", int), "filters": ("filters", int), **size},
        "convolution": {**picture, **kernel, **stride, "padding": ("padding", str)},
        "output-size": {"input": ("picture", lambda text: parse_size(text)[:2]), **size, **stride},
        "relu": {"input": ("values", reading.matrix)},
        "pooling": {**picture, **size, **stride},
        "shift": {**picture, **kernel, **size},
        "flatten": {"input": ("planes", reading.planes)},
        "softmax": {"input": ("logits", reading.row)},
        "channels": {
            "input": ("planes", reading.planes),
            "kernel": ("kernels", reading.kernels),
            "weights": ("weights", lambda text: reading.matrix(text, option="--weights")),
        },
        "padding": {**picture, **kernel},
        "batch": {"input": ("pictures", reading.planes)},
        "dropout": {"input": ("values", reading.row), "rate": ("rate", float)},
        "filters": network,
        "position": network,
        "layers": network,
        "network": {"model": ("model", str), "input": ("input", parse_size)},
        "architectures": {},
    }


def _of_topic(topic: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options of `all` that a topic takes."""
    return {option: value for option, value in given.items() if option in _readers()[topic]}


def _with_subject(topic: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return a topic's arguments with the network that it is about, where it is about one."""
    from ..api.lesson_subjects import ON_NETWORKS, subject
    from ..api.networks import find_network

    if topic == "network":
        spec, classes = find_network(values.get("model", "lenet5"), input=values.get("input"))
        return {"spec": spec, "classes": classes}
    if topic not in ON_NETWORKS:
        return values
    named = {name: values.pop(name, None) for name in ("model", "picture", "rate")}
    return subject(topic, **named, say=_say) | values


def _say(text: str) -> None:
    typer.echo(text, err=True)
