"""Whether `--threads auto` keeps up with the best fixed number, on an idle machine and beside a busy one.

    python benchmarks/threads.py --data-dir DATA [--data mnist] [--model lenet5] [--updates 1000] [--rounds 3]

Trains a network for so many updates with one thread, with all, and with `auto`, one after the other and several times
over; then the same beside a process that never rests. Prints the median of the seconds from the first update to the
saved model with their range, and the ratio of `auto` to the best fixed number: it should be at most 1.3.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

import eyesight
import machine
from eyesight.training.events import Ended, Event, ThreadsChosen

GOAL = 1.3


@contextlib.contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """Have another process use the processor inside this context."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def train(data: eyesight.Dataset, threads: int | str, arguments: argparse.Namespace) -> tuple[float, str]:
    """Train once; return the seconds, and what was said of the threads."""
    seconds, said = [], []

    def listen(event: Event) -> None:
        if isinstance(event, Ended):
            seconds.append(event.seconds)
        if isinstance(event, ThreadsChosen):
            said.append(f"{event.threads} from update {event.step} ({event.reason})")

    with tempfile.TemporaryDirectory() as folder:
        eyesight.train(
            data, model=arguments.model, updates=arguments.updates, batch_size=arguments.batch_size, threads=threads,
            output=Path(folder) / "run", progress=False, listeners=[listen],
        )  # fmt: skip
    return seconds[0], "; ".join(said)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    machine.announce()
    data = eyesight.load_data(arguments.data, data_dir=arguments.data_dir, validation=0)
    every = torch.get_num_threads()
    if every == 1:
        print("torch has one thread here: nothing to choose", file=sys.stderr)
        return 1
    sides: tuple[int | str, ...] = (1, every, "auto")
    print(f"{arguments.model}, {arguments.data}, {arguments.updates} updates of {arguments.batch_size} pictures")
    print("| other programs | threads | seconds (median, range, n) | auto to the best fixed |\n|---|---|---:|---:|")
    missed = False
    for busy in (False, True):
        times: dict[int | str, list[float]] = {side: [] for side in sides}
        with busy_process(busy):
            for _ in range(arguments.rounds):
                for side in sides:
                    taken, said = train(data, side, arguments)
                    times[side].append(taken)
                    if said:
                        print(f"auto: {said}", file=sys.stderr)
        medians = {side: statistics.median(values) for side, values in times.items()}
        ratio = medians["auto"] / min(medians[1], medians[every])
        missed = missed or ratio > GOAL
        for side, values in times.items():
            figures = f"{medians[side]:.1f} ({min(values):.1f} to {max(values):.1f}, {len(values)})"
            last = f"{ratio:.2f}" if side == "auto" else ""
            print(f"| {'one busy process' if busy else 'none'} | {side} | {figures} | {last} |", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
