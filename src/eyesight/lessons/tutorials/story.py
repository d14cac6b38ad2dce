"""What the accounts of all tutorials have in common: the steps, the options, the layers, the line of an epoch.

In: a tutorial, a dataset, the configuration of the run; then the events of a training, and what came of it. Out: an
account, step by step. What is special to a tutorial is in the modules beside this one; it knows neither how a network
is trained nor how it is judged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...classifier import Classifier
from ...data.catalog import entry
from ...data.dataset import Dataset, Split
from ...errors import UsageError
from ...evaluation.figures import confusion, curves, picture_grid
from ...evaluation.judge import Report
from ...evaluation.overfitting import Overfitting
from ...models import network_spec
from ...models.network import NetworkSpec
from ...models.summary import summarise
from ...predictions import Predictions
from ...report.document import count
from ...training.events import EpochEnded, Event, Started
from ...training.plan.recipe import Config
from .account import Account
from .gap import describe_gap, measure_gap
from .keras_form import epoch_lines, layer_table
from .options import explain
from .programs import Tutorial

MetricsRow = dict[str, Any]  # a line of metrics.jsonl


@dataclass(frozen=True)
class FinishedRun:
    """What came of a run.

    Attributes:
        folder: where it lies.
        rows: of its metrics.jsonl.
        report, predictions: of all test pictures.
        classifier: what the run kept.
    """

    folder: Path
    rows: Sequence[MetricsRow]
    report: Report
    predictions: Predictions
    classifier: Classifier

    @property
    def accuracy(self) -> float:
        """Share of the test pictures that were classified right."""
        return self.report.accuracy

    @property
    def seconds(self) -> float:
        """What the training took."""
        seconds: float = self.rows[-1]["seconds"]
        return seconds


class Part:
    """Something that is opened, listens to a training, and is closed with what came of it.

    Attributes:
        finished: what came of it, once it is closed.
        title: what the last table calls it.
    """

    title = ""

    def __init__(self, config: Config, account: Account) -> None:
        self.config, self.account = config, account
        self.finished: FinishedRun | None = None

    def open(self) -> None:
        """Tell everything up to the first update."""

    def listen(self, event: Event) -> None:
        """Follow the training."""
        if isinstance(event, EpochEnded):
            self.account.show(*self.lines(event.row))

    def close(self, finished: FinishedRun) -> None:
        """Tell what came of it."""
        self.finished = finished
        self.account.show(f"run:  {finished.folder}", f"next: eyesight evaluate {finished.folder}", "")

    def lines(self, row: MetricsRow) -> list[str]:
        """Return what is printed of an epoch, or of some updates."""
        epochs = self.config.recipe.epochs
        number = f"Update {row['step']}" if epochs is None else f"Epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"
        text = f"{number}  train loss {row['loss']:.4f}  train accuracy {row['accuracy']:.4f}"
        if "val_loss" in row:
            text += f"  test loss {row['val_loss']:.4f}  test accuracy {row['val_accuracy']:.4f}"
        return [text]


class Story(Part, ABC):
    """The account of one tutorial: `pictures`, `network` and `training` before, `line` during, `results` after.

    Args:
        tutorial: which one.
        data: its pictures, or some of them.
        config: of the run; it differs from the tutorial's in length and seed at most.
        account: where it is told.

    Raises:
        UsageError: data that is not the tutorial's.
    """

    def __init__(self, tutorial: Tutorial, data: Dataset, config: Config, account: Account) -> None:
        super().__init__(config, account)
        name = tutorial.config["data"]["name"]
        self.dataset = entry(name)
        found = "x".join(map(str, data.shape)), data.classes
        if data.test is None or found != (self.dataset.size, self.dataset.classes):
            raise UsageError(f"data: expected {name}, or a part of it with test pictures; received: {data!r}")
        self.tutorial, self.data = tutorial, data
        self.test: Split = data.test
        self.differences = self.find_differences()
        self._last: MetricsRow | None = None  # row of the epoch before
        self.title = f"this run{' (another length or data)' if self.differences else ''}"

    def open(self) -> None:
        """Tell everything up to the first update."""
        tell = self.account
        tell.say(f"{self.tutorial.title}: {self.tutorial.layers}")
        if self.differences:
            tell.say(f"note: {'; '.join(self.differences)}: the figures below are not the tutorial's")
        tell.heading(f"The pictures: {self.dataset.title}")
        self.pictures()
        tell.heading("The network")
        self.network()
        self.layers()
        tell.heading("Training")
        self.training()
        tell.table(("option", "value", "what it does"), explain(self.config))

    def listen(self, event: Event) -> None:
        """Follow the training; its folder exists once it has started."""
        if isinstance(event, Started):
            self.account.save()
        super().listen(event)

    def lines(self, row: MetricsRow) -> list[str]:
        """Return the two lines that Keras prints of an epoch."""
        epochs = self.config.recipe.epochs
        if epochs is None:
            return super().lines(row)
        before, self._last = self._last, row
        return epoch_lines(row, epochs=epochs, before=before)

    def close(self, finished: FinishedRun) -> None:
        """Tell what came of it."""
        self.account.heading("Results")
        self.results(finished)
        self.account.save()
        super().close(finished)

    @abstractmethod
    def pictures(self) -> None:
        """Tell what is learned from."""

    @abstractmethod
    def network(self) -> None:
        """Tell what the layers do; their table follows."""

    @abstractmethod
    def training(self) -> None:
        """Tell how the weights are found; a table of all options follows."""

    @abstractmethod
    def results(self, finished: FinishedRun) -> None:
        """Tell and draw what the network does with the test pictures."""

    def find_differences(self) -> list[str]:
        """Return in which respects this run is not the tutorial's."""
        found = []
        wanted, now = self.tutorial.configuration().recipe, self.config.recipe
        for unit in ("epochs", "updates"):
            asked, usual = getattr(now, unit), getattr(wanted, unit)
            if asked is not None and asked != usual:
                length = count(usual, unit[:-1]) if usual else count(wanted.epochs or 0, "epoch")
                found.append(f"{count(asked, unit[:-1])} in place of the tutorial's {length}")
        for split, whole in zip((self.data.train, self.test), self.dataset.counts, strict=True):
            if len(split) != whole:
                found.append(f"{len(split):,} of {whole:,} {split.name} pictures")
        return found

    def show_samples(self, ids: Sequence[int], about: str, *, columns: int, white: bool = False) -> None:
        """Draw training pictures with the names of their classes."""
        train = self.data.train
        names = [self.data.classes[k] for k in train.labels[ids]]
        self.account.figure("pictures", picture_grid(train.gather(ids), names, columns=columns, white=white), about)

    def label_counts(self) -> None:
        """Print how many pictures each class has."""
        counts = [split.label_counts(len(self.data.classes)) for split in (self.data.train, self.test)]
        rows = [(k, name, *(f"{count[k]:,}" for count in counts)) for k, name in enumerate(self.data.classes)]
        self.account.table(("label", "class", "train", "test"), rows, numbers=("label", "train", "test"))

    def arrays(self, split: Split) -> str:
        """Return the shape of a split's pictures as the tutorials have them: grey ones without a channel."""
        shape = split.store.shape
        return str((len(split), *(shape[:2] if shape[2] == 1 else shape)))

    def explain_division(self) -> None:
        """Tell why pixels are divided by 255, and print what that makes of them."""
        low, high = pixel_range(self.data.train)
        self.account.say(
            "Each pixel is a whole number from 0 (black) to 255 (white). They are divided by 255, so that the network "
            "gets numbers from 0 to 1: the first weights and the learning rate are made for numbers of about that "
            "size, and with larger ones training is unsteady. Test pictures are divided in the same way."
        )
        self.account.show(f"Pixels: {low} to {high}; divided by 255: {low / 255} to {high / 255}", "")

    def layers(self) -> None:
        """Print the layer table as Keras has it, and as eyesight has it."""
        self.account.show("As Keras' model.summary() prints it:", "", *layer_table(self.spec()), "")
        self.account.say("None stands for the number of pictures in a batch. The same layers by eyesight's names:")
        self.our_layers()

    def our_layers(self) -> None:
        """Print eyesight's own layer table."""
        rows = [(row.layer, row.kind, row.output, f"{row.parameters:,}") for row in summarise(self.spec()).rows]
        self.account.table(("layer", "kind", "output shape", "parameters"), rows, numbers=("parameters",))

    def spec(self) -> NetworkSpec:
        """Return the tree of the network."""
        return network_spec(self.config.model.name, shape=self.data.shape, classes=len(self.data.classes))

    def test_is_validation(self) -> None:
        """Say that the test set is looked at in every epoch, and what that means."""
        self.account.say(
            "The tutorial names the test set as its validation data: after every epoch the network is tried on the "
            f"{len(self.test):,} test pictures, and val_loss and val_accuracy are its loss and accuracy there. It does "
            "not learn from them. But whoever chooses by these figures (when to stop, which layers to take) fits the "
            "choice to the test set, and its accuracy there flatters. Everything else in eyesight holds validation "
            "pictures out of the training set, chooses on those, and looks at the test set once."
        )

    def curves(self, finished: FinishedRun) -> None:
        """Draw accuracy and loss over the epochs."""
        about = "accuracy and loss after each epoch, on training and test pictures"
        epochs = [row["epoch"] for row in finished.rows]
        self.account.figure("curves", curves(finished.rows, trained=epochs, validation="test"), about)

    def confusion(self, report: Report) -> None:
        """Draw the confusion matrix, and name the pair of classes that is confused most."""
        about = "a row for each class: what its test pictures were taken for"
        self.account.figure("confusion", confusion(report), about)
        names, matrix = [row.label for row in report.per_class], np.array(report.confusion_matrix)
        pairs = matrix + matrix.T
        np.fill_diagonal(pairs, 0)
        i, j = sorted(divmod(int(pairs.argmax()), len(names)))
        self.account.say(
            f"Confused most: {names[i]} and {names[j]}. {matrix[i, j]} {names[i]} pictures were taken for {names[j]}, "
            f"and {matrix[j, i]} the other way round, of {matrix[i].sum():,} and {matrix[j].sum():,}."
        )

    def gap(self, finished: FinishedRun) -> Overfitting:
        """Say how much better the network is on pictures that it has learned from."""
        found = measure_gap(finished.rows[-1], finished.report, pictures=len(self.data.train))
        self.account.say(describe_gap(found))
        return found


def pixel_range(split: Split) -> tuple[int, int]:
    """Return the smallest and the largest value of all pixels."""
    parts = [(int(batch.min()), int(batch.max())) for batch in split.batches(memory=8 << 20)]
    return min(low for low, _ in parts), max(high for _, high in parts)
