"""One run of a study: trained, or gone on with, and judged.

In: where it lies, its configuration, its dataset. Out: the finished run, and its accuracies. It does not know which
study it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..data.dataset import Dataset, Split
from ..device import threads
from ..errors import RunError
from ..evaluation.evaluate import judge_split, load, write
from ..predictions import predict_split
from ..run import RunFolder
from ..training import trainer
from ..training.events import Listener
from ..training.plan.recipe import Config, parse_config
from ..training.plan.resolve import read_request, resolve


def train_run(path: Path, config: Config, data: Dataset, *, listeners: Sequence[Listener]) -> RunFolder:
    """Train the run that lies at `path`, or go on with it; a complete one is only opened.

    Raises:
        RunError: another run lies there.
        InterruptedRun: Ctrl-C or SIGTERM; the state is saved.
    """
    run, config = _open_begun(path), resolve_run(config, data)
    if run is None:
        return trainer.start(
            data, config, lambda about: RunFolder.create(path, about, overwrite=True), listeners=listeners
        )
    found = parse_config(run.read_config(), f"{path}: config.yaml")
    if found.model_dump(exclude={"machine"}) != config.model_dump(exclude={"machine"}):
        raise RunError(f"{path}: was trained with other settings than the study has; move it away")
    return run if run.status == "complete" else trainer.resume(path, lambda: data, listeners=listeners)


def resolve_run(config: Config, data: Dataset) -> Config:
    """Return the configuration of a run with the machine's choices; a study leaves nothing else open."""
    return resolve(read_request(config.model_dump()), data)[0]


def _open_begun(path: Path) -> RunFolder | None:
    """Return the run at `path` if anything of it can be used: it is complete, or has saved a state."""
    try:
        run = RunFolder.open(path)
    except RunError:
        return None
    saved = run.checkpoints_folder.is_dir() and any(run.checkpoints_folder.iterdir())
    return run if saved or run.status == "complete" else None


def accuracies(run: RunFolder, train: Split, test: Split) -> tuple[float, float]:
    """Return train and test accuracy with the weights that the run kept, as in any prediction.

    What was predicted of the test pictures is left in the run's folder, with its report, as `eyesight evaluate` does.

    Args:
        run: complete.
        train: training pictures, as they are.
        test: the test pictures.
    """
    config = parse_config(run.read_config())
    with threads(config.machine.threads):
        classifier = load(run, device=config.machine.device)
        learned = predict_split(classifier, train, model=classifier.checksum or "")
        report, predictions = judge_split(classifier, test)
    write(run, report, predictions)
    return float((learned.predicted == learned.labels).mean()), report.accuracy
