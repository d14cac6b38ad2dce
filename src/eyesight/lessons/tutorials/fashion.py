"""The accounts of the two tutorials on Fashion-MNIST: early stopping, and same padding."""

from __future__ import annotations

import numpy as np

from .figures import first_picture
from .gap import describe_dropout
from .story import FinishedRun, Story

# Every argument of Keras' Conv2D, as the tutorial's first layer has it, and what it does.
CONV2D = (
    ("filters", "32", "how many kernels slide over the picture, each looking for something else: 32 feature maps"),
    ("kernel_size", "(3, 3)", "rows and columns of each kernel: it looks at 3×3 pixels at a time"),
    ("strides", "(1, 1)", "pixels from one window to the next, down and across; (2, 2) would halve the map"),
    ("padding", '"same"', 'zeros around the picture, so that 28×28 stays 28×28; "valid" has none and gives 26×26'),
    ("data_format", "channels last", "a batch has the shape (pictures, rows, columns, channels)"),
    ("dilation_rate", "(1, 1)", "the kernel's pixels lie side by side; (2, 2) would leave one out between them"),
    ("groups", "1", "every kernel sees all channels of its input"),
    ("activation", '"relu"', "what is below zero becomes zero: without it, layers on layers would be one linear layer"),
    ("use_bias", "True", "each kernel adds a number of its own to its sums"),
    ("kernel_initializer", "Glorot uniform", "the kernels start as small random numbers"),
    ("bias_initializer", "zeros", "the biases start at 0"),
    ("kernel_, bias_, activity_regularizer", "None", "no penalty on large weights or outputs"),
    ("kernel_, bias_constraint", "None", "the weights may take any value"),
    ("input_shape", "(28, 28, 1)", "only for the first layer: rows, columns and channels of a picture"),
)  # fmt: skip


class EarlyStopping(Story):
    """T1: stop when the test loss no longer falls."""

    def pictures(self) -> None:
        """Counts, shapes, the first picture, division by 255."""
        tell, data = self.account, self.data
        tell.say(
            f"Fashion-MNIST: {len(data.train):,} grey pictures of clothing to learn from and {len(self.test):,} to "
            "test with, 28×28 pixels each. A label is a number that stands for a class."
        )
        self.label_counts()
        tell.show(f"Training data: {self.arrays(data.train)}, Test data: {self.arrays(self.test)}", "")
        label = int(data.train.labels[0])
        tell.show(f"Label of the first training picture: {label} ({data.classes[label]})")
        drawn = first_picture(data.train.gather([0])[0], f"training picture 0: {label}, {data.classes[label]}")
        tell.figure("first-picture", drawn, "0 is black, 255 is white")
        self.explain_division()

    def network(self) -> None:
        """What the three kinds of layer do."""
        self.account.say(
            "A convolutional layer slides small kernels over the picture: each finds one kind of thing, such as an "
            "edge, wherever it is. Max pooling keeps the largest of each 2×2 values, so that maps get half as wide and "
            "small movements matter less. After three of both, flatten puts what is left in a row, and two dense "
            "layers turn it into a number for each of the ten classes. Softmax makes probabilities of these; here it "
            "belongs to the loss, so that the table below ends with the numbers that it is given."
        )

    def training(self) -> None:
        """Early stopping, and what it looks at."""
        stopping = self.config.recipe.early_stopping
        assert stopping is not None  # the tutorial has it
        self.account.show(f'EarlyStopping(monitor="{stopping.monitor}", patience={stopping.patience})', "")
        self.account.say(
            "How many epochs are enough? Too few, and the network has not learned all it could; too many, and it "
            "learns its training pictures by heart. So the loss on the test pictures, val_loss, is watched after each "
            f"epoch, and training ends once it has not come below its lowest value for {stopping.patience} epochs. The "
            "weights stay those of the last epoch."
        )
        self.test_is_validation()

    def results(self, finished: FinishedRun) -> None:
        """Curves, confusion, and one picture from probabilities to answer."""
        report, epochs = finished.report, [row["val_accuracy"] for row in finished.rows]
        best = int(np.argmax(epochs))
        self.account.show(
            f"Epochs: {len(epochs)}. Test accuracy at the last: {report.accuracy:.4f}; at the best, epoch {best + 1}: "
            f"{epochs[best]:.4f}",
            "",
        )
        self.curves(finished)
        self.gap(finished)
        self.confusion(report)
        self.one_picture(finished)

    def one_picture(self, finished: FinishedRun) -> None:
        """Print the ten probabilities of the first training picture, as the tutorial does, and the largest."""
        train, classes = self.data.train, self.data.classes
        self.account.say(
            "For the first training picture, the one drawn above, the network gives ten probabilities, which add up to "
            "1. argmax is the place of the largest, and so the answer. It has learned from this picture: that it knows "
            "it says little about others."
        )
        probabilities = finished.classifier.probabilities(train.gather([0]))[0]
        rows = [(k, classes[k], f"{p:.6f}") for k, p in enumerate(probabilities)]
        self.account.table(("label", "class", "probability"), rows, numbers=("label", "probability"))
        answer, truth = int(probabilities.argmax()), int(train.labels[0])
        self.account.show(f"argmax: {answer} ({classes[answer]}); its label is {truth} ({classes[truth]})", "")


class SamePadding(Story):
    """T3: every argument of Conv2D, and padding that keeps the size."""

    def pictures(self) -> None:
        """Fifteen pictures, the channel that is added, division by 255."""
        tell, data = self.account, self.data
        tell.say(
            f"Fashion-MNIST: {len(data.train):,} grey pictures of clothing to learn from and {len(self.test):,} to "
            "test with, 28×28 pixels each, of ten classes."
        )
        about = "the first 15 training pictures, on white as with cmap=binary: 0 white, 255 black"
        self.show_samples(range(15), about, columns=5, white=True)
        tell.say(
            "A convolutional layer expects rows, columns and channels. Colour pictures have three channels; these have "
            "one, which is not written in their shape and so is added. The numbers stay as they are."
        )
        shape = self.arrays(data.train)
        tell.show(f"Shape before: {shape}", f"Shape after:  {(len(data.train), *data.shape)}", "")
        self.explain_division()

    def network(self) -> None:
        """Every argument of Conv2D."""
        self.account.say(
            "What each argument of a Conv2D layer means, with its value in the first layer. Where the tutorial says "
            "nothing, Keras' default holds."
        )
        self.account.table(("argument", "value", "what it does"), CONV2D)
        self.account.say(
            "With same padding only the two poolings make the maps smaller: 28×28, 14×14, 7×7. Flatten makes 7×7×64 = "
            "3,136 numbers of the last, and so most of the parameters are in the first dense layer."
        )

    def training(self) -> None:
        """What the loss compares, and the test set as validation data."""
        self.account.say(
            "An epoch is once through all training pictures, a batch at a time. After each batch the loss says how far "
            "the probabilities are from the labels, and every weight moves a little in the direction that makes it "
            "smaller."
        )
        self.test_is_validation()

    def results(self, finished: FinishedRun) -> None:
        """Curves, test loss and accuracy, and what would help against overfitting."""
        self.curves(finished)
        report = finished.report
        self.account.show(f"Test loss: {report.loss:.4f}", f"Test accuracy: {report.accuracy:.4f}", "")
        found = self.gap(finished)
        self.account.say(describe_dropout(found))
        if found.overfits:
            folder = self.account.folder.parent
            self.account.show("To try it on this run's configuration:", "")
            self.account.show(f"eyesight train --config {folder}/config.yaml --set model.dropout=0.3", "")
