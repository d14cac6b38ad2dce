"""Judging agrees with scikit-learn, leaves the undefined undefined, and every figure can be drawn."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics as sk

import eyesight
from eyesight.errors import DataError
from eyesight.evaluation import figures
from eyesight.evaluation.judge import judge, number
from eyesight.intervals import wilson
from eyesight.predictions import Predictions
from eyesight.report.drawing import BLUE, ORANGE, png, save


def predictions(labels, logits, classes=None) -> Predictions:
    logits = np.asarray(logits, np.float32)
    names = tuple(classes) if classes else tuple(f"class {k}" for k in range(logits.shape[1]))
    ids = tuple(f"test/{i}" for i in range(len(labels)))
    return Predictions(ids, np.asarray(labels, np.int64), logits, names, "test", "m" * 64, "d" * 64)


def drawn(n: int, classes: int, *, seed: int = 0, missing: int = 0, skill: float = 1.0) -> Predictions:
    """Draw labels and logits; the last `missing` classes never occur and are never predicted."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - missing, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += skill
    logits[:, classes - missing :] = -50
    return predictions(labels, logits)


@given(
    n=st.integers(1, 80), classes=st.integers(2, 12), seed=st.integers(0, 1000), skill=st.sampled_from([0.0, 1.0, 9.0])
)
@settings(deadline=None, max_examples=40)
@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn's, on classes that do not occur
def test_figures_agree_with_scikit_learn(n, classes, seed, skill):
    given_ = drawn(n, classes, seed=seed, skill=skill)
    labels, predicted, every = given_.labels, given_.predicted, range(classes)
    report = judge(given_)
    assert report.n == n
    assert report.accuracy == pytest.approx(sk.accuracy_score(labels, predicted))
    assert report.accuracy_interval == wilson(int((labels == predicted).sum()), n)
    assert report.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert report.macro_f1 == pytest.approx(sk.f1_score(labels, predicted, average="macro", zero_division=0))
    assert report.loss == pytest.approx(sk.log_loss(labels, given_.probabilities, labels=every), rel=1e-5)
    assert np.array_equal(report.confusion_matrix, sk.confusion_matrix(labels, predicted, labels=every))
    assert report.chance == pytest.approx(np.bincount(labels).max() / n)
    expected = sk.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=np.nan)
    for k, row in enumerate(report.per_class):
        precision, recall, f1, support = (float(column[k]) for column in expected)
        assert row.support == support
        assert row.precision == (None if np.isnan(precision) else pytest.approx(precision))
        assert row.recall == (None if np.isnan(recall) else pytest.approx(recall))
        assert row.f1 == (None if np.isnan(f1) else pytest.approx(f1))
    if classes > 5:
        top5 = sk.top_k_accuracy_score(labels, given_.logits, k=5, labels=every)
        assert report.top5_accuracy == pytest.approx(top5)
    else:
        assert report.top5_accuracy is None
    json.dumps(report.to_json(), allow_nan=False)


def test_a_class_that_never_occurs_is_undefined_not_zero():
    report = judge(drawn(50, 4, missing=1))
    row = report.per_class[3]
    assert (row.precision, row.recall, row.f1, row.support) == (None, None, None, 0)
    assert report.balanced_accuracy == pytest.approx(np.mean([c.recall for c in report.per_class[:3]]))
    assert report.macro_f1 == pytest.approx(np.mean([c.f1 for c in report.per_class[:3]]))
    assert report._repr_html_().count("<td>–</td>") == 3
    assert number(None) == "–"
    assert number(0.5) == "0.5000"


def test_a_class_that_occurs_and_is_never_predicted_has_recall_zero_and_no_precision():
    row = judge(predictions([0, 1], [[1, 0], [1, 0]])).per_class[1]
    assert (row.precision, row.recall, row.f1, row.support) == (None, 0.0, 0.0, 1)


def test_all_right_leaves_no_mistakes():
    report = judge(drawn(30, 3, skill=100))
    assert (report.accuracy, report.mistakes, report.confusions()) == (1.0, (), [])
    assert report.accuracy_interval[0] == pytest.approx(0.8865, abs=1e-4)
    assert report.accuracy_interval[1] == 1.0


def test_all_wrong_is_reported_as_such():
    report = judge(predictions([0, 0, 0], [[0, 9], [0, 8], [0, 7]]))
    assert (report.accuracy, report.balanced_accuracy, report.macro_f1) == (0.0, 0.0, 0.0)
    assert report.confusions() == [("class 0", "class 1", 3)]


