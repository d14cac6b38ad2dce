"""One sitting of a training: the loop with its clock, from a state to the end or to an interruption.

In: a job, a state, a run that is held. Out: the run, complete, interrupted or failed. Starting a run and going on with
one come here once everything has been checked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import torch._dynamo  # noqa: F401 # the first optimizer would import it, in the time of a training by the clock

from ..device import repeatable
from ..run import RunFolder
from .clock import BudgetClock, Clock, StepClock
from .event_file import EventFile
from .events import Control, Listener
from .job import Job
from .loop import Loop, fit
from .state import TrainState


def train_on(
    job: Job,
    state: TrainState,
    run: RunFolder,
    control: Control,
    listeners: Sequence[Listener],
    checkpoint_every: float | None,
    record: Sequence[float],
    *,
    since: float = 0.0,
    kind: Callable[..., Loop] = Loop,
) -> None:
    """Train to the end, or to an interruption.

    Args:
        job, state, run, control, listeners, checkpoint_every: see `Loop`.
        record: progress that was recorded before.
        since: seconds of a budget that were used before the first update.
        kind: the loop.
    """
    clock: Clock
    if job.total_steps is not None:
        clock = StepClock(job.total_steps, seconds=state.seconds)
    else:
        assert job.recipe.budget is not None  # the recipe has the one or the other
        clock = BudgetClock(job.recipe.budget, seconds=state.seconds, path=run.clock_file, values=record, since=since)
    with contextlib.closing(clock), repeatable(job.device, job.config.machine.deterministic):
        fit(
            kind(
                job,
                state,
                run,
                listeners=(*listeners, EventFile(run)),  # last: where the disk is full, the others are still told
                control=control,
                clock=clock,
                checkpoint_every=checkpoint_every,
            )
        )
