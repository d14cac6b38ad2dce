"""Makes folders of small pictures for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (20, 16), mode: str = "RGB") -> Image.Image:
    """A picture that no other seed gives, of large and soft spots."""
    few = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(few).resize(size).convert(mode)


def write(path: Path, seed: int, mode: str = "RGB", size: tuple[int, int] = (20, 16), **options) -> Path:
    """Write a picture where a path says, as its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size, mode).save(path, **options)
    return path


def fill(root: Path, counts: dict[str, int], *, suffix: str = ".png") -> Path:
    """Write so many pictures into each folder, all different."""
    seed = 1000 * len(list(root.rglob("*"))) if root.exists() else 0
    for folder, number in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(number):
            seed += 1
            write(root / folder / f"{i}{suffix}", seed)
    return root
