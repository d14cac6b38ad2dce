"""How far a training is: counted in updates, or by the clock.

In: updates done and seconds used. Out: progress from 0 to 1; at 1 the training is over. A training by the clock
records each value before it is used: going on after a crash, and repeating a run, take the recorded values first, and
so come to the same weights. This progress is the only clock that schedules, averages and picture sizes may follow: one
that counted updates or looked at the time itself would not repeat.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import FormatError
from ..formats import begin_record, read_record

CLOCK_FORMAT, CLOCK_VERSION = "eyesight-clock", 1


class StepClock:
    """Progress counted in updates.

    Args:
        total: updates in the whole training.
        seconds: used before now, over all sittings.
    """

    def __init__(self, total: int, *, seconds: float) -> None:
        self.total = total
        self._origin = time.perf_counter() - seconds

    def seconds(self) -> float:
        """Return the seconds used so far; pauses between sittings are left out."""
        return time.perf_counter() - self._origin

    def progress(self, step: int, *, reserve: float) -> float:  # noqa: ARG002 - of the other clock
        """Return the progress before update `step`, counted from 0."""
        return step / self.total

    def at(self, step: int) -> float:
        """Return the progress before an update that has been made."""
        return step / self.total

    def realised(self, step: int) -> list[float]:  # noqa: ARG002 - of the other clock
        """Return what must be saved of the clock: nothing."""
        return []

    def close(self) -> None:
        """Do nothing."""


class BudgetClock:
    """Progress measured in seconds of a budget.

    Args:
        budget: seconds.
        seconds: used before now, over all sittings.
        path: the run's record, a JSON line for every value.
        values: what was recorded before, to be taken first.
        since: seconds of the budget that were used before the first update, from which progress counts.
    """

    def __init__(
        self, budget: float, *, seconds: float, path: Path, values: Sequence[float] = (), since: float = 0.0
    ) -> None:
        self.budget, self.since = budget, since
        self._origin = time.perf_counter() - seconds
        self._values = list(values)
        self._path = path
        begin_record(path, self._values, name=CLOCK_FORMAT, version=CLOCK_VERSION)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def seconds(self) -> float:
        """Return the seconds used so far; pauses between sittings, and what a crash made anew, are left out."""
        return time.perf_counter() - self._origin

    def progress(self, step: int, *, reserve: float) -> float:
        """Return the progress before update `step`, and record it.

        Args:
            step: counted from 0.
            reserve: seconds to keep for the last validation and for saving the model.
        """
        usable = max(self.budget - reserve - self.since, 1e-9)
        if step < len(self._values):
            value = self._values[step]
            if step == len(self._values) - 1 and value < 1:  # the clock goes on from the last recorded moment
                self._origin = time.perf_counter() - self.since - value * usable
            return value
        earlier = self._values[-1] if self._values else 0.0
        used = self.seconds() - self.since
        value = 0.0 if step == 0 else min(max(earlier, used / usable), 1.0)  # one update at least; never back
        self._record(value)
        return value

    def _record(self, value: float) -> None:
        line = f"{value!r}\n".encode()
        try:
            if os.write(self._file, line) < len(line):  # as on a disk that has just become full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            error.filename = str(self._path)
            raise
        self._values.append(value)

    def at(self, step: int) -> float:
        """Return the progress before an update that has been made."""
        return self._values[step]

    def realised(self, step: int) -> list[float]:
        """Return the progress before each of the first `step` updates."""
        return self._values[:step]

    def close(self) -> None:
        """Let go of the record."""
        os.close(self._file)


Clock = StepClock | BudgetClock


def read_progress(path: Path) -> list[float]:
    """Return the recorded values; none where nothing was recorded. A last line that was cut off is left out.

    Raises:
        FormatError: not a record, or of a newer version.
    """
    try:
        values = read_record(path, name=CLOCK_FORMAT, version=CLOCK_VERSION)
        numbers = [float(value) for value in values]
        if not all(a <= b for a, b in itertools.pairwise((0.0, *numbers, 1.0))):  # false for NaN too
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise FormatError(f"{path}: expected progress that rises from 0 to 1, a line for each update") from None
    return numbers
