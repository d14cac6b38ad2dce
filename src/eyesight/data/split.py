"""Taking pictures out of a split, the same share of every class.

In: a split, a share or a number, a seed. Out: a part of the split, or two that together are all of it. The draw is a
function of the seed alone.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .dataset import Ints, Split


def hold_out(split: Split, share: float, *, seed: int, name: str) -> tuple[Split, Split]:
    """Split off `share` of the pictures, stratified by class.

    Every class gives round(share × its pictures), at least one and never all; a class of one picture keeps it in
    the first part. Pictures of one group go together, so that a class of large groups may give less, or nothing. Both
    parts keep the order of `split`.

    Args:
        split: what to take from.
        share: between 0 and 1.
        seed: of the draw.
        name: of the part that is taken out.

    Returns:
        What is left (under the old name), and what was taken out.
    """
    taken = np.zeros(len(split), bool)
    labels = split.labels if split.groups is None else _labels_of_groups(split.labels, split.groups)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        generator = np.random.default_rng([seed, int(label)])
        if split.groups is None:
            taken[generator.permutation(members)[:count]] = True
        else:
            taken[members] = np.isin(split.groups[members], _whole_groups(split.groups[members], count, generator))
    if not taken.any():
        what = "pictures" if split.groups is None else "groups of pictures"
        raise DataError(f"cannot hold out a {name} split: no class has two {what}")
    rest, out = np.flatnonzero(~taken), np.flatnonzero(taken)
    return split.select(rest, name=split.name), split.select(out, name=name)


def _labels_of_groups(labels: Ints, groups: Ints) -> Ints:
    """Return for every picture the most frequent class of its group, the first of several: (N,)."""
    _, numbers = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(np.stack([numbers, labels], axis=1), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    _, firsts = np.unique(pairs[order, 0], return_index=True)
    frequent: Ints = pairs[order[firsts], 1]
    return frequent[numbers]


def _whole_groups(groups: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Draw groups that have `count` pictures together, or as many as fit; at least one group, and never all.

    Args:
        groups: (N,) of every picture.
        count: of pictures.
        generator: of the draw.
    """
    _, firsts, sizes = np.unique(groups, return_index=True, return_counts=True)
    if len(sizes) == 1:
        return groups[:0]
    order = generator.permutation(np.argsort(firsts))  # the groups as they first come, as pictures do without groups
    chosen, left = list[int](), count
    for group in order.tolist():
        if sizes[group] <= left and len(chosen) < len(sizes) - 1:
            chosen.append(group)
            left -= int(sizes[group])
    chosen = chosen or [int(order[np.argmin(sizes[order])])]
    return groups[firsts[chosen]]


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
