"""Draws photos that are easily told apart: stripes and dots, each on a ground of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = (180, 132)
KINDS = ("dots", "stripes")


def photo(kind: str, seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A photo that no other seed gives."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    ground = rng.integers(40, 200, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(ground).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(14):
        x, y = int(rng.integers(size[0])), int(rng.integers(size[1]))
        colour = tuple(rng.integers(0, 256, 3).tolist())
        if kind == "dots":
            draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=colour)
        else:
            draw.rectangle((0, y, size[0], y + 4), fill=colour)
    return picture


def fill(root: Path, split: str, count: int, *, start: int = 0) -> None:
    """Write so many photos of each kind."""
    for kind in KINDS:
        folder = root / split / kind
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(start, start + count):
            photo(kind, i).save(folder / f"{i}.jpg", quality=92)
