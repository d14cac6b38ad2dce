"""A network prepared for prediction: the logits of the network itself, also after its weights have changed."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from eyesight.classifier import Classifier, InferenceSpec
from eyesight.errors import UsageError
from eyesight.models import NETWORKS, network_spec
from eyesight.models.elementwise import Activation, BatchNorm, Dropout, Scale
from eyesight.models.layers import Chain, Conv, Flatten, GlobalMaxPool, Linear, MaxPool, Pad, Whitening
from eyesight.models.network import NetworkSpec
from eyesight.models.prepared import Prepared, can_prepare
from eyesight.models.torch_network import Network, channels_last
from eyesight.pictures.preprocess import Preprocessing

PREPROCESSING = Preprocessing(height=32, width=32, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)


def trained(spec: NetworkSpec) -> Network:
    """Return a network in evaluation mode all of whose numbers differ from those of a fresh one."""
    generator = torch.Generator().manual_seed(0)
    network = spec.build()
    network.initialise(generator, torch.randn(20, *spec.input, generator=generator))
    with torch.no_grad():
        for parameter in network.parameters():
            # scales of batch norm become negative, too
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1 if parameter.ndim > 1 else 1)
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(0.2 + torch.rand(buffer.shape, generator=generator))
    changed = channels_last(network.eval())
    assert isinstance(changed, Network)
    return changed


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_keeps_its_logits(name: str) -> None:
    network = trained(network_spec(name, shape=(32, 32, 3), classes=10))
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(images)
        assert distance(Prepared(network, torch.float32)(images), expected) < 1e-5
        assert distance(Prepared(network, torch.bfloat16)(images), expected) < 0.05


FUNCTIONS = st.sampled_from(["relu", "gelu", "tanh", "silu"])
PADDINGS = st.sampled_from(["same", "valid"])
WHITENING = st.builds(
    Whitening,
    components=st.integers(1, 2),
    kernel=st.integers(2, 3),
    stride=st.integers(1, 2),
    bias=st.booleans(),
)
BETWEEN = st.one_of(
    st.builds(Conv, out=st.integers(1, 5), kernel=st.integers(1, 4), padding=PADDINGS, bias=st.booleans()),
    st.builds(MaxPool, size=st.integers(1, 3), padding=PADDINGS),
    st.builds(Activation, function=FUNCTIONS),
    st.builds(BatchNorm, scale=st.booleans()),
    st.builds(Dropout, rate=st.just(0.5)),
    st.builds(Scale, factor=st.floats(0.1, 3)),
    st.just(Pad(left=1, right=0, top=2, bottom=1)),
)
AFTER = st.one_of(
    st.builds(Linear, out=st.integers(1, 5), bias=st.booleans()),
    st.builds(Activation, function=FUNCTIONS),
    st.builds(BatchNorm, scale=st.booleans()),
    st.builds(Scale, factor=st.floats(0.1, 3)),
)


def named(layers: list) -> Chain:
    return Chain(layers=tuple((f"layer{i}", layer) for i, layer in enumerate(layers)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=150, deadline=None)
@given(st.none() | WHITENING, st.lists(BETWEEN, max_size=6), st.booleans(), st.lists(AFTER, max_size=4))
def test_any_tree_of_layers_keeps_its_logits(first: Whitening | None, between: list, flat: bool, head: list) -> None:
    features = [first, *between] if first else between
    spec = NetworkSpec(
        name="any",
        input=(3, 14, 13),
        classes=3,
        features=named([named(features[:2]), named(features[2:])]),
        head=named([Flatten() if flat else GlobalMaxPool(), *head, Linear(out=3)]),
    )
    try:
        network = trained(spec)
    except UsageError:
        return  # the layers do not fit together
    images = torch.randn(2, *spec.input, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(Prepared(network, torch.float32)(images), network(images), rtol=1e-3, atol=1e-3)


def classifier(name: str = "whitened-16-32-32") -> Classifier:
    network = trained(network_spec(name, shape=(32, 32, 3), classes=10))
    return Classifier(network, InferenceSpec(preprocessing=PREPROCESSING), [f"class {k}" for k in range(10)])


def test_a_classifier_predicts_with_the_prepared_network(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = classifier()
    expected = ours.logits(PICTURES)
    monkeypatch.setattr(Network, "forward", None)
    np.testing.assert_array_equal(ours.logits(PICTURES), expected)


def test_under_autocast_a_classifier_computes_in_bf16_and_afterwards_not() -> None:
    ours = classifier()
    exact = ours.logits(PICTURES)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ours.logits(PICTURES)
    np.testing.assert_array_equal(ours.logits(PICTURES), exact)
    assert 1e-4 < np.linalg.norm(rounded - exact) / np.linalg.norm(exact) < 0.05


@pytest.mark.parametrize("what", ["weight", "running statistics"])
def test_changed_weights_change_the_next_prediction(what: str) -> None:
    ours = classifier()
    before = ours.logits(PICTURES)
    network = ours.network
    with torch.no_grad():
        if what == "weight":
            next(reversed(list(network.parameters()))).mul_(2)
        else:
            network.train()(torch.randn(20, 3, 32, 32))
            network.eval()
    assert np.abs(ours.logits(PICTURES) - before).max() > 1e-3


@pytest.mark.parametrize("what", ["network", "layer", "parameter"])
def test_something_else_in_its_place_changes_the_next_prediction(what: str) -> None:
    ours, other = classifier(), classifier().network
    before = ours.logits(PICTURES)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    if what == "network":
        ours.network = other
    elif what == "layer":
        ours.network.get_submodule("head").output = other.get_submodule("head.output")
    else:
        ours.network.get_submodule("head.output").weight = other.get_submodule("head.output").weight
    assert np.abs(ours.logits(PICTURES) - before).max() > 1e-3


def test_a_classifier_that_has_predicted_can_be_copied_and_pickled() -> None:
    ours = classifier()
    expected = ours.logits(PICTURES)
    for other in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        np.testing.assert_array_equal(other.logits(PICTURES), expected)
        with torch.no_grad():
            for parameter in other.network.parameters():
                parameter.zero_()
        assert not other.logits(PICTURES).any()
    np.testing.assert_array_equal(ours.logits(PICTURES), expected)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_what_cannot_be_prepared_predicts_as_it_is() -> None:
    network = classifier().network
    assert can_prepare(network, torch.float32)
    assert not can_prepare(network, torch.float16)
    assert not can_prepare(nn.Flatten(), torch.float32)
    assert not can_prepare(copy.deepcopy(network).train(), torch.float32)
    assert not can_prepare(copy.deepcopy(network).to("meta"), torch.float32)
    with torch.inference_mode():
        assert not can_prepare(trained(network_spec("lenet5", shape=(32, 32, 3), classes=10)), torch.float32)
    with torch.backends.mkldnn.flags(enabled=False):
        ours = classifier()
        plain = ours.logits(PICTURES)
        assert not ours._prepared
    np.testing.assert_allclose(ours.logits(PICTURES), plain, rtol=1e-3, atol=1e-4)
