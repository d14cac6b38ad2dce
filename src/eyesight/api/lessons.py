"""Lessons and convolutions, as the command line has them and as a notebook shows them.

In: a topic, a photo, numbers. Out: objects that hold text and pictures, and write files only where one is named.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, InterruptedRun, UnknownNameError, UsageError
from .datasets import load_data
from .runs import load_classifier, open_run
from .training import train

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..classifier import Classifier
    from ..lessons.convolution import Padding
    from ..lessons.convolve import Convolved, Scale
    from ..pictures.decode import PictureSource
    from ..pictures.preprocess import Pixels
    from ..report.document import Lesson

_EPOCHS = 3  # of the network that `layers` trains where it is given none
_COLUMNS = 80


@dataclass(frozen=True)
class LessonSheet:
    """A lesson, worked out; in a notebook it shows its sheet.

    Attributes:
        lesson: its words, grids and tables.
        path: the PNG that was written, where one was asked for.
    """

    lesson: Lesson
    path: Path | None = None

    @property
    def text(self) -> str:
        """What `eyesight lesson` prints, in plain lines of at most 80 columns."""
        from ..report.terminal import text_lines

        return "\n".join(line.plain for line in text_lines(self.lesson, _COLUMNS))

    @cached_property
    def png(self) -> bytes:
        """The sheet, as the bytes of a PNG."""
        from ..report.drawing import png
        from ..report.sheet import sheet

        return png(sheet(self.lesson))

    def save(self, path: str | Path) -> Path:
        """Write the sheet as a PNG, in place of an older one."""
        from ..formats import write_bytes

        write_bytes(Path(path), self.png)
        return Path(path)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from ..report.drawing import html_image

        return html_image(self.png)


def lesson(
    topic: str,
    *,
    input: str | npt.ArrayLike | tuple[int, int, int] | None = None,
    kernel: str | npt.ArrayLike | None = None,
    stride: int | None = None,
    padding: Padding | None = None,
    size: int | None = None,
    units: int | None = None,
    filters: int | None = None,
    weights: str | npt.ArrayLike | None = None,
    model: str | Path | None = None,
    picture: str | Path | None = None,
    output: str | Path | None = None,
    progress: bool = True,
) -> LessonSheet:
    """Explain a topic step by step with real numbers, such as your own.

    Args:
        topic: "convolution", "pooling", …; `eyesight lesson` lists them.
        input: numbers as an array (H, W) or (C, H, W), or as text: rows parted by ;, channels by |. The topics
            "parameters" and "output-size" take a size: (200, 200, 3).
        kernel: an array, text, or a name such as "edge".
        stride, padding, size, units, filters, weights: what the topic has of them.
        model, picture: of the topic "layers": a run's folder or a model file, and a picture to follow through it. Where
            no model is named, a small network is trained on the embedded digits first.
        output: PNG to write, in place of an older one.
        progress: report such a training on stderr.

    Raises:
        UsageError: no such topic, an option that belongs to another, or numbers that cannot be drawn.
        FormatError, PictureError: a model or a picture that cannot be read.

    >>> print(lesson("softmax", input=[2.0, 1.0]).text.splitlines()[0])
    Softmax makes probabilities, argmax the answer
    """
    from ..lessons.reading import read
    from ..lessons.topics import LESSONS

    if topic not in LESSONS:
        raise UnknownNameError("lesson", topic, LESSONS)
    asked = {"input": input, "kernel": kernel, "stride": stride, "padding": padding, "size": size, "units": units,
             "filters": filters, "weights": weights, "model": model, "picture": picture}  # fmt: skip
    arguments = read(topic, {name: value for name, value in asked.items() if value is not None})
    if topic == "layers":
        arguments = _follow(**arguments, progress=progress)
    made = LessonSheet(LESSONS.load(topic)(**arguments))
    return made if output is None else replace(made, path=made.save(output))


def convolve(
    photo: PictureSource | None = None,
    kernel: str | Sequence[str] = "edge",
    *,
    color: bool = False,
    padding: Padding = "valid",
    stride: int = 1,
    seed: int = 0,
    scale: Scale = "auto",
    output: str | Path | None = None,
    npy: str | Path | None = None,
) -> Convolved:
    """Slide kernels over a photo, as a convolutional layer does; the result shows itself in a notebook.

    Args:
        photo: a picture file of any size, or a Pillow image; a photo of a pagoda where not given.
        kernel: one or several, each a name ("edge", "blur7"), numbers ("1 0 -1; 2 0 -2; 1 0 -1") or a file.
        color: each channel by itself, instead of the photo made grey.
        padding: "valid" stays inside the photo, "same" puts zeros around it.
        stride: pixels from one window to the next.
        seed: of random kernels.
        scale: what is black and white: "clip" 0 and 255; "min-max" the smallest and largest result, as matplotlib's
            imshow does; "signed" shows 0 white, above it orange, below it blue; "auto" clips where the kernel's sum is
            0 or 1.
        output: PNG to write with photo and results, in place of an older one.
        npy: file for the raw numbers; with several kernels NAME.npy becomes NAME-KERNEL.npy.

    Returns:
        What each kernel did: `results`, each with its `picture`, and `text` that says it in words.

    Raises:
        UsageError: a kernel that does not fit, or an output that would replace an input.
        PictureError, DataError: a photo or a kernel's file that cannot be used.

    >>> done = convolve(kernel="blur7")
    >>> done.results[0].shape, done.results[0].kernel.parameters
    ((296, 397), 50)
    """
    from ..lessons import convolve as lessons

    kernels = [kernel] if isinstance(kernel, str) else list(kernel)
    return lessons.convolve(
        photo, kernels, color=color, padding=padding, stride=stride, seed=seed, scale=scale,
        sheet=None if output is None else Path(output), npy=None if npy is None else Path(npy),
    )  # fmt: skip


def _follow(*, model: Path | None = None, picture: Path | None = None, progress: bool = True) -> dict[str, Any]:
    """Return a classifier and a picture for it: the user's, or a small network trained now on the embedded digits."""
    classifier = _train_small_network(progress=progress) if model is None else load_classifier(model)
    pixels, source = _pick_picture(classifier, model, picture)
    return {"classifier": classifier, "picture": pixels, "source": source}


def _train_small_network(*, progress: bool) -> Classifier:
    if progress:
        print(f"training a small network on the embedded digits for {_EPOCHS} epochs, as no model is named",
              file=sys.stderr)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run"
        try:
            run = train("digits", model="small-cnn-1pool", epochs=_EPOCHS, seed=0, output=output, progress=progress)
            return run.classifier
        except InterruptedRun as error:
            raise InterruptedRun("interrupted", error.exit_code - 128) from None  # there is nothing to resume


def _pick_picture(classifier: Classifier, model: Path | None, picture: Path | None) -> tuple[Pixels, str]:
    """Return the picture to follow, and what it is."""
    from ..pictures.preprocess import read_picture

    if picture is not None:
        return read_picture(picture, classifier.inference.preprocessing), picture.name
    try:
        if model is not None and model.is_dir():
            data = open_run(model).data()
        else:
            data = load_data(classifier.training.data if classifier.training else "")
    except (DataError, UsageError) as error:
        raise UsageError(
            f"name one, as those that it was trained on are not found ({error})", field="picture"
        ) from None
    split = data.test or data.validation or data.train
    return split.gather([0])[0], f"{split.name} picture 0 of {data.name}, a {data.classes[split.labels[0]]}"
