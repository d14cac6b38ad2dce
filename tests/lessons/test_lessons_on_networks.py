"""Lessons on padding, batches, dropout, first filters and position: what they show is what is computed."""

from __future__ import annotations

import re
from itertools import groupby, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

import eyesight
from eyesight.api import lesson_subjects
from eyesight.cli import main
from eyesight.lessons import batch, dropout, filters, padding, position
from eyesight.lessons.topics import LESSONS, SYNONYMS
from eyesight.models import network_spec
from eyesight.report.document import Card, Lesson, Table, Words
from eyesight.report.sheet import sheet, spread
from lesson_blocks import assert_tidy, everything, grids, table, told, worth

WHOLE = st.integers(-9, 9).map(float)


@pytest.mark.parametrize("word", SYNONYMS)
def test_other_words_for_a_topic_lead_to_it(word):
    assert word not in LESSONS
    assert SYNONYMS[word] in LESSONS


def test_a_lesson_is_told_under_its_other_name(capsys):
    assert told("zero-padding", "-o", "a.png", capsys=capsys) == told("padding", "-o", "a.png", capsys=capsys)


# padding


@settings(deadline=None, max_examples=40)
@given(
    picture=arrays(np.float64, st.tuples(st.integers(3, 6), st.integers(3, 6)), elements=WHOLE),
    kernel=arrays(np.float64, (3, 3), elements=WHOLE),
)
def test_every_way_of_padding_gives_what_scipy_gives(picture, kernel):
    lesson = padding.padding(picture=picture, kernel=kernel)
    size = f"{picture.shape[0]}×{picture.shape[1]}"
    results = [g.values for g in grids(lesson) if (0, 0) in g.marked and g.title == size]
    for values, mode in zip(results, ("constant", "mirror", "nearest"), strict=True):
        np.testing.assert_allclose(values, ndimage.correlate(picture, kernel, mode=mode), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(3, 7), width=st.integers(3, 7), side=st.sampled_from([1, 3]), ring=st.integers(0, 1))
def test_windows_are_counted_as_a_convolution_with_ones_spreads_them(height, width, side, ring):
    places = torch.ones(1, 1, height + 2 * ring - side + 1, width + 2 * ring - side + 1)
    seen = torch.nn.functional.conv_transpose2d(places, torch.ones(1, 1, side, side))[0, 0].numpy()
    expected = seen[ring : ring + height, ring : ring + width]
    counted = padding.count_windows((height, width), (side, side), (ring,) * 4)
    np.testing.assert_array_equal(counted, expected)


# batch


def test_the_shapes_of_a_batch_are_those_of_the_network_that_is_run():
    pictures = np.zeros((5, 12, 10))
    lesson = batch.batch(pictures=pictures)
    shapes = [row[2] for row in table(lesson)]
    assert shapes[0] == "5×12×10×1"
    network = network_spec(batch._NETWORK, shape=(12, 10, 1), classes=10).build().eval()
    found = []
    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(lambda _m, _i, out: found.append(tuple(out.shape))) for leaf in leaves]
    with torch.no_grad():
        network(torch.zeros(5, 1, 12, 10))
    for hook in hooks:
        hook.remove()
    computed = ["×".join(map(str, (s[0], *s[2:], s[1]) if len(s) == 4 else s)) for s in found]
    assert [shape for shape, _ in groupby(shapes[1:])] == [shape for shape, _ in groupby(computed)]
    assert_tidy(sheet(lesson))


def test_small_pictures_of_a_batch_are_convolved_one_by_one():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 4)).astype(float)
    lesson = batch.batch(pictures=pictures)
    results = [g.values for g in grids(lesson) if g.values.shape == (2, 2)]
    for picture, result in zip(pictures, results, strict=True):
        np.testing.assert_array_equal(result, ndimage.correlate(picture, batch._KERNEL)[1:-1, 1:-1])


# dropout


@pytest.fixture(scope="module")
def two_trainings():
    rng = np.random.default_rng(0)
    train, other = rng.random(12), rng.random(12)
    return {
        "without": dropout.History(train, other + 1, (1.0, 0.75)),
        "with_it": dropout.History(train + 0.5, other + 0.5, (0.95, 0.8)),
    }


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5])
def test_sums_with_neurons_left_out_add_up_and_keep_their_mean(rate, two_trainings):
    values = np.array([4.0, 2, 6, 1, 8, 3])
    lesson = dropout.dropout(values=values, rate=rate, **two_trainings)
    weights = next(g for g in grids(lesson) if g.title == "weights").values[0]
    for step in (b for b in everything(lesson) if isinstance(b, Card) and b.title.startswith("update")):
        outputs = grids(Lesson("", "", step.blocks))[0]
        left_out = {j for _, j in outputs.marked}
        assert left_out == set(np.flatnonzero(np.isnan(outputs.values[0])))
        kept = np.nan_to_num(outputs.values[0])
        np.testing.assert_allclose(kept[~np.isnan(outputs.values[0])], np.delete(values, list(left_out)) / (1 - rate))
        sums = next(b.text for b in step.blocks if isinstance(b, Words))
        left, right = sums.rsplit(" = ", 1)
        assert worth(left) == pytest.approx(float(right), abs=0.01)
        assert worth(left) == pytest.approx(float(kept @ weights), abs=0.01)
    mean = float(re.search(r"its mean is (-?[\d.]+)", " ".join(words(lesson)))[1].rstrip("."))
    assert mean == pytest.approx(values @ weights, abs=0.3)


