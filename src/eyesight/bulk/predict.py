"""What a classifier says of any number of pictures, in a file: decoded in threads while the engine computes.

In: a predictor, files and folders. Out: a table of answers. Memory does not grow with the number of pictures, but for
the names in the largest folder. An interrupted table is gone on with.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial as bind
from itertools import islice
from pathlib import Path

import numpy as np

from ..environment import available_cores
from ..errors import InterruptedRun
from ..pictures.ahead import map_ahead, read_or_reason
from ..pictures.preprocess import Pixels, Preprocessing
from ..pictures.sources import count_pictures, readable_name, walk_pictures
from ..predictor import PicturePredictor
from ..training.events import Control
from ..training.signals import stop_on_signals
from .partial import Partial, next_digest, open_partial
from .rows import Row, Table, csv_line, json_line, write_parquet

Progress = Callable[[int, int, int], None]  # pictures done, of how many, and how many were done before

_BLOCK = 64  # pictures that the engine gets at a time
_BLOCK_BYTES = 16 << 20  # or as many as these
_SAVED_EVERY = 5.0  # seconds, between two moments that a killed process is gone on with from
_NAMED = 5  # pictures that cannot be read, by name

Read = tuple[Path, Pixels | str]


@dataclass(frozen=True)
class Written:
    """A whole table of answers.

    Attributes:
        path: the file.
        pictures: that it has a row for.
        errors: of these, those that could not be read.
        before: pictures that an interrupted command had done already.
        reasons: why pictures could not be read, by path: the first few that were found now.
    """

    path: Path
    pictures: int
    errors: int
    before: int
    reasons: dict[str, str]


def predict_files(
    predictor: PicturePredictor,
    pictures: Sequence[str],
    output: Path,
    *,
    model: str,
    top: int = 1,
    probabilities: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Write what a classifier says of pictures; see `eyesight.predict_files`.

    Args:
        predictor: what answers.
        pictures: files, folders, patterns.
        output: the file.
        model: what tells the predictor from others, such as its file's checksum.
        top, probabilities, overwrite, progress: see there.
    """
    table = Table(predictor.classes, min(top, len(predictor.classes)), probabilities)
    made_with = {"model": model, "columns (--top, --probabilities)": " ".join(table.columns)}
    total = count_pictures(pictures)
    with stop_on_signals() as control, open_partial(output, made_with, overwrite=overwrite) as part:
        paths = _rest(pictures, part, overwrite=overwrite)
        job = _Job(predictor, table, part, total, progress)
        job.begin()
        job.run(paths, control)
        kind = output.suffix.lower()
        part.finish(bind(write_parquet, columns=table.columns) if kind == ".parquet" else None)
    return Written(output, part.state.items, part.state.errors, job.before, job.reasons)


def _rest(pictures: Sequence[str], part: Partial, *, overwrite: bool) -> Iterator[Path]:
    """Return the pictures that are not done yet; those that are must be the first, as they were."""
    paths, digest, items = walk_pictures(pictures), "", 0
    for path in islice(paths, part.state.items):
        digest, items = next_digest(digest, readable_name(path)), items + 1
    if (digest, items) == (part.state.digest, part.state.items):
        return paths
    error = part.changed("was begun when other pictures were there")
    if not overwrite:
        raise error
    part.begin()
    return walk_pictures(pictures)


def block_size(preprocessing: Preprocessing) -> int:
    """Return how many pictures the engine gets at a time."""
    return max(1, min(_BLOCK, _BLOCK_BYTES // math.prod(preprocessing.shape)))


def read_ahead(paths: Iterable[Path], preprocessing: Preprocessing) -> Generator[Read]:
    """Yield pictures, or why they cannot be read: decoded while the engine computes a block, and for the next one."""

    def read(path: Path) -> Read:
        return path, read_or_reason(path, preprocessing)

    size, workers = block_size(preprocessing), available_cores()
    together = max(1, size // (4 * workers))
    return map_ahead(read, paths, workers=workers, together=together, ahead=2 * size)


class _Job:
    """A table on its way."""

    def __init__(
        self,
        predictor: PicturePredictor,
        table: Table,
        part: Partial,
        total: int,
        progress: Progress | None,
    ) -> None:
        self.predictor, self.table, self.part = predictor, table, part
        self.total, self.progress = total, progress
        self.before = part.state.items
        self.reasons: dict[str, str] = {}
        self.csv = part.output.suffix.lower() == ".csv"

    def begin(self) -> None:
        """Write the names of the columns, and show how far an earlier process came."""
        if self.csv and not self.part.state.bytes:
            self.part.append(csv_line(self.table.columns).encode())
        if self.before:
            self._tell()

    def run(self, paths: Iterable[Path], control: Control) -> None:
        """Add a row for every picture.

        The engine always gets the same pictures together, whatever was interrupted: their number may change the last
        digit of its answers.
        """
        size, saved = block_size(self.predictor.preprocessing), time.monotonic()
        with contextlib.closing(read_ahead(paths, self.predictor.preprocessing)) as read:
            while block := list(islice(self._until_stopped(read, control), size)):
                self._add(block)
                if time.monotonic() - saved > _SAVED_EVERY:
                    self.part.save()
                    saved = time.monotonic()
                self._tell()

    def _until_stopped(self, read: Iterator[Read], control: Control) -> Iterator[Read]:
        for one in read:
            if control.stop_signal is not None:
                done = f"after {self.part.state.items:,} of {self.total:,} pictures"
                raise InterruptedRun(f"interrupted {done}; the same command goes on", control.stop_signal)
            yield one

    def _add(self, block: list[Read]) -> None:
        """Add the rows of some pictures."""
        named = [(readable_name(path), found) for path, found in block]
        good = [(name, found) for name, found in named if not isinstance(found, str)]
        bad = [(name, found) for name, found in named if isinstance(found, str)]
        rows: Iterator[Row] = iter(())
        if good:
            answers = self.predictor.probabilities(np.stack([pixels for _, pixels in good]))
            rows = self.table.rows([name for name, _ in good], answers)
        ordered = (self.table.unread(name, found) if isinstance(found, str) else next(rows) for name, found in named)
        lines = [csv_line(row) if self.csv else json_line(self.table.columns, row) for row in ordered]
        self.part.append("".join(lines).encode(), [name for name, _ in named], errors=len(bad))
        self.reasons |= bad[: _NAMED - len(self.reasons)]

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.part.state.items, self.total, self.before)
