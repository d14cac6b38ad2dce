"""Arguments of another type than was meant are refused by name, in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

import eyesight
from eyesight.errors import DataError, FormatError, UsageError

PICTURES, LABELS = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": nn.Linear}, r"model: expected an instance; received: the class Linear, without \(\)"),
        ({"model": 5}, "model: expected a network's name or an nn.Module of your own; received: int"),
        ({"model": lambda x: x}, "model: .* received: function"),
        ({"output": 5}, "output: expected a path; received: int"),
        ({"data_dir": 5}, "data_dir: expected a path; received: int"),
        ({"config": 5}, "config: expected a path; received: int"),
        ({"replay": 5}, "replay: expected a path; received: int"),
        ({"preset": 5}, "unknown preset 5"),
        ({"settings": [("recipe.lr", 1)]}, "settings: expected a mapping of keys and values; received: list"),
        ({"listeners": print}, "listeners: expected a list of functions; received: builtin_function_or_method"),
        ({"listeners": [5]}, "listeners: expected a list of functions"),
        ({"checkpoint_every": "a"}, "checkpoint_every: expected seconds; received: str"),
    ],
)
def test_train_names_an_argument_of_another_type(arguments, says):
    with pytest.raises(UsageError, match=f"^{says}"):
        eyesight.train(**{"epochs": 1, "progress": False} | arguments)
    assert not Path("runs").exists()


@pytest.mark.parametrize("path", [None, 5, ["a"]])
@pytest.mark.parametrize(
    "call", [eyesight.open_run, eyesight.load_classifier, eyesight.resume, eyesight.Classifier.load]
)
def test_what_is_no_path_is_refused(call, path):
    with pytest.raises(UsageError, match=r"^path: expected a path; received: (None|int|list)"):
        call(path)


def test_a_run_judges_datasets_only_and_names_both_lists_of_other_classes(digits_run: eyesight.Run):
    for data in ((PICTURES, LABELS), "digits", 5):
        with pytest.raises(UsageError, match=r"^data: expected a Dataset, as eyesight\.from_arrays gives; received: "):
            digits_run.evaluate(data=data)
    pictures = np.zeros((4, 8, 8), np.uint8)
    many = eyesight.from_arrays((np.repeat(pictures, 5, axis=0), np.arange(20)), validation=0)
    with pytest.raises(UsageError, match=r"expected: 0, 1, .*, 9; received: 0, 1, .*, 11, … \(20\)$"):
        digits_run.evaluate(data=many)


@pytest.mark.parametrize("top", [None, "3", 2.5, 0, True])
def test_predict_takes_whole_numbers_for_top(digits_run: eyesight.Run, top):
    with pytest.raises(UsageError, match=r"^top: expected a whole number, 1 or more; received: "):
        digits_run.classifier.predict(np.zeros((8, 8), np.uint8), top=top)


def test_predict_takes_a_function_for_errors_and_no_mapping_for_pictures(digits_run: eyesight.Run):
    classifier = digits_run.classifier
    with pytest.raises(UsageError, match=r"^on_error: expected a function of an error; received: 5$"):
        classifier.predict(np.zeros((8, 8), np.uint8), on_error=5)
    with pytest.raises(UsageError, match=r"^inputs: expected pictures or file names; received: dict$"):
        classifier.predict({"a.png": 1})


def test_a_classifier_is_saved_in_a_file_with_a_name(digits_run: eyesight.Run):
    for path in (5, None):
        with pytest.raises(UsageError, match=r"^path: expected a path; received: (int|None)$"):
            digits_run.classifier.save(path)
    with pytest.raises(FormatError, match=r"^/: expected the name of a file$"):
        digits_run.classifier.save("/")


@pytest.mark.parametrize("pictures", [None, 5, [5]])
def test_embed_takes_names_of_files(pictures):
    with pytest.raises(UsageError, match=r"^pictures: expected .*; received: (NoneType|int)$"):
        eyesight.embed(pictures)


def test_nothing_in_place_of_pictures_is_named():
    with pytest.raises(DataError, match=r"^train: expected pictures of shape .*; received: \(\)$"):
        eyesight.from_arrays((None, LABELS))
