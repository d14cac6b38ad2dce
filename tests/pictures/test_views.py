"""Multi-view prediction: which views, that they are averaged, and that a model file remembers them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import eyesight
from eyesight.classifier import Classifier
from eyesight.pictures.views import views_of


def test_the_views_are_the_picture_its_mirror_image_and_both_moved() -> None:
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    ((weight, view),) = views_of(images, "one")
    assert weight == 1
    assert torch.equal(view, images)
    mirror = list(views_of(images, "mirror"))
    assert [weight for weight, _ in mirror] == [0.5, 0.5]
    assert torch.equal(mirror[1][1], images.flip(3))
    six = list(views_of(images, "mirror-shift"))
    assert [weight for weight, _ in six] == [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    up = six[2][1]
    assert torch.equal(up[:, :, 1:, 1:], images[:, :, :-1, :-1])  # moved down and right, the edge repeated
    assert torch.equal(up[:, :, 0, 1:], images[:, :, 0, :-1])
    assert torch.equal(six[4][1][:, :, :-1, :-1], images[:, :, 1:, 1:])
    assert torch.equal(six[5][1], six[4][1].flip(3))


def test_a_model_remembers_its_views_and_averages_their_logits(tmp_path: Path) -> None:
    digits = eyesight.load_data("digits")
    plain = eyesight.train(digits, epochs=1, output=tmp_path / "plain", progress=False)
    run = eyesight.train(digits, epochs=1, settings={"recipe.views": "mirror"}, output=tmp_path / "run", progress=False)
    pictures = digits.test.gather(np.arange(20))
    one, both = (each.classifier.inference.temperature for each in (plain, run))  # each has its own
    straight = plain.classifier.logits(pictures) * one
    mirrored = plain.classifier.logits(np.ascontiguousarray(pictures[:, :, ::-1])) * one
    averaged = run.classifier.logits(pictures) * both
    np.testing.assert_allclose(averaged, (straight + mirrored) / 2, rtol=1e-5, atol=1e-5)
    assert Classifier.load(run.model_file).inference.views == "mirror"
    rows = [[row["val_accuracy"] for row in each.metrics()] for each in (plain, run)]
    assert rows[0] == rows[1]  # training looks at one view
