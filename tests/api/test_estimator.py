"""eyesight among scikit-learn's estimators."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import eyesight
from drawn_photos import fill, photo
from eyesight.api.estimator_input import TableReading
from eyesight.errors import DataError, InterruptedRun, PictureError, UsageError

# What does not pass, and why; empty as long as everything does.
EXPECTED: dict[str, dict[str, str]] = {"ImageClassifier": {}, "PhotoFeatures": {}}


@parametrize_with_checks(
    [eyesight.ImageClassifier(epochs=3, threads=1)],
    expected_failed_checks=lambda estimator: EXPECTED[type(estimator).__name__],
)
def test_the_classifier_is_one_of_scikit_learns(estimator, check) -> None:
    check(estimator)


@pytest.mark.long
@parametrize_with_checks(
    [eyesight.PhotoFeatures(threads=1)],
    expected_failed_checks=lambda estimator: EXPECTED[type(estimator).__name__],
)
def test_the_transformer_is_one_of_scikit_learns(estimator, check) -> None:
    check(estimator)


def small(**parameters) -> eyesight.ImageClassifier:
    return eyesight.ImageClassifier(**{"model": "mlp", "epochs": 2, "threads": 1} | parameters)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """600 pictures of 8x8 in rows of numbers from 0 to 16, and their labels."""
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Paths of 16 photos, and their kinds."""
    root = tmp_path_factory.mktemp("photos")
    fill(root, "all", 8)
    paths = sorted(root.glob("all/*/*.jpg"))
    return [str(path) for path in paths], [path.parent.name for path in paths]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where features of photos are kept, so that they are computed once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _one_cache(_own_folder, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYESIGHT_CACHE", str(cache))


@pytest.mark.parametrize(
    "label",
    [int, lambda k: f"digit {k}", lambda k: bool(k % 2), lambda k: -k, lambda k: k + 0.0, np.int8],
    ids=["int", "str", "bool", "negative", "float", "int8"],
)
def test_labels_of_any_type_come_back(digits, label) -> None:
    X, y = digits
    labels = np.array([label(k) for k in y.tolist()])
    fitted = small().fit(X, labels)
    assert fitted.classes_.tolist() == sorted(set(labels.tolist()))
    assert fitted.predict(X[:5]).dtype == labels.dtype
    assert fitted.score(X, labels) > 1.5 * np.unique(labels, return_counts=True)[1].max() / len(labels) - 0.2
    assert fitted.predict_proba(X).sum(axis=1) == pytest.approx(1)
    best = fitted.classes_[fitted.predict_proba(X).argmax(axis=1)]
    assert (best == fitted.predict(X)).all()


def test_classes_whose_names_would_be_the_same_are_kept_apart(digits) -> None:
    X, y = digits
    labels = np.array([("1", 1, " ", "c")[k % 4] for k in y], object)
    with pytest.raises((ValueError, TypeError)):  # as other classifiers of scikit-learn do: they have no order
        small().fit(X, labels)
    spaces = np.array([(" ", "a")[k % 2] for k in y])
    assert small().fit(X, spaces).classes_.tolist() == [" ", "a"]


def test_the_same_pictures_in_another_form_give_the_same_answers(digits) -> None:
    X, y = digits
    pixels = np.round(X.reshape(-1, 8, 8) / 16 * 255).astype(np.uint8)
    answers = small().fit(X, y).predict_proba(X)
    forms = {
        "pictures": pixels,
        "channels": pixels[..., None],
        "floats": (pixels / 255).astype(np.float32),
        "table of bytes": pixels.reshape(-1, 64),
        "list of arrays": list(pixels),
        "images": [Image.fromarray(picture) for picture in pixels],
    }
    for name, form in forms.items():
        fitted = small().fit(form, y)
        assert np.array_equal(fitted.predict_proba(form), answers), name
        assert hasattr(fitted, "n_features_in_") == name.startswith("table")


def test_paths_images_and_arrays_may_be_mixed_and_of_any_size(photos) -> None:
    paths, kinds = photos
    fitted = eyesight.ImageClassifier(threads=1).fit(paths, kinds)
    assert fitted.classifier_.spec.name == "efficientnet-lite0"
    assert fitted.score(paths, kinds) == 1
    some = paths[::4]
    expected = fitted.predict_proba(some)
    for form in (np.array(some), [Path(path) for path in some]):
        assert np.array_equal(fitted.predict_proba(form), expected)
    mixed = [paths[0], Image.open(paths[1]), np.asarray(Image.open(paths[2])), Path(paths[3]).read_bytes()]
    assert np.array_equal(fitted.predict_proba(mixed), fitted.predict_proba(paths[:4]))
    large = photo("dots", 99, (300, 200))
    assert fitted.predict([large]).tolist() == ["dots"]
    small_ones = eyesight.ImageClassifier("mlp", epochs=1, threads=1).fit(
        [large, *map(Image.open, paths)], ["dots", *kinds]
    )
    assert small_ones.classifier_.inference.preprocessing.shape == (64, 64, 3)


def test_it_is_the_training_of_train(digits) -> None:
    X, y = digits
    pixels = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
    data = eyesight.from_arrays((pixels, y), validation=0)
    run = eyesight.train(
        data, model="small-cnn-1pool", epochs=2, seed=3, validation=0.2, threads=1, output="run", progress=False,
        settings={"recipe.label_smoothing": 0.1},
    )  # fmt: skip
    fitted = eyesight.ImageClassifier(
        "small-cnn-1pool", epochs=2, seed=3, validation=0.2, threads=1, settings={"recipe.label_smoothing": 0.1}
    ).fit(pixels, y)
    expected = run.classifier.probabilities(pixels[..., None])
    assert np.array_equal(fitted.predict_proba(pixels), expected)
    fitted.classifier_.save("model.safetensors")
    assert np.array_equal(eyesight.load_classifier("model.safetensors").probabilities(pixels[..., None]), expected)


def test_it_prints_nothing_and_leaves_nothing(digits, capfd, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    small().fit(*digits)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_it_goes_through_cross_validation_search_pipelines_and_processes(digits) -> None:
    X, y = digits
    alone = cross_val_score(small(), X, y, cv=2)
    assert alone.min() > 0.4
    assert np.array_equal(cross_val_score(small(), X, y, cv=2, n_jobs=2), alone)
    search = GridSearchCV(small(), {"epochs": [1, 3], "lr": [1e-3]}, cv=2).fit(X, y)
    assert search.best_params_["epochs"] == 3
    assert search.score(X, y) > 0.5
    fitted = small().fit(X, y)
    (there,) = joblib.Parallel(n_jobs=2)([joblib.delayed(fitted.predict_proba)(X)])
    assert np.array_equal(there, fitted.predict_proba(X))
    assert not hasattr(clone(fitted), "classes_")


def test_a_pickle_needs_no_torch(digits) -> None:
    X, y = digits
    fitted = small().fit(X, y)
    fitted.predict(X)
    Path("fitted.pickle").write_bytes(pickle.dumps(fitted))
    np.save("X.npy", X)
    code = (
        "import pickle, sys, numpy as np\n"
        "fitted = pickle.load(open('fitted.pickle', 'rb'))\n"
        "np.save('there.npy', fitted.predict_proba(np.load('X.npy'))); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert np.array_equal(np.load("there.npy"), fitted.predict_proba(X))


def test_features_serve_other_estimators(photos) -> None:
    paths, kinds = photos
    pipeline = make_pipeline(eyesight.PhotoFeatures(threads=1), LogisticRegression())
    assert cross_val_score(pipeline, paths, kinds, cv=2).mean() > 0.8
    features = eyesight.PhotoFeatures(threads=1)
    found = features.fit_transform(paths)
    assert (found.shape, found.dtype) == ((16, 1280), np.float32)
    assert features.get_feature_names_out()[:2].tolist() == ["photofeatures0", "photofeatures1"]
    assert np.array_equal(found, eyesight.embed(paths, threads=1).features)
    assert np.array_equal(features.transform([Image.open(paths[0])])[0], found[0])
    again = pickle.loads(pickle.dumps(features))
    assert np.array_equal(again.transform(paths[:2]), found[:2])


def test_features_are_computed_once(photos, monkeypatch) -> None:
    paths, _ = photos
    features = eyesight.PhotoFeatures(threads=1).fit(paths)
    before = features.transform(paths)
    monkeypatch.setattr("eyesight.engine.features.Features.of", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(features.transform(paths[::-1]), before[::-1])


def test_importing_it_is_asked_for(tmp_path) -> None:
    code = "import sys, eyesight, eyesight.api; sys.exit('sklearn.base' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "X", "error", "said"),
    [
        ({}, np.zeros((6, 200)), ValueError, "200 numbers in a row are no square picture; say which: shape="),
        ({"shape": (4, 5)}, np.zeros((6, 64)), ValueError, r"expected shape=\(H, W\) or \(H, W, C\) with 64 numbers"),
        ({"shape": (4, 8, 2)}, np.zeros((6, 64)), ValueError, r"expected shape=\(H, W\)"),
        ({}, np.full((6, 8, 8), 300.0), DataError, r"X: expected float pictures from 0 to 1.*300"),
        ({"model": "resnet"}, np.zeros((6, 8, 8)), UsageError, "unknown model 'resnet'|unknown network 'resnet'"),
        ({"backbone": "lite0"}, np.zeros((6, 8, 8)), UsageError, "unknown backbone 'lite0'; known: efficientnet-lite0"),
        ({"epochs": 0}, np.zeros((6, 8, 8)), UsageError, "epochs: "),
        ({}, ["gone.png"] * 6, PictureError, "gone.png: no such file"),
        ({}, np.zeros((5, 8, 8)), ValueError, "expected a label for each picture; received: 5 and 6"),
    ],
)
def test_what_does_not_fit_is_said(arguments, X, error, said) -> None:
    with pytest.raises(error, match=said):
        small(**arguments).fit(X, [0, 1] * 3)


def test_predicting_another_form_is_refused(digits, photos) -> None:
    X, y = digits
    with pytest.raises(ValueError, match="a table"):
        small().fit(X.reshape(-1, 8, 8) / 16, y).predict(X)
    with pytest.raises(ValueError, match="features"):
        small().fit(X, y).predict(X[:, :49])
    with pytest.raises(ValueError, match="form that it had in fit"):
        eyesight.PhotoFeatures(threads=1).fit(photos[0]).transform(X)


def test_rows_of_other_pictures_are_read_as_told() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (40, 6 * 10 * 3), np.uint8)
    X[20:] //= 4
    fitted = small(shape=(6, 10, 3)).fit(X, [0] * 20 + [1] * 20)
    assert fitted.classifier_.inference.preprocessing.shape == (6, 10, 3)
    assert fitted.score(X, [0] * 20 + [1] * 20) > 0.9


@pytest.mark.parametrize(
    ("numbers", "shape"), [(64, (8, 8, 1)), (192, (8, 8, 3)), (10, (1, 10, 1)), (12, (2, 2, 3)), (1, (1, 1, 1))]
)
def test_rows_are_squares_where_they_can_be(numbers: int, shape: tuple[int, int, int]) -> None:
    assert TableReading.fit(small(), np.zeros((2, numbers)), None, None).shape == shape


@pytest.mark.parametrize(
    ("black", "white", "values", "pixels"),
    [
        (0.1, 0.5, [0.0, 0.2, 1.0], [0, 51, 255]),  # from 0 to 1
        (3, 200, [0, 100, 255], [0, 100, 255]),  # bytes
        (0.0, 16.0, [0.0, 8.0, 16.0], [0, 128, 255]),  # what the table has
        (-2.0, 2.0, [-9.0, 0.0, 9.0], [0, 128, 255]),  # and no more
        (5, 5, [5, 5, 5], [5, 5, 5]),
    ],
)
def test_the_range_of_a_table_is_that_of_fit(black, white, values, pixels) -> None:
    estimator = small()
    reading = TableReading.fit(estimator, np.array([[black] * 3, [white] * 3]), None, (1, 3))
    assert reading.pixels(estimator, np.array([values])).ravel().tolist() == pixels


def test_a_break_is_a_keyboard_interrupt_that_promises_nothing(digits, monkeypatch) -> None:
    def stop(*_, **__):
        raise InterruptedRun("interrupted after saving; go on with resume", 2)

    monkeypatch.setattr("eyesight.api.estimator.train", stop)
    with pytest.raises(KeyboardInterrupt) as found:
        small().fit(*digits)
    assert type(found.value) is KeyboardInterrupt
