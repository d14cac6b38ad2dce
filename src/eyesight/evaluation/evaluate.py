"""Judging a run in four steps: load its classifier, judge a split, write what was found, draw it.

In: a run's folder and a dataset. Out: `Evaluation`, and files in the folder. It starts from what is on disk and knows
nothing of training.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..classifier import Classifier
from ..data.dataset import Dataset, Split
from ..data.listing import count
from ..data.near import find_leaks
from ..errors import FormatError, RunError, UsageError
from ..formats import read_json, write_json
from ..intervals import wilson
from ..predictions import Predictions, predict_split
from ..report.drawing import html_image, save
from ..run import PREDICTIONS_FILE, REPORT_FILE, REPORT_FORMAT, REPORT_VERSION, RunFolder
from . import figures
from .judge import Report, judge
from .overfitting import Overfitting, measure_overfitting

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

Weights = Literal["kept", "last"]

_LISTED = 12  # names of classes, at most, in a message
_MEASURED_FORMAT, _MEASURED_VERSION = "eyesight-overfitting", 1


@dataclass(frozen=True)
class Evaluation:
    """What judging a run on one split gave.

    Attributes:
        report: the numbers.
        predictions: what they were computed from.
        folder: where report and predictions lie.
        figures: PNG files by name, in the run's folder of figures.
        repeats: whether the same classifier had been judged on the same pictures before, with the same numbers.
    """

    report: Report
    predictions: Predictions
    folder: Path
    figures: dict[str, Path]
    repeats: bool = False

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.report.accuracy

    def __repr__(self) -> str:
        low, high = self.report.accuracy_interval
        return (
            f"Evaluation({self.report.split}: accuracy {self.accuracy:.4f} [{low:.4f}, {high:.4f}], "
            f"loss {self.report.loss:.4f}, n = {self.report.n:,})"
        )

    def _repr_html_(self) -> str:
        return self.report._repr_html_() + "".join(html_image(path.read_bytes()) for path in self.figures.values())


def evaluate(
    run: RunFolder,
    data: Callable[[], Dataset],
    split: str | None = None,
    *,
    weights: Weights = "kept",
    module: nn.Module | None = None,
) -> Evaluation:
    """Judge a run's classifier and write report, predictions and figures into the run's folder.

    Args:
        run: complete, or with the last good weights.
        data: gives what it was trained on, or other data with the same classes; asked for once there is a classifier.
        split: "test" (the default where there is one), "validation" or "train".
        weights: "kept" or "last"; they differ where the best epoch was not the last.
        module: an instance of the user's own network, where it was trained on one.
    """
    if weights not in ("kept", "last"):
        raise UsageError(f"weights: expected kept or last; received: {weights!r}")
    classifier, judged = load(run, weights=weights, module=module), data()
    chosen = judged.split(split or ("test" if judged.test else "validation" if judged.validation else "train"))
    if classifier.classes != judged.classes:
        raise UsageError(
            f"{judged.name} has other classes than {run.path} was trained on; "
            f"expected: {_listed(classifier.classes)}; received: {_listed(judged.classes)}",
            field="data",
        )
    notes = _notes(run, classifier, judged, chosen.name)
    overfits = overfitting(run, classifier, judged)
    report, predictions = judge_split(classifier, chosen, notes=notes, overfitting=str(overfits or ""))
    if leaks := _leaks(judged, chosen, predictions):
        report = replace(report, notes=(*report.notes, leaks))
    folder, repeats = write(run, report, predictions)
    prefix = chosen.name + ("-last" if _is_last(run, weights) else "") + ("" if _own(classifier, judged) else "-other")
    return Evaluation(report, predictions, folder, draw(run, report, predictions, judged, chosen, prefix), repeats)


def load(
    run: RunFolder, *, weights: Weights = "kept", module: nn.Module | None = None, device: str = "cpu"
) -> Classifier:
    """Return the classifier of a run, with the weights that it kept or with its last ones.

    Raises:
        RunError: the run has none, because it is not complete.
    """
    path = run.last_model_file if _is_last(run, weights) else run.model_file
    if not path.is_file():
        status = run.status
        if status == "running":
            raise RunError(f"{run.path}: has no model yet; it is still training")
        raise RunError(f"{run.path}: has no model ({status}); go on with: eyesight train --resume {run.path}")
    return Classifier.load(path, module=module, device=device)


def _listed(classes: Sequence[str]) -> str:
    """Return names for a message: the first ones of many."""
    return ", ".join(classes[:_LISTED]) + (f", … ({len(classes)})" if len(classes) > _LISTED else "")


def _is_last(run: RunFolder, weights: Weights) -> bool:
    return weights == "last" and run.last_model_file.is_file()


def judge_split(
    classifier: Classifier, split: Split, *, notes: Sequence[str] = (), overfitting: str = ""
) -> tuple[Report, Predictions]:
    """Classify a split, and compute its report."""
    predictions = predict_split(classifier, split, model=classifier.checksum or "")
    temperature = classifier.inference.temperature
    report = judge(
        predictions, temperature=temperature, source=split.source, overfitting=overfitting, notes=tuple(notes)
    )
    return report, predictions


def write(run: RunFolder, report: Report, predictions: Predictions) -> tuple[Path, bool]:
    """Write report and predictions into the run; return their folder, and whether the same report lay there already."""
    key = hashlib.sha256(f"{predictions.model}{predictions.data}".encode()).hexdigest()
    folder = run.evaluation_folder(predictions.split, key)
    path = folder / REPORT_FILE
    before: dict[str, Any] = {}
    with contextlib.suppress(FormatError):  # none, or damaged: it is written anew
        before = read_json(path, name=REPORT_FORMAT, version=REPORT_VERSION)
    predictions.save(folder / PREDICTIONS_FILE)
    write_json(path, report.to_json())
    numbers = ("accuracy", "loss", "confusion_matrix")
    after = read_json(path, name=REPORT_FORMAT, version=REPORT_VERSION)
    return folder, all(before.get(number) == after[number] for number in numbers)


def draw(
    run: RunFolder, report: Report, predictions: Predictions, data: Dataset, split: Split, prefix: str
) -> dict[str, Path]:
    """Draw what an evaluation found into the run's folder of figures, and return the files by name.

    Args:
        run: where to.
        report, predictions: what was found.
        data, split: whose pictures are shown.
        prefix: of the names of the files.
    """
    drawn = {
        "curves": ("curves", curves(run)),
        "confusion": (f"{prefix}-confusion", figures.confusion(report)),
        "samples": (f"{prefix}-predictions", figures.sample_predictions(predictions, split)),
        "mistakes": (f"{prefix}-mistakes", figures.confident_mistakes(report, predictions, split)),
        "label-counts": ("label-counts", figures.label_counts(data)),
    }
    folder = run.figures_folder
    return {name: save(figure, folder / f"{file}.png") for name, (file, figure) in drawn.items() if figure}


def curves(run: RunFolder) -> Figure | None:
    """Return the figure of a run's epochs so far, if there are any; a probe has none."""
    if is_probe(run):
        return None
    rows = run.metrics()
    name = "test" if run.about().get("protocol") == "test-as-validation" else "validation"
    return figures.curves(rows, trained=run.trained_epochs(rows), validation=name) if rows else None


