"""Taking pictures out of a split, the same share of every class.

In: a split, a share or a number, a seed. Out: a part of the split, or two that together are all of it. The draw is a
function of the seed alone.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .dataset import Split


def hold_out(split: Split, share: float, *, seed: int, name: str) -> tuple[Split, Split]:
    """Split off `share` of the pictures, stratified by class.

    Every class gives round(share × its pictures), at least one and never all; a class of one picture keeps it in
    the first part. Both parts keep the order of `split`.

    Args:
        split: what to take from; its groups, if it has any, are not looked at.
        share: between 0 and 1.
        seed: of the draw.
        name: of the part that is taken out.

    Returns:
        What is left (under the old name), and what was taken out.
    """
    taken = np.zeros(len(split), bool)
    for label in np.unique(split.labels):
        members = np.flatnonzero(split.labels == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        taken[np.random.default_rng([seed, int(label)]).permutation(members)[:count]] = True
    if not taken.any():
        raise DataError(f"cannot hold out a {name} split: no class has two pictures")
    rest, out = np.flatnonzero(~taken), np.flatnonzero(taken)
    return split.select(rest, name=split.name), split.select(out, name=name)


def draw(split: Split, count: int, *, seed: int) -> Split:
    """Return `count` of the pictures, the same share of every class but for less than one picture, in their order.

    What rounding down leaves over goes to the classes that lost most by it (largest remainders).

    Args:
        split: what to take from.
        count: between 1 and all.
        seed: of the draw.
    """
    labels, sizes = np.unique(split.labels, return_counts=True)
    counts, remainders = np.divmod(sizes * count, len(split))
    counts[np.argsort(-remainders, kind="stable")[: count - counts.sum()]] += 1
    taken = [
        np.random.default_rng([seed, int(label)]).permutation(np.flatnonzero(split.labels == label))[:number]
        for label, number in zip(labels, counts, strict=True)
    ]
    return split.select(np.sort(np.concatenate(taken)), name=split.name)
