"""Networks: exact sizes, what is refused, and that the tree of layers and the torch module say the same."""

from __future__ import annotations

import copy
import json
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

import eyesight
from eyesight.errors import FormatError, UnknownNameError, UsageError
from eyesight.models import NETWORKS, default_network, network_spec
from eyesight.models.elementwise import Activation, BatchNorm, Dropout
from eyesight.models.layer import TAKEN_NAMES, Layer
from eyesight.models.layers import Chain, Conv, Flatten, Linear, Pad, Residual
from eyesight.models.modules import ChainModule, ResidualModule
from eyesight.models.network import NetworkSpec, glorot_limit, leaves
from eyesight.models.pooling import AdaptiveAveragePool, GlobalAveragePool, MaxPool
from eyesight.models.summary import summarise
from eyesight.models.torch_network import channels_last, check_user_module, load_arrays, to_arrays

NAMES = sorted(NETWORKS)
MIN_SIZES = {"small-cnn": 18, "small-cnn-same": 4, "small-cnn-3pool": 22, "small-cnn-1pool": 2, "lenet5": 1, "mlp": 1}
MIN_SIZES |= {name: 3 for name in NAMES if name.startswith("whitened-")}
MIN_SIZES |= {name: 1 for name in NAMES if name.startswith(("efficientnet-", "mobilenet-"))}
MIN_SIZES |= {"alexnet": 63, "vgg16": 32, "resnet18": 3, "resnet34": 3, "resnet50": 3, "resnet20": 1}
MIN_SIZES |= {"small-alexnet": 15, "small-vgg": 8, "small-mobilenet-v2": 1}
HUGE = {"alexnet", "vgg16"}  # hundreds of megabytes, so only their shapes are computed here


