"""Starting a run and going on with one: everything around the loop.

In: a dataset, a configuration, a path. Out: a run folder that is complete, interrupted or failed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401 # the first optimizer would import it, in the time of a training by the clock
from torch import nn

from ..classifier import class_path
from ..data.dataset import Dataset
from ..device import repeatable, threads, torch_defaults
from ..environment import describe_environment
from ..errors import FormatError, RunError, UsageError
from ..formats import begin_record
from ..run import RunFolder
from . import checkpoint, probe
from .checkpoint import Checkpoint
from .clock import CLOCK_FORMAT, CLOCK_VERSION, BudgetClock, Clock, StepClock, read_progress
from .event_file import EventFile
from .events import Control, Listener, Planned, Warned
from .identity import find_changes, first_weights
from .job import Identity, Job, prepare
from .loop import Loop, fit
from .plan.recipe import Config, parse_config
from .plan.speed import UNDISTURBED
from .signals import stop_on_signals
from .state import TrainState


@torch_defaults()
@threads()
def start(
    data: Dataset,
    config: Config,
    create: Callable[[dict[str, Any]], RunFolder],
    *,
    module: nn.Module | None = None,
    listeners: Sequence[Listener] = (),
    checkpoint_every: float | None = None,
    began: float | None = None,
    planned: Planned | None = None,
    repeats: RunFolder | None = None,
) -> RunFolder:
    """Train in a new run folder, which `create` makes once all checks have passed. See `eyesight.train`.

    Args:
        data, config, module, listeners: what to train on what and how, and who is told.
        create: makes the folder.
        checkpoint_every: seconds between saved states; see `Loop`.
        began: the `time.perf_counter()` from which a budget counts; now, where not given.
        planned: what a budget decided, to be told.
        repeats: a run of the same configuration that is to be repeated, with its progress as it was recorded.
    """
    began = time.perf_counter() if began is None else began
    job, state = prepare(data, config, module)
    record = _record_to_repeat(repeats, job, state, listeners) if repeats else []
    with stop_on_signals() as control:
        run = create(_about(job) | ({"repeats": str(repeats.path)} if repeats else {}))
        with run.lock():
            _write_environment(run, job, first_weights(state))
            if record:
                begin_record(run.clock_file, record, name=CLOCK_FORMAT, version=CLOCK_VERSION)
            told: list[Listener] = [*listeners, EventFile(run)]
            for note in data.notes:
                _tell(told, note)
            if planned:
                for listener in told:
                    listener(planned)
                if planned.share < UNDISTURBED:
                    _tell(
                        told,
                        "other programs are using the processor; "
                        f"what was planned is for the {planned.share:.0%} of it that they left",
                    )
            run.write_config(job.config.model_dump(mode="json"))  # last: with it, the run can be taken up
            state.seconds = time.perf_counter() - began
            _train(job, state, run, control, listeners, checkpoint_every, record)
    return run


@torch_defaults()
@threads()
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
    at. Both are told to the listeners. With `force` it goes on although versions have changed, and starts over where no
    state can be read.

    Raises:
        RunError: what the run was started with has changed, none of its states can be read, or another process trains
            in it.
    """
    run = RunFolder.open(path)
    if run.status == "complete":
        _tell(listeners, f"{path}: is complete already; nothing to do")
        return run
    if not run.has_config:
        raise RunError(f"{path}: stopped before it had begun; start it again, with --overwrite")
    config = parse_config(run.read_config(), f"{path}: config.yaml")
    check_module(config, module, f"{path}")
    if config.recipe.method == "probe":
        return probe.resume(run, config, load, listeners=listeners)
    with run.lock(), stop_on_signals() as control:
        job, state = prepare(load(), config, module)
        found, problems = checkpoint.newest(run.checkpoints_folder)
        for problem in problems:
            _tell(listeners, problem)
        record = _read_progress(run, listeners)
        begun = _begun_as(run)[1] or first_weights(state)
        if found is None:
            _check_start(job, state, run, problems, listeners, force=force)
            record = record if "repeats" in run.about() else []
        else:
            _take_up(job, state, found, run, listeners, force=force)
            if record[: state.step] != state.clock:
                record = state.clock
        _write_environment(run, job, begun)
        run.update(status="running")
        run.write_metrics(state.history)
        _train(job, state, run, control, listeners, checkpoint_every, record)
    return run


def check_module(config: Config, module: nn.Module | None, source: str) -> None:
    """Raise `UsageError` unless the module is what a configuration was made for: none, or one of the same class."""
    if config.model.kind == "module" and module is None:
        raise UsageError(f"{source}: its network is your own {config.model.name}; pass an instance as model=")
    found = config.model.name if module is None else class_path(module)
    if config.model.name != found or (module is not None and config.model.kind == "registry"):
        raise UsageError(f"{source} was trained with {config.model.name}; received: {found}", field="model")


def _about(job: Job) -> dict[str, Any]:
    """Return what `runs` lists."""
    data, config = job.data, job.config
    return {
        "data": data.name,
        "protocol": data.protocol,
        "model": config.model.name,
        "seed": config.seed,
        "steps_per_epoch": job.batches.steps_per_epoch,
    }


