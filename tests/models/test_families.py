"""The families of networks from the literature: published sizes, and that a tiny one of each can be trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import eyesight
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.engine.features import Features
from eyesight.errors import UsageError
from eyesight.explain.capture import capture
from eyesight.models import network_spec
from eyesight.models.elementwise import Activation, BatchNorm
from eyesight.models.families.alexnet import alexnet_scaled
from eyesight.models.families.efficientnet_lite import efficientnet_lite
from eyesight.models.families.mobilenet_v2 import mobilenet_v2_scaled
from eyesight.models.families.resnet import resnet
from eyesight.models.families.vgg import vgg
from eyesight.models.layers import Chain, Conv, Linear, Residual, chain
from eyesight.models.network import NetworkSpec, leaves
from eyesight.models.pooling import AdaptiveAveragePool, GlobalAveragePool, MaxPool
from eyesight.models.regularise import regularise
from eyesight.models.summary import summarise
from eyesight.models.torch_network import network_weights
from eyesight.pictures.preprocess import Preprocessing

PUBLISHED = {
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "mobilenet-v2": 3_504_872,
    "efficientnet-lite0": 4_652_008,
}
TINY = {
    "alexnet": alexnet_scaled("tiny-alexnet", (8, 8, 8, 8, 8), dense=16),
    "vgg": vgg("tiny-vgg", ((1, 4), (1, 8), (2, 8)), dense=16, places=3),
    "resnet": resnet("tiny-resnet", (1, 1), width=8),
    "small-resnet": resnet("tiny-small-resnet", (1, 1, 1), width=4, small=True),
    "bottleneck-resnet": resnet("tiny-bottleneck-resnet", (2, 1), width=4, bottleneck=True),
    "mobilenet": mobilenet_v2_scaled("tiny-mobilenet", width=0.1, top=32),
    "efficientnet": efficientnet_lite("tiny-efficientnet", width=0.25, depth=0.3, ends=(8, 32)),
}
SIDE = 67  # odd, so that strides pad unevenly somewhere, and large enough for all


def tiny(kind: str, side: int = SIDE) -> NetworkSpec:
    return TINY[kind]((3, side, side), 4)


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_published_number_of_parameters(name: str) -> None:
    assert network_spec(name, shape=(224, 224, 3), classes=1000).parameters() == PUBLISHED[name]


def test_resnet20_has_a_quarter_of_a_million_parameters_for_cifar() -> None:
    assert network_spec("resnet20", shape=(32, 32, 3), classes=10).parameters() == 272_474  # "0.27M" in the paper


@pytest.mark.parametrize("name", ["small-alexnet", "small-vgg", "small-mobilenet-v2"])
def test_small_forms_cost_about_the_same_on_small_pictures(name: str) -> None:
    spec = network_spec(name, shape=(32, 32, 3), classes=10)
    assert 250_000 < spec.parameters() < 450_000
    assert 20e6 < spec.flops() < 30e6
    assert min(spec.features.output_shape(spec.input)[1:]) >= 3  # places are left to look at


def test_small_forms_have_the_layers_of_the_large_ones() -> None:
    def kinds(name: str, side: int) -> list[str]:
        spec = network_spec(name, shape=(side, side, 3), classes=10)
        return [layer.type for _, layer, _ in leaves(spec.whole, spec.input) if layer.describe() != "add"]

    assert kinds("small-alexnet", 32) == [kind for kind in kinds("alexnet", 224) if kind != "pad"]
    assert kinds("small-mobilenet-v2", 32) == kinds("mobilenet-v2", 224)
    assert kinds("vgg16", 224)[:17] == kinds("small-vgg", 32)[:17]


@pytest.mark.parametrize(
    ("name", "billions"), [("vgg16", 15.5), ("resnet18", 1.8), ("resnet50", 4.1), ("mobilenet-v2", 0.3)]
)
def test_networks_need_the_published_number_of_multiplications(name: str, billions: float) -> None:
    flops = network_spec(name, shape=(224, 224, 3), classes=1000).flops()
    assert flops / 2e9 == pytest.approx(billions, rel=0.05)


@pytest.mark.parametrize("kind", TINY)
def test_a_tiny_one_of_each_family_learns_in_a_few_steps(kind: str) -> None:
    spec = tiny(kind)
    assert spec.parameters() < 150_000
    network = spec.build()
    generator = torch.Generator().manual_seed(0)
    network.initialise(generator)
    images, labels = torch.randn(16, *spec.input, generator=generator), torch.arange(16) % 4
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for step in range(5):
        torch.manual_seed(step)
        loss = F.cross_entropy(network.train()(images), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] < 8  # fresh weights keep numbers of usual size
    assert min(losses[1:]) < losses[0]


@pytest.mark.parametrize("kind", TINY)
def test_engine_features_and_layer_table_agree_with_torch(kind: str) -> None:
    spec = tiny(kind)
    network = spec.build()
    generator = torch.Generator().manual_seed(0)
    network.initialise(generator)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    preprocessing = Preprocessing(height=SIDE, width=SIDE, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    ours = Classifier(network, InferenceSpec(preprocessing=preprocessing), "abcd")
    pictures = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    logits, expected = ours.logits(pictures), ours._torch_logits(pictures)
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()
    features = ours.features().of(pictures)
    output = network.get_submodule("head.output")
    seen = features @ output.weight.detach().numpy().T + output.bias.detach().numpy()
    np.testing.assert_allclose(seen, logits, atol=1e-4 * np.abs(logits).max())
    stages = capture(ours, pictures[0])
    for stage in stages:
        shape = stage.values.shape
        assert stage.row.output == ((*shape[1:], shape[0]) if len(shape) == 3 else shape), stage.row.layer
    np.testing.assert_allclose(stages[-1].values, expected[0], atol=1e-4 * np.abs(expected).max())
    assert sum(row.parameters for row in summarise(spec).rows) == spec.parameters()
    assert sum(row.flops for row in summarise(spec).rows) == spec.flops()


@pytest.mark.parametrize("kind", ["vgg", "resnet", "small-resnet", "mobilenet", "efficientnet"])
@pytest.mark.parametrize("side", [16, 32, 45])
def test_networks_take_other_sizes_with_the_same_weights(kind: str, side: int) -> None:
    assert tiny(kind, side).weights() == tiny(kind).weights()
    network = tiny(kind).build().eval()
    assert network(torch.zeros(2, 3, side, side)).shape == (2, 4)


def test_alexnet_says_how_small_a_picture_may_be() -> None:
    with pytest.raises(UsageError, match="alexnet needs pictures of at least 63x63 pixels; received: 32x32"):
        network_spec("alexnet", shape=(32, 32, 3), classes=10)


def residual_spec(branch: Chain, shortcut: Chain | None = None) -> NetworkSpec:
    layer = Residual(branch=branch, shortcut=shortcut) if shortcut else Residual(branch=branch)
    return NetworkSpec(
        name="residual", input=(2, 6, 6), classes=3,
        features=chain(add=layer, relu=Activation(function="relu")),
        head=chain(pool=GlobalAveragePool(), output=Linear(out=3)),
    )  # fmt: skip


CONV = Conv(out=2, kernel=3, padding="same")


def test_a_residual_adds_what_came_in_and_counts_it() -> None:
    spec = residual_spec(chain(conv=CONV))
    assert [path for path, _, _ in leaves(spec.whole, spec.input)] == [
        "features.add.branch.conv", "features.add.sum", "features.relu", "head.pool", "head.output",
    ]  # fmt: skip
    assert spec.features.flops(spec.input) == CONV.flops((2, 6, 6)) + 2 * 36 + 2 * 36
    rows = [(row.layer, row.kind) for row in summarise(spec).rows]
    assert rows[:2] == [("features.add.branch.conv", "conv 3x3 same"), ("features.add.sum", "add, relu")]
    network = spec.build()
    network.initialise(torch.Generator().manual_seed(0))
    images = torch.randn(2, 2, 6, 6)
    block = network.get_submodule("features.add")
    torch.testing.assert_close(block(images), images + block.get_submodule("branch.conv")(images))


def test_a_residual_of_shapes_that_differ_is_refused() -> None:
    smaller = Conv(out=2, kernel=3)
    with pytest.raises(UsageError, match="a residual adds equal shapes"):
        Residual(branch=chain(conv=smaller)).output_shape((2, 6, 6))
    assert Residual(branch=chain(conv=smaller), shortcut=chain(conv=smaller)).output_shape((2, 6, 6)) == (2, 4, 4)


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    for layer in (Conv(out=4, kernel=1, groups=4), Conv(out=3, kernel=1, groups=2)):
        with pytest.raises(UsageError, match="groups do not divide 2 channels"):
            layer.output_shape((2, 6, 6))


def test_batch_norm_and_dropout_reach_into_residuals() -> None:
    plain = residual_spec(chain(conv=CONV), chain(conv=CONV))
    spec = regularise(plain, batch_norm=True)
    norms = [path for path, layer, _ in leaves(spec.whole, spec.input) if isinstance(layer, BatchNorm)]
    assert norms == ["features.add.branch.norm_conv", "features.add.shortcut.norm_conv"]


def test_strided_convolutions_pad_as_tensorflow_does() -> None:
    layer = Conv(out=1, kernel=3, padding="same", stride=2, bias=False)
    module = layer.build((1, 4, 5))
    torch.nn.init.ones_(module.weight)
    images = torch.arange(20.0).view(1, 1, 4, 5)
    found = module(images)[0, 0]
    # of 4 rows the zeros stand below only, of 5 columns on both sides
    assert found.shape == (2, 3)
    assert found[0, 0] == images[0, 0, :3, :2].sum()
    assert found[1, 2] == images[0, 0, 2:, 3:].sum()
    assert layer.flops((1, 4, 5)) == 6 * 18


def test_overlapping_windows_are_counted_and_described() -> None:
    layer = MaxPool(size=3, stride=2)
    assert layer.output_shape((1, 55, 55)) == (1, 27, 27)
    assert MaxPool(size=3, stride=2, padding="same").output_shape((1, 56, 55)) == (1, 28, 27)
    assert layer.flops((1, 5, 5)) == 4 * 9
    assert layer.describe() == "max pool 3x3 stride 2"
    with pytest.raises(ValueError, match="stride must not be above size"):
        MaxPool(size=2, stride=3)


def test_averages_over_a_grid_count_each_window() -> None:
    layer = AdaptiveAveragePool(size=2)
    assert layer.windows(5) == [(0, 3), (2, 5)]
    assert layer.flops((1, 5, 4)) == 6 * 4
    assert AdaptiveAveragePool(size=3).windows(1) == [(0, 1)] * 3


def test_new_layers_describe_themselves() -> None:
    layers = [
        Conv(out=4, kernel=3, stride=2, groups=2), GlobalAveragePool(), AdaptiveAveragePool(size=6),
        Activation(function="relu6"), Residual(branch=chain(conv=CONV)),
    ]  # fmt: skip
    assert [layer.describe() for layer in layers] == [
        "conv 3x3 valid stride 2 groups 2", "global average pool", "average pool to 6x6", "relu6", "residual of 1",
    ]  # fmt: skip


def test_a_residual_network_is_trained_saved_and_loaded(bars_data, tmp_path: Path) -> None:
    run = eyesight.train(
        bars_data, model="resnet20", epochs=1, batch_size=50, threads=1, precision="fp32", progress=False,
        output=tmp_path / "run",
    )  # fmt: skip
    loaded = eyesight.load_classifier(tmp_path / "run")
    pictures = bars_data.test.gather(range(5))
    assert loaded.spec == run.classifier.spec
    np.testing.assert_array_equal(loaded.logits(pictures), run.classifier.logits(pictures))
    assert np.abs(loaded.logits(pictures) - loaded._torch_logits(pictures)).max() < 1e-3


def test_a_network_without_dense_layers_has_no_features() -> None:
    spec = residual_spec(chain(conv=CONV)).model_copy(
        update={"head": chain(conv=Conv(out=3, kernel=1), pool=GlobalAveragePool())}
    )
    network = spec.build()
    network.initialise(torch.Generator().manual_seed(0))
    weights = network_weights(network)
    assert weights is not None
    preprocessing = Preprocessing(height=6, width=6, channels=1, mean=(0.5,), std=(0.25,))
    with pytest.raises(UsageError, match="residual: has no features, as its head holds no dense layer"):
        Features(weights, preprocessing)
