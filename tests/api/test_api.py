"""eyesight from Python: what a user's few lines get."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyesight
from eyesight.errors import RunError, UnknownNameError, UsageError
from eyesight.formats import read_tensors

PUBLIC = [
    "Answer", "Bundle", "Classifier", "Dataset", "Embedding", "Evaluation", "Export", "ExportedModel", "EyesightError",
    "ImageClassifier", "PhotoFeatures", "Predictions", "Report", "Run", "Split", "Study", "__version__", "bundle",
    "check_data", "convolve", "diagram", "download", "embed", "export_model", "from_arrays", "lesson",
    "load_classifier", "load_data", "load_keras_weights", "load_model", "open_run", "predict_files", "resume", "serve",
    "study", "summary", "train", "tutorial",
]  # fmt: skip
QUICK = {"epochs": 1, "threads": 1, "precision": "fp32", "progress": False}


def same_weights(a: eyesight.Run, b: eyesight.Run) -> bool:
    one, two = read_tensors(a.model_file)[0], read_tensors(b.model_file)[0]
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


class Tags(HTMLParser):
    """Collects tags, and fails on nothing that a browser would accept."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")


def test_a_few_lines_from_data_to_a_prediction(tmp_path: Path) -> None:
    data = eyesight.load_data("digits")
    run = eyesight.train(data, epochs=3, threads=1, progress=False)
    assert run.path == Path("runs/digits-whitened-32-64-64-1")
    evaluation = run.evaluate()
    assert evaluation.report.split == "test"
    assert evaluation.accuracy == evaluation.report.accuracy > 0.85
    Image.fromarray(data.test.gather([0])[0][..., 0]).resize((64, 64)).save("seven.png")
    found = run.classifier.predict("seven.png")
    assert found[0].label == data.classes[data.test.labels[0]]
    assert found[0].source == "seven.png"
    second = eyesight.train(data, **QUICK)
    assert second.path == Path("runs/digits-whitened-32-64-64-2")


