"""`eyesight convolve`: kernels over a photo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import UsageError
from .say import say


def convolve(
    photo: Annotated[str | None, typer.Argument(help="A picture file of any size.", show_default="a photo of a pagoda, cut to 302x403")] = None,
    kernels: Annotated[list[str] | None, typer.Option("--kernel", "-k", help="A name (see --list), such as edge or blur7; a text, CSV or .npy file; or numbers: '1 0 -1; 2 0 -2; 1 0 -1'. Repeat it for several.", show_default="edge")] = None,
    color: Annotated[bool, typer.Option("--color/--grey", help="Each channel by itself, or the photo made grey.")] = False,
    padding: Annotated[Literal["valid", "same"], typer.Option(help="valid stays inside the photo; same puts zeros around it.")] = "valid",
    stride: Annotated[int, typer.Option(min=1, help="Pixels from one window to the next.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of random kernels.")] = 0,
    scale: Annotated[Literal["auto", "clip", "min-max", "signed"], typer.Option(help="What is black and white: clip 0 and 255; min-max the smallest and largest result; signed shows 0 white, above it orange, below it blue; auto clips where the kernel's sum is 0 or 1.")] = "auto",
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG to write, in place of an older one.", show_default="./convolve.png")] = Path("convolve.png"),
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
    from .. import api

    done = api.convolve(photo, kernels or "edge", color=color, padding=padding, stride=stride, seed=seed, scale=scale,
                        output=output, npy=npy)  # fmt: skip
    say(json.dumps(done.to_json(), indent=2, ensure_ascii=False) if as_json else done.text)


def show_kernels(seed: int, as_json: bool) -> None:
    """Print the kernels that have names, with their numbers as --kernel takes them."""
    from ..lessons.convolve_words import brightness, number
    from ..lessons.kernels import all_kernels, spell
    from ..report.terminal import align_columns

    kernels = all_kernels(seed=seed)
    if as_json:
        values = [{"name": k.name, "values": k.values.tolist(), "sum": k.sum, "about": k.about} for k in kernels]
        say(json.dumps(values, indent=2))
        return
    rows = []
    for kernel in kernels:
        rows.append((kernel.name, number(kernel.sum), f"{kernel.about}; {brightness(kernel)}"))
        rows.append(("", "", spell(kernel.values)))
    say("\n".join(align_columns(("kernel", "sum", "what it shows, and its numbers"), rows, numbers=("sum",), width=80)))
    say("edge, blur, gaussian and random take any odd size: edge5, blur7, gaussian15")
