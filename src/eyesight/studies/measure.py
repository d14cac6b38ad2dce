"""One run of a study: trained, or gone on with, and judged.

In: where it lies, its configuration, its dataset. Out: the finished run, and its accuracies. It does not know which
study it is for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..classifier import Classifier
from ..data.dataset import Dataset, Split
from ..device import threads
from ..errors import RunError
from ..evaluation.judge import judge
from ..formats import write_json
from ..predictions import predict_split
from ..run import PREDICTIONS_FILE, REPORT_FILE, RunFolder
from ..training import trainer
from ..training.events import Listener
from ..training.plan.recipe import Config, parse_config


def train_run(path: Path, config: Config, data: Dataset, *, listeners: Sequence[Listener]) -> RunFolder:
    """Train the run that lies at `path`, or go on with it; a complete one is only opened.

    Raises:
        RunError: another run lies there.
        InterruptedRun: Ctrl-C or SIGTERM; the state is saved.
    """
    run = _begun(path)
    if run is None:
        return trainer.start(
            data, config, lambda about: RunFolder.create(path, about, overwrite=True), listeners=listeners
        )
    found = parse_config(run.read_config(), f"{path}: config.yaml")
    if found.model_copy(update={"machine": config.machine}) != config:
        raise RunError(f"{path}: was trained with other settings than the study has; move it away")
    return run if run.status == "complete" else trainer.resume(path, lambda: data, listeners=listeners)


def _begun(path: Path) -> RunFolder | None:
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
        classifier = Classifier.load(run.model_file, device=config.machine.device)
        learned = predict_split(classifier, train, model=classifier.checksum or "")
        predictions = predict_split(classifier, test, model=classifier.checksum or "")
    report = judge(predictions, source=test.source)
    key = hashlib.sha256(f"{predictions.model}{predictions.data}".encode()).hexdigest()
    folder = run.evaluation_folder(test.name, key)
    predictions.save(folder / PREDICTIONS_FILE)
    write_json(folder / REPORT_FILE, report.to_json())
    return float((learned.predicted == learned.labels).mean()), report.accuracy
