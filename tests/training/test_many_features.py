"""Features of many photos: in a mapped file, fitted without a copy, to the same layer as features in memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from eyesight.data import mapped
from eyesight.data.mapped import is_mapped, new_matrix, parts
from eyesight.training import head as heads
from eyesight.training.head import choose, fit_head, mean_view
from eyesight.training.logistic import standard_scale


def examples(count: int, width: int, classes: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy features that tell classes apart, of different sizes and not about zero."""
    rng = np.random.default_rng(seed)
    centres, labels = rng.normal(size=(classes, width)) * 0.3, rng.integers(0, classes, count)
    features = np.maximum(0, rng.normal(size=(count, width)) + centres[labels]) * rng.uniform(0.1, 3, width)
    return features.astype(np.float32), labels


def on_disk(features: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The same features in a mapped file, of which a few rows are a part."""
    monkeypatch.setattr(mapped, "_MOST", 1 << 14)
    monkeypatch.setattr(mapped, "_PART", 1 << 12)
    matrix = new_matrix(*features.shape, folder)
    assert is_mapped(matrix)
    matrix[:] = features
    return matrix


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("balance", [False, True])
def test_the_layer_is_that_of_scikit_learn(classes, balance, tmp_path, monkeypatch):
    features, labels = examples(900, 60, classes)
    labels[labels == 0] *= np.random.default_rng(1).integers(0, 2, (labels == 0).sum())
    folds = np.arange(len(labels)) % 5
    wanted = fit_head(features, labels, classes + 1, 0.01, balance=balance)  # of one class there is no example
    chosen = choose(features, None, labels, folds, classes, strengths=(1e-3, 1e-2), balance=balance)
    monkeypatch.setattr(heads, "_COPIED", 0)
    matrix = on_disk(features, tmp_path, monkeypatch)
    found = fit_head(matrix, labels, classes + 1, 0.01, balance=balance)
    np.testing.assert_allclose(found.logits(matrix), wanted.logits(features), atol=0.02)
    again = choose(matrix, None, labels, folds, classes, strengths=(1e-3, 1e-2), balance=balance)
    assert again.strength == chosen.strength
    np.testing.assert_allclose(again.logits, chosen.logits, atol=0.02)
    assert (matrix == features).all()


def test_the_scale_of_some_examples_is_numpys(tmp_path, monkeypatch):
    features, _ = examples(500, 30, 2)
    features[:, 3] = 7
    counted = np.random.default_rng(0).random(500) < 0.7
    mean, scale = standard_scale(on_disk(features, tmp_path, monkeypatch), counted)
    some = features[counted].astype(np.float64)
    np.testing.assert_allclose(mean, some.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.delete(scale, 3), np.delete(some.std(axis=0), 3), rtol=1e-12)
    assert scale[3] == 1


def test_the_mean_of_two_views_is_the_same_on_the_disk_and_takes_no_third_file(tmp_path, monkeypatch):
    one, two = examples(700, 40, 3)[0], examples(700, 40, 3, seed=1)[0]
    wanted = mean_view(one, two)
    first = on_disk(one, tmp_path, monkeypatch)
    assert mean_view(first, on_disk(two, tmp_path, monkeypatch)) is first
    assert (first == wanted).all()


def test_a_matrix_leaves_no_file_and_lies_in_memory_where_there_is_no_room(tmp_path, monkeypatch):
    matrix = on_disk(np.ones((500, 100), np.float32), tmp_path, monkeypatch)
    assert list(tmp_path.iterdir()) == []
    assert (matrix == 1).all()
    (tmp_path / "file").touch()
    there = new_matrix(500, 100, tmp_path / "file" / "no folder")
    assert not is_mapped(there)
    assert there.shape == (500, 100)


def test_memory_does_not_grow_with_the_number_of_examples(tmp_path):
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("the system does not say what a process has in memory")
    rows, width, peak, ended = 40_000, 1280, [0], threading.Event()

    def resident() -> int:
        return int(status.read_text().split()[1]) * 4096

    def watch() -> None:
        while not ended.is_set():
            peak[0] = max(peak[0], resident())
            time.sleep(0.005)

    before = resident()
    matrix = new_matrix(rows, width, tmp_path)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for part in parts(matrix):
            matrix[part] = np.arange(part.start, part.stop)[:, None] % 7
        standard_scale(matrix, np.ones(rows, np.bool_))
    finally:
        ended.set()
        watcher.join()
    assert peak[0] - before < 160e6 < matrix.nbytes
