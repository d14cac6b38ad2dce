"""The size of pictures as text.

In: HEIGHTxWIDTHxCHANNELS. Out: three numbers.
"""

from __future__ import annotations

import re

from ..errors import UsageError


def parse_size(text: str) -> tuple[int, int, int]:
    """Return (H, W, C) of HEIGHTxWIDTHxCHANNELS.

    >>> parse_size("32x32x3")
    (32, 32, 3)
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})(?:x([13]))?", text.strip().lower())
    if not match or not int(match[1]) or not int(match[2]):
        raise UsageError(
            f"expected HEIGHTxWIDTHxCHANNELS with 1 or 3 channels, such as 32x32x3; received: {text!r}", field="input"
        )
    return int(match[1]), int(match[2]), int(match[3] or 3)
