"""Starting a run and going on with one: everything around the loop.

In: a dataset, a configuration, a path. Out: a run folder that is complete, interrupted or failed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.dataset import Dataset
from ..device import repeatable
from ..environment import describe_environment
from ..errors import FormatError, RunError
from ..run import RunFolder
from . import checkpoint
from .checkpoint import Checkpoint
from .clock import BudgetClock, Clock, StepClock, begin_record, read_record
from .events import Control, Event, Listener, Progress, Warned, event_to_json
from .identity import Identity, differences, identity, load_changed
from .job import Job, prepare
from .loop import fit
from .recipe import Config, parse_config
from .signals import stop_on_signals
from .state import TrainState

_LOGGED_EVERY = 10.0  # seconds between the `Progress` lines in a run's event file


@contextlib.contextmanager
def _threads_restored() -> Iterator[None]:
    """Give torch its number of threads back, which a run may change."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@_threads_restored()
def start(
    data: Dataset,
    config: Config,
    create: Callable[[dict[str, Any]], RunFolder],
    *,
    module: nn.Module | None = None,
    listeners: Sequence[Listener] = (),
    checkpoint_every: float | None = None,
    began: float | None = None,
    record: Sequence[float] = (),
) -> RunFolder:
    """Train in a new run folder, which `create` makes once all checks have passed. See `eyesight.train`.

    Args:
        data, config, module, listeners: what to train on what and how, and who is told.
        create: makes the folder.
        checkpoint_every: seconds between saved states; see `Loop`.
        began: the `time.perf_counter()` from which a budget counts; now, where not given.
        record: progress before each update, of an earlier training by the clock that is to be repeated.
    """
    began = time.perf_counter() if began is None else began
    job, state = prepare(data, config, module)
    about = {"data": data.name, "protocol": data.protocol, "model": config.model.name, "seed": config.seed}
    with stop_on_signals() as control:
        run = create(about)
        with run.lock():
            _write_environment(run, job)
            if record:
                begin_record(run.clock_file, record)
            run.write_config(job.config.model_dump(mode="json"))  # last: with it, the run can be taken up
            state.seconds = time.perf_counter() - began
            _train(job, state, run, control, listeners, checkpoint_every, record)
    return run


@_threads_restored()
def resume(
    path: Path,
    load: Callable[[], Dataset],
    *,
    module: nn.Module | None = None,
    listeners: Sequence[Listener] = (),
    checkpoint_every: float | None = None,
    force: bool = False,
) -> RunFolder:
    """Go on with a run from its newest whole checkpoint, to the same weights as if it had never stopped.

    Without any checkpoint it starts over; a run that is complete is left as it is, and its data (`load`) is not looked
    at. Both are told to the listeners. With `force` it goes on although data, configuration or versions have changed,
    and the listeners are told what that loses.

    Raises:
        RunError: what the run was started with has changed, or another process trains in it.
    """
    run = RunFolder.open(path)
    if run.status == "complete":
        _tell(listeners, f"{path}: is complete already; nothing to do")
        return run
    if not run.has_config:
        raise RunError(f"{path}: stopped before it had begun; start it again, with --overwrite")
    config = parse_config(run.read_config(), f"{path}: config.yaml")
    with run.lock(), stop_on_signals() as control:
        job, state = prepare(load(), config, module)
        found, problems = checkpoint.newest(run.checkpoints_folder)
        for problem in problems:
            _tell(listeners, problem)
        record = _read_record(run, listeners)
        if found is None:
            _check_start(job, run, listeners, force=force)
            _tell(listeners, f"{path}: stopped before anything was saved; starting over")
            record = record if record[-1:] == [1.0] else []  # whole only where another run is repeated
        else:
            _take_up(job, state, found, run, listeners, force=force)
            if record[: state.step] != state.clock:
                record = state.clock
        _write_environment(run, job)
        run.update(status="running")
        run.write_metrics(state.history)
        _train(job, state, run, control, listeners, checkpoint_every, record)
    return run


def _read_record(run: RunFolder, listeners: Sequence[Listener]) -> list[float]:
    """Return what the run's clock recorded; the saved state holds most of it too, should the file be damaged."""
    try:
        return read_record(run.clock_file)
    except FormatError as error:
        _tell(listeners, str(error))
        return []


def _take_up(
    job: Job, state: TrainState, found: Checkpoint, run: RunFolder, listeners: Sequence[Listener], *, force: bool
) -> None:
    """Load a saved state, or refuse to; with `force`, what has changed is noted in the run."""
    now = identity(job)
    if changes := _changes(found.identity, now, run, force=force):
        lost = load_changed(state, found, job)
        run.update(forced=[*run.about().get("forced", []), *changes])
        for text in (*changes, *lost):
            _tell(listeners, f"--force: {text}")
        return
    state.load(found.arrays, found.facts, str(found.path))
    if found.identity["processor"] != now["processor"]:
        _tell(
            listeners,
            f"the processor was {found.identity['processor']} and is {now['processor']}: "
            "the weights will be those of an uninterrupted run only within rounding",
        )


def _changes(was: Identity, now: Identity, run: RunFolder, *, force: bool) -> list[str]:
    """Return what has changed; without `force` it must be nothing."""
    changes = differences(was, now)
    if changes and not force:
        raise RunError(
            f"{run.path}: cannot go on to the same weights, because {'; '.join(changes)}; "
            "put it back, or add --force to go on all the same and be told what is lost"
        )
    return changes


def _check_start(job: Job, run: RunFolder, listeners: Sequence[Listener], *, force: bool) -> None:
    """Refuse to start over as something else than the run was begun as, where the run still says what that was."""
    try:
        was = run.read_environment().get("identity")
    except FormatError:
        return
    if isinstance(was, dict):
        for text in _changes(was, identity(job), run, force=force):
            _tell(listeners, f"--force: {text}")


def _train(
    job: Job,
    state: TrainState,
    run: RunFolder,
    control: Control,
    listeners: Sequence[Listener],
    checkpoint_every: float | None,
    record: Sequence[float],
) -> None:
    clock: Clock
    if job.total_steps is not None:
        clock = StepClock(job.total_steps, seconds=state.seconds)
    else:
        assert job.recipe.budget is not None  # the recipe has the one or the other
        clock = BudgetClock(job.recipe.budget, seconds=state.seconds, path=run.clock_file, values=record)
    with contextlib.closing(clock), repeatable(job.device, job.config.machine.deterministic):
        fit(
            job,
            state,
            run,
            listeners=(*listeners, EventFile(run)),  # last: where the disk is full, the others are still told
            control=control,
            clock=clock,
            checkpoint_every=checkpoint_every,
        )


def _tell(listeners: Sequence[Listener], message: str) -> None:
    for listener in listeners:
        listener(Warned(message))


def _write_environment(run: RunFolder, job: Job) -> None:
    run.write_environment(
        describe_environment()
        | {
            "device": str(job.device),
            "precision": job.precision,
            "threads": job.config.machine.threads,
            "deterministic": job.device.type == "cpu" or job.config.machine.deterministic,
            "seed": job.config.seed,
            "data_fingerprint": job.data.fingerprint,
            "data_folder": job.data.folder,
            "identity": identity(job),
        }
    )


class EventFile:
    """A listener that writes events to the run's `events.jsonl`; of `Progress`, one every ten seconds."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._progress_at = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Progress):
            if time.monotonic() - self._progress_at < _LOGGED_EVERY:
                return
            self._progress_at = time.monotonic()
        self.run.append_event({"time": round(time.time(), 3), **event_to_json(event)})