@dataclass(frozen=True)
class LookBack:
    """What there is to see of a training that has ended.

    Attributes:
        overfitting: whether it has learned by heart; None without pictures that it has not learned from.
        figures: PNG files by name: curves, and the first pictures with what they were taken for.
    """

    overfitting: Overfitting | None
    figures: dict[str, Path]


def look_back(run: RunFolder, data: Dataset, *, module: nn.Module | None = None) -> LookBack:
    """Draw what there is to see of a training that has ended, and tell whether it overfits.

    Args:
        run: complete.
        data: what it was trained on.
        module: an instance of the user's own network, where it was trained on one.
    """
    classifier = load(run, module=module)
    split = data.validation or data.test or data.train
    shown = split.select(figures.choose_sample(len(split)), name=split.name)
    predictions = predict_split(classifier, shown, model=classifier.checksum or "")
    drawn = {"curves": curves(run), "predictions": figures.sample_predictions(predictions, shown)}
    files = {name: save(figure, run.figures_folder / f"{name}.png") for name, figure in drawn.items() if figure}
    return LookBack(overfitting(run, classifier, data), files)


def overfitting(run: RunFolder, classifier: Classifier, data: Dataset) -> Overfitting | None:
    """Return whether a classifier overfits what it was trained on; what was measured once is read again.

    None where the data is not what it was trained on; and of a probe, whose predictions out of fold tell it.
    """
    if not _own(classifier, data) or is_probe(run):
        return None
    path = run.overfitting_file
    key = {"model": classifier.checksum, "data": data.fingerprint}
    with contextlib.suppress(FormatError, TypeError, KeyError):
        saved = read_json(path, name=_MEASURED_FORMAT, version=_MEASURED_VERSION)
        if key.items() <= saved.items():
            return Overfitting.from_json(saved)
    found = measure_overfitting(classifier, data)
    if found is not None:
        write_json(path, {"format": _MEASURED_FORMAT, "version": _MEASURED_VERSION, **key, **found.to_json()})
    return found


