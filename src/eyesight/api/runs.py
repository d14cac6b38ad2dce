"""Runs as a user holds them: what a run kept, and judging it.

In: a run's folder. Out: `Run`, `Evaluation`, `Classifier`.
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backbones import BACKBONES, load_backbone
from ..classifier import Classifier
from ..data.dataset import Dataset
from ..data.open import open_again
from ..errors import FormatError, nearest_name
from ..evaluation import evaluate as judging
from ..evaluation.evaluate import Evaluation, LookBack, Weights
from ..export.exported import ExportedModel
from ..export.onnx_file import is_exported
from ..formats import check_path
from ..report.drawing import html_image, png
from ..run import RunFolder, Status
from .arguments import check_dataset
from .datasets import report_reading

if TYPE_CHECKING:
    from torch import nn

    from ..training.plan.recipe import Config


class Run:
    """A training run: its folder, and what can be done with it.

    Attributes:
        folder: paths, and plain reading and writing of what the run holds.
    """

    def __init__(self, folder: RunFolder, *, data: Dataset | None = None, module: nn.Module | None = None) -> None:
        self.folder = folder
        self._data = data
        self._module = module

    @property
    def path(self) -> Path:
        """The run's folder as a path."""
        return self.folder.path

    @property
    def status(self) -> Status:
        """How far the run is."""
        return self.folder.status

    @property
    def model_file(self) -> Path:
        """The classifier that the run kept."""
        return self.folder.model_file

    @property
    def last_model_file(self) -> Path:
        """The classifier with the last weights, where those are not the ones kept."""
        return self.folder.last_model_file

    def about(self) -> dict[str, Any]:
        """Return what `run.json` says, with the true status."""
        return self.folder.about()

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row for every look at the validation pictures; see `RunFolder.metrics`."""
        return self.folder.metrics()

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports of all evaluations as plain data, oldest first."""
        return self.folder.reports()

    def read_config(self) -> dict[str, Any]:
        """Return the contents of `config.yaml`, at the current version."""
        return self.folder.read_config()

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
        return judging.load(self.folder, module=self._module)

    def data(self, data_dir: str | Path | None = None) -> Dataset:
        """Return the dataset that the run was trained on, split as it was.

        Raises:
            DataNotFoundError: the files are no longer where they were.
            UsageError: it was trained on arrays, which only the Python that trained it has.
        """
        if self._data is not None:
            return self._data
        try:
            folder = self.folder.read_environment().get("data_folder")
        except FormatError:
            folder = None
        return open_again(
            self.config.data, source=self.path, data_dir=data_dir, folder=folder, progress=report_reading()
        )

    def evaluate(
        self,
        split: str | None = None,
        *,
        data: Dataset | None = None,
        data_dir: str | Path | None = None,
        weights: Weights = "kept",
    ) -> Evaluation:
        """Judge the run's classifier and write report, predictions and figures into the run's folder.

        Args:
            split: "test" (the default where there is one), "validation" or "train".
            data: the dataset, where the run was trained on arrays or should be judged on other data.
            data_dir: folder with the dataset's files.
            weights: "kept" or "last"; they differ where the best epoch was not the last.
        """
        if data is not None:
            check_dataset(data)
        return judging.evaluate(
            self.folder,
            (lambda: self.data(data_dir)) if data is None else (lambda: data),
            split,
            weights=weights,
            module=self._module,
        )

    def look_back(self, data_dir: str | Path | None = None) -> LookBack:
        """Draw curves and a sheet of predictions into the run's folder, and tell whether the network overfits.

        Args:
            data_dir: folder with the dataset's files.
        """
        return judging.look_back(self.folder, self.data(data_dir), module=self._module)

    def __repr__(self) -> str:
        about = self.about()
        return f"Run({str(self.path)!r}: {about.get('data')}, {about.get('model')}, {about.get('status')})"

    def _repr_html_(self) -> str:
        about = self.about()
        facts = f"{about.get('model')} on {about.get('data')}, {about.get('status')}"
        text = f"<p><b>{escape(str(self.path))}</b>: {escape(facts)}</p>"
        curves = judging.curves(self.folder)
        return text + (html_image(png(curves)) if curves else "")


def open_run(path: str | Path, *, data: Dataset | None = None, module: nn.Module | None = None) -> Run:
    """Open an existing run.

    Args:
        path: its folder.
        data: the dataset, where it was trained on arrays.
        module: an instance of your own network, where it was trained on one.
    """
    check_path(path, "path")
    return Run(RunFolder.open(path), data=data, module=module)


def load_classifier(path: str | Path, *, module: nn.Module | None = None) -> Classifier:
    """Load a classifier from a model file, from a run's folder, or a pretrained one by its name."""
    check_path(path, "path")
    if str(path) in BACKBONES:
        return load_backbone(str(path))
    if not Path(path).exists() and (nearest := nearest_name(str(path), BACKBONES)):
        raise FormatError(f"{path}: no such file or folder; did you mean {nearest!r}?")
    return open_run(path, module=module).classifier if Path(path).is_dir() else Classifier.load(path, module=module)


def load_model(
    path: str | Path, *, module: nn.Module | None = None, threads: int | None = None
) -> Classifier | ExportedModel:
    """Load whatever answers: a run, a model file, an exported `.onnx` file, or a pretrained network by its name.

    What comes back has `classes`, `preprocessing`, `predict(pictures)` and `probabilities(pixels)`, and needs neither
    torch nor, of a file, the run that it came from. A file is told by its contents.

    Args:
        path: a run's folder, a `.safetensors` or `.onnx` file, or a name such as "efficientnet-lite0".
        module: for a network of your own that is not exported: an instance of its class.
        threads: of the CPU, that compute; None for as many as this process may use.

    Raises:
        FormatError, RunError: not a model, or a run that has none yet.
    """
    check_path(path, "path")
    if is_exported(Path(path)) or Path(path).suffix.lower() == ".onnx":
        return ExportedModel.load(path, threads=threads)
    classifier = load_classifier(path, module=module)
    classifier.threads = threads
    return classifier
