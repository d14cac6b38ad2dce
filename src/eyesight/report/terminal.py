"""A lesson as text of a fixed width.

In: blocks of a lesson. Out: lines that read well without any colour, and carry styles for terminals that have it:
the window stands in [ ], a marked cell behind a *, a picture is drawn with ░▒▓█. It computes nothing that it prints.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np
from rich.text import Text

from .document import Bars, Block, Card, Curve, Diagram, Grid, Lesson, Line, Only, Sign, Table, Words, cells

Lines = list[Text]

_SHADES = " ░▒▓█"
_GAP = "  "  # between blocks side by side
_LONGEST_BAR = 24
_NARROWEST_CELL = 16  # of text in a table
_WINDOW, _MARKED, _DIM = "bold blue", "bold dark_orange3", "dim"


def text_lines(lesson: Lesson, width: int) -> Iterator[Text]:
    """Yield the lines of a lesson, each at most `width` columns where its numbers allow it."""
    yield Text(lesson.title, style="bold")
    yield Text("=" * len(lesson.title), style="bold")
    for block in lesson.blocks:
        lines = render(block, width)
        if lines:
            yield Text()
        for line in lines:
            line.rstrip()
            yield line


def render(block: Block, width: int) -> Lines:
    """Return the lines of one block; none for what only a sheet draws."""
    if isinstance(block, Only):
        return [] if block.where == "sheet" else render(block.block, width)
    if isinstance(block, Words):
        return _words(block, width)
    if isinstance(block, Grid):
        return _grid(block, width)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Bars):
        return _bars(block)
    if isinstance(block, Diagram):
        return [Text(part) for line in block.lines for part in _hanging(line, width)]
    if isinstance(block, Line):
        return _side_by_side(block, width)
    if isinstance(block, Card):
        return _card(block, width)
    return [Text(f"{block.text} {block.word}".rstrip())] if isinstance(block, Sign) else []


def _words(block: Words, width: int) -> Lines:
    indent = "  " if block.role == "sum" else ""
    style = "bold" if block.role == "result" else ""
    wrapped = textwrap.wrap(
        block.text, width, initial_indent=indent, subsequent_indent=indent * 2, break_on_hyphens=False
    )
    return [Text(part, style=style) for part in wrapped]


def _hanging(line: str, width: int) -> list[str]:
    """Break a line; what does not fit stands a little deeper than its beginning."""
    indent = " " * (len(line) - len(line.lstrip(" │")) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=False, break_on_hyphens=False) or [""]


def _card(block: Card, width: int) -> Lines:
    lines = [Text(f"-- {block.title} ".ljust(min(width, 80), "-"), style="bold blue")]
    for child in block.blocks:
        lines += render(child, width)
    return lines


def _grid(grid: Grid, width: int) -> Lines:
    title = [Text(part, style="bold") for part in textwrap.wrap(grid.title, width)]
    body = _numbers(grid, width) if grid.numbers else _pixels(grid)
    note = [Text(part, style=_DIM) for part in textwrap.wrap(grid.note, max(24, _width(body)))]
    return title + body + note


def _pixels(grid: Grid) -> Lines:
    """Draw every pixel with two characters, which together are about square."""
    low, high = (
        (0.0, 255.0) if grid.shade in ("grey", "color") else (float(grid.values.min()), float(grid.values.max()))
    )
    brightness = grid.values.mean(axis=2) if grid.values.ndim == 3 else grid.values
    level = np.clip((brightness - low) / ((high - low) or 1.0) * len(_SHADES), 0, len(_SHADES) - 1).astype(int)
    lines = []
    for i, row in enumerate(level):
        line = Text("|", style=_DIM)
        for j, shade in enumerate(row):
            rgb = grid.values[i, j].astype(int) if grid.values.ndim == 3 else None
            line.append(_SHADES[shade] * 2, style="" if rgb is None else "rgb({},{},{})".format(*rgb))
        lines.append(line.append("|", style=_DIM))
    return lines


def _numbers(grid: Grid, width: int) -> Lines:
    written = cells(grid)
    names = max(map(len, grid.names), default=0)
    widest = max(len(text) for row in written for text in row)
    if names + 1 + (widest + 2) * len(written[0]) > width:
        written = cells(grid, short=True)
        widest = max(len(text) for row in written for text in row)
    # one column before every number is for its mark, and one for the bracket of the window, while there is room
    room = widest + (names + 1 + (widest + 2) * len(written[0]) <= width)
    lines = []
    for i, row in enumerate(written):
        line = Text(grid.names[i].ljust(names + 1) if names else "")
        for j, text in enumerate(row):
            line.append(_bracket(grid, i, j), style=_WINDOW)
            marked = (i, j) in grid.marked
            style = _MARKED if marked else _WINDOW if grid.in_window(i, j) else _DIM if grid.padding_cell(i, j) else ""
            line.append(("*" + text if marked else text).rjust(room), style=style)
        lines.append(line.append(_bracket(grid, i, len(row)), style=_WINDOW))
    return lines


def _bracket(grid: Grid, row: int, column: int) -> str:
    """Return what stands before a column: the window's edge, or a space."""
    inside, before = grid.in_window(row, column), grid.in_window(row, column - 1)
    return "[" if inside and not before else "]" if before and not inside else " "


