"""Lessons and convolutions, as the command line has them and as a notebook shows them.

In: a topic, a photo, numbers. Out: objects that hold text and pictures, and write files only where one is named.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, InterruptedRun, UnknownNameError, UsageError
from .datasets import load_data
from .runs import load_classifier, open_run
from .training import train

if TYPE_CHECKING:
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
