"""Lessons: every number that they show is right, whoever's numbers they are, and nothing is drawn over another."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import itertools
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.signal import correlate2d
from scipy.special import softmax

import eyesight
import eyesight.lessons
import eyesight.report
from eyesight.api import lesson_subjects
from eyesight.cli import main
from eyesight.lessons import channels, layers, outputs, pictures, pooling, reading, step_by_step
from eyesight.lessons.topics import LESSONS, LINES
from eyesight.models import network_spec
from eyesight.report.document import Card, Line, Words
from eyesight.report.sheet import sheet
from lesson_blocks import assert_tidy, drawn_texts, everything, grids, table, text_of, told, worth

WITHOUT_MODEL = [name for name in LESSONS if name not in lesson_subjects.ON_NETWORKS]
PUBLISHED = "10 2 0 3; 50 7 7 1; 0 0 25 4; 9 8 7 6"
KERNEL = "1 0 -1; 0 0 0; -1 0 1"
MODULES = [
    module.name
    for package in (eyesight.lessons, eyesight.report)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
LARGE = "; ".join(" ".join(str((i * 12 + j) * 7 % 256) for j in range(12)) for i in range(12))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(name)).failed


# the list, and what is printed


def test_topics_are_listed_in_reading_order_a_line_each_without_loading_torch() -> None:
    code = (
        "import sys; from eyesight.cli import main; code = main(['lesson']);"
        "sys.exit(code or 9 * bool({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    listed = [line.split("  ")[0].strip() for line in result.stdout.splitlines()[1:-1]]
    assert listed == list(LESSONS) == list(LINES)
    assert listed[0] == "picture"
    assert listed[-1] == "layers"


@pytest.fixture(scope="module")
def wall(digits_run: eyesight.Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """All lessons told at once: the folder of the sheets, and the text of each."""
    folder, printed = tmp_path_factory.mktemp("wall"), io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setitem(lesson_subjects._BY_HEART, "epochs", 2)
        assert main(["lesson", "all", "-o", str(folder), "--model", str(digits_run.path)]) == 0
    parts = re.split(rf"\nsheet: {folder}/lesson-([a-z-]+)\.png\n", printed.getvalue())
    assert parts[1::2] == list(LESSONS)
    return folder, dict(zip(parts[1::2], parts[::2], strict=False))


@pytest.mark.parametrize("topic", list(LESSONS))
def test_every_topic_is_told_in_80_plain_columns_and_drawn(topic: str, wall: tuple[Path, dict[str, str]]) -> None:
    folder, texts = wall
    lines = texts[topic].splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line != line.rstrip() or "\x1b" in line]
    assert len(list(folder.iterdir())) == len(LESSONS)
    with Image.open(folder / f"lesson-{topic}.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert min(pixels.shape) > 400
    assert 0.01 < (pixels < 200).mean() < 0.7  # neither blank nor black


def test_a_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in told("relu", "-o", "one.png", capsys=capsys)
    assert Path("one.png").is_file()


def test_a_sheet_goes_where_it_is_said_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    package = Path(eyesight.__file__).parent

    def files() -> set[Path]:
        return {path for path in package.rglob("*") if path.suffix != ".pyc" and path.is_file()}

    before = files()
    assert "\nsheet: lesson-relu.png\n" in told("relu", capsys=capsys)
    assert "\nsheet: new/lesson-relu.png\n" in told("relu", "-o", "new", capsys=capsys)
    assert sorted(map(str, Path().rglob("*.png"))) == ["lesson-relu.png", "new/lesson-relu.png"]
    assert files() == before
    assert main(["lesson", "--help"]) == 0
    assert "./lesson-TOPIC.png" in capsys.readouterr().out


CROWDED = {
    "convolution": {"picture": reading.matrix(LARGE), "kernel": reading.kernel("gaussian5"), "padding": "same"},
    "output-size": {"picture": (12, 12), "size": 5, "stride": 3},
    "pooling": {"picture": reading.matrix("1.5 -2e8 3; 4 5 6; 7 8 1e9"), "size": 2},
    "flatten": {"planes": reading.planes(f"{LARGE}")},
    "softmax": {"logits": np.linspace(-700, 700, 12)},
    "parameters": {"shape": (9999, 9999, 3), "units": 4096, "size": 8},
    "shift": {"picture": reading.matrix(LARGE) / 7, "size": 3},
    "picture": {"planes": reading.planes(f"{LARGE} | {LARGE} | {LARGE}")},
    "padding": {"picture": reading.matrix(LARGE), "kernel": reading.kernel("gaussian5")},
    "batch": {"pictures": reading.planes(" | ".join([LARGE] * 8))},
    "relu": {"values": -1e6 * reading.matrix(LARGE)},
    "channels": {"planes": np.stack([reading.matrix(LARGE)[:6, :6]] * 3) / 3},
    "network": {"spec": network_spec("efficientnet-lite2", shape=(999, 33, 3), classes=12345)},
    "architectures": {},
}


@pytest.mark.parametrize("arguments", ["defaults", pytest.param("crowded", marks=pytest.mark.long)])
@pytest.mark.parametrize("topic", WITHOUT_MODEL)
def test_no_two_texts_on_a_sheet_overlap_and_all_lie_on_it(topic: str, arguments: str) -> None:
    lesson = LESSONS.load(topic)(**(CROWDED[topic] if arguments == "crowded" else {}))
    assert_tidy(sheet(lesson))


# convolution


def test_the_published_cell_is_35_in_the_terminal_and_on_the_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    out = told("convolution", capsys=capsys)
    assert "10×1 + 2×0 + 0×(-1) + 50×0 + 7×0 + 7×0 + 0×(-1) + 0×0 + 25×1" in out
    assert "= 10 + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 25 = 35" in out
    assert "[ 10   2   0]  3         1   0  -1       *35   ?" in out
    assert out == told("convolution", "--input", PUBLISHED, "--kernel", KERNEL, capsys=capsys)
    texts = drawn_texts(sheet(step_by_step.convolution()))
    assert "row 1, column 1: 35" in texts
    assert "10×1 + 2×0 + 0×(−1) + 50×0 + 7×0 + 7×0 + 0×(−1) +" in texts


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, str]:
    whole = st.integers(-20, 20).map(float)
    padding = draw(st.sampled_from(["valid", "same"]))
    height, width = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    sides = st.sampled_from([1, 3, 5]) if padding == "same" else st.integers(1, min(height, width, 4))
    kernel = draw(arrays(np.float64, draw(st.tuples(sides, sides)), elements=whole))
    return draw(arrays(np.float64, (height, width), elements=whole)), kernel, draw(st.integers(1, 3)), padding


@settings(deadline=None, max_examples=60)
@given(case=convolutions())
def test_every_step_of_a_convolution_adds_up_to_what_scipy_says(case: tuple[np.ndarray, np.ndarray, int, str]) -> None:
    picture, kernel, stride, padding = case
    around = picture
    if padding == "same":  # Keras' place for the zeros
        sizes = zip(picture.shape, kernel.shape, strict=True)
        zeros = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in sizes]
        around = np.pad(picture, [(z // 2, z - z // 2) for z in zeros])
    expected = correlate2d(around, kernel, mode="valid")[::stride, ::stride]
    lesson = step_by_step.convolution(picture=picture, kernel=kernel, stride=stride, padding=padding)
    steps = [b for b in everything(lesson) if isinstance(b, Card)]
    for step in steps:
        row, column, value = re.fullmatch(r"row (\d+), column (\d+): (-?[\d,]+)", step.title).groups()
        cell = int(row) - 1, int(column) - 1
        first, second = (block.text for block in step.blocks if isinstance(block, Words))
        assert float(value.replace(",", "")) == expected[cell] == worth(first)
        assert worth(second.split(" = ")[0].replace(",", "").removeprefix("= ")) == expected[cell]
        for whole, weights, _ in [block.blocks[::2] for block in step.blocks if isinstance(block, Line)]:
            top, side, high, wide = whole.window
            window = whole.values[top : top + high, side : side + wide]
            assert (window * weights.values).sum() == expected[cell]
            assert {whole.in_window(i, j) for i in range(top, top + high) for j in range(side, side + wide)} == {True}
    assert steps
    assert expected.shape == next(g for g in grids(lesson) if g.title.startswith("feature map")).values.shape


def test_stride_and_padding_are_the_readers(capsys: pytest.CaptureFixture[str]) -> None:
    own = ("--input", "1 2 3 4 5; 6 7 8 9 10; 11 12 13 14 15", "--kernel", "1 1 1; 1 1 1; 1 1 1")
    out = told("convolution", *own, "--padding", "same", "--stride", "2", capsys=capsys)
    assert "row by row: 16 33 28; 36 63 48" in out
    assert "rows: 3 / 2 rounded up = 2; columns: 5 / 2 rounded up = 3" in out


# size, parameters, pictures


@pytest.mark.parametrize(
    ("height", "width", "size", "stride"), [(28, 28, 3, 2), (12, 9, 5, 3), (300, 7, 7, 2), (6, 6, 1, 4)]
)
def test_output_sizes_are_those_of_a_convolution_that_is_run(height: int, width: int, size: int, stride: int) -> None:
    lesson = step_by_step.output_size(picture=(height, width), size=size, stride=stride)
    for kernel, *cells in table(lesson):
        side = int(kernel.split("×")[0])
        blank, weights = torch.zeros(1, 1, height, width), torch.zeros(1, 1, side, side)
        for (padding, step), cell in zip(
            itertools.product(("valid", "same"), (1, stride)), np.reshape(cells, (2, 2)).T.ravel(), strict=True
        ):
            grown = F.pad(blank, [side // 2] * 4) if padding == "same" else blank
            shape = F.conv2d(grown, weights, stride=step).shape
            assert cell == f"{shape[2]}×{shape[3]}", (kernel, padding, step)


def test_the_tutorials_inputs_of_a_dense_neuron_and_all_parameters_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = told("parameters", "--units", "10", "--filters", "6", "--size", "5", "--input", "40x50x1", capsys=capsys)
    assert "100 × 100 × 3 = 30,000 inputs" in out
    assert "200 × 200 × 3 = 120,000 inputs" in out
    dense = sum(p.numel() for p in torch.nn.Linear(40 * 50, 10).parameters())
    conv = sum(p.numel() for p in torch.nn.Conv2d(1, 6, 5).parameters())
    assert f"= {dense:,} parameters" in out
    assert f"= {conv:,} parameters" in out
    assert f"{dense / conv:,.0f} times as many" in out
    assert "3,844,682" in out  # T5's network
    assert "122,570" in out  # T2's


def test_a_picture_is_the_numbers_of_a_real_digit_and_three_matrices_of_a_real_photo() -> None:
    shown = grids(pictures.picture())
    digit = eyesight.load_data("digits").test.gather([0])[0, ..., 0]
    assert [g for g in shown if g.numbers and np.array_equal(g.values, digit)]
    color, red, green, blue = shown[-4:]
    assert np.array_equal(color.values, np.stack([red.values, green.values, blue.values], axis=2))
    assert np.ptp(color.values) > 100


def test_a_picture_of_the_readers_own(capsys: pytest.CaptureFixture[str]) -> None:
    out = " ".join(told("picture", "--input", "0 128; 255 7", capsys=capsys).split())
    assert "2 rows × 2 columns = 4 numbers; the brightest, 255, is in row 2, column 1; the mean is 97.5." in out
    assert "Colour" not in out
    out = " ".join(told("picture", "--input", "1 2; 3 4 | 5 6; 7 8 | 9 10; 11 12", capsys=capsys).split())
    assert "is red 4, green 8, blue 12." in out
    assert "Grey" not in out


# pooling


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (2, 1), (3, 2), (1, 1), (4, 3)])
def test_pooling_is_torchs(size: int, stride: int) -> None:
    picture = np.random.default_rng(0).integers(-9, 10, (7, 6)).astype(float)
    lesson = pooling.pooling(picture=picture, size=size, stride=stride)
    given_ = torch.from_numpy(picture)[None]
    for word, function in (("max", F.max_pool2d), ("average", F.avg_pool2d)):
        found = next(g.values for g in grids(lesson) if g.title == f"{word}, stride {stride}")
        np.testing.assert_allclose(found, function(given_, size, stride)[0].numpy())


def test_pooling_shows_stride_2_and_stride_1_cell_by_cell(capsys: pytest.CaptureFixture[str]) -> None:
    out = told("pooling", "--input", "1 2 3 4; 5 6 7 8; 9 10 11 12; 13 14 15 16", capsys=capsys)
    assert "stride 2: max 6 8 / 14 16; average 3.5 5.5 / 11.5 13.5" in out
    assert "stride 1: max 6 7 8 / 10 11 12 / 14 15 16" in out
    assert out.count("largest of") == 4 + 9
    assert "largest of 11, 12, 15, 16 = 16" in out
    assert "(11 + 12 + 15 + 16) / 4 = 13.5" in out


def test_a_picture_that_moves_changes_the_feature_map_more_than_the_pooled_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = " ".join(told("shift", capsys=capsys).split())
    found = re.search(r"by 1 pixel: picture (\d+) of 64, feature map (\d+) of 36, max pooled (\d+) of 9; by 2", out)
    assert found
    still, moved = (np.roll(pooling.MOVED, step, axis=1) for step in (0, 1))  # nothing leaves at the right
    maps = [np.maximum(correlate2d(p, pooling.UPRIGHT, mode="valid"), 0) for p in (still, moved)]
    pooled = [F.max_pool2d(torch.from_numpy(m)[None], 2)[0].numpy() for m in maps]
    counts = [int((a != b).sum()) for a, b in ((still, moved), maps, pooled)]
    assert [int(n) for n in found.groups()] == counts
    assert counts[2] < counts[1] / 4
    before, after = map(int, re.search(r"is (\d+)% in the feature maps and (\d+)% after pooling: less", out).groups())
    assert before > after > 0


# what comes after


def test_flatten_is_torchs_and_says_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    out = told("flatten", "--input", "1 2; 3 4 | 5 6; 7 8", capsys=capsys)
    order = torch.tensor([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]).flatten(1)[0].tolist()
    assert re.search(r"flatten +" + " +".join(map(str, order)) + "$", out, re.MULTILINE)
    assert "2×2×2 → 8" in out
    assert "2×2×1 → 4" in told("flatten", capsys=capsys)


def test_relu_cuts_off_what_is_below_zero() -> None:
    values = np.array([[1.5, -2.0], [0.0, -0.25]])
    before, after = grids(outputs.relu(values=values))
    np.testing.assert_array_equal(after.values, F.relu(torch.from_numpy(values)).numpy())
    assert before.marked == {(0, 1), (1, 1)}
    assert "2 of 4 cells" in text_of(outputs.relu(values=values))


@settings(deadline=None, max_examples=30)
@given(logits=arrays(np.float64, st.integers(2, 12), elements=st.floats(-700, 700)))
def test_softmax_is_scipys_and_argmax_the_first_of_the_largest(logits: np.ndarray) -> None:
    lesson = outputs.softmax(logits=logits)
    expected = softmax(logits)
    assert [row[-1] for row in table(lesson)] == [f"{p:.4f}" for p in expected]
    assert f"class {int(np.argmax(expected))}, with probability {expected.max():.4f}" in " ".join(
        text_of(lesson).split()
    )


def test_softmax_takes_the_readers_logits(capsys: pytest.CaptureFixture[str]) -> None:
    assert "7.3891 / 11.2125       0.6590" in told("softmax", "--input", "2 1 0.1", capsys=capsys)
    assert "class 1, with probability 0.9975" in told("softmax", "--input", "-1 5", capsys=capsys)


@pytest.mark.parametrize("own", [False, True], ids=["default", "own"])
def test_the_whole_way_is_what_torch_computes(own: bool) -> None:
    rng = np.random.default_rng(3)
    planes, kernels = channels.PICTURE, channels.KERNELS
    weights = channels.go(planes, kernels).weights
    if own:
        planes, kernels = rng.integers(-5, 6, (3, 5, 6)).astype(float), rng.integers(-2, 3, (3, 3, 2)).astype(float)
        weights = rng.integers(-3, 4, (2, 8)).astype(float) / 10
    map_ = F.conv2d(torch.from_numpy(planes)[None], torch.from_numpy(kernels)[None])
    flat = F.max_pool2d(map_, 2, stride=1).flatten(1)
    logits = F.linear(flat, torch.from_numpy(weights))[0]
    shares = logits.softmax(0).numpy()
    lesson = channels.channels(planes=planes, kernels=kernels, weights=weights)
    shown = {g.title: g.values for g in grids(lesson)}
    np.testing.assert_allclose(shown["feature map"], map_[0, 0].numpy())
    np.testing.assert_allclose(shown["in a row"], flat.numpy())
    np.testing.assert_allclose(shown["logits"][:, 0], logits.numpy())
    out = text_of(lesson)
    assert f'The answer: "{channels.ANSWERS[shares.argmax()]}", with probability {shares.max():.4f}.' in out
    if not own:
        assert shown["red 4×4"].shape == (4, 4)
        assert shown["feature map"].shape == (3, 3)
        assert shown["pooled"].shape == (2, 2)
        for line in re.findall(r"(?:red|green|blue|dog): ([-\d×.+ ()]+ = -?[\d.]+)$", out, re.MULTILINE):
            left, right = line.split(" = ")
            assert worth(left) == pytest.approx(float(right))


def test_the_whole_way_takes_the_readers_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    plane = "1 0 0; 0 1 0; 0 0 1"
    out = told("channels", "--input", f"{plane} | {plane} | {plane}", "--kernel", "1 0; 0 1",
               "--weights", "-1; 2", capsys=capsys)  # fmt: skip
    assert "2 + 2 + 2 = 6" in out
    assert "no dog: 6×2 = 12" in out
    assert 'The answer: "no dog", with probability 1.0000.' in out


# a trained network


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> eyesight.Run:
    """A plain network whose first layer has filters of 3x3."""
    output = tmp_path_factory.mktemp("runs") / "plain"
    return eyesight.train("digits", model="small-cnn-1pool", epochs=3, output=output, progress=False)


def test_layers_shows_shapes_filters_and_maps_of_a_run(
    plain_run: eyesight.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told("layers", "--model", str(plain_run.path), capsys=capsys)
    assert "8×8×1 → 8×8×32 → 8×8×64 → 4×4×64 → 1024 → 64 → 10; 85,066 parameters." in out
    classifier = plain_run.classifier
    picture = plain_run.data().test.gather([0])[0]
    best = classifier.probabilities(picture[None])[0]
    assert f"The answer: {best.argmax()}, with probability {best.max():.4f}." in out
    assert f"test picture 0 of digits, a {plain_run.data().test.labels[0]}" in out
    weights = classifier.network.get_submodule("features.stage1.conv").weight.detach().numpy()
    lesson = layers.layers(classifier=classifier, picture=picture, source="a digit")
    named = {int(g.title[1:]): g.values for g in grids(lesson) if g.title.startswith("#") and g.numbers}
    assert len(named) == 6
    for k, values in named.items():
        np.testing.assert_array_equal(values, weights[k, 0].astype(np.float64))
    assert_tidy(sheet(lesson))
    assert max(map(len, text_of(lesson).splitlines())) <= 80
    assert not classifier.network.get_submodule("features.stage1.conv")._forward_hooks


def test_captured_maps_are_what_the_network_computes_layer_by_layer(plain_run: eyesight.Run) -> None:
    classifier = plain_run.classifier
    picture = plain_run.data().test.gather([3])[0]
    stages = layers.capture(classifier, picture)
    scale = classifier.inference.preprocessing
    x = (torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - torch.tensor(scale.mean)) / torch.tensor(scale.std)
    net = classifier.network
    with torch.no_grad():
        first = net.features.stage1.conv(x).relu()
        second = net.features.stage2.conv(first).relu()
        last = net(x)
    for stage, expected in (
        (stages[0], first),
        (stages[1], second),
        (stages[2], F.max_pool2d(second, 2)),
        (stages[-1], last),
    ):
        np.testing.assert_allclose(stage.values, expected[0].numpy(), atol=1e-4, err_msg=stage.row.layer)


@pytest.mark.parametrize("network", ["lenet5", "mlp", "small-cnn-1pool", "whitened-16-32-32"])
def test_layers_takes_networks_without_convolutions_and_colour_pictures(
    network: str, bars_data: eyesight.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = eyesight.train(bars_data, model=network, epochs=1, output=tmp_path / "run", progress=False, threads=1)
    Image.fromarray(bars_data.test.gather([0])[0]).resize((50, 40)).save(tmp_path / "bar.png")
    capsys.readouterr()
    out = told("layers", "--model", str(run.model_file), "--picture", str(tmp_path / "bar.png"), capsys=capsys)
    assert "The picture: bar.png, 12×12×3." in out
    assert re.search(r"The answer: (across|down|slanted), with probability", out)
    assert max(map(len, out.splitlines())) <= 80
    lesson = layers.layers(classifier=run.classifier, picture=bars_data.test.gather([0])[0], source="a bar")
    assert_tidy(sheet(lesson))
    assert main(["lesson", "layers", "--model", str(run.path)]) == 2  # trained on arrays: no picture to be found
    error = capsys.readouterr().err
    assert error.startswith("eyesight: error: --picture: name one")
    assert error.count("\n") == 1


def test_a_network_of_the_users_own_has_no_layers_that_we_know(bars_data: eyesight.Dataset) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 3))
    spec = eyesight.train(bars_data, epochs=1, output="spec", progress=False, threads=1).classifier.inference
    own = eyesight.Classifier(module, spec, bars_data.classes)
    with pytest.raises(eyesight.EyesightError, match="whose layers only its own code knows"):
        layers.layers(classifier=own, picture=bars_data.test.gather([0])[0], source="a bar")


@pytest.mark.long
def test_without_a_model_a_small_network_is_trained_and_nothing_of_it_stays(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out = told("layers", "-o", "layers.png", capsys=capsys)
    assert "The answer: 1" in out
    assert [path.name for path in tmp_path.iterdir()] == ["layers.png"]


# bad input

WRONG = {
    "ragged": (["convolution", "--input", "1 2; 3"], "--input: expected rows of equal length"),
    "letters": (["convolution", "--input", "1 a; 3 4"], "received: 'a'"),
    "kernel letters": (["convolution", "--kernel", "1 x; 3 4"], "received: 'x'"),
    "not a number": (["pooling", "--input", "1 nan; 3 4"], "received: 'nan'"),
    "empty": (["convolution", "--input", " "], "--input: expected rows of numbers"),
    "kernel too large": (["convolution", "--input", "1 2; 3 4"], "--kernel: with padding valid expected at most"),
    "even with same": (["convolution", "--kernel", "1 2; 3 4", "--padding", "same"], "--kernel: with padding same"),
    "window too large": (["pooling", "--size", "5"], "--size: expected a pooling window within 4×4"),
    "stride 0": (["convolution", "--stride", "0"], "--stride"),
    "unknown": (["convolutoin"], "unknown lesson 'convolutoin'; did you mean 'convolution'?"),
    "foreign option": (["softmax", "--stride", "2"], "--stride: does not belong to the lesson softmax"),
    "foreign option of layers": (["layers", "--input", "1"], "--input: does not belong to the lesson layers"),
    "model elsewhere": (["relu", "--model", "runs/x"], "--model: does not belong to the lesson relu"),
    "option without topic": (["--stride", "2"], "--stride: name the topic"),
    "option for all": (["all", "--input", "1 2"], "--input: all takes only --model and --picture"),
    "huge": (["convolution", "--input", LARGE.replace("; ", " 0; ") + " 0"], "at most 12×12 numbers; received: 12×13"),
    "huge kernel": (["convolution", "--kernel", "blur9"], "--kernel: a lesson can draw at most 7×7 numbers"),
    "channels missing": (["channels", "--input", "1 2; 3 4"], "--input: expected three matrices parted by |"),
    "channels differ": (["channels", "--input", "1 2|1 2|1"], "--input: expected matrices of one shape"),
    "nothing to pool": (["channels", "--kernel", "1 1 1 1"], "--kernel: expected a feature map of at least 2×2"),
    "weights": (["channels", "--weights", "1 2"], "--weights: expected 2 rows (dog, no dog) of 4 numbers"),
    "one logit": (["softmax", "--input", "3"], "--input: expected one row of 2 to 12 numbers"),
    "two rows of logits": (["softmax", "--input", "3 1; 2 2"], "--input: expected one row of numbers"),
    "logit too large": (["softmax", "--input", "1000 1"], "numbers from -700 to 700"),
    "no pixel": (["picture", "--input", "1 256"], "with numbers from 0 to 255"),
    "no size": (["parameters", "--input", "20x"], "--input: expected HEIGHTxWIDTHxCHANNELS"),
    "kernel larger than the size": (["output-size", "--input", "4x4", "--size", "5"], "--size: "),
    "moved picture too small": (["shift", "--input", "1 2; 3 4"], "expected at most the picture's 2×2"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), WRONG.values(), ids=WRONG)
def test_numbers_that_do_not_fit_are_one_line_and_leave_no_sheet(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lesson", *arguments]) == 2
    out, error = capsys.readouterr()
    assert words in error
    assert error.startswith("eyesight: error: ")
    assert error.count("\n") == 1
    assert out == ""
    assert not list(Path().iterdir())
