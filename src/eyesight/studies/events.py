"""What happens during a study, as typed events, beside those of its runs.

In: nothing. Out: event types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..training.events import Event

if TYPE_CHECKING:
    from .folder import RunResult  # which loads torch; who shows the progress of predictions has none


@dataclass(frozen=True)
class RunBegun:
    """A run of the study begins, or is gone on with.

    Attributes:
        number, total: which of how many.
        label, seed: of its arm, and its own.
    """

    number: int
    total: int
    label: str
    seed: int


@dataclass(frozen=True)
class RunFinished:
    """A run of the study has been trained and judged.

    Attributes:
        result: its figures.
        seconds_left: of the whole study, estimated from the runs so far.
    """

    result: RunResult
    seconds_left: float


Listener = Callable[[Event | RunBegun | RunFinished], None]
