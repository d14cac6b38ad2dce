"""The accounts of the two tutorials on CIFAR-10: the quick start, and the dense baseline with its photo sheets."""

from __future__ import annotations

import numpy as np

from ..convolution import by
from ..convolve import Scale, convolve
from .figures import TEST, TRAINING, line_plot
from .story import FinishedRun, Story, pixel_range

# kernel, scale, and what they are; imshow makes the smallest number black and the largest white
PHOTO_KERNELS: tuple[tuple[str, Scale, str], ...] = (
    ("random", "min-max", "a random 3×3 filter, as a network's first layer starts with"),
    ("edge", "min-max", "the edge filter: −1 everywhere, 8 in the middle"),
    ("edge", "signed", "the same with its signs: white 0, orange above it, blue below"),
    ("blur7", "min-max", "a 7×7 blur, each number 1/49"),
)


class QuickStart(Story):
    """T2: a small convolutional network on small photos."""

    def pictures(self) -> None:
        """Division by 255, and ten pictures with their class names."""
        tell, data = self.account, self.data
        tell.say(
            f"CIFAR-10: {len(data.train):,} photos to learn from and {len(self.test):,} to test with, of ten kinds of "
            "animals and vehicles, 32×32 pixels each, in colour: three numbers for each pixel, red, green and blue."
        )
        self.explain_division()
        self.show_samples(range(10), "the first ten training pictures", columns=5)

    def network(self) -> None:
        """Convolutions first, dense layers on top."""
        self.account.say(
            "Convolutional layers with 32, 64 and 64 kernels of 3×3 find ever larger things, while two poolings halve "
            "the maps. Flatten puts the last maps (4×4×64 = 1,024 numbers) in a row, a dense layer of 64 combines "
            "them, and the last one gives ten numbers, the logits: the larger, the likelier the class. The tutorial "
            "leaves softmax to the loss (from_logits=True)."
        )

    def training(self) -> None:
        """The test set as validation data."""
        self.account.say("Adam and batches of 32 are Keras' defaults; the table below says what every option does.")
        self.test_is_validation()

    def results(self, finished: FinishedRun) -> None:
        """Accuracy curves with the tutorial's axis, accuracy, and what to try next."""
        title = "CIFAR-10 quick start"
        curve = line_plot(finished.rows, [TRAINING, TEST], title=title, y="accuracy", limits=(0.5, 1))
        self.account.figure(
            "accuracy", curve, "accuracy after each epoch; the tutorial's axis, from 0.5 to 1, leaves out what is lower"
        )
        self.account.show(f"Test accuracy: {finished.report.accuracy:.4f}", "")
        self.gap(finished)
        self.account.say(
            f"What may help: more epochs ({self.tutorial.command} --epochs 20), or other dense layers on top of the "
            "convolutions: wider than 64, or two of them. Watch the gap between the curves: with more parameters and "
            "more epochs it grows, and then it is regularization that helps (--ours shows some)."
        )


class Dense(Story):
    """T5: what a network without convolutions reaches, and what a convolution does to a photo."""

    def pictures(self) -> None:
        """Labels, shapes, values, sixteen pictures, one-hot labels, centred pixels."""
        tell, data = self.account, self.data
        labels = data.train.labels
        tell.show(f"First ten labels: {labels[:10].tolist()}")
        tell.show(f"Training data: {self.arrays(data.train)}, labels ({len(data.train)}, 1)")
        tell.show(f"Test data: {self.arrays(self.test)}, labels ({len(self.test)}, 1)")
        low, high = pixel_range(data.train)
        tell.show(f"Pixels: min {low}, max {high}", "")
        tell.say("There are copies of CIFAR-10 in several orders; in those the first ten labels differ.")
        ids = np.sort(np.random.default_rng(self.config.seed).permutation(len(data.train))[:16])
        self.show_samples(ids.tolist(), "16 random training pictures", columns=4)
        first = int(labels[0])
        tell.say(
            "Two things are changed before training. A label becomes a row of ten numbers, with a 1 at its place and 0 "
            "elsewhere, which is what categorical cross-entropy compares with the ten probabilities. And pixels are "
            "divided by 255 and moved by −0.5, so that they lie around 0, where tanh is steepest."
        )
        tell.show(f"Label {first} ({data.classes[first]}): {np.eye(len(data.classes), dtype=int)[first].tolist()}")
        tell.show(f"Pixels: {low} to {high} become {low / 255 - 0.5} to {high / 255 - 0.5}", "")

    def network(self) -> None:
        """Every pixel connected with every neuron."""
        values = int(np.prod(self.data.shape))
        self.account.say(
            f"No convolutions: flatten puts all {by(self.data.shape)} = {values:,} numbers of a picture in a row, and "
            "each neuron of the first layer has a weight for every one of them. A dense layer does not know which "
            "pixels are neighbours, and a cat on the left teaches it nothing about a cat on the right. tanh bends each "
            "sum to between −1 and 1; softmax makes ten probabilities of the last ten numbers."
        )

    def training(self) -> None:
        """No validation; the test set once."""
        self.account.say(
            "Nothing is watched on other pictures during training; the test set is looked at once, at the end. So the "
            "lines below show the training pictures only."
        )

    def results(self, finished: FinishedRun) -> None:
        """Accuracy against guessing, and the photo sheets."""
        report, last = finished.report, finished.rows[-1]
        curve = line_plot(finished.rows, [TRAINING], title="CIFAR-10 dense baseline", y="training accuracy")
        self.account.figure("accuracy", curve, "training accuracy after each epoch")
        self.account.show(
            f"Train accuracy: {last['accuracy']:.4f}",
            f"Test loss: {report.loss:.4f}",
            f"Test accuracy: {report.accuracy:.4f}; by guessing: {report.chance:.4f}",
            "",
        )
        self.account.say(
            f"{report.accuracy / report.chance:.1f} times as good as guessing one of ten classes, and with "
            f"{self.tutorial.parameters:,} parameters. A convolutional network does better with a small part of them "
            "(eyesight tutorial cifar10-quickstart), because it looks for the same things everywhere in the picture."
        )
        self.photo_sheets()

    def photo_sheets(self) -> None:
        """Slide three kernels over a photo."""
        self.account.say(
            "What a convolution does can be seen on a photo: a kernel slides over it, and each pixel of the result is "
            "the sum of the pixels below the kernel times the kernel's numbers. If these add up to 1 the brightness "
            "stays; those of the edge filter add up to 0, so that flat areas become 0. As the tutorial's imshow does, "
            "the smallest number is shown black and the largest white: so 0 is a grey. The edges once more with their "
            "signs."
        )
        for name, scale, about in PHOTO_KERNELS:
            path = self.account.folder / f"photo-{name}{'-signed' * (scale == 'signed')}.png"
            done = convolve(None, [name], seed=self.config.seed, scale=scale, sheet=path)
            result = done.results[0]
            sizes = f"{by(done.photo.shape)} → {by(result.shape)}, {result.kernel.parameters} parameters"
            self.account.show(f"figure: {path} ({about}; {sizes})", "")