def _begun_as(run: RunFolder) -> tuple[Identity, str | None]:
    """Return what the run began as, and the hash of its first weights, where it still says so."""
    try:
        found = run.read_environment()
    except FormatError:
        return {}, None
    return found.get("identity") or {}, found.get("first_weights")


def _record_to_repeat(run: RunFolder, job: Job, state: TrainState, listeners: Sequence[Listener]) -> list[float]:
    """Return the progress that a run recorded, after checking that it can be repeated.

    Raises:
        RunError: the data or the first weights are others, or the record is not whole.
    """
    identity, weights = _begun_as(run)
    if run.read_environment().get("data_fingerprint") != job.data.fingerprint:
        raise RunError(f"{run.path}: cannot be repeated, because {job.data.name} is not what it was trained on")
    if weights not in (None, first_weights(state)):
        if job.config.model.kind == "module":
            raise RunError(f"{run.path}: cannot be repeated, because your module begins with other weights")
        _tell(listeners, "this machine computes other first weights: it will not repeat bit for bit")
    for change in find_changes(identity, job.identity).versions if identity else ():
        _tell(listeners, f"{change}: it may not repeat bit for bit")
    if job.total_steps is not None:
        return []
    record, steps = read_progress(run.clock_file), run.about().get("steps")
    if len(record) not in (steps, (steps or 0) + 1):  # the last value is 1, unless it was stopped early
        raise RunError(f"{run.clock_file}: holds {len(record)} of {steps} updates; the run cannot be repeated")
    return record


def _read_progress(run: RunFolder, listeners: Sequence[Listener]) -> list[float]:
    """Return what the run's clock recorded; the saved state holds most of it too, should the file be damaged.

    Not so of a repetition, whose record is older than itself.
    """
    try:
        return read_progress(run.clock_file)
    except FormatError as error:
        if "repeats" in run.about():
            raise
        _tell(listeners, str(error))
        return []


def _take_up(
    job: Job, state: TrainState, found: Checkpoint, run: RunFolder, listeners: Sequence[Listener], *, force: bool
) -> None:
    """Load a saved state, or refuse to; with `force`, versions that have changed are noted in the run."""
    changes = _check_changes(found.identity, job.identity, run, force=force)
    state.load(found.arrays, found.facts, str(found.path))
    if changes:
        earlier = run.about().get("forced", [])
        run.update(forced=[*earlier, *(change for change in changes if change not in earlier)])
        for text in (*changes, "the weights will be those of an uninterrupted run only about"):
            _tell(listeners, f"--force: {text}")
    elif found.identity["processor"] != job.identity["processor"]:
        _tell(
            listeners,
            f"the processor was {found.identity['processor']} and is {job.identity['processor']}: "
            "the weights will be those of an uninterrupted run only within rounding",
        )


def _check_changes(was: Identity, now: Identity, run: RunFolder, *, force: bool) -> list[str]:
    """Return the versions that have changed; without `force` there must be none, and nothing else may have changed."""
    changes = find_changes(was, now)
    if changes.task:
        raise RunError(
            f"{run.path}: cannot go on, because {'; '.join((*changes.task, *changes.versions))}; "
            "put it back, or start a new run"
        )
    if changes.versions and not force:
        raise RunError(
            f"{run.path}: cannot go on to the same weights, because {'; '.join(changes.versions)}; "
            "install what it was, or add --force to go on all the same"
        )
    return changes.versions


def _check_start(
    job: Job,
    state: TrainState,
    run: RunFolder,
    problems: Sequence[str],
    listeners: Sequence[Listener],
    *,
    force: bool,
) -> None:
    """Start over only where nothing was saved, or with `force`; and only as what the run was begun as."""
    if not force and problems:
        raise RunError(
            f"{run.path}: none of its {len(problems)} saved states can be read ({problems[0]}); "
            "add --force to start over"
        )
    about = run.about()
    why = "no state can be read" if problems else "stopped before anything was saved"
    if about["status"] == "failed":
        why += f" ({about.get('reason')})"
    _tell(listeners, f"{run.path}: {why}; starting over")
    identity, weights = _begun_as(run)
    for text in _check_changes(identity, job.identity, run, force=force) if identity else ():
        _tell(listeners, f"--force: {text}")
    if job.config.model.kind == "module" and weights not in (None, first_weights(state)):
        raise RunError(f"{run.path}: your module begins with other weights than it did then; start a new run")


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
            Loop(
                job,
                state,
                run,
                listeners=(*listeners, EventFile(run)),  # last: where the disk is full, the others are still told
                control=control,
                clock=clock,
                checkpoint_every=checkpoint_every,
            )
        )


def _tell(listeners: Sequence[Listener], message: str) -> None:
    for listener in listeners:
        listener(Warned(message))


def _write_environment(run: RunFolder, job: Job, first: str) -> None:
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
            "identity": job.identity,
            "first_weights": first,
        }
    )
