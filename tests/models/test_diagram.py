"""Diagrams of networks: every layer is there, nothing lies over another, and sizes are true."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import eyesight
from eyesight.cli import main
from eyesight.models import NETWORKS, network_spec, usual_input
from eyesight.models.diagram import diagram
from eyesight.models.diagram.blocks import block_drawing
from eyesight.models.diagram.lines import stack_lines
from eyesight.models.diagram.parts import Item, Joint, all_paths, name_layer, parts, rows
from eyesight.models.elementwise import Activation, BatchNorm
from eyesight.models.layers import Chain, Conv, Flatten, Linear, Pad, Residual, chain
from eyesight.models.network import NetworkSpec, leaves
from eyesight.models.pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from eyesight.report.vector import Drawing, Label, Polygon, Strokes

RELU, NORM = Activation(function="relu"), BatchNorm()
TIE = 1e-6
Box = tuple[float, float, float, float]


def usual(name: str) -> NetworkSpec:
    shape, classes = usual_input(name)
    return network_spec(name, shape=shape, classes=classes)


def labels(drawing: Drawing) -> list[Label]:
    return [shape for shape in drawing.shapes if isinstance(shape, Label)]


def apart(one: Box, other: Box) -> bool:
    return one[2] <= other[0] + TIE or other[2] <= one[0] + TIE or one[3] <= other[1] + TIE or other[3] <= one[1] + TIE


def bounds(points: tuple[tuple[float, float], ...]) -> Box:
    across, down = zip(*points, strict=True)
    return min(across), min(down), max(across), max(down)


def along(lines: list[tuple[tuple[float, float], tuple[float, float]]]) -> np.ndarray:
    """Return points (N, 2) close to each other on all lines."""
    ends = np.array(lines).reshape(-1, 2, 1, 2)
    steps = np.linspace(0, 1, 60)[:, None]
    return (ends[:, 0] * (1 - steps) + ends[:, 1] * steps).reshape(-1, 2)


def assert_tidy(drawing: Drawing) -> None:
    """Labels lie on the ground, apart from each other, inside of shapes or outside, and no line goes through one."""
    boxes = [(label, label.box()) for label in labels(drawing)]
    assert boxes
    for label, (left, top, right, bottom) in boxes:
        assert min(left, top) >= -TIE, label
        assert (right, bottom) <= (drawing.width + TIE, drawing.height + TIE), label
        assert bottom <= drawing.height + TIE
    for (one, box), (other, another) in itertools.combinations(boxes, 2):
        assert apart(box, another), f"{one.text!r} lies over {other.text!r}"
    areas = [bounds(shape.points) for shape in drawing.shapes if isinstance(shape, Polygon)]
    lines = [pair for shape in drawing.shapes if isinstance(shape, Strokes) for path in shape.paths
             for pair in itertools.pairwise(path)]  # fmt: skip
    points = along(lines)
    for label, box in boxes:
        for area in areas:
            inside = area[0] <= box[0] and area[1] <= box[1] and area[2] >= box[2] and area[3] >= box[3]
            assert inside or apart(box, area), f"{label.text!r} stands across an edge"
        crossing = ((points > box[:2]) & (points < box[2:])).all(axis=1).any()
        assert not crossing, f"a line goes through {label.text!r}"


def titles(items: tuple[Item, ...]) -> list[str]:
    """Return the words of every part in these items."""
    found: list[str] = []
    for item in items:
        found += titles(item.branch) + titles(item.shortcut) if isinstance(item, Joint) else [item.title]
    return found


def assert_complete(spec: NetworkSpec, drawing: Drawing) -> None:
    """Every layer is in one part, and every part is named."""
    paths = [path for path, _, _ in leaves(spec.whole, spec.input)]
    items, found = parts(spec.whole, spec.input), rows(spec)
    assert sorted(all_paths(items)) == sorted(paths)
    assert sorted(path for row in found for path in row.paths) == sorted(paths)
    assert sum(row.parameters for row in found) == spec.parameters()
    shown = [label.text for label in labels(drawing)]
    in_maps = "picture" in shown
    words = titles(items) if in_maps else [title for row in found for title in titles(row.items)]
    for word in words:
        assert shown.count(word) >= words.count(word), word
    if in_maps:
        assert all(name in shown for name in (line.split("  ")[0] for line in stack_lines(spec)[::2]))
    else:
        assert [label.text for label in labels(drawing) if re.fullmatch(r"× \d+", label.text)] == [
            f"× {row.times}" for row in found if row.times > 1
        ]
    assert str(f"{spec.parameters():,}") in shown[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_drawn_whole_and_nothing_lies_over_another(name: str) -> None:
    spec = usual(name)
    drawing = diagram(spec)
    assert_tidy(drawing)
    assert_complete(spec, drawing)
    assert stack_lines(spec)[0].split() == ["picture", "×".join(map(str, (*spec.input[1:], spec.input[0])))]
    ET.fromstring(drawing.svg())


WIDTHS = st.integers(1, 2000)


@st.composite
def chains(draw: st.DrawFn, depth: int = 0) -> Chain:
    """Draw layers that take pictures of 16 pixels and more, and give some."""
    layers = {}
    for k in range(draw(st.integers(1, 5))):
        kinds = ["conv", "relu", "norm", "pad", "residual"] + ["pool"] * (depth == 0) + ["chain"] * (depth < 2)
        kind = draw(st.sampled_from(kinds))
        width = draw(WIDTHS)
        layers[f"{kind}{k}"] = {
            "conv": lambda w=width: Conv(out=w, kernel=draw(st.sampled_from([1, 3, 5])), padding="same"),
            "relu": lambda: RELU,
            "norm": lambda: NORM,
            "pad": lambda: Pad(left=1, right=0, top=3, bottom=2) if depth == 0 else NORM,
            "pool": lambda: MaxPool(padding="same"),
            "chain": lambda: draw(chains(depth + 1)),
            "residual": lambda w=width: Residual(
                branch=chain(one=Conv(out=w, kernel=3, padding="same"), relu=RELU, two=Conv(out=w, kernel=1)),
                shortcut=chain(conv=Conv(out=w, kernel=1, bias=False), norm=NORM),
            ),
        }[kind]()
    return chain(**layers)


@given(
    features=chains(),
    side=st.integers(16, 300),
    channels=st.sampled_from([1, 3, 4]),
    classes=st.integers(1, 30_000),
    hidden=st.lists(WIDTHS, max_size=3),
    flat=st.sampled_from([Flatten(), GlobalAveragePool(), GlobalMaxPool(), AdaptiveAveragePool(size=2)]),
)
@settings(deadline=None, max_examples=40)
def test_any_tree_is_drawn_whole_and_nothing_lies_over_another(features, side, channels, classes, hidden, flat) -> None:
    head = {"flat": flat} | ({"flatten": Flatten()} if isinstance(flat, AdaptiveAveragePool) else {})
    head |= {f"dense{k}": Linear(out=out) for k, out in enumerate(hidden)}
    spec = NetworkSpec(
        name="any", input=(channels, side, 2 * side), classes=classes, features=features,
        head=chain(**head, output=Linear(out=classes)),
    )  # fmt: skip
    drawing = diagram(spec)
    assert_tidy(drawing)
    assert_complete(spec, drawing)


def test_maps_have_their_true_proportions() -> None:
    drawing = diagram(usual("lenet5"))
    sides = []
    for shape in drawing.shapes:
        if isinstance(shape, Polygon) and shape.fill in ("grey", "pale") and shape.width == 0.6:
            left, top, right, bottom = bounds(shape.points)
            assert right - left == pytest.approx(bottom - top)
            sides.append(right - left)
    maps = [n for n, count in ((28, 1), (32, 1), (28, 6), (14, 6), (10, 16), (5, 16)) for _ in range(count)]
    measured = np.array(sides[: len(maps)])  # after them come the squares of the flattened numbers
    np.testing.assert_allclose(measured / measured[0] * 28, maps, rtol=1e-6)
    windows = [shape for shape in drawing.shapes if isinstance(shape, Strokes) and shape.width == 1.4]
    wide = [bounds(window.paths[0])[2] - bounds(window.paths[0])[0] for window in windows]
    np.testing.assert_allclose(np.array(wide) / measured[0] * 28, [5, 2, 5, 2], rtol=1e-6)


def test_equal_blocks_are_one_row_with_their_number() -> None:
    found = [(row.name, row.blocks, row.times) for row in rows(usual("resnet50"))]
    assert found == [
        ("stem", "", 1),
        ("stage1", "block1", 1), ("stage1", "block2 – block3", 2), ("stage2", "block1", 1),
        ("stage2", "block2 – block4", 3), ("stage3", "block1", 1), ("stage3", "block2 – block6", 5),
        ("stage4", "block1", 1), ("stage4", "block2 – block3", 2),
        ("head", "", 1),
    ]  # fmt: skip
    assert titles(rows(usual("vgg16"))[2].items) == ["3 × conv 3×3", "max pool 2×2"]


def test_layers_are_called_by_their_kind_and_window() -> None:
    def called(layer, given=(8, 9, 9)):
        return name_layer(layer, given)

    assert called(Conv(out=8, kernel=3, groups=8)) == "depthwise 3×3"
    assert called(Conv(out=8, kernel=3, groups=2)) == "conv in 2 groups 3×3"
    assert called(Conv(out=1, kernel=1), (1, 9, 9)) == "conv 1×1"
    assert called(MaxPool(size=3, stride=2, padding="same")) == "max pool 3×3 stride 2"
    assert called(AdaptiveAveragePool(size=7)) == "average pool to 7×7"
    assert called(GlobalMaxPool()) == "global max pool"
    assert called(Linear(out=4096), (9,)) == "dense 4,096"
    assert called(Pad(left=1, right=2, top=0, bottom=0)) == "pad 1,2,0,0"


def test_a_residual_is_said_to_be_added_to_what_came_in() -> None:
    line = stack_lines(usual("resnet20"))[3]
    assert line == "   │  3 × [conv 3×3, 16 channels → conv 3×3, 16 channels] + what came in: 14,016 parameters"


def test_multiply_adds_are_those_of_the_papers() -> None:
    assert usual("lenet5").multiply_adds() == 28 * 28 * 6 * 25 + 100 * 16 * 150 + 400 * 120 + 120 * 84 + 840
    for name, billions in (("vgg16", 15.47), ("resnet50", 4.09), ("mobilenet-v2", 0.30), ("alexnet", 0.714)):
        assert usual(name).multiply_adds() / 1e9 == pytest.approx(billions, rel=0.01)


def test_a_drawing_is_light_and_dark_and_escapes_what_users_named() -> None:
    spec = network_spec("small-cnn-1pool", shape=(8, 8, 1), classes=2)
    drawing = diagram(spec, classes=["<b>eel</b>", "cat & \x1bdog"])
    assert_tidy(drawing)
    texts = [element.text for element in ET.fromstring(drawing.svg()).iter() if element.tag.endswith("text")]
    assert {"<b>eel</b>", "cat & \ufffddog"} <= set(texts)
    assert "@media (prefers-color-scheme: dark)" in drawing.svg()
    assert drawing._repr_html_() == drawing.svg()


def test_a_png_and_an_svg_hold_the_same_drawing(tmp_path: Path) -> None:
    drawing = eyesight.diagram("resnet20")
    with Image.open(drawing.save(tmp_path / "x.png")) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[0] / pixels.shape[1] == pytest.approx(drawing.height / drawing.width, rel=0.02)
    assert 0.02 < (pixels < 128).mean() < 0.3
    box = ET.fromstring(drawing.save(tmp_path / "x.svg").read_text()).attrib["viewBox"].split()
    assert float(box[3]) / float(box[2]) == pytest.approx(drawing.height / drawing.width, rel=0.01)


def test_blocks_by_themselves_have_a_way_in_and_out() -> None:
    layers = chain(conv=Conv(out=4, kernel=3, padding="same"), relu=RELU, pool=MaxPool())
    drawing = block_drawing(parts(layers, (4, 8, 8)), "a block")
    assert_tidy(drawing)
    arrows = [shape for shape in drawing.shapes if isinstance(shape, Strokes) and shape.arrow]
    assert len(arrows) == 3
    assert math.isclose(arrows[0].paths[0][0][1], arrows[-1].paths[0][0][1])


# from the shell


def test_summary_draws_a_network_by_name_and_one_that_was_trained(
    digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", "lenet5", "--input", "28x28x1", "--diagram", "lenet5.svg"]) == 0
    out, err = capsys.readouterr()
    assert "total: 61,706 parameters" in out
    assert err == "diagram: lenet5.svg\n"
    assert "<title>lenet5: 28×28×1 → 10 classes, 61,706 parameters</title>" in Path("lenet5.svg").read_text()
    for source in (digits_run.path, digits_run.model_file):
        assert main(["summary", str(source), "--diagram", "run.svg"]) == 0
        assert f"{digits_run.classifier.spec.parameters():,} parameters" in Path("run.svg").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["lenet5", "--diagram", "x.pdf"], "--diagram: expected a name that ends in .svg or .png; received: x.pdf"),
        (["lenet"], "unknown network 'lenet'; did you mean 'lenet5'?"),
        (["vgg16", "--input", "8x8x3"], "vgg16 needs pictures of at least 32x32 pixels; received: 8x8"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", *options]) == 2
    assert capsys.readouterr() == ("", f"eyesight: error: {said}\n")


def test_the_size_of_a_trained_network_is_its_own(digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--input", "8x8x1"), ("--classes", "3")):
        assert main(["summary", str(digits_run.path), option, value]) == 2
        assert f"{option}: {digits_run.path} was trained for its own; leave it out" in capsys.readouterr().err