def test_mistakes_are_the_surest_ones_first_with_names_and_places():
    logits = np.zeros((14, 2))
    logits[:, 1] = np.arange(14)  # ever surer of class 1
    labels = np.zeros(14, np.int64)
    labels[13] = 1
    report = judge(predictions(labels, logits, ["cat", "dog"]), source=lambda i: f"file[{i}]")
    assert [m.position for m in report.mistakes] == list(range(12, 2, -1))
    first = report.mistakes[0]
    assert (first.example, first.source, first.label, first.predicted) == ("test/12", "file[12]", "cat", "dog")
    assert first.probability == pytest.approx(1 / (1 + np.exp(-12)), rel=1e-6)
    assert judge(predictions([0], [[0, 1]])).mistakes[0].source == "test/0"


def test_confusions_are_the_most_frequent_ones_first():
    labels = [0] * 6 + [1] * 3 + [2] * 4
    taken_for = [0, 1, 1, 2, 2, 2, 0, 1, 1, 2, 2, 2, 0]
    report = judge(predictions(labels, np.eye(3)[taken_for], ["a", "b", "c"]))
    assert report.confusions() == [("a", "c", 3), ("a", "b", 2), ("b", "a", 1), ("c", "a", 1)]
    assert report.confusions(1) == [("a", "c", 3)]


def test_the_report_as_json_has_what_programs_read():
    data = json.loads(json.dumps(judge(drawn(20, 7, missing=2), notes=("beware",)).to_json(), allow_nan=False))
    assert {"accuracy", "loss", "per_class", "confusion_matrix", "macro_f1", "top5_accuracy"} <= data.keys()
    assert (data["format"], data["version"], data["notes"]) == ("eyesight-report", 1, ["beware"])
    assert data["per_class"][6] == {"label": "class 6", "precision": None, "recall": None, "f1": None, "support": 0}
    assert np.array(data["confusion_matrix"]).shape == (7, 7)
    assert np.sum(data["confusion_matrix"]) == 20


def test_the_headline_has_the_interval_the_baseline_and_top5_where_it_means_something():
    few, many = (dict(judge(drawn(20, k)).headline()) for k in (5, 6))
    assert "top-5 accuracy" not in few
    assert "top-5 accuracy" in many
    assert "95 % interval" in few["accuracy"]
    assert "n = 20" in few["accuracy"]
    assert "always the most frequent class" in few["chance"]


def test_the_report_in_a_notebook_escapes_names_and_notes():
    html = judge(predictions([0], [[1, 0]], ["<b>", "&"]), notes=("<i>",))._repr_html_()
    assert "<td>&lt;b&gt;</td>" in html
    assert "<p>&lt;i&gt;</p>" in html
    assert "<b>" not in html


