"""The command line: what its commands print, and one clear line for everything that is wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from PIL import Image

import eyesight
from eyesight.cli import main

PROGRAM = [sys.executable, "-c", "import sys; from eyesight.cli import main; sys.exit(main())"]
QUICK = ("--epochs", "1", "--threads", "1", "--precision", "fp32")


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, check=False, timeout=120, **options)  # type: ignore[call-overload]


def write_model(path: Path, source: Path, **changes: object) -> Path:
    """Write a model file that says other things of itself, with a right checksum."""
    from eyesight.formats import read_tensors, write_tensors

    arrays, description, _ = read_tensors(source)
    write_tensors(path, arrays, description | changes)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four digits as pictures of several sizes and kinds, in a folder and one below it."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "below").mkdir()
    digits = eyesight.load_data("digits").test.gather(np.arange(4))[..., 0]
    Image.fromarray(digits[0]).resize((64, 64)).save(folder / "a.png")
    Image.fromarray(digits[1]).resize((40, 30)).convert("RGBA").save(folder / "b [1].png")
    Image.fromarray(digits[2]).convert("P").save(folder / "c.gif")
    Image.fromarray(digits[3]).resize((80, 80)).convert("RGB").save(folder / "below" / "d.jpg")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["data", "-h"], ["bench", "--help"], ["convolve", "-h"]],
)
def test_help_answers_without_loading_torch_or_numpy(arguments: list[str]) -> None:
    code = (
        "import sys; from eyesight.cli import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 9 * bool({'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("eyesight " + eyesight.__version__ if "--version" in arguments else "Usage: eyesight") in result.stdout


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_a_command_that_wants_another_word_shows_its_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("Usage: eyesight")


def test_train_says_where_the_model_is_and_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "-b", "128", "--lr", "1e-2", "--seed", "3", "--set", "recipe.clip_norm=1e0",
                 "--patience", "2", "--optimizer", "sgd", "--schedule", "one-cycle"]) == 0  # fmt: skip
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("model: runs/digits-whitened-32-64-64-1/model.safetensors (epoch 1 of 1, ")
    assert out.splitlines()[-1] == "next: eyesight evaluate runs/digits-whitened-32-64-64-1"
    assert "epoch 1/1" in err
    config = eyesight.open_run("runs/digits-whitened-32-64-64-1").read_config()
    recipe = config["recipe"]
    assert (config["seed"], recipe["batch_size"], recipe["lr"], recipe["clip_norm"]) == (3, 128, 0.01, 1)
    assert (recipe["early_stopping"]["patience"], recipe["optimizer"], recipe["schedule"]) == (2, "sgd", "one-cycle")
    assert main(["train", "--config", "runs/digits-whitened-32-64-64-1/config.yaml", "-o", "again"]) == 0
    assert eyesight.open_run("again").read_config() == config


def test_patience_keeps_the_monitor_of_the_configuration():
    config = {"recipe": {"epochs": 1, "early_stopping": {"monitor": "val_accuracy", "patience": 5}}}
    Path("c.yaml").write_text(f"format: eyesight-config\nversion: 1\nrecipe: {config['recipe']}\n")
    assert main(["train", "--config", "c.yaml", "--patience", "2", "-o", "run"]) == 0
    stopping = eyesight.open_run("run").config.recipe.early_stopping
    assert stopping is not None
    assert (stopping.monitor, stopping.patience) == ("val_accuracy", 2)


def test_square_brackets_in_a_path_are_only_letters(capfd):
    eyesight.train("digits", epochs=1, output="b[/a][red]", progress=False)
    assert main(["train", "--resume", "b[/a][red]"]) == 0
    assert "b[/a][red]: is complete already" in capfd.readouterr().err


def test_evaluate_prints_a_table_or_json(digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(digits_run.path)]) == 0
    out, err = capsys.readouterr()
    for words in ("accuracy", "precision", "recall", "F1", "support", "confusion matrix", "surest mistakes"):
        assert words in out
    assert f"figures: {digits_run.path / 'figures'}\nreport and predictions: {digits_run.path}" in err
    assert main(["evaluate", str(digits_run.path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"accuracy", "loss", "per_class", "confusion_matrix"} <= report.keys()
    assert f"{report['accuracy']:.4f}" in out
    assert np.sum(report["confusion_matrix"]) == 359
    assert main(["evaluate", str(digits_run.path), "--json", "--split", "train", "--weights", "last"]) == 0
    assert np.sum(json.loads(capsys.readouterr().out)["confusion_matrix"]) == 1295


def test_predict_takes_files_folders_and_patterns(
    digits_run: eyesight.Run, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = eyesight.load_data("digits").test.labels
    run = str(digits_run.path)
    assert main(["predict", run, str(photos), "--json", "--top", "2"]) == 0
    rows = json.loads(capsys.readouterr().out)
    # as files are listed: `below/d.jpg` after the files beside the folder
    assert [Path(row["source"]).name for row in rows] == ["a.png", "b [1].png", "c.gif", "d.jpg"]
    assert [len(row["top"]) for row in rows] == [2] * 4
    assert rows[0]["label"] == str(labels[0])
    assert main(["predict", str(digits_run.model_file), f"{photos}/*.png", f"{photos}/c.gif", "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [Path(row["source"]).name for row in table[::3]] == ["a.png", "b [1].png", "c.gif"]
    assert [row["rank"] for row in table] == ["1", "2", "3"] * 3
    assert float(table[0]["probability"]) == pytest.approx(rows[0]["probability"], abs=1e-5)
    assert main(["predict", run, f"{photos}/b [1].png"]) == 0
    out = capsys.readouterr().out
    assert "b [1].png" in out  # brackets are no markup
    assert f"{rows[1]['probability']:.4f}" in out


def test_predict_reads_one_picture_from_stdin(digits_run: eyesight.Run, photos: Path) -> None:
    result = program("predict", str(digits_run.path), "-", "--json", input=(photos / "a.png").read_bytes())
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["label"] == str(eyesight.load_data("digits").test.labels[0])
    nothing = program("predict", str(digits_run.path), "-", input=b"")
    assert nothing.returncode == 1
    assert b"Traceback" not in nothing.stderr


def test_bad_pictures_are_told_and_skipped_and_the_good_ones_answered(
    digits_run: eyesight.Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes((photos / "a.png").read_bytes()[:60])
    inputs = [str(tmp_path / "text.png"), str(photos / "a.png"), str(tmp_path / "cut.png"), "missing.png"]
    assert main(["predict", str(digits_run.path), *inputs, "--json"]) == 1
    out, err = capsys.readouterr()
    assert [row["source"] for row in json.loads(out)] == [str(photos / "a.png")]
    lines = err.splitlines()
    assert [line.split(":")[:3] for line in lines[:3]] == [
        ["eyesight", " skipped", f" {name}"] for name in (inputs[0], inputs[2], "missing.png")
    ]
    assert lines[3:] == ["eyesight: error: 3 of 4 pictures could not be read"]


def test_pictures_in_a_folder_that_cannot_be_read_are_named_not_passed_over(digits_run, capsys):
    Path("photos").mkdir()
    Path("photos/a.heic").write_bytes(b"ftypheic")
    Path("photos/b.png").symlink_to("nowhere.png")
    assert main(["predict", str(digits_run.path), "photos"]) == 1
    err = capsys.readouterr().err
    assert "a.heic" in err
    assert "b.png: no such file" in err


def test_runs_lists_what_was_trained(digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    digits_run.evaluate("test")
    folder = str(digits_run.path.parent)
    assert main(["runs", folder]) == 0
    out = capsys.readouterr().out
    assert "digits" in out
    assert "complete" in out
    assert main(["runs", folder, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["updates"], row["epochs"], row["model"], row["seed"], row["status"]) == (
        63,
        3,
        "whitened-32-64-64",
        0,
        "complete",
    )
    assert row["test"] == digits_run.evaluate("test").accuracy


def test_runs_lists_the_figures_of_the_model_that_was_kept(capsys):
    run = eyesight.train("digits", epochs=4, lr=0.003, keep="last", output="runs/a", progress=False)
    eyesight.train("digits", epochs=1, validation="test", output="runs/b", progress=False)
    accuracy = run.evaluate().accuracy
    assert main(["runs", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["validation"] == run.metrics()[-1]["val_accuracy"]
    assert first["test"] == accuracy
    assert isinstance(first["seconds"], float)
    assert second["validation"] is None
    assert main(["runs", "runs/a"]) == 0
    assert "runs/a" in capsys.readouterr().out


def test_runs_skips_what_it_cannot_read(
    digits_run: eyesight.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits_run.path, tmp_path / "good")
    for name, about in (("newer", {"format": "eyesight-run", "version": 99}), ("bare", {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(about))
    assert main(["runs", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [row["run"] for row in json.loads(out)] == [str(tmp_path / "good")]
    assert sorted(line.split(":")[0:2] for line in err.splitlines()) == [["eyesight", " skipped"]] * 2


def test_a_config_that_lost_a_part_and_a_metrics_line_that_lost_a_figure_are_named(capsys):
    run = eyesight.train("digits", epochs=1, output="runs/a", progress=False)
    eyesight.train("digits", epochs=1, output="runs/b", progress=False)
    config = run.path / "config.yaml"
    config.write_text(re.sub(r"model:\n(  .*\n)+", "model: lenet5\n", config.read_text()))
    assert main(["evaluate", "runs/a"]) == 2
    assert "config.yaml: model: should be a mapping" in capsys.readouterr().err
    (run.path / "metrics.jsonl").write_text('{"a": 1}\n')
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert "runs/b" in out
    assert "metrics.jsonl: line 1 should have" in err


@pytest.mark.parametrize(
    ("network", "size", "total"),
    [
        ("lenet5", "32x32x1", 61_706),
        ("small-cnn", "32x32x3", 122_570),
        ("small-cnn-same", "28x28x1", 257_162),
        ("small-cnn-3pool", "28x28x1", 94_154),
        ("mlp", "32x32x3", 3_844_682),
    ],
)
def test_summary_counts_parameters_as_the_tutorials_do(
    network: str, size: str, total: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", network, "--input", size, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["parameters"] == total
    assert main(["summary", network, "--input", size]) == 0
    assert f"total: {total:,} parameters" in capsys.readouterr().out


def test_summary_of_a_run_and_a_folder_that_is_called_like_a_network(
    digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", str(digits_run.path)]) == 0
    assert "whitened-32-64-64" in capsys.readouterr().out
    Path("lenet5").mkdir()
    assert main(["summary", "lenet5"]) == 0


def test_data_list_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100"}
    assert rows["digits"]["found"] == "embedded"
    assert rows["mnist"]["found"] is None
    assert main(["data", "list"]) == 0
    assert "eyesight data download mnist" in capsys.readouterr().err
    assert main(["data", "show", "digits", "-o", str(tmp_path / "new"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (sum(shown["counts"]["train"]), sum(shown["counts"]["test"])) == (1438, 359)
    assert len(shown["figures"]) == 2
    for name in shown["figures"]:
        with Image.open(name) as picture:
            assert picture.format == "PNG"
            assert np.asarray(picture.convert("L")).std() > 10
    assert main(["data", "show", "digits"]) == 0
    assert "pictures: digits-pictures.png" in capsys.readouterr().out


WRONG = [
    (["frain"], 2, "No such command 'frain'"),
    (["train", "fashon-mnist"], 2, "unknown dataset 'fashon-mnist'; did you mean 'fashion-mnist'?"),
    (["train", "--model", "lenet6"], 2, "unknown network 'lenet6'; did you mean 'lenet5'?"),
    (["train", "--optimizer", "adamm"], 2, "unknown optimizer 'adamm'; did you mean 'adam"),
    (["train", "--schedule", "cos"], 2, "unknown schedule 'cos'; did you mean 'cosine'?"),
    (["train", "--epoch", "3"], 2, "No such option: --epoch (Possible options: --epochs)"),
    (["train", "--epochs", "0"], 2, "--epochs: should be greater than or equal to 1; received: 0"),
    (["train", "--epochs", "-1"], 2, "--epochs: should be greater than or equal to 1; received: -1"),
    (["train", "--epochs", "two"], 2, "'--epochs': should be a valid integer"),
    (["train", "-b", "0"], 2, "--batch-size: should be greater than or equal to 1; received: 0"),
    (["train", "--lr", "-1"], 2, "--lr: should be greater than 0; received: -1.0"),
    (["train", "--lr", "nan"], 2, "--lr: should be a finite number; received: nan"),
    (["train", "--seed", "-1"], 2, "--seed: should be greater than or equal to 0; received: -1"),
    (["train", "--patience", "0"], 2, "--patience: should be greater than or equal to 1; received: 0"),
    (["train", "--patience", "1", "--validation", "0"], 2, "--patience: needs validation pictures"),
    (["train", "--threads", "5000"], 2, "--threads: expected auto, or a number from 1 to 1024; received: 5000"),
    (["train", "--validation", "0.9"], 2, "--validation: expected a share from 0 to 0.5, or 'test'; received: '0.9'"),
    (["train", "--validation", "tset"], 2, "--validation: expected"),
    (["train", "--precision", "fp8"], 2, "--precision: should be 'auto', 'fp32' or 'bf16'; received: 'fp8'"),
    (["train", "--device", "gpu9"], 2, "--device: gpu9 is not usable with this machine"),
    (["train", "--checkpoint-every", "5"], 2, "--checkpoint-every: expected a time such as 30s"),
    (["train", "--set", "recipe.lr"], 2, "--set: expected KEY=VALUE"),
    (["train", "--set", "recipe.lr=[1"], 2, "--set: the value of recipe.lr is not YAML"),
    (["train", "--set", "recipe.lr=fast"], 2, "--set: recipe.lr: should be a valid number"),
    (["train", "--set", "recipe.rate=1"], 2, "--set: recipe.rate: unknown key; "),
    (
        ["train", "--set", "recipe.label_smooth=1"],
        2,
        "recipe.label_smooth: unknown key; did you mean 'label_smoothing'",
    ),
    (["train", "--set", "data.validation=0.9"], 2, "--set: data.validation: expected a share from 0 to 0.5"),
    (["train", "--set", "recipe=3"], 2, "--set: recipe: should be a mapping; received: 3"),
    (["train", "--model", "small-cnn"], 2, "small-cnn needs pictures of at least 18x18 pixels; received: 8x8"),
    (["train", "mnist"], 1, "mnist: not found; download it: eyesight data download mnist; or put "),
    (["train", "mnist", "--data-dir", "."], 1, "mnist"),
    (["train", "--config", "nope.yaml"], 1, "nope.yaml: no such file"),
    (["train", "--resume", "runs/nope"], 1, "runs/nope: no such run"),
    (["evaluate", "runs/nope"], 1, "runs/nope: no such run"),
    (["predict", "nope.safetensors", "a.png"], 1, "nope.safetensors: no such file"),
    (["predict", "nope.safetensors"], 2, "Missing argument 'pictures'"),
    (["predict", "m", "a.png", "--json", "--csv"], 2, "--json, --csv: choose one"),
    (["predict", "m", "*.nothing"], 2, "*.nothing: matches no file"),
    (["predict", "m", "a.png", "--top", "0"], 2, "'--top': should be greater than or equal to 1"),
    (["summary", "lenet"], 2, "unknown network 'lenet'; did you mean 'lenet5'?"),
    (["summary", "small-cnn", "--input", "5x5x1"], 2, "small-cnn needs pictures of at least 18x18 pixels"),
    (["summary", "lenet5", "--input", "32"], 2, "--input: expected HEIGHTxWIDTHxCHANNELS"),
    (["runs", "nowhere"], 1, "nowhere: no such folder"),
    (["data", "show", "digit"], 2, "unknown dataset 'digit'; did you mean 'digits'?"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("eyesight: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(Path.cwd().iterdir()) == []  # nothing written


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--device", "cuda"]) == 2
    assert capsys.readouterr().err.startswith("eyesight: error: --device: cuda is not usable with this machine")


def test_wrong_use_of_a_run_changes_nothing_in_it(digits_run: eyesight.Run, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(digits_run.path)
    before = {path: path.read_bytes() for path in digits_run.path.rglob("*") if path.is_file()}
    for arguments, code, message in (
        (["train", *QUICK, "-o", run], 1, "exists; choose another --output"),
        (["train", *QUICK, "-o", run, "--overwrite", "--lr", "-1"], 2, "--lr: should be"),
        (["train", *QUICK, "-o", run, "--overwrite", "--model", "small-cnn"], 2, "at least 18x18"),
        (["evaluate", run, "--split", "tests"], 2, "has no split 'tests'"),
        (["evaluate", run, "--weights", "best"], 2, "'best' is not one of 'kept', 'last'"),
    ):
        assert main(arguments) == code
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in digits_run.path.rglob("*") if path.is_file()} == before


def test_files_that_are_no_models_are_refused(
    digits_run: eyesight.Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = digits_run.model_file.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bit").write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    (tmp_path / "empty").write_bytes(b"")
    write_model(tmp_path / "newer", digits_run.model_file, version=99)
    write_model(tmp_path / "classes", digits_run.model_file, classes=["one", "two"])
    write_model(tmp_path / "other", digits_run.model_file, format="eyesight-predictions")
    for name, message in (
        ("cut", "cut off"), ("bit", "checksum"), ("empty", "not a safetensors file"), ("newer", "version 99 is newer"),
        ("classes", "do not fit together"), ("other", "expected a file of format eyesight-model"),
    ):  # fmt: skip
        assert main(["predict", str(tmp_path / name), str(photos / "a.png")]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"eyesight: error: {tmp_path / name}: ")
        assert message in err
        assert err.count("\n") == 1
    assert main(["predict", str(photos / "a.png"), str(photos / "a.png")]) == 1
    assert "not a safetensors file" in capsys.readouterr().err


def test_a_run_of_a_newer_version_is_refused(
    digits_run: eyesight.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(digits_run.path, tmp_path / "copy"))
    about = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(about | {"version": 99}))
    for arguments in (["evaluate", str(copy)], ["train", "--resume", str(copy)], ["predict", str(copy), "a.png"]):
        assert main(arguments) == 1
        assert "version 99 is newer than this eyesight reads" in capsys.readouterr().err
    assert json.loads((copy / "run.json").read_text())["version"] == 99


def test_a_loss_that_breaks_exits_1_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "--optimizer", "sgd", "--lr", "1e38", "-o", "r"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("eyesight: error: the loss is no longer a number at step ")
    assert "try --lr 1e+37, --set recipe.clip_norm=1" in last
    assert main(["predict", "r", "nothing.png"]) == 1
    assert "skipped: nothing.png" in capsys.readouterr().err  # the model that was kept loads


def test_debug_adds_the_traceback_and_keeps_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--lr", "-1", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1] == "eyesight: error: --lr: should be greater than 0; received: -1.0"


def into(place: IO[bytes], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program with `place` as its output, which Python buffers as it does for users."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run([*PROGRAM, *arguments], stdout=place, stderr=subprocess.PIPE, check=False, env=environment)


def unread(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program with a pipe at its output that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        return into(closed, *arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["summary", "lenet5"], ["data", "list", "--json"]])
def test_a_reader_that_has_gone_is_no_error_to_talk_about(arguments: list[str]) -> None:
    result = unread(*arguments)
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_csv_is_written_to_the_end_or_not_called_done(digits_run: eyesight.Run, photos: Path) -> None:
    """CSV stays in a buffer until the end of the program, where errors are easily lost."""
    arguments = ["predict", str(digits_run.path), str(photos / "a.png"), "--csv"]
    result = unread(*arguments)
    assert (result.returncode, result.stderr) == (1, b"")
    with Path("/dev/full").open("wb") as full:
        result = into(full, *arguments)
    assert (result.returncode, result.stderr) == (1, b"eyesight: error: no space left on the disk\n")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    try:
        assert main(["train", *QUICK, "-o", str(tmp_path / "r")]) == 1
    finally:
        tmp_path.chmod(0o700)
    assert "permission denied" in capsys.readouterr().err


def test_an_output_that_cannot_be_a_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    for output in ("file", "file/run"):
        assert main(["train", *QUICK, "-o", str(tmp_path / output)]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"eyesight: error: {tmp_path / 'file'}")
        assert err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_fills_up_ends_in_one_line(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from eyesight.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "train", *QUICK, "-o", str(tmp_path / "r")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("eyesight: error: ")
    assert "file too large" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert eyesight.open_run(tmp_path / "r").status == "failed"


@pytest.mark.parametrize(
    ("name", "options"),
    [("mnist", ()), ("fashion-mnist", ()), ("cifar10", ("--model", "small-cnn"))],
)
@pytest.mark.long
def test_the_named_datasets_train_judge_and_predict(
    data_dir: Path, tmp_path: Path, name: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["train", name, *options, "--epochs", "1", "--data-dir", str(data_dir), "-o", run]) == 0
    assert main(["evaluate", run, "--json"]) == 0
    report = json.loads(capsys.readouterr().out.partition("\n{")[2].join(("{", "")))
    assert report["accuracy"] > {"mnist": 0.96, "fashion-mnist": 0.83, "cifar10": 0.4}[name]
    data = eyesight.load_data(name, data_dir=data_dir)
    picture = data.test.gather([0])[0]
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(tmp_path / "one.png")
    assert main(["predict", run, str(tmp_path / "one.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] in data.classes
