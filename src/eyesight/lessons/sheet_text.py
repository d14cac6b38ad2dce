"""How wide text is on a sheet, before it is drawn.

In: text, font size in points, weight. Out: inches, and lines that fit. It draws nothing.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

_MEASURED = 100.0  # points; widths at other sizes follow


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a text in inches."""
    return _width(text, weight) * size / _MEASURED


@lru_cache(maxsize=4096)
def _width(text: str, weight: str) -> float:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(weight=weight)))
    font.set_size(_MEASURED, 72)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as a box
        font.set_text(text)
    return float(font.get_width_height()[0]) / 64 / 72


def wrap(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break a text at spaces into lines that fit a width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, weight) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
