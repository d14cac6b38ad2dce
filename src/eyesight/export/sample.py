"""Which pictures an export is proven on: held-out ones of the run's data, a user's own, or drawn ones.

In: a dataset, or files, or nothing. Out: `Sample`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.dataset import Dataset
from ..pictures.preprocess import Preprocessing, read_picture
from ..pictures.sources import picture_files
from .parity import Sample

COUNT = 200  # pictures, at most: enough to meet small margins, and seconds even for a large network


def of_data(data: Dataset) -> Sample:
    """Return pictures spread over the test split; over the validation or training split where there is no other."""
    split = data.test or data.validation or data.train
    places = np.unique(np.linspace(0, len(split) - 1, min(COUNT, len(split))).astype(np.int64))
    return Sample(split.gather(places), f"{len(places)} of the {split.name} pictures of {data.name}")


def of_files(inputs: Sequence[str], preprocessing: Preprocessing) -> Sample:
    """Return a user's own pictures, decoded as for a prediction.

    Raises:
        PictureError, UsageError: one of them cannot be read, or there is none.
    """
    paths = picture_files(inputs)[:COUNT]
    pictures = np.stack([read_picture(path, preprocessing) for path in paths])
    return Sample(pictures, f"{len(paths)} of the pictures given")


def drawn(preprocessing: Preprocessing) -> Sample:
    """Return synthetic pictures, the same at every call: noise, flat greys, ramps, blobs."""
    rng = np.random.default_rng(0)
    height, width, channels = preprocessing.shape
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j][..., None]  # each (H, W, 1)
    pictures = []
    for _ in range(16):
        row, column, spread = rng.uniform(0.2, 0.8, 3)
        flat, light, dark, colour = rng.uniform(0, 255, (4, channels))
        blob = np.exp(-((down - row) ** 2 + (across - column) ** 2) / (0.02 + 0.2 * spread))
        pictures.append(rng.uniform(0, 255, (height, width, channels)))
        pictures.append(np.full((height, width, channels), flat))
        pictures.append((down * row + across * column) * colour)
        pictures.append(blob * light + (1 - blob) * dark)
    stored = np.stack(pictures).clip(0, 255).astype(np.uint8)
    return Sample(
        stored, f"{len(stored)} synthetic pictures (no data was at hand; --pictures names real ones)", real=False
    )
