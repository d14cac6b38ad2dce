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
from ..environment import describe_environment
from ..errors import RunError
from ..run import RunFolder
from . import checkpoint
from .events import Control, Event, Listener, Progress, Warned, event_to_json
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
    checkpoint_every: float = 30.0,
) -> RunFolder:
    """Train in a new run folder, which `create` makes once all checks have passed. See `eyesight.train`."""
    job, state = prepare(data, config, module)
    run = create({"data": data.name, "protocol": data.protocol, "model": config.model.name, "seed": config.seed})
    with run.lock():
        run.write_config(job.config.model_dump(mode="json"))
        _write_environment(run, job)
        _train(job, state, run, listeners, checkpoint_every)
    return run


@_threads_restored()
def resume(
    path: Path,
    load: Callable[[], Dataset],
    *,
    module: nn.Module | None = None,
    listeners: Sequence[Listener] = (),
    checkpoint_every: float = 30.0,
) -> RunFolder:
    """Go on with a run from its newest whole checkpoint, to the same weights as if it had never stopped.

    Without any checkpoint it starts over; a run that is complete is left as it is, and its data (`load`) is not looked
    at. Both are told to the listeners.

    Raises:
        RunError: the data or the configuration is not what the run was started with, or another process trains in it.
    """
    run = RunFolder.open(path)
    if run.status == "complete":
        _tell(listeners, f"{path}: is complete already; nothing to do")
        return run
    config = parse_config(run.read_config(), f"{path}: config.yaml")
    with run.lock():
        data = load()
        job, state = prepare(data, config, module)
        recorded = run.read_environment().get("data_fingerprint")
        if recorded != data.fingerprint:
            raise RunError(f"{path}: the dataset is not the one it was started with ({data.name} has changed)")
        found, problems = checkpoint.newest(run.checkpoints_folder)
        for problem in problems:
            _tell(listeners, problem)
        if found is None:
            _tell(listeners, f"{path}: stopped before anything was saved; starting over")
        else:
            if found.config != job.config_hash:
                raise RunError(f"{path}: its config.yaml is not the one that {found.path.name} was saved under")
            state.load(found.arrays, found.facts, str(found.path))
        run.update(status="running")
        run.write_metrics(state.history)
        _train(job, state, run, listeners, checkpoint_every)
    return run


def _train(job: Job, state: TrainState, run: RunFolder, listeners: Sequence[Listener], checkpoint_every: float) -> None:
    control = Control()
    with stop_on_signals(control):
        fit(
            job,
            state,
            run,
            listeners=(*listeners, EventFile(run)),  # last: where the disk is full, the others are still told
            control=control,
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
            "seed": job.config.seed,
            "data_fingerprint": job.data.fingerprint,
            "data_folder": job.data.folder,
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
