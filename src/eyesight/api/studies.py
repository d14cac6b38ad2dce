"""More than one training: a tutorial with ours beside it, a study over seeds.

In: their names. Out: `Run`, `Study`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.dataset import Dataset
from ..errors import UsageError
from ..run import RunFolder, next_run_path
from .datasets import load_data
from .runs import Run
from .training import DEFAULT_RUNS, naming_arguments, train, with_progress

if TYPE_CHECKING:
    from ..studies.study import Study
    from ..training.events import Listener


def tutorial(
    name: str,
    *,
    ours: bool = False,
    output: str | Path | None = None,
    data: Dataset | None = None,
    data_dir: str | Path | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    updates: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Run:
    """Run one of the five tutorials to the letter, with an account of each step on stdout.

    Args:
        name: "fashion-early-stopping", "cifar10-quickstart", "fashion-same-padding", "lenet5-mnist" or "cifar10-dense".
        ours: afterwards train our own configuration on the same data, in no more time, and compare.
        output: the run's folder; runs/NAME-1, -2, … where not given. Ours goes into the same with "-ours" at its end.
        data: the tutorial's dataset, or a part of it for a quick look; loaded by name where not given.
        seed: of first weights and order; the tutorial's where not given.
        epochs, updates: another length than the tutorial's.
        data_dir, device, threads, overwrite, progress: see `train`.

    Returns:
        The run; with `ours`, that of our configuration.

    Raises:
        UsageError: no such tutorial, data that is not the tutorial's, or arguments that don't go together.
        DataNotFoundError, RunError, InterruptedRun: see `train`.
    """
    from ..lessons.tutorials import programs
    from ..lessons.tutorials.story import FinishedRun
    from ..lessons.tutorials.telling import Telling
    from ..training.plan.resolve import read_request

    program = programs.find(name)
    length = program.other_length(epochs=epochs, updates=updates)
    if ours and length:
        raise UsageError(f"--ours: compares with the whole tutorial; leave out --{next(iter(length))[7:]}")
    folder = Path(output) if output else next_run_path(DEFAULT_RUNS, program.name)
    folders = [folder, *([folder.with_name(f"{folder.name}-ours")] if ours else [])]
    for path in folders:
        RunFolder(path).check_free(overwrite=overwrite)
    given = {"seed": seed, "machine.device": device, "machine.threads": threads}
    changes = {key: value for key, value in given.items() if value is not None} | length
    with naming_arguments(length):
        configs = [read_request(values, changes).config for values in (program.config, program.ours)]
    data = data or load_data(configs[0].data.name, data_dir=data_dir)
    data = data.with_validation(configs[0].data.validation)
    telling = Telling(program, data, configs, RunFolder(folder))
    for config, path, part in zip(configs, folders, telling.parts, strict=False):
        part.open()
        run = train(
            data.with_validation(config.data.validation),
            config=config.model_dump(),
            output=path,
            overwrite=overwrite,
            progress=False,
            listeners=[_bar(progress), part.listen],
        )
        judged = run.evaluate("test")
        part.close(FinishedRun(run.path, run.metrics(), judged.report, judged.predictions, run.classifier))
    telling.table()
    return run


def study(
    name: str | None = None,
    data: str | Dataset | None = None,
    *,
    full: bool = False,
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    threads: int | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
) -> Study:
    """Measure side by side what a choice does to the result, over several seeds.

    Runs that are finished are not trained again: the same call goes on with a study that was interrupted.

    Args:
        name: "regularization", "dense-vs-conv", "architectures", "dense-layers" or "epochs".
        data: a name or a dataset; the study's own where not given.
        full: the real thing, on all training pictures, instead of a few minutes' worth.
        seeds: how often each way of training is repeated; 3 or 5 times where not given.
        settings: dotted configuration keys and values for all runs, such as {"recipe.optimizer": "sgd"}.
        data_dir: see `load_data`.
        output: the study's folder; studies/NAME where not given.
        threads: number of CPU threads.
        resume: a study's folder to go on with, in place of `name` and what belongs to it.
        progress: report on stderr.

    Raises:
        UsageError: something asked for does not exist or does not fit; nothing has been written then.
        RunError: `output` holds something else, or a study that was defined otherwise.
        InterruptedRun: Ctrl-C or SIGTERM; everything so far is saved.
    """
    from ..progress import StudyReport
    from ..studies import study as studies

    listeners = [StudyReport()] if progress else []
    if resume is not None:
        if name is not None or isinstance(data, str):
            raise UsageError("goes on with a study as it was defined; leave name and data out", field="resume")
        return studies.resume(resume, data, data_dir=data_dir, listeners=listeners)
    if name is None:
        raise UsageError("expected the name of a study, or resume", field="name")
    chosen = {**(settings or {}), **({} if threads is None else {"machine.threads": threads})}
    with naming_arguments(settings):
        return studies.run(
            name, data, full=full, seeds=seeds, settings=chosen, data_dir=data_dir, output=output, listeners=listeners
        )


def _bar(progress: bool) -> Listener:
    """Return what shows progress where somebody else prints the lines of the epochs."""
    from ..training.events import EpochEnded, Event

    def tell(event: Event) -> None:
        for listener in listeners if not isinstance(event, EpochEnded) else ():
            listener(event)

    listeners = with_progress([], progress=progress)
    return tell
