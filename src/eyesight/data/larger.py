"""The same photos kept at a larger size, so that random parts of them can be seen.

In: a split of photos, and a side. Out: the split with larger pictures, decoded once into the user's cache.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .cache import Progress, decode_all
from .dataset import Dataset, Split
from .photo_store import PhotoStore


def larger(data: Dataset, split: Split, side: int, *, progress: Progress | None = None) -> Split:
    """Return a split of a dataset with the same photos at another size; of other pictures, the split as it is.

    Args:
        data: a user's photos.
        split: one of its splits.
        side: of the squares, in pixels.
        progress: called while photos are decoded; what it raises ends the work, and nothing that was decoded is lost.

    Raises:
        DataError: a photo has changed or gone since the dataset was read, or the disk is full.
    """
    store = split.store
    if not isinstance(store, PhotoStore) or data.folder is None:
        return split
    paths = [store.paths[row] for row in split.rows.tolist()]
    digests = store.digests[split.rows]
    once = list(dict.fromkeys(paths))
    read = decode_all(Path(data.folder), once, side=side, resize=data.resize, progress=progress)
    for path in paths:
        if path in read.reasons:
            raise DataError(f"{path}: could be read a moment ago ({read.reasons[path]}); start again")
    places = {path: place for place, path in enumerate(read.known.paths)}
    known = read.known.take(np.array([places[path] for path in paths], np.int64))
    changed = (known.digests != digests).any(axis=1)
    if changed.any():
        raise DataError(f"{paths[int(changed.argmax())]}: has just been changed; start again")
    found = PhotoStore(
        records=read.records,
        where=known.rows,
        channels=store.channels,
        ids=[store.ids[row] for row in split.rows.tolist()],
        paths=paths,
        digests=digests,
    )
    return replace(split, store=found, rows=np.arange(len(paths)))