def is_probe(run: RunFolder) -> bool:
    """Tell whether a run fitted the last layer alone, on the features of a pretrained network."""
    return run.about().get("method") == "probe"


def _own(classifier: Classifier, data: Dataset) -> bool:
    """Tell whether the data is what the classifier was trained on."""
    return classifier.training is not None and classifier.training.fingerprint == data.fingerprint


def _leaks(data: Dataset, split: Split, predictions: Predictions) -> str:
    """Say how right a classifier is on those photos of a split whose copies are not in train; "" where none are."""
    if data.kind != "folder" or split.name == "train":
        return ""
    leaked = find_leaks(data.train, split)
    if not leaked.any():
        return ""
    many = count(int(leaked.sum()), "of these photos is", "of these photos are")
    said = f"{many} in train too, perhaps changed a little"
    right = (predictions.predicted == predictions.labels)[~leaked]
    if not len(right):
        return f"{said}: all of them"
    low, high = wilson(int(right.sum()), len(right))
    return f"{said}; without, the accuracy is {right.mean():.4f} [{low:.4f}, {high:.4f}], n = {len(right):,}"


def _notes(run: RunFolder, classifier: Classifier, data: Dataset, split: str) -> tuple[str, ...]:
    """Return what a reader must know to read the numbers right.

    Raises:
        UsageError: pictures of other data that this run may have learned from.
    """
    notes = []
    training, about = classifier.training, run.about()
    if training and training.fingerprint != data.fingerprint:
        apart = split == "test" or (split == "validation" and data.given is not None)
        if not apart and data.kind != "arrays" and data.name == training.data:
            raise UsageError(
                f"data: {data.name} is not what {run.path} was trained on, so its {split} pictures may have been "
                "learned from; only test can be judged"
            )
        notes.append("the data differs from what the run was trained with, in its pictures or its split")
    if split == "test" and about.get("protocol") == "test-as-validation":
        notes.append("the test set was validation data in every epoch, as in the tutorials")
    if is_probe(run) and (estimate := about.get("estimate")):
        low, high = estimate["interval"]
        notes.append(
            f"by cross-validation on its {estimate['n']:,} training pictures, the run expected an accuracy of "
            f"{estimate['accuracy']:.4f} [{low:.4f}, {high:.4f}]"
        )
    if split == "train":
        notes.append("these pictures were learned from; the accuracy on new ones is lower")
    if split == "validation" and training and training.weights == "best":
        notes.append("the epoch was chosen on these pictures; the accuracy on new ones is a little lower")
    if split == "validation" and "kept" in about.get("tuning", {}):
        notes.append("tuned or not was decided on these pictures; the accuracy on new ones may be a little lower")
    if split == "validation" and data.given is not None:
        chosen = (training is not None and training.weights == "best") or "kept" in about.get("tuning", {})
        unused = data.protocol == "given-unused" or is_probe(run)
        notes.append(
            "these are the validation pictures that come with the data"
            + ("" if chosen else "; nothing was chosen on them" if unused else "; the weights were not chosen on them")
        )
    if changes := about.get("forced"):
        notes.append(f"the run went on with --force after changes: {'; '.join(changes)}")
    if about["status"] != "complete":
        notes.append(f"the run is {about['status']}; these are the last good weights")
    return tuple(notes)