def test_arrays_in_place_of_a_name(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    pictures, labels = bars_data.train.gather(np.arange(270)), bars_data.train.labels
    run = eyesight.train((pictures, labels), output=tmp_path / "r", **QUICK)
    assert run.about()["data"] == "arrays"
    assert run.evaluate().report.split == "validation"
    grey = eyesight.train((pictures.mean(-1) / 255, labels), output=tmp_path / "g", validation=0, **QUICK)
    assert grey.classifier.inference.preprocessing.shape == (12, 12, 1)
    assert grey.evaluate().report.split == "train"


def test_a_configuration_repeats_a_run_bit_for_bit(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    options = {"epochs": 2, "lr": 0.003, "optimizer": "adamw", "seed": 5, "threads": 1, "progress": False}
    first = eyesight.train("digits", output=tmp_path / "a", validation=0.2, **options)
    file = first.path / "config.yaml"
    for name, config in (("file", file), ("text", str(file)), ("mapping", first.read_config())):
        again = eyesight.train(config=config, output=tmp_path / name, progress=False)
        assert same_weights(first, again)
        assert again.read_config() == first.read_config()
    other = eyesight.train(config=file, output=tmp_path / "other", seed=6, progress=False)
    assert not same_weights(first, other)
    assert other.read_config() | {"seed": 5} == first.read_config()


def test_a_configuration_made_with_arrays_repeats_their_split(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    arrays = (bars_data.train.gather(np.arange(270)), bars_data.train.labels)
    data = eyesight.load_data(arrays, validation=0.2, split_seed=3)
    assert not np.array_equal(data.validation.rows, eyesight.load_data(arrays, validation=0.2).validation.rows)
    first = eyesight.train(data, output=tmp_path / "a", **QUICK)
    assert same_weights(first, eyesight.train(arrays, config=first.read_config(), output=tmp_path / "b"))
    with pytest.raises(UsageError, match="made for arrays"):
        eyesight.train(config=first.read_config(), output=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_settings_reach_any_entry_and_win(tmp_path: Path) -> None:
    settings = {"recipe.label_smoothing": 0.2, "recipe.epochs": 2, "recipe.early_stopping.patience": 9}
    run = eyesight.train("digits", output=tmp_path / "r", settings=settings, **QUICK)
    recipe = run.read_config()["recipe"]
    assert (recipe["label_smoothing"], recipe["epochs"], recipe["early_stopping"]["patience"]) == (0.2, 2, 9)
    assert len(run.metrics()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": 3}, "epoch: unknown key; did you mean 'epochs'?"),
        ({"epochs": 0}, "epochs: should be greater than or equal to 1; received: 0"),
        ({"lr": float("nan")}, "lr: should be a finite number; received: nan"),
        ({"validation": 0.9}, 'validation: expected a share from 0 to 0.5, or "test"; received: 0.9'),
        ({"optimizer": "adem"}, "optimizer: unknown optimizer 'adem'; did you mean 'adam'?"),
        ({"schedule": "cosin"}, "schedule: unknown schedule 'cosin'; did you mean 'cosine'?"),
        ({"model": "lenet"}, "model: unknown network 'lenet'; did you mean 'lenet5'?"),
        ({"model": "small-cnn"}, "small-cnn needs pictures of at least 18x18 pixels; received: 8x8"),
        ({"precision": "fp8"}, "precision: should be 'auto', 'fp32' or 'bf16'; received: 'fp8'"),
        ({"early_stopping": 3}, "early_stopping: should be a mapping; received: 3"),
        ({"settings": {"recipes.lr": 1}}, "recipes: unknown key; did you mean 'recipe'?"),
        ({"accumulate": 65}, "accumulate: should be at most the batch size, 64; received: 65"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_written(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        eyesight.train("digits", output=tmp_path / "r", progress=False, **options)
    assert str(caught.value) == message
    assert not (tmp_path / "r").exists()


def test_a_fault_in_a_configuration_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("format: eyesight-config\nversion: 1\nrecipe: {lr: -1}\n")
    with pytest.raises(UsageError, match=r"mine\.yaml: recipe\.lr: should be greater than 0"):
        eyesight.train(config=file, output=tmp_path / "r")
    file.write_text("format: eyesight-config\nversion: 2\n")
    with pytest.raises(eyesight.EyesightError, match=r"mine\.yaml: .*version 2 is newer"):
        eyesight.train(config=file, output=tmp_path / "r")


def test_a_run_is_only_overwritten_when_asked(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    first = eyesight.train(bars_data, output=tmp_path / "r", seed=1, **QUICK)
    before = first.model_file.read_bytes()
    with pytest.raises(RunError, match="exists"):
        eyesight.train(bars_data, output=tmp_path / "r", seed=2, **QUICK)
    with pytest.raises(UsageError, match="lr"):
        eyesight.train(bars_data, output=tmp_path / "r", seed=2, overwrite=True, **QUICK, lr=-1)
    assert first.model_file.read_bytes() == before
    eyesight.train(bars_data, output=tmp_path / "r", seed=2, overwrite=True, **QUICK)
    assert first.model_file.read_bytes() != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(RunError, match="not a run"):
        eyesight.train(bars_data, output=tmp_path / "mine", overwrite=True, **QUICK)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_runs_and_classifiers_open_from_disk(digits_run: eyesight.Run) -> None:
    run = eyesight.open_run(digits_run.path)
    assert run.status == "complete"
    picture = run.data().test.gather([0])
    by_folder, by_file = eyesight.load_classifier(digits_run.path), eyesight.load_classifier(digits_run.model_file)
    np.testing.assert_array_equal(by_folder.logits(picture), by_file.logits(picture))
    np.testing.assert_array_equal(by_folder.logits(picture), digits_run.classifier.logits(picture))
    with pytest.raises(RunError, match="no such run"):
        eyesight.open_run("nowhere")


def test_every_split_and_other_data_can_be_judged(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = eyesight.train(bars_data, output=tmp_path / "r", **QUICK)
    assert run.evaluate().report.split == "test"
    sizes = {split: run.evaluate(split).report.n for split in ("train", "validation", "test")}
    assert sizes == {"train": 270, "validation": 30, "test": 60}
    few = eyesight.from_arrays((bars_data.test.gather([0, 1, 2]), [0, 1, 2]), classes=bars_data.classes, validation=0)
    assert run.evaluate("train", data=few).report.n == 3
    assert len(list((tmp_path / "r" / "evaluation").iterdir())) == 4
    with pytest.raises(UsageError, match="has no split 'tests'"):
        run.evaluate("tests")
    with pytest.raises(UsageError, match="other classes"):
        run.evaluate(data=eyesight.load_data("digits"))
    with pytest.raises(UsageError, match="weights: expected kept or last; received: 'best'"):
        run.evaluate(weights="best")  # type: ignore[arg-type]


def test_a_run_on_arrays_says_what_it_needs_once_reopened(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    eyesight.train(bars_data, output=tmp_path / "r", **QUICK)
    with pytest.raises(UsageError, match=r"r: was trained on arrays, .*data=eyesight\.from_arrays"):
        eyesight.open_run(tmp_path / "r").evaluate()
    assert eyesight.open_run(tmp_path / "r", data=bars_data).evaluate().report.n == 60
    assert eyesight.open_run(tmp_path / "r").evaluate(data=bars_data).report.n == 60


def test_a_run_without_a_model_says_how_to_get_one(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = eyesight.train(bars_data, output=tmp_path / "r", **QUICK)
    run.model_file.unlink()
    with pytest.raises(RunError, match=r"has no model \(complete\)"):
        _ = eyesight.open_run(tmp_path / "r").classifier


def test_results_are_tables_and_pictures_in_a_notebook(digits_run: eyesight.Run, tmp_path: Path) -> None:
    data = eyesight.load_data("digits")
    evaluation = digits_run.evaluate()
    predictions = digits_run.classifier.predict(list(data.test.gather([0, 1])))
    summary = eyesight.summary("lenet5", input=(32, 32, 1), classes=10)
    pages = {name: Tags(thing._repr_html_()) for name, thing in
             {"data": data, "run": digits_run, "evaluation": evaluation, "predictions": predictions,
              "summary": summary, "report": evaluation.report}.items()}  # fmt: skip
    for name in ("data", "run", "evaluation"):
        assert pages[name].images
        assert all(source.startswith("data:image/png;base64,iVBOR") for source in pages[name].images), name
    for name in ("evaluation", "predictions", "summary", "report"):
        assert "table" in pages[name].tags, name
    assert pages["predictions"].tags.count("tr") == 2
    assert len(pages["evaluation"].images) == len(evaluation.figures) == 5


def test_names_are_not_taken_for_html(tmp_path: Path) -> None:
    pictures = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8)
    data = eyesight.from_arrays((pictures, np.arange(20) % 2), classes=["<b>a", "b"], name="<i>mine")
    run = eyesight.train(data, output=tmp_path / "<u>r", **QUICK)
    html = data._repr_html_() + run._repr_html_() + run.classifier.predict(pictures[0])._repr_html_()
    assert not {"i", "u"} & set(Tags(html + run.evaluate()._repr_html_()).tags)
    assert "&lt;i&gt;mine" in html


def test_the_public_names_are_these_and_all_say_what_they_are() -> None:
    assert sorted(eyesight.__all__) == PUBLIC
    assert dir(eyesight) == PUBLIC
    for name in eyesight.__all__:
        thing = getattr(eyesight, name)
        assert name == "__version__" or (thing.__doc__ and thing.__doc__.strip()[0].isupper()), name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = eyesight.trian


@pytest.mark.parametrize("first", ["from_arrays", "Dataset", "load_data"])
def test_datasets_have_pictures_however_they_were_made(first: str) -> None:
    """The pictures are bound where data meets drawing; no public way to a dataset goes round it."""
    code = f"import eyesight; eyesight.{first}; from eyesight.data.dataset import Dataset; Dataset._repr_html_"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_importing_eyesight_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, eyesight; print(sorted({'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout == "[]\n"


MODULES = sorted(module.name for module in pkgutil.walk_packages(eyesight.__path__, "eyesight."))


@pytest.mark.parametrize("name", ["eyesight", *MODULES])
def test_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_doctests_are_found() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    count = sum(len(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert count >= 15


def test_progress_is_told_unless_it_is_not_wanted(
    bars_data: eyesight.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eyesight.train(bars_data, output=tmp_path / "a", epochs=2, threads=1)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("whitened-32-64-64, 270 training pictures, 2 epochs of 5 updates, cpu, ")
    assert [line[:9] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    assert lines[-1].endswith("(all epochs done)")
    eyesight.train(bars_data, output=tmp_path / "b", epochs=1, threads=1, progress=False)
    assert capsys.readouterr() == ("", "")


def test_no_warning_reaches_a_user_who_wants_no_validation(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    """Warnings are errors here; a share of 0 written as a whole number once made one."""
    run = eyesight.train(bars_data.with_validation(0), output=tmp_path / "r", **QUICK)
    assert run.read_config()["data"]["validation"] == 0


def test_unknown_datasets_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fashion-mnist'"):
        eyesight.load_data("fashion_mnist")
    with pytest.raises(UsageError, match="only for arrays"):
        eyesight.load_data("digits", classes=["a"])
