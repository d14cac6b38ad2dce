"""`eyesight bench`: how fast a network trains and predicts on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..pictures.size import parse_size
from .say import say

if TYPE_CHECKING:
    from ..bench.report import BenchReport

Option = typer.Option

_BUSY = 0.5  # load average from which others take a noticeable part of a small machine
_LONGEST = 3600  # seconds for one setting
_LARGEST_BATCH, _MOST_THREADS = 1_000_000, 1024  # as in a configuration


def bench(
    network: Annotated[str, typer.Argument(help="A network's name, a run's folder, or a model file.")] = "small-cnn",
    size: Annotated[str | None, Option("--input", help="HEIGHTxWIDTHxCHANNELS of the pictures.", show_default="32x32x3")] = None,
    classes: Annotated[int | None, Option(min=1, help="Number of classes.", show_default="10")] = None,
    batch_sizes: Annotated[str, Option("--batch-sizes", "-b", help="Pictures at a time.")] = "1,32,256",
    seconds: Annotated[float, Option(help="Time to measure for each row of the table.")] = 1,
    devices: Annotated[str | None, Option(help="cpu, cuda:0, …", show_default="all of this machine")] = None,
    precisions: Annotated[str, Option(help="Of training: fp32, bf16; bf16 only where its results are right.")] = "fp32,bf16",
    threads: Annotated[str | None, Option(help="CPU threads: 1,2.", show_default="all cores")] = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    output: Annotated[Path | None, Option("--output", "-o", help="PNG file for a figure.")] = None,
) -> None:  # fmt: skip
    """Measure how many pictures a second a network trains and predicts, on every device and precision of this machine."""
    sizes = whole_numbers(batch_sizes, "--batch-sizes", most=_LARGEST_BATCH)
    counts = [] if threads is None else whole_numbers(threads, "--threads", most=_MOST_THREADS)
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"--seconds: expected more than 0 and at most {_LONGEST}; received: {seconds:g}")
    if output and (output.suffix.lower() != ".png" or output.is_dir()):
        raise UsageError(f"--output: expected the name of a .png file; received: {str(output)!r}")
    load = round(os.getloadavg()[0], 2)  # now: what follows is a load by itself
    from ..bench.measure import Bench
    from ..bench.report import report
    from ..bench.settings import check_devices, find_devices, plan

    name, shape, outputs = subject(network, size, classes)
    found, notes = find_devices()
    used = found if devices is None else check_devices(words(devices))
    settings, left_out = plan(used, precisions=words(precisions), threads=counts, batch_sizes=sizes)
    measured = Bench(name, shape=shape, classes=outputs, settings=settings, seconds=seconds)
    if load > _BUSY:
        notes.append(f"load {load} before measuring: other programs were running, so the numbers mean little")
    try:
        measured.run(lambda line: say(line, err=True))
    finally:  # also after Ctrl-C: what there is so far
        result = report(measured, found=found, notes=notes + left_out, load=load)
        if any(row.rounds for row in result.results) or result.complete:
            show(result, as_json=as_json, output=output)


def words(text: str) -> list[str]:
    """Return what stands between commas, each once.

    >>> words("fp32, bf16,fp32")
    ['fp32', 'bf16']
    """
    return list(dict.fromkeys(word.strip() for word in text.split(",")))


def whole_numbers(text: str, option: str, *, most: int) -> list[int]:
    """Return the numbers between commas, each once and in the order given."""
    found = words(text)
    for word in found:
        if not (word.isascii() and word.isdigit() and len(word) < 10 and 1 <= int(word) <= most):
            raise UsageError(f"{option}: expected whole numbers from 1 to {most:,}, such as 1,32; received: {word!r}")
    return list(dict.fromkeys(map(int, found)))


def subject(network: str, size: str | None, classes: int | None) -> tuple[str, tuple[int, int, int], int]:
    """Return name, picture size (H, W, C) and classes of what is to be measured; a file or run has its own."""
    from ..models import NETWORKS, network_spec
    from ..models.network import NetworkSpec

    if network in NETWORKS or not Path(network).exists():
        shape, outputs = parse_size(size or "32x32x3"), classes or 10
        network_spec(network, shape=shape, classes=outputs)  # says what is wrong before anything else happens
        return network, shape, outputs
    if size is not None or classes is not None:
        option = "--classes" if size is None else "--input"
        raise UsageError(f"{option}: {network} has its own; leave it out")
    from .. import api

    spec = api.load_classifier(network).spec
    if not isinstance(spec, NetworkSpec):
        raise UsageError(f"{network}: its network is {spec.name}, not eyesight's; only eyesight's can be measured")
    channels, *plane = spec.input
    shape = (plane[0], plane[1], channels)
    if spec.name not in NETWORKS or network_spec(spec.name, shape=shape, classes=spec.classes).whole != spec.whole:
        raise UsageError(f"{network}: its network is no longer what {spec.name!r} stands for, which would be measured")
    return spec.name, shape, spec.classes


def show(report: BenchReport, *, as_json: bool, output: Path | None) -> None:
    """Print the report as JSON or as a table with its conclusion, and draw it."""
    if as_json:
        say(json.dumps(report.to_json(), indent=2))
    else:
        show_table(report)
    if output:
        from ..bench.figure import throughput
        from ..report.drawing import save

        say(f"figure: {save(throughput(report), output)}", err=True)


def show_table(report: BenchReport) -> None:
    """Print machine, table, notes and conclusion."""
    from ..bench.report import number, ratio
    from .tables import print_table

    height, width, channels = report.input
    machine = report.machine
    say(
        f"{report.network}, input {width}x{height}x{channels}, {report.classes:,} classes, {report.parameters:,} parameters"
    )
    for name, model in machine["devices"].items():
        say(f"{name}: {model}" + (f", {machine['cores']} cores" if name == "cpu" else ""))
    say(f"torch {machine['packages']['torch']}, load before measuring {machine['load']}\n")
    rows = []
    for result in report.results:
        setting = result.setting
        rates = [result.problem or "not measured", ""]
        if result.rate is not None and result.quartiles is not None:
            rates = [number(result.rate), "–".join(map(number, result.quartiles))]
        speed_up = ratio(result.speed_up) if result.speed_up else ""
        place = (setting.task, f"{setting.batch_size:,}", setting.device, setting.precision, setting.threads or "")
        rows.append((*place, *rates, speed_up))
    columns = ("task", "batch", "device", "precision", "threads", "pictures/s", "quartiles", "speed-up")
    print_table(columns, rows, numbers=("batch", "threads", "pictures/s", "quartiles", "speed-up"))
    if report.reference:
        say(f"speed-up: against {report.reference}, at the same batch size")
    for note in report.notes:
        say(f"note: {note}")
    say("\n" + "\n".join(report.conclusion))