def grown(name: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape, or the smallest one above it that the network takes."""
    height, width, channels = shape
    return max(height, MIN_SIZES[name]), max(width, MIN_SIZES[name]), channels


def built(spec: NetworkSpec, seed: int = 0):
    network = spec.build()
    network.initialise(torch.Generator().manual_seed(seed), pictures(spec))
    return network


def pictures(spec: NetworkSpec) -> torch.Tensor:
    """Random pictures for layers that are computed from some."""
    return torch.randn(20, *spec.input, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("small-cnn-same", (28, 28, 1), 257_162),
        ("small-cnn", (32, 32, 3), 122_570),
        ("small-cnn-3pool", (28, 28, 1), 94_154),
        ("lenet5", (32, 32, 1), 61_706),
        ("lenet5", (28, 28, 1), 61_706),
        ("mlp", (32, 32, 3), 3_844_682),
    ],
)
def test_parameter_counts_are_those_of_the_tutorials(name, shape, count):
    spec = network_spec(name, shape=shape, classes=10)
    assert spec.parameters() == count
    assert eyesight.summary(name, input=shape, classes=10).parameters == count
    assert sum(p.numel() for p in spec.build().parameters()) == count


def check_against_torch(spec: NetworkSpec) -> None:
    """Compare parameters and the output shape of every leaf with a real forward pass."""
    with torch.device("meta"):
        network = spec.build()
        seen = {}
        for path, _, _ in leaves(spec.whole, spec.input):
            network.get_submodule(path).register_forward_hook(
                lambda module, given, out, path=path: seen.update({path: tuple(out.shape[1:])})
            )
        out = network.eval()(torch.empty(2, *spec.input))
    assert out.shape == (2, spec.classes)
    for path, layer, shape in leaves(spec.whole, spec.input):
        assert seen[path] == layer.output_shape(shape), path
        own = network.get_submodule(path).parameters()
        assert sum(p.numel() for p in own) == layer.parameters(shape), path
        assert layer.flops(shape) > 0 or isinstance(layer, Flatten | Dropout)
    assert sum(p.numel() for p in network.parameters()) == spec.parameters()
    assert spec.flops() == sum(layer.flops(shape) for _, layer, shape in leaves(spec.whole, spec.input)) > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("shape", "classes"), [((32, 32, 3), 10), ((23, 41, 1), 1), ((28, 28, 1), 100)])
def test_the_tree_says_what_torch_does(name, shape, classes):
    check_against_torch(network_spec(name, shape=grown(name, shape), classes=classes))


@given(
    name=st.sampled_from(NAMES),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])),
    classes=st.integers(1, 300),
)
@settings(deadline=None, max_examples=60)
def test_any_size_fits_the_tree_and_torch_or_is_refused_by_name(name, shape, classes):
    smallest = MIN_SIZES[name]
    if min(shape[:2]) < smallest:
        with pytest.raises(UsageError, match=rf"^{name} needs pictures of at least {smallest}x{smallest} pixels"):
            network_spec(name, shape=shape, classes=classes)
    else:
        check_against_torch(network_spec(name, shape=shape, classes=classes))


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_that_is_named_fits_and_one_less_does_not(name):
    smallest = MIN_SIZES[name]
    spec = network_spec(name, shape=(smallest, smallest, 3), classes=10)
    with torch.device("meta" if name in HUGE else "cpu"):
        network = spec.build() if name in HUGE else built(spec)
        assert network(torch.zeros(2, 3, smallest, smallest)).shape == (2, 10)
    if smallest > 1:
        assert spec.min_size() == smallest
        for height, width in ((smallest - 1, 99), (99, smallest - 1)):
            with pytest.raises(UsageError, match=f"at least {smallest}x{smallest} pixels; received: {width}x{height}"):
                network_spec(name, shape=(height, width, 3), classes=10)


@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        ((0, 8, 1), 2),
        ((8, -1, 1), 2),
        ((8, 8, 99), 2),
        ((8, 8, 1), 0),
        ((8, 8, 1), 1 << 21),
        ((8, 8), 2),
        ((99999,) * 3, 2),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_are_none_are_refused_in_one_line(name, shape, classes):
    with pytest.raises(UsageError, match=f"^{name}: ") as caught:
        network_spec(name, shape=shape, classes=classes)
    assert "\n" not in str(caught.value)


def test_an_unknown_network_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'small-cnn'"):
        network_spec("smal-cnn", shape=(32, 32, 3), classes=10)


def test_the_network_that_learns_fast_is_the_default_where_it_fits():
    assert default_network((8, 8, 1)) == default_network((300, 96, 3)) == "whitened-32-64-64"
    assert default_network((8, 7, 1)) == "small-cnn-1pool"
    assert default_network((97, 97, 3)) == "small-cnn-same"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (33, 47, 3)])
def test_a_spec_survives_json(name, shape):
    spec = network_spec(name, shape=grown(name, shape), classes=7)
    text = json.dumps(spec.to_json(), allow_nan=False)
    assert NetworkSpec.model_validate(json.loads(text)) == spec
    assert NetworkSpec.model_validate(json.loads(text)).to_json() == spec.to_json()


@pytest.mark.parametrize(
    "layer",
    [
        Conv(out=4, kernel=3, stride=2, groups=2),
        MaxPool(size=3, stride=1),
        MaxPool(size=3, padding="same", stride=2),
        GlobalAveragePool(),
        AdaptiveAveragePool(size=6),
        Activation(function="relu6"),
        Residual(branch=Chain(layers=(("conv", Conv(out=4, kernel=1)),))),
        Residual(branch=Chain(layers=()), shortcut=Chain(layers=(("relu", Activation(function="relu")),))),
    ],
    ids=lambda layer: layer.describe(),
)
def test_every_layer_survives_json(layer):
    whole = Chain(layers=(("layer", layer),))
    assert Chain.model_validate_json(whole.model_dump_json()) == whole


def test_files_without_stride_and_groups_are_those_of_earlier_versions():
    assert Conv(out=4, kernel=3).model_dump() == {
        "version": 1, "type": "conv", "out": 4, "kernel": 3, "padding": "valid", "bias": True,
    }  # fmt: skip
    assert MaxPool().model_dump() == {"version": 1, "type": "max-pool", "size": 2, "padding": "valid"}
    assert Conv.model_validate({"type": "conv", "out": 4, "kernel": 3}).stride == 1


def changed(path: list, value: object) -> dict:
    """Return a spec's JSON with one entry replaced."""
    data = network_spec("small-cnn", shape=(32, 32, 3), classes=10).to_json()
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


CONV = ["features", "layers", 0, 1, "layers", 0, 1]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ([*CONV, "type"], "deconv"),
        ([*CONV, "surprise"], 1),
        ([*CONV, "version"], 2),
        ([*CONV, "out"], 0),
        ([*CONV, "out"], 1 << 40),
        ([*CONV, "kernel"], 1 << 40),
        ([*CONV, "padding"], "reflect"),
        (["features", "layers", 0, 0], "Stage.1"),
        (["features", "layers", 0, 0], "stage2"),
        (["features", "layers", 0], ["only a name"]),
        (["version"], 2),
        (["initialisation"], "zeros"),
        (["more"], 1),
        (["input"], [3, 0, 32]),
        (["classes"], 0),
    ],
)
def test_a_tree_with_a_wrong_entry_is_refused(path, value):
    NetworkSpec.model_validate(changed(["name"], "anything"))
    with pytest.raises(ValidationError):
        NetworkSpec.model_validate(changed(path, value))


