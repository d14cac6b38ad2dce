"""The five tutorials: each to the letter, what each prints and draws, the notebooks."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from nbclient import NotebookClient
from PIL import Image

import eyesight
from eyesight.cli import main
from eyesight.data.catalog import entry
from eyesight.errors import UnknownNameError, UsageError
from eyesight.evaluation.overfitting import Overfitting, Share
from eyesight.lessons.tutorials.account import WIDTH, Account
from eyesight.lessons.tutorials.gap import describe_dropout, describe_gap
from eyesight.lessons.tutorials.keras_form import layer_table
from eyesight.lessons.tutorials.programs import TUTORIALS, find, read_measured
from eyesight.lessons.tutorials.telling import STORIES, compare
from eyesight.models import network_spec
from eyesight.report.terminal import align_columns
from eyesight.training.plan import entries
from eyesight.training.plan.measured import Spread

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))
SCRIPTS = sorted(EXAMPLES.glob("tutorial_*.py"))
PROGRAM = [sys.executable, "-c", "import sys; from eyesight.cli import main; sys.exit(main())"]
LENET_LINE = re.compile(r"Epoch # \d+\. Train Loss: \d+\.\d\d\. Train Acc \(Test Acc\): [01]\.\d\d \([01]\.\d\d\)")

# What tutorials.md says of each, apart from what all of them have.
LETTER = {
    "fashion-early-stopping": ("fashion-mnist", "small-cnn-3pool", "test", 94_154, {"epochs": 25}),
    "cifar10-quickstart": ("cifar10", "small-cnn", "test", 122_570, {"epochs": 10}),
    "fashion-same-padding": ("fashion-mnist", "small-cnn-same", "test", 257_162, {"epochs": 10}),
    "lenet5-mnist": ("mnist", "lenet5", "test", 61_706, {"updates": 300, "batch_size": 100, "sampling": "replacement",
                                                        "validate_every": 5, "validation_sample": 500}),
    "cifar10-dense": ("cifar10", "mlp", 0.0, 3_844_682, {"epochs": 15, "optimizer": "keras-rmsprop",
                                                         "normalize": "centered"}),
}  # fmt: skip
KERAS = {"batch_size": 32, "optimizer": "keras-adam", "lr": 1e-3, "schedule": "constant", "normalize": "unit",
         "keep": "last", "sampling": "shuffled", "validate_every": None, "validation_sample": None, "flip": False,
         "shift": 0, "weight_decay": 0.0, "label_smoothing": 0.0, "clip_norm": None, "averaging": "none",
         "accumulate": 1, "epochs": None, "updates": None, "budget": None}  # fmt: skip


def part(data: eyesight.Dataset, train: int = 128, test: int = 100) -> eyesight.Dataset:
    """Return the first pictures of a real dataset, so that a tutorial takes a second."""
    assert data.test is not None
    first, judged = (
        s.select(np.arange(n), name=s.name) for s, n in ((data.with_validation(0).train, train), (data.test, test))
    )
    return dataclasses.replace(
        data, train=first, test=judged, validation=None, protocol="no-validation", validation_share=0, _whole_train=None
    )


@pytest.fixture(scope="module")
def parts(data_dir: Path) -> dict[str, eyesight.Dataset]:
    names = {find(name).config["data"]["name"] for name in TUTORIALS}
    return {name: part(eyesight.load_data(name, data_dir=data_dir, validation=0)) for name in names}


def same_program(run: eyesight.Run, name: str, *lengths: str) -> None:
    """Assert that a run was trained as the preset says, but for its length."""
    got, expected = run.config.model_dump(), find(name).configuration().model_dump()
    for config in (got, expected):
        del config["machine"]["device"], config["machine"]["threads"]
        for length in lengths:
            del config["recipe"][length]
    assert got == expected


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_configuration_is_the_tutorial_to_the_letter(name: str) -> None:
    tutorial = find(name)
    data, model, validation, parameters, recipe = LETTER[name]
    config = tutorial.configuration()
    assert (config.data.name, config.data.validation) == (data, validation)
    assert (config.model.name, config.model.dropout, config.model.batch_norm) == (model, 0, False)
    wanted = KERAS | recipe
    assert {key: getattr(config.recipe, key) for key in wanted} == wanted
    stopping = config.recipe.early_stopping
    assert (stopping and stopping.model_dump()) == (
        {"monitor": "val_loss", "patience": 2} if name == "fashion-early-stopping" else None
    )
    assert config.machine.precision == "fp32"
    assert config.seed == (98 if name == "lenet5-mnist" else 0)
    height, width, channels = map(int, entry(data).size.split("x"))
    table = eyesight.summary(model, input=(height, width, channels), classes=10)
    assert table.parameters == tutorial.parameters == parameters


@pytest.mark.parametrize("name", TUTORIALS)
def test_ours_learns_from_the_same_data_and_chooses_nothing_on_the_test_set(name: str) -> None:
    tutorial = find(name)
    theirs, ours = tutorial.configuration(), tutorial.configuration(ours=True, seed=7)
    assert (ours.data.name, ours.data.validation, ours.seed) == (theirs.data.name, 0, 7)
    for key in entries.compare(theirs.model_dump(), ours.model_dump()):
        assert key == "seed" or tutorial.why.get(key), f"{key}: the account does not say why it differs"


def test_every_tutorial_has_a_story_and_figures_with_their_origin() -> None:
    assert set(STORIES) == set(TUTORIALS) == set(read_measured())
    for measured in read_measured().values():
        assert measured.published
        assert measured.keras is not None
        assert 0.4 < measured.keras.mean < 1
        assert measured.keras.n >= 5


def test_the_list_says_what_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "lenet5-mnist"
    measured = dataclasses.replace(read_measured()[name], eyesight=None, ours=Spread(0.9831, 0.0012, 5, 3.2))
    monkeypatch.setitem(read_measured(), name, measured)
    assert main(["tutorial"]) == 0
    out = capsys.readouterr().out
    accuracies, times = "0.958 ± 0.004  not measured +0.983 ± 0.001", "11 s, n = 14 +3 s, n = 5"
    assert re.search(rf"^{name} +{accuracies}\n +{times}$", out, re.MULTILINE)
    assert "Keras 3.15" in out


def test_the_list_names_all_five(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tutorial"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for name in TUTORIALS:
        assert len(re.findall(f"^{name} ", out, re.MULTILINE)) == 2
        assert f"{find(name).parameters:,}" in out
    assert main(["tutorial", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(TUTORIALS)
    assert rows[3]["command"] == "eyesight tutorial lenet5-mnist"


def test_lenet_prints_the_tutorials_lines_also_beside_a_progress_bar(data_dir: Path, tmp_path: Path) -> None:
    """With stderr on a terminal and stdout in a file, the bar must not take stdout's lines."""
    command = ["tutorial", "lenet5-mnist", "--updates", "12", "--threads", "1", "-o", "run", "--data-dir", data_dir]
    reader, terminal = pty.openpty()
    process = subprocess.Popen([*PROGRAM, *map(str, command)], stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    shown: list[bytes] = []
    watcher = threading.Thread(target=drain, args=(reader, shown))
    watcher.start()
    out, _ = process.communicate(timeout=120)
    watcher.join()
    os.close(reader)
    assert process.returncode == 0, b"".join(shown)
    assert b"60,000 training pictures, 12 updates" in b"".join(shown)
    lines = [line for line in out.splitlines() if line.startswith("Epoch #")]
    assert [line.split(".")[0] for line in lines] == ["Epoch # 5", "Epoch # 10", "Epoch # 12"]
    assert all(map(LENET_LINE.fullmatch, lines))
    rows = eyesight.open_run("run").metrics()
    assert lines[0] == (
        f"Epoch # 5. Train Loss: {rows[0]['loss']:.2f}. "
        f"Train Acc (Test Acc): {rows[0]['accuracy']:.2f} ({rows[0]['val_accuracy']:.2f})"
    )
    for text in ("note: 12 updates in place of the tutorial's 300 updates: the figures", "padded: (60000, 32, 32, 1)",
                 "Total params: 61,706", "all 10,000 test pictures", "the tutorial says", "Keras here",
                 "this run (another length or data)", "seed"):  # fmt: skip
        assert text in out, text
    assert [path.name for path in drawn("run")] == ["accuracy.png", "loss.png", "predictions.png"]
    same_program(eyesight.open_run("run"), "lenet5-mnist", "updates")


def drain(terminal: int, into: list[bytes]) -> None:
    """Read what a program shows on a terminal, so that it never has to wait."""
    with contextlib.suppress(OSError):  # the program has let go of it
        while text := os.read(terminal, 4096):
            into.append(text)


# as long as their paths and figures are
LONG = ("figure: ", "run: ", "next: ", "eyesight train --config", "4/4 ")


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def drawn(run: str | Path) -> list[Path]:
    """Return the figures of a tutorial, each of which must be a picture with something on it."""
    paths = sorted((Path(run) / "tutorial").glob("*"))
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("L").getcolors(1 << 16) or ()) > 10, path.name
    return paths


