"""Doing a study: its runs one after another, each of them once, however often it is interrupted.

In: a folder, a definition, a dataset. Out: the folder with all runs, `study.json` and the figure. After every run all
that is known is on disk. It reports through events and prints nothing.
"""

from __future__ import annotations

import datetime
import signal
import time
from collections.abc import Sequence

from ..data.dataset import Dataset
from ..data.open import DataConfig
from ..data.split import draw
from ..device import threads
from ..environment import describe_environment
from ..errors import InterruptedRun, RunError, UsageError
from ..models.torch_network import Network
from ..training.job import prepare
from ..training.plan.recipe import Machine
from .definition import Arm, Definition
from .events import Listener, RunBegun, RunFinished
from .folder import DataFacts, NetworkFacts, Record, RunResult, StudyFolder
from .measure import accuracies, resolve_run, train_run

_JUDGED = 10_000  # training pictures that train accuracy is measured on, at most: as many as most test sets have


def on_data(definition: Definition, data: Dataset) -> Dataset:
    """Return the dataset as a study's runs see it: with as many training pictures, and validation pictures held out."""
    wanted = DataConfig.model_validate(definition.config["data"])
    if wanted.sample is not None and wanted.sample != data.sample:
        data = data.with_sample(wanted.sample, seed=wanted.split_seed)
    return data.with_validation(wanted.validation, seed=wanted.split_seed)


def begin(folder: StudyFolder, definition: Definition, data: Dataset) -> Record:
    """Check everything that can be checked before training, and write `study.json`.

    Args:
        folder: where nothing lies yet.
        definition: what to do.
        data: as `on_data` returns it.

    Raises:
        UsageError: what was asked for does not fit the data or the machine; nothing has been written then.
    """
    if data.test is None:
        raise UsageError(f"{data.name} has no test pictures to judge on", field="data")
    networks: dict[str, NetworkFacts] = {}
    for arm in definition.arms:
        networks[arm.name], machine = _check_arm(definition, arm, data)
    record = Record(
        created=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        definition=definition,
        data=DataFacts(
            name=data.name,
            fingerprint=data.fingerprint,
            shape=data.shape,
            train=len(data.train),
            validation=len(data.validation or ()),
            test=len(data.test),
            judged_train=min(_JUDGED, len(data.train)),
            folder=data.folder,
        ),
        networks=networks,
        environment=describe_environment() | machine.model_dump(mode="json"),
    )
    with folder.lock():
        if folder.is_new():  # nobody was a moment faster
            folder.write(record)
    return record


def _check_arm(definition: Definition, arm: Arm, data: Dataset) -> tuple[NetworkFacts, Machine]:
    """Prepare a run of an arm as training does, which refuses what cannot be; return its network and machine."""
    config = resolve_run(definition.config_of(arm, definition.seeds[0]), data)
    with threads(config.machine.threads):
        _, state = prepare(data, config)
    assert isinstance(state.network, Network)
    spec = state.network.spec
    facts = NetworkFacts(name=config.model.name, parameters=spec.parameters(), flops=spec.flops())
    return facts, config.machine


def go_on(folder: StudyFolder, data: Dataset, *, listeners: Sequence[Listener]) -> Record:
    """Do all runs that are not finished, and return the complete record.

    Args:
        folder: of a study that has begun.
        data: as `on_data` returns it.
        listeners: called with every event of the study and of its runs.

    Raises:
        RunError: the data is no longer what the study began with, or another process works on it.
        InterruptedRun: Ctrl-C or SIGTERM; the run at hand is saved, and the same command goes on.
    """
    with folder.lock():
        record = folder.read()
        if data.fingerprint != record.data.fingerprint:
            raise RunError(f"{folder.path}: cannot go on, because {data.name} is not what the study began with")
        pace = _Pace(record)
        plan = record.definition.plan()
        for number, (arm, seed) in enumerate(plan, start=1):
            if record.result(arm.name, seed):
                continue
            try:
                _tell(listeners, RunBegun(number, len(plan), arm.label, seed))
                result = _run(folder, record, arm, seed, data=data, listeners=listeners)
                record = record.model_copy(update={"runs": (*record.runs, result)})
                folder.write(record)
                _tell(listeners, RunFinished(result, pace.seconds_left(record)))
            except (InterruptedRun, KeyboardInterrupt) as stop:
                raise _explain_stop(folder, number, len(plan), stop) from stop
    return record


def _tell(listeners: Sequence[Listener], event: RunBegun | RunFinished) -> None:
    for listener in listeners:
        listener(event)


def _run(
    folder: StudyFolder, record: Record, arm: Arm, seed: int, *, data: Dataset, listeners: Sequence[Listener]
) -> RunResult:
    """Train and judge one run."""
    config = record.definition.config_of(arm, seed)
    run = train_run(folder.run_path(arm.name, seed), config, data, listeners=listeners)
    assert data.test is not None  # checked in `begin`, and by the fingerprint
    train, test = accuracies(run, draw(data.train, record.data.judged_train, seed=0), data.test)
    about = run.about()
    return RunResult(
        arm=arm.name,
        seed=seed,
        train_accuracy=train,
        test_accuracy=test,
        updates=about["steps"],
        seconds=about["seconds"],
    )


def _explain_stop(
    folder: StudyFolder, number: int, total: int, stop: InterruptedRun | KeyboardInterrupt
) -> InterruptedRun:
    """Return the error that says how the study goes on."""
    signal_number = stop.exit_code - 128 if isinstance(stop, InterruptedRun) else int(signal.SIGINT)
    return InterruptedRun(
        f"interrupted in run {number} of {total}; go on with: eyesight study --resume {folder.path}", signal_number
    )


class _Pace:
    """Estimates the time left from what the runs of this sitting took, for their operations."""

    def __init__(self, record: Record) -> None:
        self._began = time.perf_counter()
        self._before = len(record.runs)

    def seconds_left(self, record: Record) -> float:
        """Return the estimate, after at least one run of this sitting."""
        done = {(run.arm, run.seed) for run in record.runs[self._before :]}
        all_done = {(run.arm, run.seed) for run in record.runs}
        costs = {(arm.name, seed): _cost(record, arm) for arm, seed in record.definition.plan()}
        pace = (time.perf_counter() - self._began) / sum(costs[key] for key in done)
        return pace * sum(cost for key, cost in costs.items() if key not in all_done)


def _cost(record: Record, arm: Arm) -> float:
    """Return the operations of a training of one arm, up to a factor that all arms share."""
    recipe = record.definition.config_of(arm, 0).recipe
    per_epoch = -(-record.data.train // recipe.batch_size)
    updates = recipe.updates or (recipe.epochs or 0) * per_epoch or 1
    return float(updates * record.networks[arm.name].flops)
