"""Calibration: the error is the paper's, and the fitted temperature is the one with the lowest loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from eyesight.calibration import HIGHEST, LOWEST, calibration_error, fit_temperature, reliability
from eyesight.metrics import cross_entropy, softmax


def calibrated(n: int, classes: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels that occur with just the probabilities that the logits give."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    drawn = (softmax(logits).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, drawn


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature):
    logits, labels = calibrated(20_000, 10, seed=0)
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


@given(n=st.integers(1, 60), classes=st.integers(2, 8), seed=st.integers(0, 999), scale=st.floats(0.1, 9))
@settings(deadline=None, max_examples=40)
def test_the_temperature_has_the_lowest_loss_with_one_example_of_unknown_class(n, classes, seed, scale):
    rng = np.random.default_rng(seed)
    logits, labels = scale * rng.normal(size=(n, classes)), rng.integers(0, classes, n)

    def loss(log_t):
        z = logits / np.exp(log_t)
        unknown = np.mean([cross_entropy(z, np.full(n, k)).mean() for k in range(classes)])
        return cross_entropy(z, labels).mean() + unknown / n

    best = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    assert loss(np.log(fit_temperature(logits, labels))) <= best.fun + 1e-6


def test_a_small_set_without_a_mistake_does_not_ask_for_certainty():
    labels = np.arange(100) % 10
    assert 0.7 < fit_temperature(6 * np.eye(10)[labels], labels) < 1.2


def test_what_tells_nothing_leaves_the_temperature_at_one():
    labels = np.array([0, 1])
    for logits in ([], [[0, 0], [0, 0]], [[0, np.nan], [1, 2]], [[0, np.inf], [1, 2]]):
        assert fit_temperature(np.array(logits).reshape(-1, 2), labels[: len(logits)]) == 1


def test_worse_than_chance_ends_at_the_highest_temperature():
    assert fit_temperature(np.array([[9.0, 0], [0, 9.0]]), np.array([1, 0])) == pytest.approx(HIGHEST, abs=1e-3)


def test_the_calibration_error_is_the_papers():
    rng = np.random.default_rng(0)
    probabilities, labels = softmax(3 * rng.normal(size=(500, 4))), rng.integers(0, 4, 500)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(probabilities, labels) == pytest.approx(expected)


def test_a_calibrated_classifier_has_little_error_and_a_sharpened_one_much():
    logits, labels = calibrated(20_000, 10, seed=1)
    assert calibration_error(softmax(logits), labels) < 0.01
    assert calibration_error(softmax(3 * logits), labels) > 0.1


def test_empty_bins_are_undefined_and_do_not_count():
    found = reliability(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0]))
    assert found.count.tolist() == [0] * 7 + [1] + [0] * 6 + [1]
    assert np.isnan(found.accuracy).sum() == 13
    assert found.calibration_error == pytest.approx(0.25)
