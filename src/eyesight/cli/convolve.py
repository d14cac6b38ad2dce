"""`eyesight convolve`: kernels over a photo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..lessons.convolve import Convolved


def convolve(
    photo: Annotated[str | None, typer.Argument(help="A picture file of any size.", show_default="a photo of a pagoda, cut to 302x403")] = None,
    kernels: Annotated[list[str] | None, typer.Option("--kernel", "-k", help="A name (see --list), such as edge or blur7; a text, CSV or .npy file; or numbers: '1 0 -1; 2 0 -2; 1 0 -1'. Repeat it for several.", show_default="edge")] = None,
    color: Annotated[bool, typer.Option("--color/--grey", help="Each channel by itself, or the photo made grey.")] = False,
    padding: Annotated[Literal["valid", "same"], typer.Option(help="valid stays inside the photo; same puts zeros around it.")] = "valid",
    stride: Annotated[int, typer.Option(min=1, help="Pixels from one window to the next.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of random kernels.")] = 0,
    scale: Annotated[Literal["auto", "clip", "min-max"], typer.Option(help="What is black and white: clip 0 and 255, min-max the smallest and largest result, auto clips where the kernel's sum is 0 or 1.")] = "auto",
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG to write, in place of an older one.")] = Path("convolve.png"),
    npy: Annotated[Path | None, typer.Option(help="File for the raw numbers; with several kernels NAME.npy becomes NAME-KERNEL.npy.")] = None,
    list_kernels: Annotated[bool, typer.Option("--list", help="List the kernels that have names.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Slide kernels over a photo, as a convolutional layer does, and draw what comes out."""
    if list_kernels:
        if photo is not None or kernels:
            raise UsageError("--list: takes no photo and no --kernel")
        show_kernels(seed, as_json)
        return
    from ..lessons import convolve as lesson

    done = lesson.convolve(photo, kernels or [lesson.DEFAULT_KERNEL], color=color, padding=padding, stride=stride,
                           seed=seed, scale=scale, sheet=output, npy=npy)  # fmt: skip
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=2, ensure_ascii=False))
    else:
        show(done)


def show(done: Convolved) -> None:
    """Print what each kernel did, and where the results are."""
    from ..lessons.convolution import by
    from ..lessons.convolve import brightness, number
    from .tables import print_table

    kind = "color" if done.photo.pixels.shape[2] == 3 else "grey"
    typer.echo(f"{done.photo.name}, {by(done.photo.shape)}, {kind}; padding {done.padding}, stride {done.stride}")
    rows = [
        (r.kernel.name, by(r.kernel.shape), by(r.shape), f"{r.kernel.parameters:,}", number(r.kernel.sum),
         brightness(r.kernel), " to ".join(r.numbers[:2]), r.shown)
        for r in done.results
    ]  # fmt: skip
    columns = ("kernel", "size", "result", "parameters", "sum", "brightness", "numbers", "on the sheet")
    print_table(columns, rows, numbers=("parameters", "sum"))
    if done.hint:
        typer.echo(f"hint: {done.hint}")
    for result in done.results:
        if result.file:
            typer.echo(f"numbers: {result.file}")
    typer.echo(f"sheet: {done.sheet}")


def show_kernels(seed: int, as_json: bool) -> None:
    """Print the kernels that have names, with their numbers as --kernel takes them."""
    from ..lessons.convolve import brightness, number
    from ..lessons.kernels import all_kernels, spell
    from .tables import print_table

    kernels = all_kernels(seed=seed)
    if as_json:
        rows = [{"name": k.name, "values": k.values.tolist(), "sum": k.sum, "about": k.about} for k in kernels]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = [(k.name, number(k.sum), brightness(k), spell(k.values), k.about) for k in kernels]
    print_table(("kernel", "sum", "brightness", "numbers", "shows"), table, numbers=("sum",), whole=True)
    typer.echo("blur, gaussian and random take any odd size: blur7, gaussian15, random5")
