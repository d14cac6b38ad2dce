"""Dropout and batch normalisation in registered networks: where they stand, what they do, that they are saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import eyesight
from eyesight.errors import UsageError
from eyesight.models import NETWORKS, network_spec
from eyesight.models.elementwise import BatchNorm, Dropout
from eyesight.models.layers import Conv, Linear
from eyesight.models.network import NetworkSpec, leaves
from eyesight.models.regularise import regularise

OPTIONS = {"epochs": 2, "threads": 1, "precision": "fp32", "progress": False}


NORMALISED = ("whitened-", "resnet", "mobilenet-", "efficientnet-", "small-mobilenet-")  # have batch normalisation
HUGE = ("alexnet", "vgg16")  # are like the tutorials' networks, with hundreds of megabytes of weights


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith(NORMALISED + HUGE)])
def test_every_network_without_batch_norm_takes_both_and_its_plain_weights_stay(name: str) -> None:
    plain = network_spec(name, shape=(32, 32, 3), classes=10)
    spec = regularise(plain, dropout=0.4, batch_norm=True)
    kinds = [(path, layer) for path, layer, _ in leaves(spec.whole, spec.input)]
    weighted = [i for i, (_, layer) in enumerate(kinds) if isinstance(layer, Conv | Linear)]
    for i in weighted[:-1]:
        assert isinstance(kinds[i + 1][1], BatchNorm), kinds[i][0]
    for i in weighted[1:]:
        if isinstance(kinds[i][1], Linear):
            assert isinstance(kinds[i - 1][1], Dropout), kinds[i][0]
    assert not isinstance(kinds[weighted[-1] - 2][1], BatchNorm)
    extra = sum(
        layer.parameters(shape) for _, layer, shape in leaves(spec.whole, spec.input) if isinstance(layer, BatchNorm)
    )
    assert spec.parameters() == plain.parameters() + extra
    network = spec.build()
    network.initialise(torch.Generator().manual_seed(1))
    network.eval()
    assert sum(p.numel() for p in network.parameters()) == spec.parameters()
    bare = plain.build().eval()
    bare.initialise(torch.Generator().manual_seed(1))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():  # fresh batch norm divides by √(1 + ε) only, and dropout does nothing here
        torch.testing.assert_close(network(images), bare(images), rtol=1e-3, atol=1e-3)


def test_batch_norm_is_not_put_in_twice_and_dropout_stands_before_the_last_layer() -> None:
    plain = network_spec("whitened-32-64-64", shape=(32, 32, 3), classes=10)
    with pytest.raises(UsageError, match=r"model\.batch_norm: whitened-32-64-64 has batch normalisation already"):
        regularise(plain, batch_norm=True)
    names = [path for path, _, _ in leaves(regularise(plain, dropout=0.2).head, plain.input)]
    assert names == ["pool", "drop_output", "output", "scale"]


def test_neither_leaves_the_network_as_it_is() -> None:
    spec = network_spec("lenet5", shape=(28, 28, 1), classes=10)
    assert regularise(spec) is spec


def test_a_spec_with_both_comes_back_from_json() -> None:
    spec = regularise(network_spec("small-cnn", shape=(32, 32, 3), classes=10), dropout=0.25, batch_norm=True)
    assert NetworkSpec.model_validate(spec.to_json()) == spec


def test_dropout_leaves_out_its_share_in_training_only() -> None:
    spec = regularise(network_spec("small-cnn", shape=(32, 32, 3), classes=10), dropout=0.25)
    drop = next(m for m in spec.build().modules() if isinstance(m, nn.Dropout))
    ones = torch.ones(1000, 100)
    assert float((drop(ones) == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(drop.eval()(ones), ones)


def test_a_model_trained_with_both_is_saved_loaded_and_judged_alike(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    settings = {"model.dropout": 0.2, "model.batch_norm": True}
    run = eyesight.train(bars_data, output=tmp_path / "run", settings=settings, **OPTIONS)
    loaded = eyesight.load_classifier(run.model_file)
    norm = next(m for m in loaded.network.modules() if isinstance(m, nn.BatchNorm2d))
    assert not torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))
    pictures = bars_data.test.gather(np.arange(10))
    alone = np.stack([loaded.logits(picture[None])[0] for picture in pictures])
    np.testing.assert_allclose(loaded.logits(pictures), alone, rtol=1e-4, atol=1e-4)


def test_one_picture_alone_in_every_update_is_refused_for_batch_norm(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    options = {"output": tmp_path / "run", "settings": {"model.batch_norm": True}, **OPTIONS}
    with pytest.raises(UsageError, match="batch normalisation needs at least two pictures in every update"):
        eyesight.train(bars_data, batch_size=1, **options)
    assert not (tmp_path / "run").exists()
    left = eyesight.from_arrays((bars_data.train.gather(np.arange(269)), bars_data.train.labels[:269]), validation=0)
    run = eyesight.train(left, batch_size=67, **options)  # 4 · 67 + 1: the last goes with those before it
    assert [row["step"] for row in run.metrics()] == [4, 8]


def test_a_users_module_keeps_to_itself(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(432, 3))
    with pytest.raises(UsageError, match="put them into your module"):
        eyesight.train(bars_data, model=module, output=tmp_path / "run", settings={"model.dropout": 0.5}, **OPTIONS)


def test_a_dropout_of_one_is_refused(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model\.dropout: should be less than 1; received: 1\.0"):
        eyesight.train(bars_data, output=tmp_path / "run", settings={"model.dropout": 1.0}, **OPTIONS)
