"""What a check of pictures found, for a terminal.

In: a `Check`. Out: tables on stdout.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ..data.listing import count
from ..quality.check import KINDS, Check, Finding
from .say import say
from .tables import print_table, table_width

_SHOWN = 5  # findings of a kind
_TOGETHER = 3  # pictures of one finding


def print_check(check: Check) -> None:
    """Print counts, what was found, and the first of each kind."""
    say(f"{check.collection.name}: {count(len(check.collection.items), 'picture')}")
    rows = [(label, *(f"{counts[label]:,}" for counts in check.counts.values())) for label in check.collection.classes]
    print_table(("class", *check.counts), rows, numbers=tuple(check.counts))
    for kind, texts in (("problem", check.problems), ("note", check.notes)):
        for text in texts:
            line = f"{kind}: {' '.join(text.split())}"
            for part in textwrap.wrap(line, table_width(), subsequent_indent="  ", break_on_hyphens=False):
                say(part)
    found = {kind: check.of(kind) for kind in KINDS}
    say("")
    if not any(found.values()):
        say("nothing was found" if not check.problems else "nothing else was found")
        return
    summary = [
        (KINDS[kind].heading, f"{len(findings):,}", KINDS[kind].advice) for kind, findings in found.items() if findings
    ]
    print_table(("found", "number", "what becomes of them"), summary, numbers=("number",))
    for kind, findings in found.items():
        if findings:
            say(f"\n{KINDS[kind].heading}")
            print_table(("", "", ""), list(_rows(check, findings)))
    if not check.act:
        say("\nnothing to act on")


def _rows(check: Check, findings: list[Finding]) -> Iterator[tuple[str, str, str]]:
    items = check.collection.items
    for finding in findings[:_SHOWN]:
        more = len(finding.pictures) - _TOGETHER
        for number, i in enumerate(finding.pictures[:_TOGETHER]):
            label = f"{items[i].label}: {finding.text}" if finding.kind == "label" else finding.text
            last = number == _TOGETHER - 1 and more > 0
            text = label if number == 0 else f"and {more:,} more" if last else ""
            yield "  " + ("-" if i in check.left_out else " "), items[i].id, text
    if len(findings) > _SHOWN:
        yield "   ", f"and {len(findings) - _SHOWN:,} more", ""
