"""The recipe that comes with a network, and smaller pictures at first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import eyesight
from eyesight.cli import main
from eyesight.errors import UsageError
from eyesight.models import network_spec
from eyesight.training.plan.resolve import fill_in, recommend
from eyesight.training.resolution import check_resolution, shrink


def test_a_whitened_network_brings_its_recipe_and_the_tutorials_networks_none(tmp_path: Path) -> None:
    run = eyesight.train("digits", model="whitened-16-32-32", epochs=1, output=tmp_path / "run", progress=False)
    recipe = run.config.recipe
    assert (recipe.optimizer, recipe.lr, recipe.momentum, recipe.schedule) == ("muon", 0.2, 0.6, "linear")
    assert (recipe.flip, recipe.views) == (False, "one")  # the mirror image of a 2 is no digit
    assert (recipe.batch_size, recipe.epochs) == (64, 1)
    plain = eyesight.train("digits", model="mlp", epochs=1, output=tmp_path / "plain", progress=False)
    assert plain.config.recipe.optimizer == "adam"


def test_what_the_user_says_goes_before_and_another_optimizer_brings_its_own_rate(tmp_path: Path) -> None:
    options = {"model": "whitened-16-32-32", "epochs": 1, "progress": False}
    adam = eyesight.train("digits", optimizer="adam", output=tmp_path / "adam", **options).config.recipe
    assert (adam.optimizer, adam.lr, adam.schedule) == ("adam", 1e-3, "cosine")
    assert adam.label_smoothing == 0.1
    own = eyesight.train("digits", lr=0.1, batch_size=50, output=tmp_path / "own", **options)
    assert (own.config.recipe.optimizer, own.config.recipe.lr, own.config.recipe.batch_size) == ("muon", 0.1, 50)
    again = eyesight.train(config=own.path / "config.yaml", output=tmp_path / "again", progress=False)
    assert again.config == own.config
    assert again.model_file.read_bytes() == own.model_file.read_bytes()
    by_time = eyesight.train("digits", model="whitened-16-32-32", budget=0.5, output=tmp_path / "t", progress=False)
    assert (by_time.config.recipe.budget, by_time.config.recipe.epochs) == (0.5, None)


def test_without_flips_there_is_one_view() -> None:
    recommendation = {"flip": True, "views": "mirror"}
    assert fill_in({}, recommendation) == recommendation
    assert fill_in({"flip": False}, recommendation) == {"flip": False}
    assert fill_in({"flip": False, "views": "mirror"}, recommendation)["views"] == "mirror"


def test_longer_trainings_get_larger_batches_and_few_pictures_small_ones() -> None:
    data = eyesight.from_arrays((np.zeros((60_000, 8, 8), np.uint8), np.arange(60_000) % 2), validation=0)
    sizes = [recommend("whitened-32-64-64", data, epochs=epochs)["batch_size"] for epochs in (1, 5, 10, 100)]
    assert sizes == [250, 750, 1500, 1500]
    assert recommend("whitened-32-64-64", data)["batch_size"] == 250  # nobody knows how often they will come
    few = data.with_sample(3000, seed=0)
    assert recommend("whitened-32-64-64", few, epochs=100)["batch_size"] == 100
    assert recommend("whitened-32-64-64", few, epochs=1)["batch_size"] == 64


def test_only_data_known_to_allow_it_is_mirrored(bars_data: eyesight.Dataset) -> None:
    assert "flip" not in recommend("whitened-32-64-64", bars_data)
    assert not eyesight.load_data("digits").mirrored


def test_cifar_and_clothes_are_mirrored(data_dir: Path) -> None:
    for name, mirrored in (("cifar10", True), ("fashion-mnist", True), ("mnist", False)):
        data = eyesight.load_data(name, data_dir=data_dir)
        assert data.mirrored is mirrored
        assert recommend("whitened-32-64-64", data).get("flip", False) is mirrored


def test_pictures_are_smaller_only_until_their_moment() -> None:
    images = torch.rand(2, 3, 32, 24).contiguous(memory_format=torch.channels_last)
    steps = ((0.4, 0.5), (0.75, 0.75))
    assert shrink(images, steps, 0.0).shape == (2, 3, 16, 12)
    assert shrink(images, steps, 0.4).shape == (2, 3, 24, 18)
    assert shrink(images, steps, 0.75) is images
    flat = torch.full((1, 1, 32, 32), 0.25)
    torch.testing.assert_close(shrink(flat, steps, 0.1), torch.full((1, 1, 16, 16), 0.25))


@pytest.mark.parametrize(("name", "fits"), [("whitened-32-64-64", True), ("small-cnn", False), ("mlp", False)])
def test_only_networks_for_any_size_take_it(name: str, fits: bool) -> None:
    spec = network_spec(name, shape=(32, 32, 3), classes=10)
    if fits:
        check_resolution(spec, ((0.5, 0.75),))
        with pytest.raises(UsageError, match=r"recipe\.resolution: whitened-32-64-64 cannot take pictures of 1x1"):
            check_resolution(spec, ((0.5, 0.01),))
    else:
        with pytest.raises(UsageError, match=f"{name} cannot take pictures of 24x24 as well"):
            check_resolution(spec, ((0.5, 0.75),))


def test_a_training_with_smaller_pictures_repeats_and_resumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    pictures = rng.integers(0, 120, (300, 24, 24, 3), dtype=np.uint8)
    for kind in range(3):
        pictures[labels == kind, 8 * kind : 8 * kind + 8] += 80
    data = eyesight.from_arrays((pictures, labels))
    options = {"model": "whitened-16-32-32", "epochs": 2, "progress": False, "threads": 1}
    settings = {"recipe.resolution": [[0.5, 0.75]]}
    run = eyesight.train(data, settings=settings, output=tmp_path / "run", **options)
    again = eyesight.train(data, config=run.path / "config.yaml", output=tmp_path / "again", progress=False)
    assert run.config.recipe.resolution == ((0.5, 0.75),)
    assert again.model_file.read_bytes() == run.model_file.read_bytes()
    plain = eyesight.train(data, output=tmp_path / "plain", **options)
    assert plain.model_file.read_bytes() != run.model_file.read_bytes()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("[[0.5, 0.75], [0.4, 0.9]]", "recipe.resolution: expected progress that rises; received: [0.5, 0.4]"),
        ("[[0.5, 1.5]]", "recipe.resolution.0.1: should be less than 1; received: 1.5"),
        ("[[0.5, 0.01]]", "recipe.resolution: whitened-16-32-32 cannot take pictures of 1x1 as well"),
    ],
)
def test_sizes_that_cannot_be_are_refused_in_one_line(
    value: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "whitened-16-32-32", "-o", str(tmp_path / "run"), "--set", f"recipe.resolution={value}"]
    assert main(["train", "digits", *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert text in error
