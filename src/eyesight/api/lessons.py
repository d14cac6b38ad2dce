"""Lessons and convolutions, as the command line has them and as a notebook shows them.

In: a topic, a photo, numbers. Out: objects that hold text and pictures, and write files only where one is named.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..lessons.convolution import Padding
    from ..lessons.convolve import Convolved, Scale
    from ..pictures.decode import PictureSource
    from ..report.document import Lesson

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
    rate: float | None = None,
    model: str | Path | None = None,
    picture: str | Path | None = None,
    output: str | Path | None = None,
    progress: bool = True,
) -> LessonSheet:
    """Explain a topic step by step with real numbers, such as your own.

    Args:
        topic: "convolution", "pooling", …, or another name for it; `eyesight lesson` lists them.
        input: numbers as an array (H, W) or (C, H, W), or as text: rows parted by ;, channels by |. The topics
            "parameters", "output-size" and "network" take a size: (200, 200, 3).
        kernel: an array, text, or a name such as "edge".
        stride, padding, size, units, filters, weights, rate: what the topic has of them.
        model, picture: of the topics on networks: a run's folder or a model file, and a picture to follow through it.
            Where no model is named, a small network is trained on the embedded digits first. The topic "network" takes
            a network's name too, and trains nothing.
        output: PNG to write, in place of an older one.
        progress: report such a training on stderr.

    Raises:
        UsageError: no such topic, an option that belongs to another, or numbers that cannot be drawn.
        FormatError, PictureError: a model or a picture that cannot be read.

    >>> print(lesson("softmax", input=[2.0, 1.0]).text.splitlines()[0])
    Softmax makes probabilities, argmax the answer
    """
    from ..lessons.reading import read
    from ..lessons.topics import LESSONS, find_topic
    from .lesson_subjects import ON_NETWORKS, subject
    from .networks import find_network

    topic = find_topic(topic)
    asked = {"input": input, "kernel": kernel, "stride": stride, "padding": padding, "size": size, "units": units,
             "filters": filters, "weights": weights, "rate": rate, "model": model, "picture": picture}  # fmt: skip
    arguments = read(topic, {name: value for name, value in asked.items() if value is not None})
    if topic == "network":
        spec, classes = find_network(arguments.get("model", "lenet5"), input=arguments.get("input"))
        arguments = {"spec": spec, "classes": classes}
    elif topic in ON_NETWORKS:
        named = {name: arguments.pop(name, None) for name in ("model", "picture", "rate")}
        arguments |= subject(topic, **named, say=_say if progress else _be_quiet)
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


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _be_quiet(text: str) -> None:
    """Say nothing."""
