"""A check as a page with the pictures that it speaks of.

In: a `Check`. Out: HTML that needs no other file. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..data.listing import count
from ..errors import EyesightError
from ..report import html
from .check import KINDS, Check, Finding

_MOST = 60  # findings of a kind that are shown with their pictures
_WIDEST = 12  # pictures of one finding


def make_page(check: Check) -> str:
    """Return the page."""
    total = count(len(check.collection.items), "picture")
    kept = count(len(check.collection.items) - len(check.left_out), "picture")
    verdict = "There is something to act on." if check.act else "Nothing to act on was found."
    return html.page(
        f"Check of {check.collection.name}",
        html.heading(f"Check of {check.collection.name}", level=1),
        html.paragraph(verdict, "mark" if check.act else ""),
        html.paragraph(f"{total}, of which {kept} are to be used. No file was moved or changed.", "dim"),
        *(html.paragraph(problem, "mark") for problem in check.problems),
        _summary(check),
        html.heading("Classes"),
        _counts(check),
        *(html.paragraph(note, "dim") for note in check.notes),
        *(part for kind in KINDS if (found := check.of(kind)) for part in _section(check, kind, found)),
    )


def _summary(check: Check) -> str:
    rows = [
        (kind.heading, f"{len(found):,}", kind.advice, "act" if kind.act else "look")
        for name, kind in KINDS.items()
        if (found := check.of(name))
    ]
    return html.table(("found", "number", "what becomes of them", ""), rows, numbers=("number",)) if rows else ""


def _counts(check: Check) -> str:
    rows = [(label, *(f"{counts[label]:,}" for counts in check.counts.values())) for label in check.collection.classes]
    return html.table(("class", *check.counts), rows, numbers=tuple(check.counts))


def _section(check: Check, kind: str, found: list[Finding]) -> Iterator[str]:
    yield html.heading(f"{KINDS[kind].heading}: {len(found):,}", name=kind)
    yield html.paragraph(f"In the table of what to use: {KINDS[kind].advice}. Marked pictures are left out.", "dim")
    rows = [_row(check, finding) for finding in found[:_MOST]]
    if all(len(finding.pictures) == 1 for finding in found):
        yield html.grid(rows)
    else:
        yield from rows
    if len(found) > _MOST:
        yield html.paragraph(f"and {len(found) - _MOST:,} more", "dim")


def _row(check: Check, finding: Finding) -> str:
    items = check.collection.items
    figures = []
    for i in finding.pictures[:_WIDEST]:
        try:
            picture = None if finding.kind == "unreadable" else check.collection.picture(i)
        except EyesightError:
            picture = None  # gone since it was looked at
        lines = (f"{items[i].label} · {items[i].split}", items[i].id)
        figures.append(html.figure(picture, lines, marked=picture is not None and i in check.left_out))
    more = f"; and {len(finding.pictures) - _WIDEST:,} more" if len(finding.pictures) > _WIDEST else ""
    return html.row(figures, f"{finding.text}{more}")
