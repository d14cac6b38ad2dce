"""A study as a user has it: begun, gone on with, read.

In: a name and data, or a folder. Out: `Study`, which is its figures, a table, sentences, a picture. It prints nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..data.open import DataConfig, open_again, open_data
from ..errors import RunError
from ..report.drawing import save
from . import table
from .conclusion import conclude
from .definition import differences
from .events import Listener
from .figure import draw
from .folder import Record, StudyFolder
from .kinds import define, kind
from .outcome import ArmOutcome, outcomes, reference
from .runner import begin, go_on, on_data

DEFAULT_STUDIES = Path("studies")


@dataclass(frozen=True)
class Study:
    """A study and what came out of it so far.

    Attributes:
        path: its folder, with `study.json`, `runs/` and `figure.png`.
        record: what `study.json` holds.
    """

    path: Path
    record: Record

    @cached_property
    def outcomes(self) -> list[ArmOutcome]:
        """Means, spreads and differences of every way of training."""
        return outcomes(self.record)

    @cached_property
    def reference(self) -> str | None:
        """Name of the way of training that the others are held against."""
        return reference(self.record)

    @property
    def conclusion(self) -> list[str]:
        """What the figures say, a sentence each."""
        return conclude(self.record.definition.study, self.outcomes, against=self.reference)

    @property
    def notes(self) -> list[str]:
        """What a reader must know to read the figures right."""
        return table.notes(self.record, self.outcomes)

    @property
    def figure(self) -> Path:
        """The picture of the results."""
        return StudyFolder(self.path).figure_file

    def table(self) -> list[list[str]]:
        """Return the rows of the table, headings first."""
        return table.tabulate(self.record, self.outcomes, self.reference)

    def to_json(self) -> dict[str, Any]:
        """Return definition, runs, outcomes and conclusion as plain data."""
        return self.record.model_dump(mode="json") | {
            "complete": self.record.complete,
            "reference": self.reference,
            "outcomes": [asdict(outcome) | {"network": outcome.network.model_dump()} for outcome in self.outcomes],
            "conclusion": self.conclusion,
            "notes": self.notes,
        }

    def markdown(self) -> str:
        """Return caption, table, conclusion and notes as Markdown."""
        rows = table.markdown(self.table())
        return "\n\n".join([table.caption(self.record), rows, " ".join(self.conclusion), " ".join(self.notes)]) + "\n"

    def __repr__(self) -> str:
        done, total = len(self.record.runs), len(self.record.definition.plan())
        return f"Study({str(self.path)!r}: {self.record.definition.study}, {done} of {total} runs)"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.table())
        picture = base64.b64encode(self.figure.read_bytes()).decode() if self.figure.is_file() else ""
        image = f'<img style="max-width:100%" src="data:image/png;base64,{picture}">' if picture else ""
        text = f"<table><caption>{escape(table.caption(self.record))}</caption>{rows}</table>"
        return f"{text}<p>{escape(' '.join(self.conclusion))}</p>{image}"


def run(
    name: str,
    data: str | Dataset | None = None,
    *,
    full: bool = False,
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    listeners: Sequence[Listener] = (),
) -> Study:
    """Do a study, or go on with it where its folder holds a part of it already. See `eyesight.study`."""
    found = kind(name)
    usual = found.datasets[full]
    whole = data if isinstance(data, Dataset) else open_data(data or usual, data_dir=data_dir, validation=0)
    definition = define(name, whole, full=full, seeds=seeds, settings=settings)
    words = [name, *([whole.name] if whole.name != usual else []), *(["full"] if full else [])]
    folder = StudyFolder(output or DEFAULT_STUDIES / "-".join(words))
    seen = on_data(definition, whole)
    if folder.is_new():
        begin(folder, definition, seen)
    elif changes := differences(folder.read().definition, definition):
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise RunError(
            f"{folder.path}: holds another study, because {'; '.join(changes[:3])}{more}; "
            "choose another --output, or go on with that one by --resume"
        )
    return _draw(folder, go_on(folder, seen, listeners=listeners))


def resume(
    path: str | Path,
    data: Dataset | None = None,
    *,
    data_dir: str | Path | None = None,
    listeners: Sequence[Listener] = (),
) -> Study:
    """Go on with a study as it was defined; one that is complete is only read.

    Args:
        path: its folder.
        data: the whole dataset, where it is of arrays.
        data_dir: folder with the dataset's files; where they were, if not given.
        listeners: called with every event.
    """
    folder = StudyFolder(path)
    record = folder.read()
    if not record.complete:
        whole = data or _find_data(folder, record, data_dir)
        record = go_on(folder, on_data(record.definition, whole), listeners=listeners)
    return _draw(folder, record)


def _find_data(folder: StudyFolder, record: Record, data_dir: str | Path | None) -> Dataset:
    """Return the dataset of a study by its name."""
    entries = record.definition.config["data"] | {"validation": 0, "sample": None}  # the whole dataset
    wanted = DataConfig.model_validate(entries)
    return open_again(wanted, source=folder.path, data_dir=data_dir, folder=record.data.folder)


def _draw(folder: StudyFolder, record: Record) -> Study:
    """Return the study, with its picture drawn."""
    study = Study(folder.path, record)
    save(draw(record, study.outcomes, against=study.reference), folder.figure_file)
    return study
