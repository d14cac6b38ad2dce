"""Judging: pictures that a run has learned from or chosen by are not passed off as new."""

from __future__ import annotations

import pytest

import eyesight
from eyesight.errors import UsageError


def test_pictures_that_may_have_been_learned_from_are_not_judged_as_new(digits_run):
    other = eyesight.load_data("digits", split_seed=1)
    for split in ("validation", "train"):
        with pytest.raises(UsageError, match=r"is not what .* was trained on"):
            digits_run.evaluate(split, data=other)
    assert "the data differs" in digits_run.evaluate(data=other).report.notes[0]
    assert digits_run.evaluate().report.notes == ()


def test_a_look_at_the_test_set_in_training_is_noted_whatever_data_is_passed():
    run = eyesight.train("digits", epochs=1, validation="test", output="run", progress=False)
    assert any(
        "test set was validation data" in n for n in run.evaluate(data=eyesight.load_data("digits")).report.notes
    )
