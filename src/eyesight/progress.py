"""Training as a person follows it: a bar on a terminal, plain lines elsewhere.

In: events. Out: text on stderr. It changes nothing.
"""

from __future__ import annotations

import sys
import time
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .studies.events import RunBegun, RunFinished
from .training.events import Ended, EpochEnded, Event, Planned, Started, ThreadsChosen, Warned
from .training.events import Progress as ProgressEvent

_QUIET_SECONDS = 10  # without a terminal, long epochs get a line this often


class ProgressReport:
    """A listener that shows loss, accuracy, pictures per second and the time left."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.epochs: int | None = None
        self.updates: int | None = None
        self.spoke = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Planned():
                smaller = ", with smaller pictures at first" if event.recipe.get("resolution") else ""
                self.console.print(
                    f"{event.network}: about {event.epochs:.1f} epochs in this time, "
                    f"at {event.rate / 1e9:,.0f} GFLOP/s{smaller}"
                )
            case Started():
                self._start(event)
            case ProgressEvent():
                text = progress_text(event, self.epochs, self.updates)
                if self.bar:
                    self.bar.update(self.task, completed=event.progress, status=text)
                elif time.monotonic() - self.spoke >= _QUIET_SECONDS:
                    self._say(text)
            case EpochEnded():
                self._say(epoch_text(event.row, self.epochs, self.updates))
            case ThreadsChosen():
                self.console.print(f"threads: {event.threads} of {event.available} ({event.reason})")
            case Warned():
                self.console.print(f"warning: {event.message}")
            case Ended():
                self._end(event)
            case _:
                pass

    def _say(self, text: str) -> None:
        self.console.print(text)
        self.spoke = time.monotonic()

    def _start(self, event: Started) -> None:
        self.epochs, self.updates = event.epochs, event.updates
        self.console.print(
            f"{event.network}, {event.examples:,} training pictures, {_length(event)}, "
            f"{event.device}, {event.precision}" + (f"; going on at step {event.step:,}" if event.step else "")
        )
        if self.console.is_terminal:
            columns = (
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[status]}"),
            )
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.start()
            self.console.show_cursor(True)  # a second Ctrl-C leaves no time to bring it back
            self.task = self.bar.add_task("", total=1.0, status="")

    def _end(self, event: Ended) -> None:
        if self.bar:
            self.bar.stop()
        if event.status == "complete":
            self.console.print(f"done in {duration(event.seconds)} ({event.reason})")


class StudyReport:
    """A listener that shows a line for each run of a study with the time left; within a run a bar, or lines."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.run = ""
        self.spoke = time.monotonic()

    def __call__(self, event: Event | RunBegun | RunFinished) -> None:
        """Show one event."""
        match event:
            case RunBegun():
                self._begin(event)
            case ProgressEvent():
                self._go_on(event)
            case Warned():
                self.console.print(f"warning: {event.message}")
            case Ended():
                self._close()
            case RunFinished():
                self._finish(event)
            case _:
                pass

    def _begin(self, event: RunBegun) -> None:
        place = f"{event.number:>{len(str(event.total))}} of {event.total}"
        self.run = f"run {place}  {event.label}, seed {event.seed}"
        self.spoke = time.monotonic()
        if self.console.is_terminal:
            columns = (BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f} %"), TextColumn(self.run))
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.start()
            self.console.show_cursor(True)  # a second Ctrl-C leaves no time to bring it back
            self.task = self.bar.add_task("", total=1.0)

    def _go_on(self, event: ProgressEvent) -> None:
        if self.bar:
            self.bar.update(self.task, completed=event.progress)
        elif time.monotonic() - self.spoke >= _QUIET_SECONDS:
            left = duration(event.seconds_left)
            self.console.print(f"{self.run}: {100 * event.progress:.0f} %, {left} left of this run")
            self.spoke = time.monotonic()

    def _close(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None

    def _finish(self, event: RunFinished) -> None:
        self._close()
        result = event.result
        left = f"; about {duration(event.seconds_left)} left" if event.seconds_left else ""
        self.console.print(
            f"{self.run}: train {result.train_accuracy:.4f}, test {result.test_accuracy:.4f}, "
            f"{duration(result.seconds)}{left}"
        )


def progress_text(event: ProgressEvent, epochs: int | None, updates: int | None = None) -> str:
    """Return what stands beside the bar."""
    return (
        f"{_place(event.epoch, epochs, event.step, updates)}  loss {event.loss:.4f}  accuracy {event.accuracy:.4f}  "
        f"{event.rate:,.0f} pictures/s  {duration(event.seconds_left)} left"
    )


def epoch_text(row: dict[str, Any], epochs: int | None, updates: int | None = None) -> str:
    """Return the line of one epoch, or of one look at the validation pictures in a training that counts updates."""
    text = (
        f"{_place(row['epoch'], epochs, row['step'], updates)}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"
    )
    if "val_loss" in row:
        text += f"  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"
    return f"{text}  {duration(row['seconds'])}"


def _length(event: Started) -> str:
    if event.updates is not None:
        return f"{event.updates:,} updates"
    many = "" if event.epochs == 1 else "s"
    length = f"{event.epochs} epoch{many}" if event.budget is None else f"{duration(event.budget)}, epochs"
    return f"{length} of {event.steps_per_epoch:,} updates"


def _place(epoch: int, epochs: int | None, step: int, updates: int | None) -> str:
    if updates is not None:
        return f"update {step:>{len(f'{updates:,}')},}/{updates:,}"
    return f"epoch {epoch}" if epochs is None else f"epoch {epoch:>{len(str(epochs))}}/{epochs}"


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> [duration(s) for s in (4.26, 75, 7384)]
    ['4.3 s', '1 min 15 s', '2 h 3 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