@pytest.mark.parametrize("name", ["train", "forward", "modules"])
def test_a_layer_cannot_take_a_name_of_torch(name):
    with pytest.raises(ValidationError, match=f"torch keeps for itself: '{name}'"):
        Chain(layers=((name, Activation(function="relu")),))


def test_a_head_that_gives_other_than_one_logit_a_class_is_refused():
    with pytest.raises(UsageError, match=r"expected 11 logits; its head gives \(10,\)"):
        NetworkSpec.model_validate(changed(["classes"], 11)).build()


@pytest.mark.parametrize("layer", [Conv(out=1, kernel=1), MaxPool(), Pad(left=1, right=1, top=1, bottom=1)])
def test_layers_for_pictures_refuse_flat_inputs(layer):
    with pytest.raises(UsageError, match=r"needs pictures \(C, H, W\)"):
        layer.output_shape((12,))


def test_a_dense_layer_refuses_pictures():
    with pytest.raises(UsageError, match="needs a flat input"):
        Linear(out=2).output_shape((1, 4, 4))


DEEP = ("resnet", "mobilenet-", "efficientnet-", "small-alexnet", "small-vgg", "small-mobilenet-")
HE = [name for name in NAMES if name.startswith(DEEP)]


@pytest.mark.parametrize("name", HE)
def test_first_weights_of_deep_networks_keep_the_size_of_numbers(name):
    spec = network_spec(name, shape=(32, 32, 3), classes=10)
    assert spec.initialisation == "he"
    network = built(spec)
    for path, layer, _ in leaves(spec.whole, spec.input):
        if isinstance(layer, Conv | Linear):
            weight, bias = network.get_submodule(path).weight, network.get_submodule(path).bias
            expected = math.sqrt(2 / weight[0].numel())
            assert weight.std().item() == pytest.approx(expected, rel=6 / math.sqrt(weight.numel())), path
            assert bias is None or not bias.any()


def test_glorots_limit_counts_the_channels_of_a_group():
    layer = Conv(out=8, kernel=3, groups=4)
    assert glorot_limit(layer, (4, 5, 5)) == pytest.approx(math.sqrt(6 / (9 * 1 + 9 * 2)))


@pytest.mark.parametrize("name", [name for name in MIN_SIZES if name.startswith(("small-cnn", "lenet5", "mlp"))])
def test_first_weights_are_glorot_uniform_and_biases_zero(name):
    spec = network_spec(name, shape=(32, 32, 3), classes=10)
    network = built(spec)
    for path, layer, shape in leaves(spec.whole, spec.input):
        if not isinstance(layer, Conv | Linear):
            continue
        weight, bias = network.get_submodule(path).weight, network.get_submodule(path).bias
        area = math.prod(weight.shape[2:])
        limit = math.sqrt(6 / (area * weight.shape[1] + area * weight.shape[0]))
        assert glorot_limit(layer, shape) == pytest.approx(limit)
        assert 0.9 * limit < weight.abs().max() <= limit
        assert weight.mean().abs() < 4 * limit / math.sqrt(3 * weight.numel())
        assert not bias.any()


