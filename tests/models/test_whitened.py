"""The whitened networks: sizes, first weights computed from pictures, what is learned and what stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import eyesight
from eyesight.errors import UsageError
from eyesight.models import NETWORKS, network_spec
from eyesight.models.layers import Whitening
from eyesight.models.network import NetworkSpec, leaves
from eyesight.models.torch_network import Network, whitening_filters

NAMES = [name for name in NETWORKS if name.startswith("whitened-")]


def built(name: str, shape: tuple[int, int, int] = (32, 32, 3), *, seed: int = 0) -> Network:
    """Return a network with first weights from random pictures."""
    network = network_spec(name, shape=shape, classes=10).build()
    height, width, channels = shape
    images = torch.randn(50, channels, height, width, generator=torch.Generator().manual_seed(7))
    network.initialise(torch.Generator().manual_seed(seed), images)
    return network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 12, 16, 28, 32, 48, 64, 96])
@pytest.mark.parametrize("name", ["whitened-32-64-64", "whitened-32-64-64-s2"])
def test_pictures_from_8_to_96_pixels_fit_and_end_in_few_places(name: str, side: int, channels: int) -> None:
    spec = network_spec(name, shape=(side, side, channels), classes=10)
    last = spec.features.output_shape(spec.input)
    assert 1 <= last[1] <= 4
    network = built(name, (side, side, channels))
    assert network(torch.zeros(2, channels, side, side)).shape == (2, 10)
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad) < spec.parameters()


def test_larger_steps_leave_a_quarter_of_the_places_and_keep_what_patches_of_4x4_have() -> None:
    spec, stepping = (network_spec(f"whitened-32-64-64{end}", shape=(32, 32, 3), classes=10) for end in ("", "-s2"))
    one, other = (s.features.layers[0][1].output_shape((3, 32, 32)) for s in (spec, stepping))
    assert (one, other) == ((24, 31, 31), (48, 15, 15))


def test_whitened_patches_have_deviation_one_and_no_correlation() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 3))
    images = torch.from_numpy(rng.normal(size=(400, 9, 9, 3)) @ mixing).float().permute(0, 3, 1, 2)
    images = images + 0.5 * images.roll(1, dims=3)  # neighbours resemble each other
    layer = Whitening(components=12, kernel=2)
    filters = whitening_filters(images, layer)
    assert filters.shape == (24, 3, 2, 2)
    torch.testing.assert_close(filters[:12], -filters[12:])
    seen = torch.nn.functional.conv2d(images, filters[:12]).transpose(0, 1).flatten(1)
    covariance = seen @ seen.T / seen.shape[1]
    torch.testing.assert_close(covariance, torch.eye(12), atol=0.02, rtol=0)


def test_first_weights_depend_on_the_seed_and_pass_on_what_comes_in() -> None:
    one, same, other = (built("whitened-32-64-64", seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.features.stage1.conv1.weight, other.features.stage1.conv1.weight)
    first = one.features.stage1.conv2.weight  # 32 → 32
    assert torch.equal(first[:, :, 1, 1], torch.eye(32))
    assert first.count_nonzero() == 32
    wider = one.features.stage2.conv1.weight  # 32 → 64
    assert torch.equal(wider[:32, :, 1, 1], torch.eye(32))
    assert wider[32:].count_nonzero() == wider[32:].numel()
    assert float(one.head.output.weight.detach().std()) == pytest.approx(1, abs=1e-5)


def test_without_pictures_it_says_what_it_needs() -> None:
    network = network_spec("whitened-32-64-64", shape=(32, 32, 3), classes=10).build()
    assert network.needs_images
    with pytest.raises(UsageError, match="computed from pictures"):
        network.initialise(torch.Generator().manual_seed(0))
    assert not network_spec("lenet5", shape=(32, 32, 3), classes=10).build().needs_images


def test_filters_of_the_stem_and_scales_stay_while_all_else_learns(tmp_path: Path) -> None:
    run = eyesight.train(
        "digits", model="whitened-16-32-32", epochs=2, optimizer="muon", lr=0.1, output=tmp_path / "run", progress=False
    )
    network = run.classifier.network
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == {"features.stage0.whitening.weight"} | {
        f"features.stage{i}.norm{j}.weight" for i in (1, 2) for j in (1, 2)
    }
    assert torch.equal(network.features.stage1.norm1.weight, torch.ones(16))
    assert network.features.stage0.whitening.bias is None
    again = eyesight.train(config=run.path / "config.yaml", output=tmp_path / "again", progress=False)
    assert again.model_file.read_bytes() == run.model_file.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_comes_back_from_json(name: str) -> None:
    spec = network_spec(name, shape=(32, 32, 3), classes=10)
    assert NetworkSpec.model_validate(spec.to_json()) == spec
    assert all(layer.describe() for _, layer, _ in leaves(spec.whole, spec.input))


def test_a_whitening_may_have_a_bias_which_is_learned() -> None:
    """As the networks of older files have."""
    layer = Whitening.model_validate({"type": "whitening", "components": 2, "kernel": 2})
    module = layer.build((1, 4, 4))
    assert [name for name, value in module.named_parameters() if value.requires_grad] == ["bias"]
    assert layer.parameters((1, 4, 4)) == sum(value.numel() for value in module.parameters()) == 20
    bare = layer.model_copy(update={"bias": False})
    assert bare.parameters((1, 4, 4)) == sum(value.numel() for value in bare.build((1, 4, 4)).parameters()) == 16
    assert layer.flops((1, 4, 4)) - bare.flops((1, 4, 4)) == 4 * 3 * 3


def test_more_components_than_a_patch_has_are_refused() -> None:
    with pytest.raises(UsageError, match="fewer than 13 components"):
        Whitening(components=13, kernel=2).output_shape((3, 32, 32))
    with pytest.raises(UsageError, match="do not fit 3x3 pixels"):
        Whitening(components=12, kernel=4).output_shape((3, 3, 3))
