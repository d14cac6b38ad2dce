"""How many CPU threads a training computes with: a number, recorded choices, or whichever is faster now.

In: what was asked for, and how long updates take. Out: torch's number of threads before each update, and every choice,
recorded before it is used. It does not know the network.

Torch's threads wait for each other by spinning. With other programs running, two of them can be 15 times slower than
one; on an idle machine they are faster. So the first updates are made with one thread, the next with all, and the rest
with what was faster. Sums of numbers depend on the threads, so the same choices give the same weights, and others
weights that agree within rounding: `--resume` and a run's config.yaml take what was recorded.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ..device import set_threads
from ..errors import FormatError
from ..formats import append_line, begin_record, read_record
from ..models.torch_network import Network
from ..run import RunFolder
from .events import Event, ThreadsChosen, Warned
from .job import Job
from .state import TrainState

THREADS_FORMAT, THREADS_VERSION = "eyesight-threads", 1

WORTH = 1.1  # so many times as fast must all threads be: below, the power and the other programs' time are wasted
_DISTURBED = 1.5  # so many times as slow as one thread, all are only where other programs use the processor
_SLOWER = 2.0  # updates that take so many times as long as when the threads were chosen: another look
_WATCHED = 0.25  # seconds of updates in every such comparison, at least
_SMALL = 250e6  # operations: updates of fewer take about 3 ms, of which a second thread saves little
_LOOK, _LOOK_SHARE = 0.1, 0.01  # seconds that updates are timed for with each number; at most this share of a budget
_RATE = 30e9  # operations a second, about: the number of updates is the same whatever the machine does meanwhile
_FEWEST, _MOST = 3, 50  # updates that are timed
_RARELY = 20.0  # times the length of a look must pass before the next


class Choice(NamedTuple):
    """So many threads from an update on.

    Attributes:
        step: the update, counted from 0.
        threads: their number.
        seconds: that an update took with them, when they were chosen; None as long as they are being tried.
    """

    step: int
    threads: int
    seconds: float | None


class Threads:
    """Torch's number of threads before each update.

    Args:
        choices: made before, or asked for: taken first.
        candidates: numbers to choose from, one thread first; none to go by `choices` alone.
        updates: that are timed with each.
        path: where choices are recorded.
        tell: called when one has been made.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        candidates: tuple[int, ...] = (),
        *,
        updates: int = 0,
        path: Path | None = None,
        tell: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.choices, self.candidates = list(choices), candidates
        self._updates, self._path, self._tell = updates, path, tell
        self._next: tuple[int, float | None] | None = None  # to be recorded and used before the next update
        self._times: list[float] = []  # seconds of the updates with the threads at hand
        self._one: float | None = None  # seconds of an update with one thread
        self._looking, self._since = 0.0, math.inf  # seconds: of the last look, and of the updates since
        if path is not None:
            begin_record(path, self.choices, name=THREADS_FORMAT, version=THREADS_VERSION)
        if not self.choices:
            # of one candidate there is nothing to try
            self._next = (candidates[0], None if len(candidates) > 1 else 0.0)

    def set(self, step: int) -> None:
        """Let torch have the threads of update `step`, and of what follows it."""
        count = self.candidates[0] if not self.choices else self.choices[0].threads
        for choice in self.choices:
            if choice.step <= step:
                count = choice.threads
        if torch.get_num_threads() != count:
            set_threads(count)

    def before(self, step: int) -> None:
        """Let torch have the threads for update `step`; a new choice is recorded first."""
        if self._next is not None and (not self.choices or step > self.choices[-1].step):
            choice, self._next = Choice(step, *self._next), None
            if self._path is not None:
                append_line(self._path, json.dumps(choice).encode())
            self.choices.append(choice)
        self.set(step)

    def after(self, step: int, seconds: float) -> None:
        """Take in how long update `step` took, and choose where that says enough."""
        if len(self.candidates) < 2 or step < self.choices[-1].step:  # what was recorded comes first
            return
        self._times.append(seconds)
        if self.choices[-1].seconds is None:
            self._try()
        else:
            self._watch(self.choices[-1].seconds)

    def _try(self) -> None:
        """Go on when enough updates have been timed; all threads are given up as soon as they can't win any more."""
        timed, threads = self._times[1:], self.choices[-1].threads  # the first prepares kernels
        lost = threads != 1 and self._one is not None and sum(timed) > self._one * self._updates
        if len(timed) < self._updates and not lost:
            return
        self._looking += sum(self._times)
        mean, self._times = sum(timed) / len(timed), []
        if threads == self.candidates[0]:
            self._one, self._next = mean, (self.candidates[1], None)
        elif self._one is None:  # a look that an interruption cut in two
            self._next = (self.candidates[0], None)
        else:
            self._choose(self._one, mean)

    def _choose(self, one: float, several: float) -> None:
        count = self.candidates[1]
        if several * WORTH < one:
            self._next, reason = (count, several), f"{one / several:.1f} times as fast as one"
        elif several > _DISTURBED * one:
            self._next = (1, one)
            reason = f"other programs use the processor: with {count}, updates take {several / one:.1f} times as long"
        else:
            self._next, reason = (1, one), f"{count} are hardly faster"
        self._tell(ThreadsChosen(self.choices[-1].step, self._next[0], count, reason))
        self._one, self._since = None, 0.0

    def _watch(self, chosen: float) -> None:
        """Look again where updates have become much slower, but not all the time."""
        if len(self._times) < self._updates or sum(self._times) < _WATCHED:
            return
        mean = sum(self._times) / len(self._times)
        self._since += sum(self._times)
        self._times = []
        if mean > _SLOWER * chosen and self._since >= _RARELY * self._looking:
            self._next, self._looking = (self.candidates[0], None), 0.0

    def until(self, step: int) -> list[Choice]:
        """Return the choices that the first `step` updates were made with."""
        return [choice for choice in self.choices if choice.step < step]

    def schedule(self) -> int | tuple[tuple[int, int], ...]:
        """Return what to ask for to have the same threads again: a number, or (step, number) of every change."""
        changes = [
            (choice.step, choice.threads)
            for earlier, choice in itertools.pairwise((Choice(0, 0, None), *self.choices))
            if choice.threads != earlier.threads
        ]
        return changes[0][1] if len(changes) == 1 else tuple(changes)


