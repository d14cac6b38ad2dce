"""Text that only shows itself: names of files and classes may hold what moves a cursor or turns writing round.

In: any text. Out: the same, where every control character and every mark that changes the direction of writing stands
as its number. JSON keeps its meaning, as it writes them so too.
"""

from __future__ import annotations

import re

# C0 and C1 but for line breaks and tabs, DEL, the marks of direction, line separators, and halves of pairs
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return a text without anything that a terminal would obey.

    >>> visible("a\x1b[2Jb.png")
    'a\\u001b[2Jb.png'
    """
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
