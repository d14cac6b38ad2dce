"""Which labels are doubted."""

from __future__ import annotations

import numpy as np

from eyesight.quality.labels import doubt, out_of_fold


def clusters(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return rng.normal(0, 1, (count, 20)) + 4 * np.eye(20)[labels], labels


def test_swapped_labels_come_first() -> None:
    features, labels = clusters(300)
    swapped = np.random.default_rng(1).choice(300, 15, replace=False)
    given = labels.copy()
    given[swapped] = (given[swapped] + 1) % 3
    found = doubt(out_of_fold(features, given, np.arange(300), classes=3), given)
    assert np.isin(found.order[:15], swapped).mean() >= 0.8
    assert (found.other[swapped] == labels[swapped]).mean() > 0.9
    assert found.likely[swapped].mean() > 0.5
    assert found.likely[np.setdiff1d(np.arange(300), swapped)].mean() < 0.02


def test_a_copy_does_not_vouch_for_a_wrong_label() -> None:
    features, labels = clusters(120)
    features = np.concatenate([features, features[:5], features[:5]])
    given = np.concatenate([labels, (labels[:5] + 1) % 3, (labels[:5] + 1) % 3])
    groups = np.concatenate([np.arange(120), np.arange(120, 125), np.arange(120, 125)])
    groups[:5] = np.arange(120, 125)
    found = doubt(out_of_fold(features, given, groups, classes=3), given)
    assert set(found.order[:10].tolist()) == set(range(120, 130))


def test_a_class_that_a_fold_has_not_seen_is_impossible_there() -> None:
    features, labels = clusters(60)
    labels = labels.copy()
    labels[0] = 3
    probabilities = out_of_fold(features, labels, np.arange(60), classes=4)
    assert probabilities[0, 3] < 0.05
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
