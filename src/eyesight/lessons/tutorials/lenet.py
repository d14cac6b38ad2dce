"""The account of the tutorial on LeNet-5: a training told update by update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...evaluation.figures import picture_grid
from ...models.summary import summarise
from .figures import line_plot
from .story import FinishedRun, MetricsRow, Story

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = range(30, 36)  # the test pictures that the tutorial shows
_UPDATES = ("step", "Epoch")  # the tutorial calls an update so


class LeNet5(Story):
    """T4: 300 updates on random batches, watched on random test pictures."""

    def pictures(self) -> None:
        """MNIST, division by 255, and the border of zeros."""
        tell, data = self.account, self.data
        tell.say(
            f"MNIST: {len(data.train):,} handwritten digits to learn from and {len(self.test):,} to test with, grey, "
            "28×28 pixels. LeNet-5 was made for 32×32, so two rows or columns of zeros (black, as the background is) "
            "are put on each side; eyesight's lenet5 does that in its first layer."
        )
        height, width, channels = data.shape
        tell.show(
            f"Training data: {(len(data.train), height, width, channels)}, padded: "
            f"{(len(data.train), height + 4, width + 4, channels)}",
            "",
        )
        self.explain_division()

    def network(self) -> None:
        """The names of LeCun's layers."""
        self.account.say(
            "LeNet-5 by the names of its paper (LeCun et al., 1998): C1 and C3 are convolutions with 5×5 kernels, S1 "
            "and S4 halve the maps (max pooling; the paper took a mean), flatten makes 5×5×16 = 400 numbers, and F5, "
            "F6 and OUTPUT are dense. ReLU takes the place of the paper's tanh."
        )

    def layers(self) -> None:
        """Print the table by the names of the paper."""
        self.our_layers()
        self.account.show(f"Total params: {summarise(self.spec()).parameters:,}", "")

    def training(self) -> None:
        """Batches at random, and what the tutorial calls an epoch."""
        recipe = self.config.recipe
        self.account.say(
            f"Each update takes {recipe.batch_size} training pictures at random, with replacement: some come twice, "
            "and about six in ten never. The tutorial calls an update an epoch, and so do the lines below. Every "
            f"{recipe.validate_every} updates one shows loss and accuracy of the last batch (before the update), and "
            f"in brackets the accuracy on {recipe.validation_sample} random test pictures, which shows how well it "
            f"goes and decides nothing. With {recipe.validation_sample} pictures it is right to about ±1 or 2 "
            "percentage points."
        )

    def lines(self, row: MetricsRow) -> list[str]:
        """Return the tutorial's line."""
        return [update_line(row)]

    def results(self, finished: FinishedRun) -> None:
        """Two curves, six pictures, and accuracy on all test pictures."""
        self.account.figure("loss", loss_plot(finished.rows), "of the last batch, every 5 updates")
        about = "of the last batch, and of 500 random test pictures"
        self.account.figure("accuracy", accuracy_plot(finished.rows), about)
        ids = np.array([i for i in SHOWN if i < len(self.test)])
        predictions = finished.predictions
        titles = [f"Actual: {predictions.labels[i]} Pred: {predictions.predicted[i]}" for i in ids]
        if len(ids):
            grid = picture_grid(self.test.gather(ids), titles, columns=3)
            self.account.figure("predictions", grid, f"test pictures {ids[0]} to {ids[-1]}")
        self.account.show(f"Test accuracy on all {finished.report.n:,} test pictures: {finished.accuracy:.4f}", "")


def update_line(row: MetricsRow) -> str:
    """Return the tutorial's line, to the letter; it calls an update an epoch."""
    return (
        f"Epoch # {row['step']}. Train Loss: {row['loss']:.2f}. "
        f"Train Acc (Test Acc): {row['accuracy']:.2f} ({row['val_accuracy']:.2f})"
    )


def loss_plot(rows: Sequence[MetricsRow]) -> Figure:
    """Draw the tutorial's first plot: the loss as a black line."""
    return line_plot(rows, [("loss", "Loss", "k-")], title="Loss per Epoch", x=_UPDATES, y="Loss")


def accuracy_plot(rows: Sequence[MetricsRow]) -> Figure:
    """Draw the tutorial's second plot: training as a black line, test as a red dashed one."""
    lines = [("accuracy", "Train Set Accuracy", "k-"), ("val_accuracy", "Test Set Accuracy", "r--")]
    title = "Train and Test Accuracy"
    return line_plot(rows, lines, title=title, x=_UPDATES, y="Accuracy", legend="lower right")
