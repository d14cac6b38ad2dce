"""A network that goes on learning: logits and gradients as with frozen batch norms, and lower stages that stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from eyesight.models import network_spec
from eyesight.models.network import NetworkWeights
from eyesight.models.torch_network import build_network, network_weights, to_arrays
from eyesight.models.tunable import TunableNetwork, tunable


@pytest.fixture(scope="module")
def weights() -> NetworkWeights:
    spec = network_spec("efficientnet-lite0", shape=(32, 32, 3), classes=3)
    network = spec.build()
    generator = torch.Generator().manual_seed(0)
    network.initialise(generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
    return NetworkWeights(spec, to_arrays(network))


@pytest.fixture
def images() -> torch.Tensor:
    found = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return found.contiguous(memory_format=torch.channels_last)


def without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def gradients(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor | None]:
    network.zero_grad()
    network(images).square().sum().backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def test_training_computes_what_prediction_does_and_the_gradients_of_frozen_batch_norms(weights, images):
    network, plain = without_dropout(tunable(weights)).train(), build_network(weights).eval()
    np.testing.assert_allclose(network(images).detach(), plain(images).detach(), rtol=1e-3, atol=1e-4)
    ours, theirs = gradients(network, images), gradients(plain, images)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6, name


def test_statistics_of_batch_norms_stay_as_they_are(weights, images):
    network = tunable(weights).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(2):
        gradients(network, images)
        optimizer.step()
    changed = {name for name, value in to_arrays(network).items() if not np.array_equal(value, weights.arrays[name])}
    assert not any("running" in name or "tracked" in name for name in changed)
    assert "features.stem.conv.weight" in changed
    assert "features.stem.norm.weight" in changed


def test_stages_below_the_first_get_no_gradients(weights, images):
    network = tunable(weights).train()
    assert 0 < network.upper < len(network.stages)
    network.first = network.upper
    lower = {path for path, _ in network.stages[: network.upper]}
    found = gradients(network, images)
    for name, gradient in found.items():
        assert (gradient is None) == (".".join(name.split(".")[:2]) in lower), name


def test_it_is_a_network_like_any_other(weights):
    network = tunable(weights)
    assert isinstance(network, TunableNetwork)
    again = network_weights(network)
    assert again is not None
    assert again.spec == weights.spec
    assert all(np.array_equal(again.arrays[name], value) for name, value in weights.arrays.items())
