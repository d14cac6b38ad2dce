"""Tables on stdout, for people and for pipes.

In: columns and rows of text. Out: an aligned table that fits the terminal, or 80 columns where there is none. Text that
is too long for its column goes on in the next line; nothing is ever cut off.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence

import typer
from rich.cells import cell_len

from ..report.visible import visible

WIDTH = 80  # columns, of a pipe or a file, and the least of a terminal
_GAP = 2  # columns between two others
_NARROWEST = 8  # columns of text; what is longer can be made as narrow as this
_WORD = 20  # columns; words up to this length stay whole where they can
_PIECE = r"[^\s/_-]*[\s/_-]+|[^\s/_-]+"  # what a line may end after


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Sequence[str] = (),
    unbroken: Sequence[str] = (),
    whole: bool = False,
) -> None:
    """Print a table.

    Args:
        columns: headings; none is printed where all are empty.
        rows: cells.
        numbers: columns that are aligned to the right and never wrapped.
        unbroken: columns of text that are never wrapped, such as paths.
        whole: keep every row on one line, however long: for what is to be copied into a command.
    """
    head = [list(columns)] if any(columns) else []
    # a line break or a tab in a name would leave its column
    cells = head + [[visible(" ".join(str(value).split())) for value in row] for row in rows]
    if not cells:
        return
    natural = [max(cell_len(row[k]) for row in cells) for k in range(len(columns))]
    right = [name in numbers for name in columns]
    fixed = [name in numbers or name in unbroken for name in columns]
    words = [max(min(_WORD, longest_piece(row[k])) for row in cells) for k in range(len(columns))]
    widths = natural if whole else fit(natural, words, fixed, table_width() - _GAP * (len(columns) - 1))
    for number, row in enumerate(cells):
        for line in lines(row, widths, right):
            typer.echo(typer.style(line, bold=True) if number < len(head) else line)


def table_width() -> int:
    """Return how wide a table may be."""
    return max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) if sys.stdout.isatty() else WIDTH


def fit(natural: Sequence[int], words: Sequence[int], fixed: Sequence[bool], room: int) -> list[int]:
    """Return the widths of columns: the widest that may be wrapped give way first, to the length of their words.

    Only where that is not enough, words are broken as well.

    >>> fit([30, 9, 20], [8, 9, 18], [False, True, False], 40)
    [13, 9, 18]
    """
    widths = list(natural)
    for least in (words, [0] * len(words)):
        while sum(widths) > room:
            wide = [k for k, width in enumerate(widths) if not fixed[k] and width > max(_NARROWEST, least[k])]
            if not wide:
                break
            widths[max(wide, key=lambda k: (widths[k], k))] -= 1
    return widths


def longest_piece(text: str) -> int:
    """Return the columns of the longest part of a text that is not broken."""
    return max((cell_len(piece.rstrip()) for piece in re.findall(_PIECE, text)), default=0)


def lines(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Return the lines of one row of a table."""
    wrapped = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    result = []
    for number in range(max(map(len, wrapped))):
        parts = []
        for cell, width, aligned_right in zip(wrapped, widths, right, strict=True):
            text = cell[number] if number < len(cell) else ""
            blank = " " * (width - cell_len(text))
            parts.append(blank + text if aligned_right else text + blank)
        result.append((" " * _GAP).join(parts).rstrip())
    return result


def wrap(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` columns: broken after blanks, hyphens and slashes, else anywhere.

    >>> wrap("runs/digits-whitened-32", 12)
    ['runs/digits-', 'whitened-32']
    """
    result = [""]
    for piece in re.findall(_PIECE, text):
        if cell_len((result[-1] + piece).rstrip()) > width and result[-1]:
            result.append("")
        for letter in piece:
            if cell_len((result[-1] + letter).rstrip()) > width:
                result.append("")
            result[-1] += letter
    return [line.strip() for line in result]