def prepare_threads(job: Job, state: TrainState, run: RunFolder, tell: Callable[[Event], None]) -> Threads:
    """Return the threads of a training that begins, or goes on from a state."""
    asked = job.config.machine.threads
    if isinstance(asked, int):
        return Threads([Choice(0, asked, 0.0)])
    if not isinstance(asked, str):
        return Threads([Choice(step, count, 0.0) for step, count in asked])
    choices = parse_choices(state.threads)
    try:
        later = [choice for choice in read_choices(run.threads_file) if choice.step >= state.step]
    except FormatError as error:  # the state holds what it was made with; only choices since then are lost
        tell(Warned(str(error)))
        later = []
    work = update_flops(job, state.network)
    candidates: tuple[int, ...] = (1, job.available_threads)
    if job.device.type != "cpu":
        candidates = (job.available_threads,)
    elif job.available_threads == 1 or (work is not None and work < _SMALL):
        candidates = (1,)
    flops = min(_LOOK, job.recipe.budget * _LOOK_SHARE if job.recipe.budget else math.inf) * _RATE
    updates = _FEWEST if work is None else min(max(math.ceil(flops / work), _FEWEST), _MOST)
    return Threads([*choices, *later], candidates, updates=updates, path=run.threads_file, tell=tell)


def update_flops(job: Job, network: nn.Module) -> int | None:
    """Return the operations of an update, backward counted as twice forward; None for a user's module."""
    return 3 * network.spec.flops() * job.recipe.batch_size if isinstance(network, Network) else None


def read_choices(path: Path) -> list[Choice]:
    """Return the recorded choices; none where nothing was recorded. A last line that was cut off is left out.

    Raises:
        FormatError: not a record, or of a newer version.
    """
    try:
        return parse_choices(read_record(path, name=THREADS_FORMAT, version=THREADS_VERSION))
    except (ValueError, TypeError, RecursionError):
        raise FormatError(f"{path}: expected a line [update, threads, seconds] for each choice of threads") from None


def parse_choices(rows: Sequence[Any]) -> list[Choice]:
    """Return choices from plain data.

    Raises:
        ValueError, TypeError: they are none.
    """
    choices = [
        Choice(int(step), int(threads), None if seconds is None else float(seconds)) for step, threads, seconds in rows
    ]
    rising = all(a.step < b.step for a, b in itertools.pairwise((Choice(-1, 1, None), *choices)))
    if not rising or not all(1 <= choice.threads <= 1024 for choice in choices):
        raise ValueError(rows)
    return choices