PRINTED = {
    "fashion-early-stopping": (
        "Training data: (128, 28, 28), Test data: (100, 28, 28)",
        "Label of the first training picture: 9 (Ankle boot)",
        "Pixels: 0 to 255; divided by 255: 0.0 to 1.0",
        'EarlyStopping(monitor="val_loss", patience=2)',
        "Total params: 94,154", "Trainable params: 94,154", "    9  Ankle boot", "Confused most: ", "argmax: ",
        "; its label is 9 (Ankle boot)",
        "The tutorial names the test set as its validation data",
    ),
    "cifar10-quickstart": (
        "divided by 255", "Total params: 122,570", "more epochs (eyesight tutorial cifar10-quickstart --epochs 20), or",
        "other dense layers", "The tutorial names the test set as its validation data",
    ),
    "fashion-same-padding": (
        "Shape before: (128, 28, 28)", "Shape after:  (128, 28, 28, 1)", "Total params: 257,162", "Test loss: ",
        "Test accuracy: ", "The tutorial says that dropout would reduce the overfitting; here there is none",
        "filters ", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation",
        "use_bias", "kernel_initializer", "bias_initializer", "input_shape",
        "The tutorial names the test set as its validation data",
    ),
    "cifar10-dense": (
        "First ten labels: [", "Training data: (128, 32, 32, 3), labels (128, 1)", "Pixels: min 0, max 255",
        "Pixels: 0 to 255 become -0.5 to 0.5", "Total params: 3,844,682", "by guessing: ",
        "302×403 → 300×401, 10 parameters", "302×403 → 296×397, 50 parameters",
    ),
}  # fmt: skip
DRAWN = {
    "fashion-early-stopping": ["confusion.png", "curves.png", "first-picture.png"],
    "cifar10-quickstart": ["accuracy.png", "pictures.png"],
    "fashion-same-padding": ["curves.png", "pictures.png"],
    "cifar10-dense": [
        "accuracy.png",
        "photo-blur7.png",
        "photo-edge-signed.png",
        "photo-edge.png",
        "photo-random.png",
        "pictures.png",
    ],
}


