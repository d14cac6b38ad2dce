"""Runs as a user holds them: what a run kept, and judging it.

In: a run's folder. Out: `Run`, `Evaluation`, `Classifier`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..backbones import BACKBONES, load_backbone
from ..classifier import Classifier
from ..data.dataset import Dataset
from ..errors import FormatError, RunError, UsageError, nearest_name
from ..evaluation import figures
from ..evaluation.judge import Report, judge
from ..formats import write_json
from ..predictions import Predictions, predict_split
from ..run import PREDICTIONS_FILE, REPORT_FILE, RunFolder
from .datasets import image, load_wanted

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from ..training.plan.recipe import Config


@dataclass(frozen=True)
class Evaluation:
    """What judging a run on one split gave.

    Attributes:
        report: the numbers.
        predictions: what they were computed from.
        folder: where report, predictions and figures lie.
        figures: PNG files by name.
    """

    report: Report
    predictions: Predictions
    folder: Path
    figures: dict[str, Path]

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
        return self.report._repr_html_() + "".join(image(path.read_bytes()) for path in self.figures.values())


class Run(RunFolder):
    """A training run: its folder, and what can be done with it."""

    _module: nn.Module | None = None
    _data: Dataset | None = None

    @property
    def config(self) -> Config:
        """The checked configuration of the run."""
        from ..training.plan.recipe import parse_config

        return parse_config(self.read_config(), f"{self.path}: config.yaml")

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier that the run kept.

        Raises:
            RunError: the run has none, because it is not complete.
        """
        return self._load(self.model_file)

    def _load(self, path: Path) -> Classifier:
        if not path.is_file():
            status = self.status
            if status == "running":
                raise RunError(f"{self.path}: has no model yet; it is still training")
            raise RunError(f"{self.path}: has no model ({status}); go on with: eyesight train --resume {self.path}")
        return Classifier.load(path, module=self._module)

    def data(self, data_dir: str | Path | None = None) -> Dataset:
        """Return the dataset that the run was trained on, split as it was.

        Raises:
            DataNotFoundError: the files are no longer where they were.
            UsageError: it was trained on arrays, which only the Python that trained it has.
        """
        if self._data is not None:
            return self._data
        wanted = self.config.data
        if wanted.kind == "arrays":
            raise UsageError(
                f"{self.path}: was trained on arrays, which only Python can pass: data=eyesight.from_arrays(…)"
            )
        folder = data_dir or recorded_folder(self)
        return load_wanted(wanted, folder)

    def evaluate(
        self,
        split: str | None = None,
        *,
        data: Dataset | None = None,
        data_dir: str | Path | None = None,
        weights: Literal["kept", "last"] = "kept",
    ) -> Evaluation:
        """Judge the run's classifier and write report, predictions and figures into the run's folder.

        Args:
            split: "test" (the default where there is one), "validation" or "train".
            data: the dataset, where the run was trained on arrays or should be judged on other data.
            data_dir: folder with the dataset's files.
            weights: "kept" or "last"; they differ where the best epoch was not the last.
        """
        if weights not in ("kept", "last"):
            raise UsageError(f"weights: expected kept or last; received: {weights!r}")
        use_last = weights == "last" and self.last_model_file.is_file()
        classifier = self._load(self.last_model_file) if use_last else self.classifier
        data = data or self.data(data_dir)
        chosen = data.split(split or ("test" if data.test else "validation" if data.validation else "train"))
        if classifier.classes != data.classes:
            raise UsageError(f"data: {data.name} has other classes than {self.path} was trained on")
        predictions = predict_split(classifier, chosen, model=classifier.checksum or "")
        report = judge(predictions, source=chosen.source, notes=self._notes(classifier, data, chosen.name))
        key = hashlib.sha256(f"{predictions.model}{predictions.data}".encode()).hexdigest()
        folder = self.evaluation_folder(chosen.name, key)
        predictions.save(folder / PREDICTIONS_FILE)
        write_json(folder / REPORT_FILE, report.to_json())
        drawn = {
            "curves": self._curves(),
            "confusion": figures.confusion(report),
            "samples": figures.sample_predictions(predictions, chosen),
            "mistakes": figures.confident_mistakes(report, predictions, chosen),
            "label-counts": figures.label_counts(data),
        }
        paths = {name: figures.save(f, folder / f"{name}.png") for name, f in drawn.items() if f is not None}
        return Evaluation(report, predictions, folder, paths)

    def _curves(self) -> Figure | None:
        """Return the figure of the epochs so far, if there are any."""
        rows = self.metrics()
        name = "test" if self.config.data.validation == "test" else "validation"
        return figures.curves(rows, validation=name) if rows else None

    def _notes(self, classifier: Classifier, data: Dataset, split: str) -> tuple[str, ...]:
        """Return what a reader must know to read the numbers right.

        Raises:
            UsageError: pictures of other data that this run may have learned from.
        """
        notes = []
        training = classifier.training
        if training and training.fingerprint != data.fingerprint:
            if split != "test" and data.kind == "catalog" and data.name == training.data:
                raise UsageError(
                    f"data: {data.name} is not what {self.path} was trained on, so its {split} pictures may have been "
                    "learned from; only test can be judged"
                )
            notes.append("the data differs from what the run was trained with, in its pictures or its split")
        if split == "test" and self.config.data.validation == "test":
            notes.append("the test set was validation data in every epoch, as in the tutorials")
        if split == "train":
            notes.append("these pictures were learned from; the accuracy on new ones is lower")
        if split == "validation" and training and training.weights == "best":
            notes.append("the epoch was chosen on these pictures; the accuracy on new ones is a little lower")
        if changes := self.about().get("forced"):
            notes.append(f"the run went on with --force after changes: {'; '.join(changes)}")
        if self.status != "complete":
            notes.append(f"the run is {self.status}; these are the last good weights")
        return tuple(notes)

    def __repr__(self) -> str:
        about = self.about()
        return f"Run({str(self.path)!r}: {about.get('data')}, {about.get('model')}, {about.get('status')})"

    def _repr_html_(self) -> str:
        about = self.about()
        facts = f"{about.get('model')} on {about.get('data')}, {about.get('status')}"
        text = f"<p><b>{escape(str(self.path))}</b>: {escape(facts)}</p>"
        curves = self._curves()
        return text + (image(figures.png(curves)) if curves else "")


def open_run(path: str | Path, *, data: Dataset | None = None, module: nn.Module | None = None) -> Run:
    """Open an existing run.

    Args:
        path: its folder.
        data: the dataset, where it was trained on arrays.
        module: an instance of your own network, where it was trained on one.
    """
    run = Run(RunFolder.open(path).path)
    run._data, run._module = data, module
    return run


def load_classifier(path: str | Path, *, module: nn.Module | None = None) -> Classifier:
    """Load a classifier from a model file, from a run's folder, or a pretrained one by its name."""
    if str(path) in BACKBONES:
        return load_backbone(str(path))
    if not Path(path).exists() and (nearest := nearest_name(str(path), BACKBONES)):
        raise FormatError(f"{path}: no such file or folder; did you mean {nearest!r}?")
    return open_run(path, module=module).classifier if Path(path).is_dir() else Classifier.load(path, module=module)


def recorded_folder(run: RunFolder) -> str | None:
    """Return where the run's data lay, if it is still there and the user named no other place."""
    if os.environ.get("EYESIGHT_DATA"):
        return None
    try:
        folder = run.read_environment().get("data_folder")
    except FormatError:
        return None
    return folder if folder and Path(folder).is_dir() else None
