"""Parts of a set of examples that are left out one after the other: the folds of a cross-validation.

In: labels, groups, a number, a seed. Out: the fold of every example. The deal is a function of the seed alone.
"""

from __future__ import annotations

import numpy as np

from .dataset import Ints


def deal_folds(labels: Ints, folds: int, *, groups: Ints | None = None, seed: int) -> Ints:
    """Return which fold every example is in, from 0: (N,).

    Every fold gets about the same share of every class. Examples of one group are in one fold: the largest groups are
    dealt first, each to the fold that has the fewest of their class, and of those the one that has the fewest at all.

    Args:
        labels: (N,) classes.
        folds: how many.
        groups: (N,) which examples belong together; None where none do.
        seed: of the deal.

    >>> deal_folds(np.array([0, 0, 1, 1]), 2, seed=0).tolist()
    [1, 0, 0, 1]
    """
    numbers = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    members: list[list[int]] = [[] for _ in range(int(numbers.max()) + 1)]
    for i, number in enumerate(numbers.tolist()):
        members[number].append(i)
    order = np.random.default_rng(seed).permutation(len(members)).tolist()
    order.sort(key=lambda number: -len(members[number]))  # stable: equal ones stay as they were drawn
    found = np.empty(len(labels), np.int64)
    counts = np.zeros((folds, int(labels.max()) + 1), np.int64)
    for number in order:
        own = members[number]
        classes, many = np.unique(labels[own], return_counts=True)
        label = classes[many.argmax()]
        fold = min(range(folds), key=lambda k: (counts[k, label], counts[k].sum(), k))
        found[own] = fold
        np.add.at(counts[fold], labels[own], 1)
    return found
