"""A registered network with other hidden dense layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import eyesight
from eyesight.cli import main
from eyesight.errors import UsageError
from eyesight.models import network_spec
from eyesight.models.dense import with_dense
from eyesight.models.elementwise import Activation
from eyesight.models.layers import Chain, Conv, Flatten, Linear
from eyesight.models.network import NetworkSpec, leaves

OWN = {
    "lenet5": (120, 84),
    "small-cnn": (64,),
    "small-cnn-same": (64,),
    "small-cnn-3pool": (512,),
    "small-cnn-1pool": (64,),
    "mlp": (1024, 512, 256, 128, 64),
}


def plain(name: str) -> NetworkSpec:
    return network_spec(name, shape=(32, 32, 3), classes=10)


@pytest.mark.parametrize("name", list(OWN))
def test_its_own_widths_give_the_same_network(name: str) -> None:
    spec = plain(name)
    same = with_dense(spec, OWN[name])
    layers = [[layer for _, layer, _ in leaves(each.whole, each.input)] for each in (spec, same)]
    assert layers[0] == layers[1]


@settings(deadline=None, max_examples=40)
@given(name=st.sampled_from(list(OWN)), widths=st.lists(st.integers(1, 300), max_size=4))
def test_any_widths_come_out_in_order_behind_the_same_features(name: str, widths: list[int]) -> None:
    spec = plain(name)
    found = with_dense(spec, widths)
    dense = [layer.out for _, layer, _ in leaves(found.whole, found.input) if isinstance(layer, Linear)]
    assert dense == [*widths, 10]
    convolutions = [
        [leaf for leaf in leaves(each.whole, each.input) if isinstance(leaf[1], Conv)] for each in (spec, found)
    ]
    assert convolutions[0] == convolutions[1]
    network = found.build()
    network.initialise(torch.Generator().manual_seed(0))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == found.parameters()


def test_a_network_that_ends_otherwise_is_refused() -> None:
    with pytest.raises(UsageError, match="whitened-32-64-64 does not end in dense layers"):
        with_dense(plain("whitened-32-64-64"), [32])
    spec = plain("small-cnn")
    flat = Chain(layers=(("flatten", Flatten()), ("inner", Chain(layers=(("dense", Linear(out=10)),)))))
    with pytest.raises(UsageError, match="does not end in dense layers after flattening"):
        with_dense(spec.model_copy(update={"head": flat}), [32])
    relu = Chain(layers=(("relu", Activation(function="relu")),))
    with pytest.raises(UsageError, match="does not end in dense layers"):
        with_dense(spec.model_copy(update={"head": relu}), [32])


def test_it_is_trained_saved_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--epochs", "1", "--threads", "1", "-o", str(tmp_path / "run"), "--set", "recipe.batch_size=128"]
    assert main(["train", "digits", *options, "--set", "model.dense=[24, 12]", "--set", "model.dropout=0.2"]) == 0
    capsys.readouterr()
    run = eyesight.open_run(tmp_path / "run")
    assert run.config.model.dense == (24, 12)
    shapes = {name: value.shape for name, value in run.classifier.network.named_parameters() if "head" in name}
    assert shapes["head.dense1.weight"][0] == 24
    assert shapes["head.dense2.weight"] == (12, 24)
    assert shapes["head.output.weight"] == (10, 12)
    again = eyesight.train(config=tmp_path / "run" / "config.yaml", output=tmp_path / "again", progress=False)
    assert again.model_file.read_bytes() == run.model_file.read_bytes()
    one = eyesight.train("digits", settings={"model.dense": 16}, output=tmp_path / "one", epochs=1, progress=False)
    assert np.isfinite(one.classifier.logits(eyesight.load_data("digits").test.gather([0]))).all()
    assert one.config.model.dense == (16,)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("wide", "model.dense: expected widths such as 128 or [128, 64]; received: 'wide'"),
        ("[0]", "model.dense.0: should be greater than or equal to 1; received: 0"),
        ("[1.5]", "model.dense.0: "),
    ],
)
def test_what_is_no_width_is_refused_in_one_line(
    value: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "digits", "-o", str(tmp_path / "run"), "--set", f"model.dense={value}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert text in error
    assert not (tmp_path / "run").exists()


def test_ones_own_module_has_its_own_dense_layers(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(len(bars_data.classes)))
    with pytest.raises(UsageError, match="only for registered networks"):
        eyesight.train(bars_data, model=module, settings={"model.dense": [8]}, output=tmp_path / "run", progress=False)
