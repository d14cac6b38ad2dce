"""Training as a person follows it: a bar on a terminal, plain lines elsewhere.

In: events. Out: text on stderr. It changes nothing.
"""

from __future__ import annotations

import sys
import time
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .report.visible import visible
from .studies.events import RunBegun, RunFinished
from .training.events import (
    Compared,
    Decoding,
    Embedding,
    Ended,
    EpochEnded,
    EpochTimed,
    Event,
    HeadFitted,
    Planned,
    Started,
    ThreadsChosen,
    Warned,
)
from .training.events import Progress as ProgressEvent

_MOMENT = 0.5  # seconds
_QUIET_SECONDS = 10  # without a terminal, long epochs get a line this often


class Report:
    """What a person reads meanwhile: lines, and on a terminal a bar below them."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.spoke = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(visible(text))
        self.spoke = time.monotonic()

    def open_bar(self, status: str = "") -> None:
        """Show a bar, where there is a terminal."""
        self.spoke = time.monotonic()
        if self.console.is_terminal:
            columns = (
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[status]}"),
            )
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.start()
            self.console.show_cursor(True)  # a second Ctrl-C leaves no time to bring it back
            self.task = self.bar.add_task("", total=1.0, status=status)

    def move_bar(self, progress: float, *, status: str, line: str) -> None:
        """Show how far it is: in the bar, or in a line now and then."""
        if self.bar:
            self.bar.update(self.task, completed=progress, status=status)
        elif time.monotonic() - self.spoke >= _QUIET_SECONDS:
            self.say(line)

    def close_bar(self) -> None:
        """Let go of the terminal."""
        if self.bar:
            self.bar.stop()
            self.bar = None


class ProgressReport(Report):
    """A listener that shows loss, accuracy, pictures per second and the time left."""

    epochs: int | None = None
    updates: int | None = None
    reading: ReadingReport | None = None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Planned():
                smaller = ", with smaller pictures at first" if event.recipe.get("resolution") else ""
                self.say(
                    f"{event.network}: about {event.epochs:.1f} epochs in this time, "
                    f"at {event.rate / 1e9:,.0f} GFLOP/s{smaller}"
                )
            case Started():
                self.epochs, self.updates = event.epochs, event.updates
                self.say(start_text(event))
                self.open_bar()
            case ProgressEvent():
                text = progress_text(event, self.epochs, self.updates)
                self.move_bar(event.progress, status=text, line=text)
            case Embedding():
                self.show_features(event)
            case Decoding():
                self.show_decoding(event)
            case EpochEnded():
                self.say(epoch_text(event.row, self.epochs, self.updates))
            case Ended():
                self.close_bar()
                if self.reading is not None:
                    self.reading.close_bar()
                if event.status == "complete":
                    self.say(f"done in {duration(event.seconds)} ({event.reason})")
            case _:
                if text := line_text(event):
                    self.say(text)

    def show_decoding(self, event: Decoding) -> None:
        """Show how far the decoding of photos is."""
        if self.reading is None:
            self.reading = ReadingReport(self.console.file)
        self.reading(event.done, event.total, event.doing)

    def show_features(self, event: Embedding) -> None:
        """Show how far a pretrained network is with the pictures."""
        if event.done == 0:
            what = "mirror images" if event.mirror else "pictures"
            self.say(f"{event.network}: features of {event.total:,} {what}; they are kept for the next time")
            self.open_bar()
        text = f"{event.done:,} of {event.total:,} pictures, {event.rate:,.0f} a second"
        text += f", {duration(event.seconds_left)} left"
        self.move_bar(event.done / event.total, status=text, line=text)
        if event.done == event.total:
            self.close_bar()


class ReadingReport(Report):
    """Shows how far the decoding of photos is; nothing where it takes no longer than a moment."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__(stream)
        self.began: float | None = None

    def __call__(self, done: int, total: int, doing: str) -> None:
        """Show one more picture."""
        now = time.monotonic()
        if self.began is None:
            self.began = now
            self.told = False
        if not self.told and now - self.began > _MOMENT:
            self.told = True
            self.say(doing)
            self.open_bar()
        if self.told:
            left = duration((now - self.began) / max(done, 1) * (total - done))
            text = f"{done:,} of {total:,} photos, {left} left"
            self.move_bar(done / total, status=text, line=text)
        if done == total:
            self.close_bar()
            self.began = None


