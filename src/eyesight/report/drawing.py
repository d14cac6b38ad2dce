"""What every figure shares: colours, how a picture is drawn, how wide text is, and the PNG file.

In: matplotlib figures, pictures, text. Out: PNG bytes and files, inches, lines that fit. It does not know what a figure
shows.
"""

from __future__ import annotations

import base64
import io
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..formats import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and orange stay apart for every kind of colour vision; right and wrong are marked by a sign as well.
BLUE, ORANGE = "#1f5fa8", "#d1600a"
_DPI = 110
_MEASURED = 100.0  # points; widths of text at other sizes follow
_MISSING_GLYPH = "Glyph .* missing from font"  # drawn as a box


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, atomically."""
    write_bytes(path, png(figure))
    return path


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG, cut to what is drawn."""
    from matplotlib.text import Text

    buffer = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a class may be called "$5 to $10"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH)
        figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.12)
    return buffer.getvalue()


def html_image(data: bytes) -> str:
    """Return the bytes of a PNG as HTML."""
    return f'<img style="max-width:100%" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def show_picture(axes: Axes, picture: npt.NDArray[np.uint8], *, white: bool = False) -> None:
    """Draw one picture (H, W, C), 0 black and 255 white, not smoothed where small; `white` turns grey ones round."""
    grey = picture.shape[2] == 1
    shades = "binary" if white else "gray"
    axes.imshow(picture[..., 0] if grey else picture, cmap=shades if grey else None, vmin=0, vmax=255)


def signed_colors(
    values: npt.NDArray[np.float64], *, full: float | None = None, pale: bool = False
) -> npt.NDArray[np.float64]:
    """Return numbers (H, W) as colours (H, W, 3) from 0 to 1: orange above zero, blue below, white zero.

    Args:
        values: any numbers.
        full: the size from which numbers get the full colour; that of the largest where not given.
        pale: less than half of it, so that black text is read on it.
    """
    from matplotlib.colors import to_rgb

    size = np.abs(values)
    strength = np.minimum(size / ((size.max() if full is None else full) or 1.0), 1) * (0.45 if pale else 1.0)
    ends = np.where((values > 0)[..., None], to_rgb(ORANGE), to_rgb(BLUE))
    return np.asarray(1 + strength[..., None] * (ends - 1))


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a text in inches; `size` in points."""
    return _width(text, weight) * size / _MEASURED


@lru_cache(maxsize=4096)
def _width(text: str, weight: str) -> float:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(weight=weight)))
    font.set_size(_MEASURED, 72)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH)
        font.set_text(text)
    return float(font.get_width_height()[0]) / 64 / 72


def wrap(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break a text at spaces into lines that fit a width in inches."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, weight) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
