"""Starting a run and going on with one: everything around the loop.

In: a dataset, a configuration, a path. Out: a run folder that is complete, interrupted or failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ..classifier import class_path
from ..data.dataset import Dataset
from ..device import threads, torch_defaults
from ..errors import RunError, UsageError
from ..formats import begin_record
from ..run import RunFolder
from . import probe, tuning
from .again import go_on, record_to_repeat, warn, write_environment
from .clock import CLOCK_FORMAT, CLOCK_VERSION
from .event_file import EventFile
from .events import Listener, Planned
from .identity import first_weights
from .job import Job, prepare
from .plan.recipe import Config, parse_config
from .plan.speed import UNDISTURBED
from .signals import stop_on_signals
from .sitting import train_on


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
    record = record_to_repeat(repeats, job, state, listeners) if repeats else []
    with stop_on_signals() as control:
        run = create(_about(job) | ({"repeats": str(repeats.path)} if repeats else {}))
        with run.lock():
            write_environment(run, job, first_weights(state))
            if record:
                begin_record(run.clock_file, record, name=CLOCK_FORMAT, version=CLOCK_VERSION)
            told: list[Listener] = [*listeners, EventFile(run)]
            for note in data.notes:
                warn(told, note)
            if planned:
                for listener in told:
                    listener(planned)
                if planned.share < UNDISTURBED:
                    warn(
                        told,
                        "other programs are using the processor; "
                        f"what was planned is for the {planned.share:.0%} of it that they left",
                    )
            run.write_config(job.config.model_dump(mode="json"))  # last: with it, the run can be taken up
            state.seconds = time.perf_counter() - began
            train_on(job, state, run, control, listeners, checkpoint_every, record)
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
        warn(listeners, f"{path}: is complete already; nothing to do")
        return run
    if not run.has_config:
        raise RunError(f"{path}: stopped before it had begun; start it again, with --overwrite")
    config = parse_config(run.read_config(), f"{path}: config.yaml")
    check_module(config, module, f"{path}")
    if config.recipe.method == "probe":
        return probe.resume(run, config, load, listeners=listeners)
    if config.recipe.method == "tune":
        return tuning.resume(run, config, load, listeners=listeners, checkpoint_every=checkpoint_every, force=force)
    with run.lock(), stop_on_signals() as control:
        job, state = prepare(load(), config, module)
        record = go_on(job, state, run, listeners, force=force)
        train_on(job, state, run, control, listeners, checkpoint_every, record)
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
