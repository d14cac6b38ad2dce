"""A page that needs nothing but itself: styles inside, pictures inside, no script, dark where the reader's system is.

In: a title, sections of text, tables and pictures. Out: HTML. It computes nothing that it shows.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from PIL import Image

THUMBNAIL = 128  # pixels of the longer side of a small picture
_QUALITY = 80

_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1e; --dim: #636366; --ground: #fff; --card: #f4f4f6; --line: #d8d8dc;
  --mark: #b3470a; --good: #1f6f43; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ececee; --dim: #a1a1a6; --ground: #161618; --card: #232326; --line: #3a3a3e; --mark: #ff9a57;
    --good: #6fd09a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
a { color: inherit; }
.dim { color: var(--dim); }
.mark { color: var(--mark); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; gap: .75rem; padding: .75rem; margin: .75rem 0; background: var(--card);
  border-radius: .5rem; }
.row > p { flex-basis: 100%; margin: 0; max-width: none; }
.many { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .75rem; margin: .75rem 0; }
.many .row { margin: 0; }
figure { margin: 0; width: 8rem; }
figure img { display: block; max-width: 8rem; max-height: 8rem; border-radius: .25rem; }
figure img.small { width: 6rem; image-rendering: pixelated; }
figcaption { font-size: .8rem; line-height: 1.35; margin-top: .25rem; overflow-wrap: anywhere; }
.out img { outline: 3px solid var(--mark); outline-offset: 1px; }
"""


def page(title: str, *body: str) -> str:
    """Return a whole page; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_class(style)}>{escape(text)}</p>"


def heading(text: str, *, level: int = 2, name: str = "") -> str:
    """Return a heading that can be linked to by its name."""
    return f"<h{level}{f' id={chr(34)}{escape(name)}{chr(34)}' if name else ''}>{escape(text)}</h{level}>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> str:
    """Return a table; cells that are in columns of `numbers` are aligned to the right."""
    right = [_class("number" if name in numbers else "") for name in columns]
    head = "".join(f"<th{style}>{escape(name)}</th>" for name, style in zip(columns, right, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(row, right, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'


def figure(picture: Image.Image | None, caption: Sequence[str], *, marked: bool = False) -> str:
    """Return a picture with lines under it, the first of them strong; no picture where it cannot be shown."""
    first, *rest = [escape(line) for line in caption]
    text = "<br>".join([f"<strong>{first}</strong>", *rest])
    shown = "" if picture is None else image(picture, name=caption[0])
    return f"<figure{_class('out' if marked else '')}>{shown}<figcaption>{text}</figcaption></figure>"


def row(figures: Sequence[str], text: str = "") -> str:
    """Return figures side by side that belong together, under a line of text."""
    return f'<div class="row">{paragraph(text) if text else ""}{"".join(figures)}</div>'


def grid(rows: Sequence[str]) -> str:
    """Return many small rows side by side."""
    return f'<div class="many">{"".join(rows)}</div>'


def image(picture: Image.Image, *, name: str) -> str:
    """Return a picture, small, inside the page."""
    small = picture.convert("RGB")
    tiny = max(small.size) < THUMBNAIL // 2
    if not tiny:
        small.thumbnail((THUMBNAIL * 2, THUMBNAIL * 2))  # for screens with two pixels for one
    file = io.BytesIO()
    small.save(file, "PNG" if tiny else "JPEG", quality=_QUALITY)
    kind = "png" if tiny else "jpeg"
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img{_class("small" if tiny else "")} alt="{escape(name)}" src="data:image/{kind};base64,{data}">'


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""
