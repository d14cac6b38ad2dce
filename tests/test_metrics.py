"""Figures of merit against scikit-learn and SciPy; what is undefined stays undefined."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from eyesight import metrics
from eyesight.intervals import wilson

MANY = settings(deadline=None, max_examples=120)


@st.composite
def judged(draw):
    """Labels and predictions of some K classes, of which not all need occur."""
    classes = draw(st.integers(2, 6))
    pairs = draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40))
    labels, predicted = np.array(pairs, np.int64).T
    return labels, predicted, classes


@st.composite
def scored(draw):
    """Distinct logits (N, K), and labels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, classes = draw(st.integers(1, 30)), draw(st.integers(2, 8))
    scale = draw(st.sampled_from((0.01, 1.0, 50.0, 1e4)))
    return (rng.normal(size=(n, classes)) * scale).astype(np.float32), rng.integers(0, classes, n)


@MANY
@given(judged())
def test_the_confusion_matrix_is_scikit_learns(case):
    labels, predicted, classes = case
    expected = reference.confusion_matrix(labels, predicted, labels=range(classes))
    np.testing.assert_array_equal(metrics.confusion_matrix(labels, predicted, classes), expected)


def test_small_integer_labels_do_not_overflow():
    found = metrics.confusion_matrix(np.array([99], np.uint8), np.array([98], np.uint8), 100)
    assert found[99, 98] == 1 == found.sum()


@MANY
@given(judged())
def test_per_class_figures_are_scikit_learns_and_undefined_ones_are_nan(case):
    labels, predicted, classes = case
    found = metrics.class_scores(metrics.confusion_matrix(labels, predicted, classes))
    expected = reference.precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=np.nan)
    np.testing.assert_allclose(found.precision, expected[0])
    np.testing.assert_allclose(found.recall, expected[1])
    np.testing.assert_array_equal(found.support, expected[3])
    seen = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes) > 0
    np.testing.assert_array_equal(np.isnan(found.f1), ~seen)
    f1 = reference.f1_score(labels, predicted, labels=range(classes), average=None, zero_division=0)
    np.testing.assert_allclose(found.f1[seen], f1[seen])


@MANY
@given(judged())
def test_means_over_classes_leave_out_the_undefined_ones(case):
    labels, predicted, classes = case
    found = metrics.class_scores(metrics.confusion_matrix(labels, predicted, classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of predicted classes that never occur
        balanced = reference.balanced_accuracy_score(labels, predicted)
    assert metrics.mean_defined(found.recall) == pytest.approx(balanced)


def test_a_mean_of_nothing_is_nan():
    assert math.isnan(metrics.mean_defined(np.array([np.nan, np.nan])))
    assert math.isnan(metrics.mean_defined(np.array([])))
    assert metrics.mean_defined(np.array([np.nan, 0.0, 1.0])) == 0.5


@MANY
@given(scored())
def test_softmax_and_loss_are_the_references(case):
    logits, labels = case
    np.testing.assert_allclose(
        metrics.softmax(logits), scipy.special.softmax(logits.astype(np.float64), axis=1), atol=1e-12
    )
    expected = -scipy.special.log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    np.testing.assert_allclose(metrics.cross_entropy(logits, labels), expected, atol=1e-9)


def test_extreme_logits_neither_overflow_nor_lose_the_loss():
    big = np.finfo(np.float32).max
    logits = np.array([[big, -big], [1000, 0], [0, 1000], [-1e30, -1e30]], np.float32)
    assert metrics.softmax(logits).tolist() == [[1, 0], [1, 0], [0, 1], [0.5, 0.5]]
    loss = metrics.cross_entropy(logits, np.array([1, 0, 0, 0]))
    assert loss.tolist() == pytest.approx([2 * float(big), 0, 1000, math.log(2)])
    assert loss.dtype == metrics.softmax(logits).dtype == np.float64


def test_a_confident_right_answer_has_a_tiny_loss_not_zero():
    assert metrics.cross_entropy(np.array([[30.0, 0.0]], np.float32), np.array([0]))[0] == pytest.approx(
        math.exp(-30), rel=1e-2
    )


@MANY
@given(scored(), st.integers(1, 8))
def test_top_k_is_scikit_learns(case, k):
    logits, labels = case
    classes = logits.shape[1]
    if k >= classes:
        assert metrics.top_k_accuracy(logits, labels, k) == 1
    elif classes == 2:
        assert metrics.top_k_accuracy(logits, labels, 1) == (logits.argmax(axis=1) == labels).mean()
    else:
        expected = reference.top_k_accuracy_score(labels, logits, k=k, labels=range(classes))
        assert metrics.top_k_accuracy(logits, labels, k) == pytest.approx(expected)


def test_ties_and_nan_count_against_the_label():
    labels = np.array([0, 1])
    assert metrics.top_k_accuracy(np.zeros((2, 4)), labels, 3) == 0
    assert metrics.top_k_accuracy(np.zeros((2, 4)), labels, 4) == 1
    assert metrics.top_k_accuracy(np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0]]), labels, 2) == 1
    assert metrics.top_k_accuracy(np.full((2, 4), np.nan), labels, 3) == 0


def test_the_chance_baseline_is_the_most_frequent_class():
    assert metrics.chance_accuracy(np.array([2, 2, 2, 0]), 5) == 0.75


@MANY
@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys_wilson_interval(case):
    successes, n = case
    expected = scipy.stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    low, high = wilson(successes, n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1
    if 0 < successes < n:
        assert 0 < low < high < 1


def test_the_interval_keeps_its_promise():
    """Over all outcomes of 50 trials, the true proportion lies inside about 95 times in 100 (the textbook one: 88)."""
    for p in (0.05, 0.5, 0.9):
        inside = [low <= p <= high for low, high in (wilson(k, 50) for k in range(51))]
        covered = sum(scipy.stats.binom.pmf(k, 50, p) for k in range(51) if inside[k])
        assert 0.92 < covered < 0.98


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match=f"received: {successes} of {n}"):
        wilson(successes, n)
