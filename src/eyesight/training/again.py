"""Whether a run can go on, or be repeated: it must be the same training of the same data.

In: a run's folder, and the job and state of the training at hand. Out: the state as it was saved, or a refusal in one
line. It does not train.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..environment import describe_environment
from ..errors import FormatError, RunError
from ..run import RunFolder
from . import checkpoint
from .checkpoint import Checkpoint
from .clock import read_progress
from .events import Listener, Warned
from .identity import find_changes, first_weights
from .job import Identity, Job
from .state import TrainState


def go_on(job: Job, state: TrainState, run: RunFolder, listeners: Sequence[Listener], *, force: bool) -> list[float]:
    """Bring a fresh state to where its run was left, and return the progress that was recorded; see `trainer.resume`.

    Raises:
        RunError: what the run was started with has changed, or none of its states can be read.
    """
    found, problems = checkpoint.newest(run.checkpoints_folder)
    for problem in problems:
        warn(listeners, problem)
    record, (identity, begun) = recorded_progress(run, listeners), begun_as(run)
    begun = begun or first_weights(state)
    if found is not None:
        take_up(job, state, found, run, listeners, force=force)
        if record[: state.step] != state.clock:
            record = state.clock
    else:
        if identity or problems or job.recipe.method != "tune":  # else the probe before it was not done yet
            check_start(job, state, run, problems, listeners, force=force)
        record = record if "repeats" in run.about() else []
    write_environment(run, job, begun)
    run.update(status="running")
    run.write_metrics(state.history)
    return record


def begun_as(run: RunFolder) -> tuple[Identity, str | None]:
    """Return what the run began as, and the hash of its first weights, where it still says so."""
    try:
        found = run.read_environment()
    except FormatError:
        return {}, None
    return found.get("identity") or {}, found.get("first_weights")


def record_to_repeat(run: RunFolder, job: Job, state: TrainState, listeners: Sequence[Listener]) -> list[float]:
    """Return the progress that a run recorded, after checking that it can be repeated.

    Raises:
        RunError: the data or the first weights are others, or the record is not whole.
    """
    identity, weights = begun_as(run)
    if run.read_environment().get("data_fingerprint") != job.data.fingerprint:
        raise RunError(f"{run.path}: cannot be repeated, because {job.data.name} is not what it was trained on")
    if weights not in (None, first_weights(state)):
        if job.config.model.kind == "module":
            raise RunError(f"{run.path}: cannot be repeated, because your module begins with other weights")
        warn(listeners, "this machine computes other first weights: it will not repeat bit for bit")
    for change in find_changes(identity, job.identity).versions if identity else ():
        warn(listeners, f"{change}: it may not repeat bit for bit")
    if job.total_steps is not None:
        return []
    record, steps = read_progress(run.clock_file), run.about().get("steps")
    if len(record) not in (steps, (steps or 0) + 1):  # the last value is 1, unless it was stopped early
        raise RunError(f"{run.clock_file}: holds {len(record)} of {steps} updates; the run cannot be repeated")
    return record


def recorded_progress(run: RunFolder, listeners: Sequence[Listener]) -> list[float]:
    """Return what the run's clock recorded; the saved state holds most of it too, should the file be damaged.

    Not so of a repetition, whose record is older than itself.
    """
    try:
        return read_progress(run.clock_file)
    except FormatError as error:
        if "repeats" in run.about():
            raise
        warn(listeners, str(error))
        return []


def take_up(
    job: Job, state: TrainState, found: Checkpoint, run: RunFolder, listeners: Sequence[Listener], *, force: bool
) -> None:
    """Load a saved state, or refuse to; with `force`, versions that have changed are noted in the run."""
    changes = _check_changes(found.identity, job.identity, run, force=force)
    state.load(found.arrays, found.facts, str(found.path))
    if changes:
        earlier = run.about().get("forced", [])
        run.update(forced=[*earlier, *(change for change in changes if change not in earlier)])
        for text in (*changes, "the weights will be those of an uninterrupted run only about"):
            warn(listeners, f"--force: {text}")
    elif found.identity["processor"] != job.identity["processor"]:
        warn(
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


def check_start(
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
    warn(listeners, f"{run.path}: {why}; starting over")
    identity, weights = begun_as(run)
    for text in _check_changes(identity, job.identity, run, force=force) if identity else ():
        warn(listeners, f"--force: {text}")
    if job.config.model.kind == "module" and weights not in (None, first_weights(state)):
        raise RunError(f"{run.path}: your module begins with other weights than it did then; start a new run")


def warn(listeners: Sequence[Listener], message: str) -> None:
    """Tell every listener something that a person should know."""
    for listener in listeners:
        listener(Warned(message))


def write_environment(run: RunFolder, job: Job, first: str) -> None:
    """Write what a run computes with, and the hash of its first weights."""
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
