"""Arguments of another type than was meant are refused by name, in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

import eyesight
from eyesight.errors import UsageError

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
@pytest.mark.parametrize("call", [eyesight.open_run, eyesight.load_classifier, eyesight.resume])
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