@dataclasses.dataclass
class Told:
    """A tutorial that was run on a part of its data.

    Attributes:
        folder: holds `run`, and `run-ours` where ours was trained too.
        out: what it printed.
        figures: by name, as they were drawn.
        early: the figures that were there when the first epoch had ended.
    """

    folder: Path
    out: str = ""
    figures: dict[str, Figure] = dataclasses.field(default_factory=dict)
    early: list[str] | None = None

    def run(self, name: str = "run") -> eyesight.Run:
        return eyesight.open_run(self.folder / name)


@pytest.fixture(scope="module")
def told(parts: dict[str, eyesight.Dataset], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    """Return what runs a tutorial, once for all tests: short, or one of them whole and with ours."""

    @functools.cache
    def tell(name: str) -> Told:
        result = Told(tmp_path_factory.mktemp(name))
        figure, show = Account.figure, Account.show

        def keep(account: Account, called: str, drawing: Figure, about: str) -> None:
            result.figures[called] = drawing
            figure(account, called, drawing, about)

        def look(account: Account, *lines: str) -> None:
            if result.early is None and lines[0].startswith("Epoch "):
                result.early = names_of(account.folder)
            show(account, *lines)

        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
            patch.chdir(result.folder)
            patch.setattr(Account, "figure", keep)
            patch.setattr(Account, "show", look)
            data = parts[find(name).config["data"]["name"]]
            eyesight.tutorial(name, data=data, output="run", threads=1, progress=False, **LENGTH[name])
        result.out = printed.getvalue()
        return result

    return tell


LENGTH: dict[str, dict[str, object]] = {
    "fashion-early-stopping": {"epochs": 2},
    "cifar10-quickstart": {"ours": True},
    "fashion-same-padding": {"epochs": 2},
    "lenet5-mnist": {"updates": 10},
    "cifar10-dense": {"epochs": 1},
}


def test_lenet_draws_its_two_curves_and_six_titled_digits(
    parts: dict[str, eyesight.Dataset], told: Callable[[str], Told]
) -> None:
    figures = told("lenet5-mnist").figures
    assert [figures[name].axes[0].get_title() for name in ("loss", "accuracy")] == [
        "Loss per Epoch", "Train and Test Accuracy",
    ]  # fmt: skip
    train, test = figures["accuracy"].axes[0].lines
    assert [line.get_xdata().tolist() for line in (train, test)] == [[5, 10], [5, 10]]
    looks = [(line.get_label(), line.get_color(), line.get_linestyle()) for line in (train, test)]
    assert looks == [("Train Set Accuracy", "k", "-"), ("Test Set Accuracy", "r", "--")]
    assert figures["accuracy"].axes[0].get_legend()._loc == Legend.codes["lower right"]
    (loss,) = figures["loss"].axes[0].lines
    assert (loss.get_color(), loss.get_linestyle()) == ("k", "-")
    digits = figures["predictions"].axes
    assert digits[0].get_subplotspec().get_gridspec().get_geometry() == (2, 3)
    actual = [f"Actual: {label} Pred: " for label in parts["mnist"].test.labels[30:36]]
    assert [axes.get_title()[:-1] for axes in digits] == actual


@pytest.mark.parametrize("name", PRINTED)
def test_each_prints_and_draws_what_the_tutorial_does(name: str, told: Callable[[str], Told]) -> None:
    result, tutorial = told(name), find(name)
    words = " ".join(result.out.split())
    for text in PRINTED[name]:
        assert text in result.out or " ".join(text.split()) in words, text
    epochs = LENGTH[name].get("epochs", 10)
    number = r"\d\.\d{4}(?:e-\d\d)?"
    tested = (
        f" - val_accuracy: {number} - val_loss: {number}" if tutorial.config["data"]["validation"] == "test" else ""
    )
    line = rf"^Epoch (\d+)/{epochs}\n4/4 ━{{20}} \d+s \d+[mu]?s/step - accuracy: {number} - loss: {number}{tested}$"
    assert re.findall(line, result.out, re.MULTILINE) == [str(k) for k in range(1, epochs + 1)]
    for row in result.run().metrics():
        assert f"accuracy: {row['accuracy']:.4f} - loss: " in result.out
    assert 'Model: "sequential"\n┏━' in result.out
    assert "128 of" in words
    assert [path.name for path in drawn(result.folder / "run")] == DRAWN[name]
    assert max(len(line) for line in result.out.splitlines() if not line.startswith(LONG)) <= 80
    if "epochs" in LENGTH[name]:
        shorter = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        assert f"{shorter} in place of the tutorial's" in result.out
    assert result.run().status == "complete"
    same_program(result.run(), name, *("epochs" for _ in LENGTH[name].keys() & {"epochs"}))


def test_early_stopping_predicts_the_first_training_picture(
    parts: dict[str, eyesight.Dataset], told: Callable[[str], Told]
) -> None:
    result = told("fashion-early-stopping")
    table = result.out[result.out.index("For the first training picture") :]
    printed = [float(p) for p in re.findall(r"^ +\d  .* (\d\.\d{6})$", table, re.MULTILINE)]
    picture = parts["fashion-mnist"].train.gather([0])
    np.testing.assert_allclose(printed, result.run().classifier.probabilities(picture)[0], atol=1e-6)


def test_same_padding_draws_its_fifteen_pictures_on_white(told: Callable[[str], Told]) -> None:
    drawn = [axes.images[0] for axes in told("fashion-same-padding").figures["pictures"].axes if axes.images]
    assert len(drawn) == 15
    assert {image.get_cmap().name for image in drawn} == {"binary"}
    corner = drawn[0].to_rgba(drawn[0].get_array())[0, 0]
    assert corner.tolist() == [1, 1, 1, 1]  # where a picture is 0


@pytest.mark.parametrize(
    ("learned", "tested", "words"),
    [
        (0.972, 0.912, "Dropout would reduce the overfitting, the gap of 6.0 points"),
        (0.922, 0.912, "The tutorial says that dropout would reduce the overfitting; here there is none"),
    ],
)
def test_dropout_is_named_only_where_there_is_overfitting(learned: float, tested: float, words: str) -> None:
    found = Overfitting(Share("train", round(60_000 * learned), 60_000), Share("test", round(10_000 * tested), 10_000))
    assert describe_dropout(found).startswith(words)
    assert f"a gap of {100 * (learned - tested):.1f} percentage points" in describe_gap(found)
    assert ("It is overfitting" in describe_gap(found)) == (learned > 0.95)


KERAS_TABLE = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                 │ (None, 26, 26, 32)     │           320 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d (MaxPooling2D)    │ (None, 13, 13, 32)     │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv2d_1 (Conv2D)               │ (None, 11, 11, 64)     │        18,496 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d_1 (MaxPooling2D)  │ (None, 5, 5, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv2d_2 (Conv2D)               │ (None, 3, 3, 64)       │        36,928 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ max_pooling2d_2 (MaxPooling2D)  │ (None, 1, 1, 64)       │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 64)             │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 512)            │        33,280 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (None, 10)             │         5,130 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 94,154 (367.79 KB)
 Trainable params: 94,154 (367.79 KB)
 Non-trainable params: 0 (0.00 B)