def test_nothing_to_judge_is_refused():
    with pytest.raises(DataError, match="test: no examples to judge"):
        judge(predictions([], np.zeros((0, 2))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(value):
    with pytest.raises(DataError, match="the logits of 1 of 2 examples are not finite numbers"):
        judge(predictions([0, 1], [[0, value], [0, 1]]))


# ---- figures


def dataset(classes: int, channels: int = 1, *, n: int = 40, names=None, size=8, **options) -> eyesight.Dataset:
    rng = np.random.default_rng(0)
    shape = (size, size) if channels == 1 else (size, size, 3)
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    labels = np.arange(n) % classes
    names = names or [f"class {k}" for k in range(classes)]
    return eyesight.from_arrays((images, labels), test=(images[:30], labels[:30]), classes=names, **options)


def opened(figure) -> Image.Image:
    """Return a figure as it will be seen, after checking that it is a picture of sane size that shows something."""
    data = png(figure)
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    assert 150 < picture.width < 2500, picture.size
    assert 150 < picture.height < 2500, picture.size
    pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 1
    border = np.concatenate([pixels[:8].ravel(), pixels[-8:].ravel(), pixels[:, :8].ravel(), pixels[:, -8:].ravel()])
    assert (border == 255).all()  # nothing is cut at the edge
    return picture


LONG = ["a name so long that no figure has the room to show all of it", "b"]


@pytest.mark.parametrize(
    ("classes", "channels", "names"), [(2, 3, LONG), (10, 1, None), (100, 3, None)], ids=["2", "10", "100"]
)
def test_every_figure_can_be_drawn(classes, channels, names):
    data = dataset(classes, channels, n=max(4 * classes, 40), names=names)
    split = data.split("test")
    logits = np.random.default_rng(1).normal(size=(len(split), classes))
    given_ = replace(predictions(split.labels, logits), classes=data.classes)
    report = judge(given_)
    drawn_ = [
        figures.class_grid(data, data.train),
        figures.label_counts(data),
        figures.confusion(report),
        figures.sample_predictions(given_, split),
        figures.confident_mistakes(report, given_, split),
    ]
    for figure in drawn_:
        opened(figure)


def rows(count: int, *, validation: bool = True):
    keys = ("loss", "accuracy", *(("val_loss", "val_accuracy") if validation else ()))
    return [
        {"epoch": e, "step": 10 * e, **{key: 1 / (e + i) for i, key in enumerate(keys)}} for e in range(1, count + 1)
    ]


@pytest.mark.parametrize(("count", "validation"), [(1, True), (1, False), (2, True), (30, False)])
def test_curves_of_any_run_can_be_drawn(count, validation):
    figure = figures.curves(rows(count, validation=validation), validation="test")
    opened(figure)
    for axes, key in zip(figure.axes, ("accuracy", "loss"), strict=True):
        assert axes.get_title() == key
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == (["training", "test"] if validation else ["training"])
        shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert shown
        assert all(float(tick).is_integer() for tick in shown)


def test_curves_show_the_figures_of_the_rows():
    figure = figures.curves(rows(3))
    training, validation = figure.axes[1].lines
    assert list(training.get_ydata()) == [row["loss"] for row in rows(3)]
    assert list(validation.get_ydata()) == [row["val_loss"] for row in rows(3)]


def test_curves_with_a_loss_that_is_no_number_can_be_drawn():
    history = rows(3)
    history[1]["val_loss"] = float("nan")
    opened(figures.curves(history))


def test_names_are_drawn_as_they_are_not_as_formulas_and_unknown_letters_do_not_warn():
    data = dataset(3, names=["$\\nonsense{$ 5", "日本語", "two\nlines"])
    opened(figures.label_counts(data))
    opened(figures.class_grid(data, data.train))


def test_right_and_wrong_are_marked_by_sign_and_colour_even_where_two_classes_have_one_name():
    data = replace(dataset(2), classes=("same", "same"))
    split = data.split("test")
    logits = np.zeros((len(split), 2))
    logits[:, 1] = 1  # everything taken for class 1
    given_ = replace(predictions(split.labels, logits), classes=data.classes)
    figure = figures.sample_predictions(given_, split, count=len(split))
    titles = [axes.title for axes in figure.axes[:4]]
    assert [title.get_text().strip() for title in titles] == ["✗ same (73%)\nis same", "✓ same (73%)"] * 2
    assert [title.get_color() for title in titles] == [ORANGE, BLUE] * 2


def test_a_sample_is_taken_from_the_whole_split():
    assert figures.choose_sample(101, most=5).tolist() == [0, 25, 50, 75, 100]
    assert figures.choose_sample(3, most=20).tolist() == [0, 1, 2]


def test_the_confusion_matrix_shows_counts_coloured_by_the_share_of_the_row():
    labels, taken_for = [0] * 90 + [1] * 2, [0] * 45 + [1] * 45 + [1] * 2
    figure = figures.confusion(judge(predictions(labels, np.eye(2)[taken_for], ["a", "b"])))
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[0.5, 0.5], [0, 1]]
    assert [text.get_text() for text in axes.texts] == ["45", "45", "0", "2"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]


def test_no_mistakes_no_figure():
    data = dataset(2)
    split = data.split("test")
    given_ = predictions(split.labels, 9 * np.eye(2)[split.labels])
    assert figures.confident_mistakes(judge(given_), given_, split) is None


def test_label_counts_leave_out_what_is_counted_twice():
    figure = figures.label_counts(dataset(2, validation="test"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train (40)", "test (30)"]
    bars = figure.axes[0].containers[0]
    assert [bar.get_width() for bar in bars] == [20, 20]


def test_the_grid_of_classes_names_every_picture_and_says_when_some_are_left_out():
    data = dataset(30, n=120)
    figure = figures.class_grid(data, data.train)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"class {k}" for k in range(25) for _ in range(2)]
    assert figure.get_suptitle() == "arrays: the first 25 of 30 classes"
    assert figures.class_grid(data, data.train.select(np.arange(0), name="none"))


def test_a_figure_becomes_a_file(tmp_path):
    path = save(figures.curves(rows(2)), tmp_path / "sub" / "c.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_drawing_changes_nothing_global():
    before = dict(mpl.rcParams)
    png(figures.curves(rows(2)))
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