def test_glorot_is_only_for_layers_with_weights():
    with pytest.raises(TypeError, match="flatten has no weights"):
        glorot_limit(Flatten(), (3,))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HUGE])
def test_first_weights_depend_on_the_generator_alone(name):
    spec = (
        network_spec(name, shape=(12, 12, 1) if name != "mlp" else (6, 6, 1), classes=3)
        if MIN_SIZES[name] <= 6
        else network_spec(name, shape=(24, 24, 1), classes=3)
    )
    torch.manual_seed(1)
    first = to_arrays(built(spec))
    torch.manual_seed(2)
    torch.rand(7)
    second = channels_last(spec.build())
    second.initialise(torch.Generator().manual_seed(0), pictures(spec))
    state = torch.get_rng_state()
    second.initialise(torch.Generator().manual_seed(0), pictures(spec))
    assert torch.equal(state, torch.get_rng_state())
    assert all(np.array_equal(first[key], value) for key, value in to_arrays(second).items())
    other = built(spec, seed=1)
    norms = {path for path, layer, _ in leaves(spec.whole, spec.input) if isinstance(layer, BatchNorm)}
    drawn = {
        key
        for key, value in other.named_parameters()
        if key.endswith("weight") and value.requires_grad and key.removesuffix(".weight") not in norms
    }
    if name.startswith("whitened-"):  # with as many channels out as in, the others begin as identities
        drawn = {"features.stage1.conv1.weight", "head.output.weight"}
    assert not any(np.array_equal(first[key], to_arrays(other)[key]) for key in drawn)