"""  # printed by Keras 3.15.1


def test_the_layer_table_is_that_of_keras_to_the_letter() -> None:
    lines = layer_table(network_spec("small-cnn-3pool", shape=(28, 28, 1), classes=10))
    assert "".join(f"{line}\n" for line in lines) == KERAS_TABLE
    totals = {
        "small-cnn": "122,570 (478.79 KB)",
        "small-cnn-same": "257,162 (1004.54 KB)",
        "mlp": "3,844,682 (14.67 MB)",
    }
    for name, total in totals.items():
        shape = (28, 28, 1) if name == "small-cnn-same" else (32, 32, 3)
        assert f" Total params: {total}" in layer_table(network_spec(name, shape=shape, classes=10))


def test_figures_of_the_pictures_are_there_while_it_trains(told: Callable[[str], Told]) -> None:
    assert told("fashion-same-padding").early == ["pictures.png"]


def test_ours_is_told_trained_and_compared_on_the_same_data(told: Callable[[str], Told]) -> None:
    result = told("cifar10-quickstart")
    assert result.figures["accuracy"].axes[0].get_ylim() == (0.5, 1)
    assert result.run("run-ours").config.data.validation == 0
    accuracies = [result.run(name).reports()[0]["accuracy"] for name in ("run", "run-ours")]
    table = result.out[result.out.index("Side by side") :]
    for label, accuracy in zip(("this run", "ours"), accuracies, strict=True):
        assert re.search(rf"^{label}.* {accuracy:.4f}$", table, re.MULTILINE)
    assert f"Ours: {accuracies[1]:.4f} against {accuracies[0]:.4f}" in table
    assert re.search(r"^recipe\.flip +False +True +half of the", result.out, re.MULTILINE)


def test_worse_and_slower_is_said_as_it_is() -> None:
    assert (
        compare((0.9, 10), (0.85, 15))
        == "Ours: 0.8500 against 0.9000, 5.0 percentage points less, in 1.50 of the time."
    )


def test_an_interrupted_tutorial_goes_on_with_resume(data_dir: Path) -> None:
    command = ["tutorial", "lenet5-mnist", "--updates", "60", "--threads", "1", "-o", "run", "--data-dir", data_dir]
    process = subprocess.Popen(
        [*PROGRAM, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("Epoch # 5."):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on with: eyesight train --resume run" in err
    assert sorted(path.name for path in Path("run").iterdir())[0] == "checkpoints"
    assert main(["train", "--resume", "run", "--data-dir", str(data_dir)]) == 0
    assert eyesight.open_run("run").metrics()[-1]["step"] == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet5_mnist"], "unknown tutorial 'lenet5_mnist'; did you mean 'lenet5-mnist'?"),
        (["lenet5-mnist", "--epochs", "2"], "--epochs: lenet5-mnist draws batches at random and has none; use --upda"),
        (["cifar10-dense", "--epochs", "2", "--updates", "3"], "--updates: expected this or --epochs; received: "),
        (["lenet5-mnist", "--ours", "--updates", "3"], "--ours: compares with the whole tutorial; leave out --updates"),
        (["--ours"], "--ours: name the tutorial that it is for"),
        (["--data-dir", "."], "--data-dir: name the tutorial that it is for"),
        (["lenet5-mnist", "--json"], "--json: only for the list"),
        (["lenet5-mnist", "--updates", "0"], "Invalid value for '--updates'"),
        (["lenet5-mnist", "--data-dir", "nowhere"], "--data-dir: no such folder: nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["tutorial", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"eyesight: error: {message}")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_missing_data_and_taken_folders_are_told_before_anything_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["tutorial", "lenet5-mnist", "--data-dir", "."]) == 1
    assert (
        "mnist: not found in .; download it: eyesight data download mnist --data-dir .; or put "
        in capsys.readouterr().err
    )
    (tmp_path / "run-ours").mkdir()
    (tmp_path / "run-ours" / "letter.txt").write_text("mine")
    assert main(["tutorial", "lenet5-mnist", "--ours", "-o", "run", "--data-dir", "."]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "eyesight: error: run-ours: exists and is not a run; choose another --output\n")


def test_other_data_than_the_tutorials_is_refused(bars_data: eyesight.Dataset) -> None:
    with pytest.raises(UsageError, match="data: expected mnist, or a part of it with test pictures; received: Dataset"):
        eyesight.tutorial("lenet5-mnist", data=bars_data, output="run")
    with pytest.raises(UnknownNameError, match="unknown tutorial"):
        eyesight.tutorial("digits")
    assert not Path("run").exists()


def test_an_account_wraps_what_is_told_and_leaves_output_as_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    account = Account(tmp_path)
    account.say("word " * 100)
    account.show("x" * 300)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= WIDTH
    assert lines[-1] == "x" * 300
    assert align_columns(("a", "b"), [("1", "one two three four five six seven")], width=27) == [
        "a  b", "1  one two three four five", "   six seven",
    ]  # fmt: skip


QUICK = "lenet5_mnist"  # the one whose script and notebook are run in the short suite too


def quick_first(paths: list[Path]) -> list[object]:
    """Return parameters for all paths; all but one are for the long suite."""
    return [pytest.param(p, id=p.stem, marks=[] if p.stem.endswith(QUICK) else [pytest.mark.long]) for p in paths]


def cells(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def name_of(path: Path) -> str:
    return path.stem.removeprefix("tutorial_").replace("_", "-")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_what_make_notebooks_makes_of_the_program(path: Path) -> None:
    """Cell by cell; where it fails: make notebooks."""
    made = cells(EXAMPLES / "notebooks" / f"{path.stem.removeprefix('tutorial_')}.ipynb")
    source = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    assert [(c.cell_type, c.source) for c in made.cells] == [(c.cell_type, c.source) for c in source.cells]
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert re.search(r"^ours +\d", code[-1].outputs[0].text, re.MULTILINE)
    name = name_of(path)
    assert f"eyesight tutorial {name}" in " ".join(source.cells[0].source.split())
    unit, length = ("updates", 300) if name == "lenet5-mnist" else ("epochs", find(name).config["recipe"]["epochs"])
    assert code[0].source.startswith(f"{unit} = {length} ")


# Put in front of a notebook, so that it learns from a part of the data.
SMALLER = """
import dataclasses, numpy, eyesight, torch
torch.set_num_threads(1)
def _part(name, whole=eyesight.load_data, **options):
    data = whole(name, **options | {"validation": 0})
    train, test = (s.select(numpy.arange(n), name=s.name) for s, n in ((data.train, 128), (data.test, 100)))
    data = dataclasses.replace(data, train=train, test=test, _whole_train=None)
    return data.with_validation(options["validation"])