def words(lesson: Lesson) -> list[str]:
    return [block.text for block in everything(lesson) if isinstance(block, Words)]


def test_the_verdict_on_dropout_follows_what_was_measured(two_trainings):
    swapped = {"without": two_trainings["with_it"], "with_it": two_trainings["without"]}
    good, bad = dropout.dropout(**two_trainings), dropout.dropout(**swapped)
    assert any(text.endswith("dropout made it smaller here.") for text in words(good))
    assert any(text.endswith("dropout made it no smaller here.") for text in words(bad))
    assert "25.0 points without (75.0% right" in " ".join(words(good))
    assert_tidy(sheet(good))


@pytest.mark.parametrize("topic", ["dropout", "overfitting"])
def test_dropout_trains_twice_and_says_so(topic, capsys, monkeypatch):
    monkeypatch.setitem(lesson_subjects._BY_HEART, "epochs", 2)
    assert main(["lesson", topic, "--rate", "0.25", "-o", "d.png"]) == 0
    out, error = capsys.readouterr()
    assert error == "training a small network twice on 200 of the embedded digits, without dropout and with it\n"
    assert "divided by 0.75" in out
    losses = {row.split()[0]: row.split()[4:6] for row in out.splitlines() if " learned from " in row}
    assert losses["without"] != losses["with"]
    assert max(map(len, out.splitlines())) <= 80


# filters


@pytest.mark.parametrize("network", ["small-cnn-1pool", "whitened-16-32-32", "mlp"])
def test_first_filters_are_those_that_training_begins_with(network, bars_data, tmp_path):
    """One update with a rate near zero leaves the weights where they began."""
    settings = {"recipe.updates": 1, "recipe.optimizer": "sgd", "recipe.lr": 1e-12}
    run = eyesight.train(bars_data, model=network, settings=settings, output=tmp_path / "run", progress=False)
    first = lesson_subjects._first_weights(run)
    before, after, _ = filters._weights(run.classifier, first)
    np.testing.assert_allclose(before, after, atol=1e-6)
    picture = bars_data.test.gather([0])[0]
    lesson = filters.filters(classifier=run.classifier, first=first, picture=picture, source="a bar")
    assert any(text.startswith("Correlation with its beginning: median 1.00") for text in words(lesson))
    assert_tidy(sheet(lesson))


@settings(deadline=None)
@given(weights=arrays(np.float64, (3, 2, 3, 3), elements=st.floats(-1, 1)), factor=st.floats(0.1, 10))
def test_correlation_is_one_for_a_filter_that_was_only_scaled(weights, factor):
    lengths = np.abs(weights).reshape(3, -1).sum(axis=1)
    alike = filters.correlations(weights, factor * weights)
    np.testing.assert_allclose(alike[lengths > 1e-6], 1.0)
    np.testing.assert_allclose(filters.correlations(weights, -weights)[lengths > 1e-6], -1.0)


def test_filters_need_a_run_that_began_with_random_ones(digits_run, capsys):
    assert main(["lesson", "filters", "--model", str(digits_run.model_file)]) == 2
    assert capsys.readouterr().err == (
        "eyesight: error: --model: expected the folder of a run, which tells what it began with\n"
    )


# position

PHOTOS = arrays(np.uint8, st.tuples(st.integers(6, 9), st.integers(6, 9), st.sampled_from([1, 3])))


@settings(deadline=None, max_examples=40)
@given(picture=PHOTOS, right=st.integers(0, 4), down=st.integers(0, 4))
def test_a_picture_is_moved_over_its_background(picture, right, down):
    moved = position.move(picture, right=right, down=down)
    height, width = picture.shape[:2]
    np.testing.assert_array_equal(moved[down:, right:], picture[: height - down, : width - right])
    filled = position.background(picture)
    assert (moved[:down] == filled).all()
    assert (moved[:, :right] == filled).all()


@settings(deadline=None, max_examples=40)
@given(picture=PHOTOS)
def test_half_a_turn_reverses_a_picture_and_no_crop_and_no_noise_leave_it(picture):
    np.testing.assert_array_equal(position.turn(picture, degrees=180), picture[::-1, ::-1])
    np.testing.assert_array_equal(position.crop(picture, share=1.0), picture)
    np.testing.assert_array_equal(position.disturb(picture, share=0.0), picture)
    assert position.disturb(picture, share=0.3).shape == picture.shape


def test_what_position_counts_is_what_the_classifier_answers(digits_run):
    data, classifier = digits_run.data(), digits_run.classifier
    picture = data.test.gather([0])[0]
    lesson = position.position(classifier=classifier, picture=picture, source="a digit", others=data.test)
    rows = {row[0]: row[1] for block in everything(lesson) if isinstance(block, Table) for row in block.rows}
    pictures = data.test.gather(np.arange(200))
    for name, change in position.every_change(8).items():
        answers = [classifier.predict(change(p))[0].label for p in pictures[:200]]
        right = np.mean([a == data.classes[k] for a, k in zip(answers, data.test.labels[:200], strict=True)])
        assert rows[name] == f"{right:.1%}", name
    assert_tidy(sheet(lesson))


# curves


@given(places=st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_names_beside_a_curve_keep_their_order_and_their_distance(places):
    moved = spread(places, 0.25)
    assert all(b >= a for a, b in zip(places, moved, strict=True))
    ordered = sorted(moved)
    assert all(b - a >= 0.25 - 1e-9 for a, b in pairwise(ordered))