def plain_order(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Run a network child by child as it is written down, whatever order it has for training."""
    if isinstance(network, ChainModule):
        for child in network.children():
            x = plain_order(child, x)
        return x
    if isinstance(network, ResidualModule):
        return plain_order(network.shortcut, x) + plain_order(network.branch, x)
    return network(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in HUGE])
def test_what_training_reorders_changes_no_bit_of_results_and_gradients(name, dtype):
    network = channels_last(built(network_spec(name, shape=(30, 31, 3), classes=5)))
    with torch.no_grad():
        for parameter in network.parameters():  # biases too, so that whole windows are below zero
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    other = copy.deepcopy(network)
    x = torch.rand(6, 3, 30, 31, generator=torch.Generator().manual_seed(1)).round(decimals=1)  # with ties
    x = x.to(memory_format=torch.channels_last)
    labels = torch.arange(6) % 5
    network.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        torch.manual_seed(0)  # of dropout
        one = network(x)
        torch.manual_seed(0)
        two = plain_order(other, x)
    F.cross_entropy(one.float(), labels).backward()
    F.cross_entropy(two.float(), labels).backward()
    assert one.dtype == dtype
    assert torch.equal(one, two)
    for (key, a), b in zip(network.named_parameters(), other.parameters(), strict=True):
        if not a.requires_grad:
            continue
        assert a.grad.abs().max() > 0, key
        assert torch.equal(a.grad, b.grad), key
    network.eval()
    other.eval()
    with torch.no_grad():
        assert torch.equal(network(x), plain_order(other, x))


def test_a_forward_pass_leaves_its_input_alone():
    chain = Chain(layers=(("relu", Activation(function="relu")), ("pool", MaxPool()))).build((1, 4, 4))
    x = torch.randn(2, 1, 4, 4)
    kept = x.clone()
    for mode in (True, False):
        chain.train(mode)(x)
        assert torch.equal(x, kept)


def test_flatten_is_in_channel_row_column_order_whatever_the_memory_format():
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    flat = Flatten().build((3, 4, 5))(x.contiguous(memory_format=torch.channels_last))
    assert flat[1, (2 * 4 + 3) * 5 + 1] == x[1, 2, 3, 1]
    assert torch.equal(flat, torch.stack([picture.reshape(-1) for picture in x]))


@pytest.mark.filterwarnings("ignore:Using padding=.same.")  # torch says that even kernels cost it a copy
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
def test_same_padding_puts_the_odd_zero_at_the_bottom_right(kernel):
    layer = Conv(out=4, kernel=kernel, padding="same")
    module = layer.build((2, 9, 6))
    x = torch.randn(1, 2, 9, 6, generator=torch.Generator().manual_seed(0))
    before, after = (kernel - 1) // 2, kernel // 2
    padded = np.pad(x.numpy()[0], ((0, 0), (before, after), (before, after)))
    expected = np.zeros((4, 9, 6))
    weight, bias = (t.detach().numpy() for t in (module.weight, module.bias))
    for row in range(9):
        for column in range(6):
            window = padded[:, row : row + kernel, column : column + kernel]
            expected[:, row, column] = (weight * window).sum((1, 2, 3)) + bias
    with torch.no_grad():
        np.testing.assert_allclose(module(x)[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
def test_pooling_keeps_the_incomplete_window_only_with_same(size):
    x = torch.arange(5 * 7.0).reshape(1, 1, 5, 7)
    valid, same = (MaxPool(size=size, padding=p) for p in ("valid", "same"))
    assert valid.output_shape((1, 5, 7)) == (1, 5 // size, 7 // size)
    assert same.output_shape((1, 5, 7)) == (1, -(-5 // size), -(-7 // size))
    pooled = same.build((1, 5, 7))(x)
    assert pooled.shape[1:] == same.output_shape((1, 5, 7))
    assert pooled[0, 0, -1, -1] == 34
    assert torch.equal(valid.build((1, 5, 7))(x), pooled[..., : 5 // size, : 7 // size])


def test_pooling_larger_than_the_picture():
    assert MaxPool(size=9, padding="same").build((1, 4, 4))(torch.ones(1, 1, 4, 4)).shape == (1, 1, 1, 1)
    with pytest.raises(UsageError, match="9x9 pooling does not fit 4x4"):
        MaxPool(size=9).output_shape((1, 4, 4))


def test_lenet_pads_small_pictures_evenly_and_large_ones_not_at_all():
    spec = network_spec("lenet5", shape=(28, 29, 1), classes=10)
    path, pad, shape = leaves(spec.whole, spec.input)[0]
    assert (path, pad.output_shape(shape)) == ("features.stage1.pad", (1, 32, 32))
    x = torch.ones(1, 1, 28, 29)
    out = pad.build(shape)(x)
    assert torch.equal(out[:, :, 2:30, 1:30], x)
    assert out.sum() == x.sum()
    assert not any(isinstance(layer, Pad) for _, layer, _ in leaves(*big("lenet5")))


def big(name: str) -> tuple[Chain, tuple[int, int, int]]:
    spec = network_spec(name, shape=(40, 40, 1), classes=10)
    return spec.whole, spec.input


def test_stages_and_the_layer_for_grad_cam():
    for name in set(NAMES) - HUGE:
        spec = network_spec(name, shape=(32, 32, 3), classes=10)
        network = built(spec).eval()
        assert [path for path, _ in network.stages] == spec.stages()
        x = torch.zeros(2, 3, 32, 32)
        for _, stage in network.stages:
            x = stage(x)
        assert torch.equal(x, network.features(torch.zeros(2, 3, 32, 32)))
        assert network.head(x).shape == (2, 10)
        layer = spec.gradcam_layer()
        if name == "mlp":
            assert layer is None
        else:
            modules = [path for path, module in network.named_modules() if isinstance(module, nn.Conv2d)]
            assert layer == modules[-1]
    assert network_spec("small-cnn", shape=(32, 32, 3), classes=10).gradcam_layer() == "features.stage3.conv"


def test_operations_of_a_convolution_and_a_dense_layer_counted_by_hand():
    assert Conv(out=4, kernel=3).flops((2, 5, 5)) == 9 * 4 * (2 * 9 * 2 + 1)
    assert Linear(out=3).flops((7,)) == 3 * (2 * 7 + 1)
    assert MaxPool().flops((2, 4, 4)) == 32


def test_the_layer_table_is_the_tutorials():
    table = eyesight.summary("small-cnn", input=(32, 32, 3), classes=10)
    rows = [(row.kind, row.output, row.parameters) for row in table.rows]
    assert rows == [
        ("conv 3x3 valid, relu", (30, 30, 32), 896),
        ("max pool 2x2", (15, 15, 32), 0),
        ("conv 3x3 valid, relu", (13, 13, 64), 18_496),
        ("max pool 2x2", (6, 6, 64), 0),
        ("conv 3x3 valid, relu", (4, 4, 64), 36_928),
        ("flatten", (1024,), 0),
        ("dense, relu", (64,), 65_600),
        ("dense", (10,), 650),
    ]
    assert table.parameters == sum(row.parameters for row in table.rows)
    data = json.loads(json.dumps(table.to_json()))
    assert (data["parameters"], data["flops"], data["input"]) == (122_570, table.flops, [32, 32, 3])
    assert data["rows"][0]["layer"] == "features.stage1.conv"


@pytest.mark.parametrize("name", NAMES)
def test_totals_of_the_table_are_those_of_the_network(name):
    spec = network_spec(name, shape=grown(name, (32, 32, 1)), classes=10)
    table = summarise(spec)
    assert (table.parameters, table.flops) == (spec.parameters(), spec.flops())


def test_the_table_in_a_notebook_shows_totals_and_escapes_names():
    spec = network_spec("lenet5", shape=(32, 32, 1), classes=10).model_copy(update={"name": "<b>&"})
    html = summarise(spec)._repr_html_()
    assert "61,706 parameters" in html
    assert "48,120" in html
    assert "&lt;b&gt;&amp;" in html
    assert "<b>" not in html


def test_every_layer_type_describes_itself():
    layers: list[Layer] = [
        Conv(out=1, kernel=5, padding="same"), MaxPool(padding="same"), Pad(left=2, right=2, top=2, bottom=2),
        Pad(left=1, right=2, top=3, bottom=4), Flatten(), Linear(out=1), Activation(function="tanh"), Chain(layers=()),
    ]  # fmt: skip
    assert [layer.describe() for layer in layers] == [
        "conv 5x5 same", "max pool 2x2 same", "pad 2", "pad 1,2,3,4", "flatten", "dense", "tanh", "chain of 0",
    ]  # fmt: skip


def test_weights_come_back_into_the_same_memory_format_or_not_at_all():
    spec = network_spec("small-cnn-1pool", shape=(8, 8, 3), classes=3)
    source, target = built(spec), channels_last(built(spec, seed=1))
    strides = target.features.stage2.conv.weight.stride()
    arrays = to_arrays(source)
    assert all(array.flags.c_contiguous for array in arrays.values())
    for lie, message in (
        ({"head.dense2.bias": np.zeros(4, np.float32)}, r"'head.dense2.bias' should have shape \(3,\)"),
        ({"head.dense2.bias": np.zeros(3, np.int64)}, "should hold torch.float32; received: int64"),
        ({"more": np.zeros(3)}, "'more'"),
    ):
        before = to_arrays(target)
        with pytest.raises(FormatError, match=message):
            load_arrays(target, arrays | lie, "m.safetensors")
        assert all(np.array_equal(before[key], value) for key, value in to_arrays(target).items())
    load_arrays(target, arrays, "m.safetensors")
    assert target.features.stage2.conv.weight.stride() == strides
    assert all(np.array_equal(arrays[key], value) for key, value in to_arrays(target).items())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), r"\(N, 2\), one for every class; received: \(2, 3\)"),
        (nn.Sequential(nn.Conv2d(1, 2, 3)), r"does not take pictures \(N, 3, 4, 4\)"),
        (nn.Identity(), r"received: \(2, 3, 4, 4\)"),
    ],
)
def test_a_users_module_with_other_inputs_or_outputs_is_refused_in_one_line(module, message):
    module.train()
    with pytest.raises(UsageError, match=message) as caught:
        check_user_module(module, shape=(4, 4, 3), classes=2)
    assert "\n" not in str(caught.value)
    assert module.training


def test_every_name_that_torch_keeps_for_itself_is_known():
    module = nn.Module()
    taken = {name for name in {*dir(module), *vars(module)} if re.fullmatch("[a-z][a-z0-9_]{0,40}", name)}
    assert taken <= TAKEN_NAMES