eyesight.load_data = _part
"""


def execute(path: Path, folder: Path, data_dir: Path, *, short: bool) -> nbformat.NotebookNode:
    notebook = cells(path)
    first = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert "data_dir = None" in first.source
    first.source = first.source.replace("data_dir = None", f"data_dir = {str(data_dir)!r}")
    if short:
        first.source = re.sub(r"^(epochs|updates) = \d+", r"\1 = 1", first.source)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(SMALLER))
    resources = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=300 if short else 7200, kernel_name="python3", resources=resources).execute()
    return notebook


@pytest.mark.parametrize("path", quick_first(NOTEBOOKS))
def test_the_notebook_runs_and_is_the_tutorial(path: Path, data_dir: Path, tmp_path: Path) -> None:
    notebook = execute(path, tmp_path, data_dir, short=True)
    name = name_of(path)
    same_program(eyesight.open_run(tmp_path / "runs" / name), name, "epochs", "updates")
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2
    assert "ours" in notebook.cells[-1].outputs[0]["text"]


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_whole_notebook_reaches_what_keras_does(path: Path, data_dir: Path, tmp_path: Path, proof) -> None:
    notebook = execute(path, tmp_path, data_dir, short=False)
    name = name_of(path)
    tutorial = eyesight.open_run(tmp_path / "runs" / name).reports()[0]["accuracy"]
    ours = float(re.search(r"^ours .* ([0-9.]+)$", notebook.cells[-1].outputs[0]["text"], re.MULTILINE)[1])
    keras = find(name).measured.keras
    assert keras is not None
    proof(f"{name}: tutorial {tutorial:.4f}, ours {ours:.4f}, Keras {keras.mean:.4f} ± {keras.deviation:.4f}")
    assert tutorial > keras.mean - 4 * keras.deviation
    assert ours > max(tutorial, keras.mean)


@pytest.mark.long
def test_a_whole_tutorial_from_the_command_line(data_dir: Path, capsys: pytest.CaptureFixture[str], proof) -> None:
    assert main(["tutorial", "lenet5-mnist", "--ours", "-o", "run", "--data-dir", str(data_dir)]) == 0
    out = capsys.readouterr().out
    assert len(LENET_LINE.findall(out)) == 60
    assert "note:" not in out
    proof(f"lenet5-mnist: {out[out.index('Ours: ') :].splitlines()[0]}")
    shutil.rmtree("run-ours")
    assert main(["tutorial", "lenet5-mnist", "--ours", "-o", "run", "--data-dir", str(data_dir)]) == 1  # exists


def test_the_page_shows_the_list_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    page = (EXAMPLES.parent / "docs" / "tutorials.md").read_text(encoding="utf-8")
    assert main(["tutorial"]) == 0
    what = capsys.readouterr().out.split("\n\n")[0]
    assert "".join(f"    {line}\n" for line in what.splitlines()) in page
    for picture in re.findall(r"\]\((images/.*?)\)", page):
        assert (EXAMPLES.parent / "docs" / picture).is_file()
