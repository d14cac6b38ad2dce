"""Near copies among pictures as they are kept: what must stay on one side of a split, and what leaks across one.

In: splits; features of their pictures, where there are any. Out: groups, and which pictures leak. Thumbnails are of the
squares that are kept, so that nothing is decoded again. What was found is kept in the user's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import FormatError
from ..formats import read_json, write_json
from ..pictures.resample import stretch
from .cache import cache_folder
from .dataset import Ints, Pixels, Split
from .duplicates import SIDE, Pair, find_pairs, group

Floats = npt.NDArray[np.float32]

FORMAT: Final = "eyesight-pairs"
VERSION: Final = 1
MOST = 5_000  # pictures; of more, comparing each with each takes longer than it is worth: only the same pixels count
_HELD = 32 << 20  # bytes of pictures at a time
_PART = 10  # of all: a larger group of like pictures is no burst, but shows what all have in common


@dataclass(frozen=True, eq=False)
class Together:
    """Pictures that stay on one side of a split.

    Attributes:
        groups: (N,) equal numbers belong together; None where all pictures are alone.
        copies, alike: pictures in groups of copies, and of likely views of one scene, that the split does not join.
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
    joined = np.arange(count) if split.groups is None else split.groups
    pairs = [pair for pair in pairs if joined[pair.first] != joined[pair.second]]
    copies = [pair for pair in pairs if pair.how != "scene"]
    scenes = [pair for pair in pairs if pair.how == "scene"]
    if not _can_be_parted(split, [*own, *copies]):
        copies = []
    if _largest([*own, *pairs], count) > max(count // _PART, _largest([*own, *copies], count)):
        scenes = []
    if not _can_be_parted(split, [*own, *copies, *scenes]):
        scenes = []
    numbers = _numbers([*own, *copies, *scenes], count)
    alone = len(np.unique(numbers)) == count
    return Together(None if alone else numbers, _members(copies, count), _members(scenes, count))


def join_copies(split: Split) -> tuple[Split, list[list[int]]]:
    """Return a split whose near copies are in one group, and those that it had not joined itself."""
    if not _comparable([split]):
        return split, []
    joined = np.arange(len(split)) if split.groups is None else split.groups
    copies = [pair for pair in _pairs([split], None) if joined[pair.first] != joined[pair.second]]
    together = [*_own(split), *copies]
    if not copies or not _can_be_parted(split, together):
        return split, []
    return replace(split, groups=_numbers(together, len(split))), group(copies, len(split))


def find_leaks(train: Split, judged: Split) -> npt.NDArray[np.bool_]:
    """Return which of the judged pictures are in train too, as they are or changed a little: (N,)."""
    leaked = np.zeros(len(judged), np.bool_)
    for members in group([p for p in _pairs([train, judged], None) if p.how != "scene"], len(train) + len(judged)):
        if members[0] < len(train):
            leaked[[i - len(train) for i in members if i >= len(train)]] = True
    return leaked


def _numbers(pairs: Sequence[Pair], count: int) -> Ints:
    """Return the group of every picture, by its first member: (N,)."""
    numbers = np.arange(count)
    for members in group(pairs, count):
        numbers[members] = members[0]
    return numbers


def _can_be_parted(split: Split, pairs: Sequence[Pair]) -> bool:
    """Tell whether every class is still in two groups or more; a film of one thing cannot be parted otherwise."""
    numbers = _numbers(pairs, len(split))
    own = _numbers(_own(split), len(split))
    for label in np.unique(split.labels):
        members = split.labels == label
        if len(np.unique(numbers[members])) < min(2, len(np.unique(own[members]))):
            return False
    return True


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


def _comparable(splits: Sequence[Split]) -> bool:
    """Tell whether changed copies are looked for; small pictures are too coarse to tell one from another picture."""
    return sum(map(len, splits)) <= MOST and min(splits[0].store.shape[:2]) >= SIDE


def _pairs(splits: Sequence[Split], features: Floats | None) -> list[Pair]:
    """Return the pairs of pictures, numbered through all the splits; those that were found before are read."""
    digests = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in _pictures(splits)]
    shapes = np.ones(len(digests), np.float32)
    if not _comparable(splits):
        return find_pairs(digests, digests, np.empty((0, 1, 1), np.uint8), shapes, None)
    key = hashlib.sha256("".join(digests).encode() + (b"" if features is None else features.tobytes()))
    path = cache_folder() / "pairs" / f"{key.hexdigest()[:24]}.json"
    with contextlib.suppress(FormatError, OSError, KeyError, TypeError):
        return [Pair(**pair) for pair in read_json(path, name=FORMAT, version=VERSION)["pairs"]]
    thumbnails = np.stack([_thumbnail(picture) for picture in _pictures(splits)])
    found = find_pairs(digests, digests, thumbnails, shapes, features)
    with contextlib.suppress(OSError):  # a full disk: they are found again the next time
        write_json(path, {"format": FORMAT, "version": VERSION, "pairs": [_plain(pair) for pair in found]})
    return found


def _plain(pair: Pair) -> dict[str, object]:
    return asdict(pair) | {"likeness": float(pair.likeness)}


def _thumbnail(picture: Pixels) -> Pixels:
    grey = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("L")
    return stretch(grey, SIDE, SIDE)


def _pictures(splits: Sequence[Split]) -> Iterator[Pixels]:
    for split in splits:
        for batch in split.batches(memory=_HELD):
            yield from batch
