"""Groups never cross a split, and without groups the draw is what it always was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyesight.data.dataset import Split, whole_split
from eyesight.data.split import hold_out
from eyesight.errors import DataError


def split(labels: list[int], groups: list[int] | None) -> Split:
    whole = whole_split("train", np.zeros((len(labels), 1, 1, 1), np.uint8), np.array(labels, np.int64))
    return Split("train", whole.store, whole.rows, whole.labels, "train", None if groups is None else np.array(groups))


def test_groups_of_one_are_drawn_as_without_groups() -> None:
    labels = (np.arange(200) % 7).tolist()
    for share in (0.05, 0.1, 0.3):
        plain = hold_out(split(labels, None), share, seed=3, name="validation")
        single = hold_out(split(labels, list(range(200))), share, seed=3, name="validation")
        for one, other in zip(plain, single, strict=True):
            assert one.rows.tolist() == other.rows.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=60), st.floats(0.05, 0.5))
def test_no_group_is_on_both_sides_and_every_picture_is_on_one(pairs: list[tuple[int, int]], share: float) -> None:
    labels, groups = zip(*pairs, strict=True)
    try:
        rest, out = hold_out(split(list(labels), list(groups)), share, seed=0, name="validation")
    except DataError:  # no class has two groups
        return
    assert not set(rest.groups.tolist()) & set(out.groups.tolist())
    assert sorted([*rest.rows, *out.rows]) == list(range(len(pairs)))
    assert len(rest)


def test_groups_fill_the_share_as_far_as_they_fit() -> None:
    labels = [0] * 100 + [1] * 100
    groups = [i // 5 for i in range(200)]
    _, out = hold_out(split(labels, groups), 0.2, seed=1, name="validation")
    assert out.label_counts(2).tolist() == [20, 20]
    large = [0] * 60 + list(range(1, 41)) + [100] * 100
    _, out = hold_out(split(labels, large), 0.2, seed=1, name="validation")
    assert out.label_counts(2).tolist() == [20, 0]
    with pytest.raises(DataError, match="no class has two groups of pictures"):
        hold_out(split(labels, [0] * 100 + [1] * 100), 0.2, seed=1, name="validation")
