"""The lessons on a whole network and on the architectures: their numbers are those of the registered networks."""

from __future__ import annotations

import pytest

import eyesight
from eyesight.cli import main
from eyesight.lessons.architectures import architectures
from eyesight.lessons.network import amount, network
from eyesight.models import NETWORKS, network_spec, usual_input
from eyesight.report.document import Diagram, Words
from lesson_blocks import everything, table, text_of, told

NAMES = {
    "LeNet-5": "lenet5", "AlexNet": "alexnet", "VGG-16": "vgg16", "ResNet-50": "resnet50",
    "MobileNetV2": "mobilenet-v2", "EfficientNet-Lite0": "efficientnet-lite0",
}  # fmt: skip


def test_the_table_of_architectures_is_counted_in_their_trees() -> None:
    rows = table(architectures())
    assert [row[0] for row in rows] == list(NAMES)
    assert [int(row[1]) for row in rows] == sorted(int(row[1]) for row in rows)
    for title, _, pictures, classes, parameters, work in rows:
        shape, count = usual_input(NAMES[title])
        spec = network_spec(NAMES[title], shape=shape, classes=count)
        assert pictures == "×".join(map(str, shape))
        assert (classes, parameters) == (f"{count:,}", f"{spec.parameters():,}")
        assert work == amount(spec.multiply_adds())


def test_every_architecture_has_its_block_its_small_form_and_its_source() -> None:
    text = " ".join(text_of(architectures()).split())
    assert text.count("Source: ") == len(NAMES)
    assert sum(isinstance(block, Diagram) for block in everything(architectures())) == len(NAMES)
    for small in ("small-alexnet", "small-vgg", "resnet20", "small-mobilenet-v2"):
        spec = network_spec(small, shape=(32, 32, 3), classes=10)
        expected = f"{small}, with {spec.parameters():,} parameters and {amount(spec.multiply_adds())} multiply-adds"
        assert expected in text
    assert "[conv 1×1, 64 channels, batch norm, relu → conv 3×3, 64 channels, batch norm, relu → conv 1×1" in text
    assert "3 × conv 3×3, 256 channels, relu → max pool 2×2" in text


def test_what_is_said_of_single_layers_is_so() -> None:
    text = " ".join(text_of(architectures()).split())
    weights = network_spec("mobilenet-v2", shape=(224, 224, 3), classes=1000).weights()
    alone = weights["features.stage3.block2.branch.depthwise.weight"]
    assert f"{alone[0]:,} channels to {alone[0]} has {9 * alone[0] ** 2:,} weights" in text
    assert f"one for each channel alone has {9 * alone[0]:,}" in text
    vgg = network_spec("vgg16", shape=(224, 224, 3), classes=1000)
    rows, columns = vgg.weights()["head.dense1.weight"]
    assert rows * columns > vgg.parameters() / 2  # most of its parameters lie in the first dense layer
    assert 3 * 3**2 == 27


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_explained_and_its_shares_add_up(name: str) -> None:
    shape, classes = usual_input(name)
    spec = network_spec(name, shape=shape, classes=classes)
    lesson = network(spec=spec)
    rows = table(lesson)
    assert sum(int(row[2].replace(",", "")) for row in rows) == spec.parameters()
    explained = [block.text.split(":")[0].lower() for block in everything(lesson) if isinstance(block, Words)]
    assert [row[0] for row in rows] == [kind for kind in explained if kind in {row[0] for row in rows}]
    lines = text_of(lesson).splitlines()
    assert max(map(len, lines)) <= 80
    total = f"{spec.parameters():,} parameters, {amount(spec.multiply_adds())} multiply-adds a picture."
    assert " ".join(lines[-2:]).strip().endswith(total)


def test_a_network_is_named_or_that_of_a_run(digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert told("network", capsys=capsys) == told("network", "--model", "lenet5", "--input", "28x28x1", capsys=capsys)
    assert "How resnet20 works" in told("cnn", "--model", "resnet20", capsys=capsys)
    out = told("network", "--model", str(digits_run.path), capsys=capsys)
    assert f"How {digits_run.classifier.spec.name} works, from the picture to 10 classes" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["network", "--model", "lenet"], "unknown network 'lenet'; did you mean 'lenet5'?"),
        (["network", "--model", "vgg16", "--input", "8x8x3"], "vgg16 needs pictures of at least 32x32 pixels"),
        (["network", "--size", "3"], "--size: does not belong to the lesson network, which takes model, input"),
        (["architectures", "--model", "x"], "--model: does not belong to the lesson architectures, which takes none"),
    ],
)
def test_what_no_lesson_can_show_is_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lesson", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
