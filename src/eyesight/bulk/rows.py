"""The table of answers, and the kinds of file that hold it.

In: names, probabilities, reasons. Out: rows, and their bytes as CSV or JSON lines; a Parquet file is made of JSON lines
when they are all there. It knows no network, and no file that is half written.

A row is a picture: its path, the most probable class and its probability, perhaps the classes after it, perhaps the
probability of every class, and why it could not be read.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError

KINDS = (".csv", ".jsonl", ".parquet")

# What spreadsheets take for the beginning of a formula; they know the wide forms too.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")
_QUOTED = re.compile(r'[",;\t\r\n]|^\s|\s$')  # semicolons too: spreadsheets of many countries split at them
_GROUP = 20_000  # rows of a Parquet file that are held at a time

Row = tuple[str | float | None, ...]


@dataclass(frozen=True)
class Table:
    """Which columns there are.

    Attributes:
        classes: (K,) names.
        top: classes that are named for each picture, the most probable first.
        probabilities: whether every class has a column.
    """

    classes: tuple[str, ...]
    top: int = 1
    probabilities: bool = False

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        best = [name for k in range(2, self.top + 1) for name in (f"label_{k}", f"probability_{k}")]
        return "path", "label", "probability", *best, *(self._class_columns if self.probabilities else ()), "error"

    @cached_property
    def _class_columns(self) -> list[str]:
        """A name for each class; those that would be there twice get the class's number."""
        often = Counter(self._labels)
        return [f"p_{name}" if often[name] == 1 else f"p_{name}_{k}" for k, name in enumerate(self._labels)]

    @cached_property
    def _labels(self) -> list[str]:
        """The classes' names as text that every file can hold."""
        return [name.encode("utf-8", "backslashreplace").decode() for name in self.classes]

    def rows(self, paths: Sequence[str], probabilities: npt.NDArray[np.float64]) -> Iterator[Row]:
        """Yield the rows of pictures with their probabilities (N, K)."""
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.top]
        for path, best, values in zip(paths, order.tolist(), probabilities.tolist(), strict=True):
            top = [cell for k in best for cell in (self._labels[k], values[k])]
            yield path, *top, *(values if self.probabilities else ()), None

    def unread(self, path: str, reason: str) -> Row:
        """Return the row of a picture that cannot be read."""
        return path, *(None,) * (len(self.columns) - 2), reason.encode("utf-8", "backslashreplace").decode()


def csv_line(cells: Sequence[str | float | None]) -> str:
    r"""Return a line of CSV, the path first. No cell is taken for a formula: a path gets `./`, another text `'`.

    >>> csv_line(("=1+1.png", "-1", 0.5, "@cat", None))
    "./=1+1.png,-1,0.500000,'@cat,\n"
    """
    first, *rest = (f"{cell:.6f}" if isinstance(cell, float) else cell or "" for cell in cells)
    texts = [f"./{first}" if _FORMULA.match(first) else first]
    texts += [f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text for text in rest]
    return ",".join('"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text for text in texts) + "\n"


def json_line(columns: Sequence[str], row: Row) -> str:
    """Return a line of JSON."""
    return json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n"


def check_kind(path: Path) -> None:
    """Raise `UsageError` unless answers can be written to a file of this kind."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"expected a file that ends with {', '.join(KINDS)}; received: {path}", field="output")
    if path.suffix.lower() == ".parquet":
        _pyarrow()


def write_parquet(lines: Path, path: Path, columns: Sequence[str]) -> None:
    """Write a Parquet file of rows that lie as JSON lines, some of them at a time."""
    pyarrow, parquet = _pyarrow()
    texts = [name in ("path", "error") or re.fullmatch(r"label(_\d+)?", name) is not None for name in columns]
    kinds = [pyarrow.string() if text else pyarrow.float64() for text in texts]
    schema = pyarrow.schema(list(zip(columns, kinds, strict=True)))
    with lines.open(encoding="utf-8", newline="\n") as file, parquet.ParquetWriter(path, schema) as writer:
        while some := [json.loads(line) for line in islice(file, _GROUP)]:
            writer.write_table(pyarrow.Table.from_pylist(some, schema=schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "a .parquet file needs a package; install it with: pip install 'eyesight[parquet]'", field="output"
        ) from None
    return pyarrow, parquet
