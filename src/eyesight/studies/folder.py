"""The folder of a study: `study.json`, the runs, the figure. Only this file knows the names in it.

In: a path. Out: reading and writing of what a study holds. It does not train or draw.

    study.json     format, version, definition, what it was run on, and the figures of every finished run
    runs/          one ordinary run for every way of training and seed: dropout-0, dropout-1, …
    figure.png     made anew at the end
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from .. import locks
from ..errors import FormatError, RunError
from ..formats import is_temporary, read_json, remove_temporaries, write_json
from .definition import Data, Definition

STUDY_FORMAT: Final = "eyesight-study"
STUDY_VERSION: Final = 1


class DataFacts(Data):
    """What the runs learned from and were judged on.

    Attributes:
        name: of the dataset.
        fingerprint: of its pictures, labels and splits.
        shape: (H, W, C) of the pictures.
        train, validation, test: how many pictures.
        judged_train: how many of the training pictures the train accuracy is of.
        folder: where the dataset lay, if in a folder.
    """

    name: str
    fingerprint: str
    shape: tuple[int, int, int]
    train: int
    validation: int
    test: int
    judged_train: int
    folder: str | None


class NetworkFacts(Data):
    """A network's name, its parameters, and its operations for one picture."""

    name: str
    parameters: int
    flops: int


class RunResult(Data):
    """The figures of one finished run.

    Attributes:
        arm, seed: which it is.
        train_accuracy: on training pictures as they are, with the weights that were kept, as in prediction.
        test_accuracy: on the test pictures, with the same weights.
        updates: that were made.
        seconds: that training took, with its validation.
    """

    arm: str
    seed: int
    train_accuracy: float
    test_accuracy: float
    updates: int
    seconds: float

    @property
    def gap(self) -> float:
        """Train accuracy less test accuracy."""
        return self.train_accuracy - self.test_accuracy


class Record(Data):
    """What `study.json` holds.

    Attributes:
        created: when, as ISO 8601.
        definition: what is to be done.
        data: on what.
        networks: of every arm, by its name.
        environment: versions, processor, device, precision, threads.
        runs: what is done.
    """

    format: Literal["eyesight-study"] = STUDY_FORMAT
    version: Literal[1] = STUDY_VERSION
    created: str
    definition: Definition
    data: DataFacts
    networks: dict[str, NetworkFacts]
    environment: dict[str, Any]
    runs: tuple[RunResult, ...] = ()

    def result(self, arm: str, seed: int) -> RunResult | None:
        """Return the figures of one run, if it is finished."""
        return next((run for run in self.runs if (run.arm, run.seed) == (arm, seed)), None)

    @property
    def complete(self) -> bool:
        """Whether all runs are finished."""
        return all(self.result(arm.name, seed) for arm, seed in self.definition.plan())


class StudyFolder:
    """Paths and plain reading and writing in one study's folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def file(self) -> Path:
        """The description of the study."""
        return self.path / "study.json"

    @property
    def figure_file(self) -> Path:
        """The picture of the results."""
        return self.path / "figure.png"

    def run_path(self, arm: str, seed: int) -> Path:
        """Where one run lies."""
        return self.path / "runs" / f"{arm}-{seed}"

    def is_new(self) -> bool:
        """Tell whether a study can begin here; False where there is one.

        Raises:
            RunError: something else lies there.
        """
        if self.file.is_file():
            return False
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path}: expected a folder; choose another --output")
        if self.path.is_dir() and any(not (p.name == locks.LOCK_FILE or is_temporary(p)) for p in self.path.iterdir()):
            raise RunError(f"{self.path}: exists and is not a study; choose another --output")
        return True

    def read(self) -> Record:
        """Return the contents of `study.json`.

        Raises:
            RunError: no such folder, or not a study.
            FormatError: the file is damaged, of a newer version, or not consistent with itself.
        """
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such study")
        if not self.file.is_file():
            raise RunError(f"{self.path}: not a study (it has no {self.file.name})")
        values = read_json(self.file, name=STUDY_FORMAT, version=STUDY_VERSION)
        try:
            record = Record.model_validate(values)
        except ValidationError as error:
            entry = ".".join(map(str, error.errors()[0]["loc"]))
            raise FormatError(f"{self.file}: its entry {entry} is missing or wrong") from None
        arms = [arm.name for arm in record.definition.arms]
        if sorted(record.networks) != sorted(arms) or any(run.arm not in arms for run in record.runs):
            raise FormatError(f"{self.file}: its networks or runs do not fit its definition")
        return record

    def write(self, record: Record) -> None:
        """Write `study.json`, atomically."""
        write_json(self.file, record.model_dump(mode="json"))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the study for this process.

        Raises:
            RunError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with locks.hold(self.path, doing="working on this study"):
            remove_temporaries(self.path)
            yield
