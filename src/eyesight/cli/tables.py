"""Tables on stdout, for people and for pipes.

In: columns and rows of text. Out: an aligned table; nothing is ever cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDEST = 10_000  # columns; a narrow terminal wraps long lines, which reads better than cells cut short


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `numbers` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))  # Text: a file name may hold [brackets]
    Console(highlight=False, width=_WIDEST).print(table)
