"""Near copies among pictures as they are kept: what must stay on one side of a split, and what leaks across one.

In: splits; features of their pictures, where there are any. Out: groups, and which pictures leak. Thumbnails are of the
squares that are kept, so that nothing is decoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..pictures.resample import stretch
from .dataset import Ints, Pixels, Split
from .duplicates import SIDE, Pair, find_pairs, group

Floats = npt.NDArray[np.float32]

MOST = 10_000  # pictures; of more, comparing each with each takes longer than it is worth: only the same pixels count
_HELD = 32 << 20  # bytes of pictures at a time
_PART = 10  # of all: a larger group of like pictures is no burst, but shows what all have in common


@dataclass(frozen=True, eq=False)
class Together:
    """Pictures that stay on one side of a split.

    Attributes:
        groups: (N,) equal numbers belong together; None where all pictures are alone.
        copies, alike: pictures in groups of copies, and of likely views of one scene.
    """

    groups: Ints | None
    copies: int
    alike: int

    def __str__(self) -> str:
        found = [f"{self.copies:,} near copies"] if self.copies else []
        found += [f"{self.alike:,} photos that look like one scene"] if self.alike else []
        return f"{' and '.join(found)} stay on one side of every fold" if found else ""


def find_together(split: Split, features: Floats) -> Together:
    """Return which pictures of a split belong together: by what it says itself, as copies, or as views of one scene."""
    count, own, pairs = len(split), _own(split), _pairs([split], features)
    copies = [pair for pair in pairs if pair.how != "scene"]
    scenes = [pair for pair in pairs if pair.how == "scene"]
    if _largest([*own, *pairs], count) > max(count // _PART, _largest([*own, *copies], count)):
        scenes = []
    numbers = np.arange(count)
    for members in group([*own, *copies, *scenes], count):
        numbers[members] = members[0]
    alone = len(np.unique(numbers)) == count
    return Together(None if alone else numbers, _members(copies, count), _members(scenes, count))


def find_leaks(train: Split, judged: Split) -> npt.NDArray[np.bool_]:
    """Return which of the judged pictures are in train too, as they are or changed a little: (N,)."""
    leaked = np.zeros(len(judged), np.bool_)
    for members in group([p for p in _pairs([train, judged], None) if p.how != "scene"], len(train) + len(judged)):
        if members[0] < len(train):
            leaked[[i - len(train) for i in members if i >= len(train)]] = True
    return leaked


def _largest(pairs: Sequence[Pair], count: int) -> int:
    """Return the size of the largest group."""
    return max(map(len, group(pairs, count)), default=0)


def _members(pairs: Sequence[Pair], count: int) -> int:
    """Return how many pictures are in groups."""
    return sum(map(len, group(pairs, count)))


def _own(split: Split) -> list[Pair]:
    """Return pairs of the pictures that a split itself says belong together."""
    first: dict[int, int] = {}
    groups = [] if split.groups is None else split.groups.tolist()
    return [Pair(j, i, "scene", 1.0) for i, name in enumerate(groups) if (j := first.setdefault(name, i)) != i]


def _pairs(splits: Sequence[Split], features: Floats | None) -> list[Pair]:
    count, side = sum(map(len, splits)), min(splits[0].store.shape[:2])
    digests, thumbnails = list[str](), list[Pixels]()
    near = count <= MOST and side >= SIDE  # smaller pictures are too coarse to tell a changed copy from another one
    for picture in _pictures(splits):
        digests.append(hashlib.sha256(picture.tobytes()).hexdigest())
        if near:
            grey = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("L")
            thumbnails.append(stretch(grey, SIDE, SIDE))
    stack = np.stack(thumbnails) if thumbnails else np.empty((0, 1, 1), np.uint8)
    return find_pairs(digests, digests, stack, np.ones(count, np.float32), features)


def _pictures(splits: Sequence[Split]) -> Iterator[Pixels]:
    for split in splits:
        for batch in split.batches(memory=_HELD):
            yield from batch