def _table(table: Table) -> Lines:
    first, *rest = align_columns(table.columns, table.rows, numbers=table.columns[table.words :])
    return [Text(first, style="bold"), *map(Text, rest)]


def align_columns(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = (), width: int = 10_000
) -> list[str]:
    """Return the lines of a table, two spaces between columns.

    Args:
        columns, rows: headings and cells.
        numbers: the columns that are aligned to the right.
        width: of the table; the text of the last column is broken to fit, where that leaves it 16 columns.

    >>> align_columns(("label", "pictures"), [(0, "6,000"), (1, "600")], numbers=("label", "pictures"))
    ['label  pictures', '    0     6,000', '    1       600']
    """
    table = [[str(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = sum(widths[:-1]) + 2 * (len(widths) - 1)
    lines = []
    for *others, last in table:
        start = "".join(
            (cell.rjust(wide) if name in numbers else cell.ljust(wide)) + "  "
            for cell, wide, name in zip(others, widths, columns, strict=False)
        )
        if columns[-1] in numbers:
            parts = [last.rjust(widths[-1])]
        else:
            parts = textwrap.wrap(last, max(_NARROWEST_CELL, width - left), break_on_hyphens=False) or [""]
        lines += [(start if k == 0 else " " * left) + part for k, part in enumerate(parts)]
    return [line.rstrip() for line in lines]


def _bars(bars: Bars) -> Lines:
    lines = [Text(bars.title, style="bold")] if bars.title else []
    names, texts = max(map(len, bars.names)), max(map(len, bars.texts))
    for k, share in enumerate(bars.shares()):
        bar = "█" * round(share * _LONGEST_BAR) or "▏" * (bars.values[k] > 0)
        mark = " *" if k == bars.marked else ""
        line = f"{bars.names[k]:<{names}}  {bars.texts[k]:>{texts}}  {bar}{mark}"
        lines.append(Text(line, style=_MARKED if mark else ""))
    return lines


def _side_by_side(block: Line, width: int) -> Lines:
    """Put blocks beside each other, as many as fit; a sign goes to the next line with what follows it."""
    lines: Lines = []
    waiting: list[tuple[Block, Lines]] = []
    shown = [(child, made) for child in block.blocks if (made := render(child, width))]
    for child, made in shown:
        if waiting and _joined_width([*waiting, (child, made)]) > width:
            carried = [waiting.pop()] if isinstance(waiting[-1][0], Sign) and len(waiting) > 1 else []
            lines += [*_join(waiting), Text()]
            waiting = carried
        waiting.append((child, made))
    return lines + _join(waiting)


def _width(lines: Lines) -> int:
    return max((line.cell_len for line in lines), default=0)


def _joined_width(boxes: list[tuple[Block, Lines]]) -> int:
    return sum(_width(made) for _, made in boxes) + len(_GAP) * (len(boxes) - 1)


def _join(boxes: list[tuple[Block, Lines]]) -> Lines:
    titled = any(isinstance(block, Grid | Curve | Bars) and block.title for block, _ in boxes)
    columns = [_below_titles(block, made, titled=titled) for block, made in boxes]
    height = max(map(len, columns), default=0)
    columns = [
        [Text()] * ((height + titled - 1) // 2) + made if isinstance(block, Sign) else made
        for (block, _), made in zip(boxes, columns, strict=True)
    ]
    widths = [_width(made) for made in columns]
    rows = []
    for parts in zip_longest(*columns, fillvalue=Text()):
        row = Text()
        for part, wide in zip(parts, widths, strict=True):
            row.append_text(part).append(" " * (wide - part.cell_len) + _GAP)
        row.rstrip()
        rows.append(row)
    return rows


def _below_titles(block: Block, made: Lines, *, titled: bool) -> Lines:
    """Leave the line free on which the neighbours have their titles."""
    return [Text(), *made] if titled and isinstance(block, Grid) and not block.title else made