class DownloadReport(Report):
    """Shows how far a download is; called with the file, the bytes that are there, and of how many."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__(stream)
        self.file, self.start, self.began = "", 0, 0.0

    def __call__(self, file: str, done: int, total: int | None) -> None:
        """Show some more bytes."""
        now = time.monotonic()
        if file != self.file or done < self.start:
            self.close_bar()
            size = f" ({_megabytes(total)})" if total else ""
            self.say(f"{file}{size}" + (f": going on after {_megabytes(done)}" if done else ""))
            self.file, self.start, self.began = file, done, now
            self.open_bar()
        rate = (done - self.start) / max(now - self.began, 1e-3)
        text = f"{_megabytes(done)}, {rate / 1e6:,.1f} MB/s"
        if total and rate:
            text += f", {duration((total - done) / rate)} left"
        self.move_bar(done / total if total else 0.0, status=text, line=f"{file}: {text}")
        if done == total:
            self.close_bar()


class PictureReport(Report):
    """Shows how far a network is with pictures; called with how many are done, of how many, and how many before."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__(stream)
        self.began, self.opened = time.monotonic(), False

    def __call__(self, done: int, total: int, before: int = 0) -> None:
        """Show some more pictures."""
        if not self.opened:  # without a terminal there is never a bar, and opening it again would put off the next line
            self.open_bar()
            self.opened = True
        if done == before:
            self.say(f"going on after {done:,} of {total:,} pictures")
            return
        rate = (done - before) / max(time.monotonic() - self.began, 1e-3)
        text = f"{done:,} of {total:,} pictures, {rate:,.0f} a second, {duration((total - done) / rate)} left"
        self.move_bar(done / total, status=text, line=text)


class StudyReport(Report):
    """A listener that shows a line for each run of a study with the time left; within a run a bar, or lines."""

    run = ""

    def __call__(self, event: Event | RunBegun | RunFinished) -> None:
        """Show one event."""
        match event:
            case RunBegun():
                place = f"{event.number:>{len(str(event.total))}} of {event.total}"
                self.run = f"run {place}  {event.label}, seed {event.seed}"
                self.open_bar(self.run)
            case ProgressEvent():
                left = duration(event.seconds_left)
                line = f"{self.run}: {100 * event.progress:.0f} %, {left} left of this run"
                self.move_bar(event.progress, status=self.run, line=line)
            case Warned():
                self.say(f"warning: {event.message}")
            case Ended():
                self.close_bar()
            case RunFinished():
                self.close_bar()
                self.say(f"{self.run}: {result_text(event)}")
            case _:
                pass


def start_text(event: Started) -> str:
    """Return the line with which a training begins."""
    return (
        f"{event.network}, {event.examples:,} training pictures, {_length(event)}, "
        f"{event.device}, {event.precision}" + (f"; going on at step {event.step:,}" if event.step else "")
    )


def result_text(event: RunFinished) -> str:
    """Return what came of one run of a study, and the time left for the others."""
    result = event.result
    left = f"; about {duration(event.seconds_left)} left" if event.seconds_left else ""
    return f"train {result.train_accuracy:.4f}, test {result.test_accuracy:.4f}, {duration(result.seconds)}{left}"


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


def line_text(event: Event) -> str:
    """Return the line of an event that has one always; "" of others."""
    match event:
        case HeadFitted():
            return head_text(event)
        case EpochTimed():
            return epochs_text(event)
        case Compared():
            return compared_text(event)
        case ThreadsChosen():
            return f"threads: {event.threads} of {event.available} ({event.reason})"
        case Warned():
            return f"warning: {event.message}"
        case _:
            return ""


def head_text(event: HeadFitted) -> str:
    """Return what cross-validation found, in a line."""
    mirrored = ", mirror images too" if event.mirror else ""
    return (
        f"accuracy {event.estimate:.4f} [{event.low:.4f}, {event.high:.4f}] by cross-validation on "
        f"{event.examples:,} pictures (strength {event.strength:g}{mirrored})" + folds_text(event.folds)
    )


def epochs_text(event: EpochTimed) -> str:
    """Return how long an epoch will take, and how many there will be."""
    many = f"{event.epochs:,.0f}" if event.epochs >= 10 else f"{round(event.epochs, 1):g}"
    return (
        f"tuning: an epoch takes about {duration(event.upper)} while the upper layers learn, then "
        f"{duration(event.whole)}; {many} epoch{'' if many == '1' else 's'} in {duration(event.seconds)}"
    )


def compared_text(event: Compared) -> str:
    """Return which of a probe and a tuned network is better, and how good both are."""
    what = "balanced accuracy" if event.balanced else "accuracy"
    kept = "the tuned network is kept" if event.kept == "tuned" else "the probe is kept"
    return f"{what} on {event.examples:,} validation pictures: probe {event.probe:.4f}, tuned {event.tuned:.4f}; {kept}"


def folds_text(folds: dict[str, Any] | None) -> str:
    """Return how much the accuracies of folds differ, to be added to a line; "" where no folds were asked for."""
    if not folds:
        return ""
    low, high = folds["interval"]
    return (
        f"; over {len(folds['accuracies'])} folds {folds['mean']:.4f} ± {folds['deviation']:.4f}, "
        f"mean within [{low:.4f}, {high:.4f}]"
    )


def _place(epoch: int, epochs: int | None, step: int, updates: int | None) -> str:
    if updates is not None:
        return f"update {step:>{len(f'{updates:,}')},}/{updates:,}"
    return f"epoch {epoch}" if epochs is None else f"epoch {epoch:>{len(str(epochs))}}/{epochs}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> [duration(s) for s in (4.26, 75, 7384)]
    ['4.3 s', '1 min 15 s', '2 h 3 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
