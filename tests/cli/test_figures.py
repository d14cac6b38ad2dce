"""Figures are found: what `train` and `evaluate` draw, where it lies, what opens it, and what if it cannot be drawn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import eyesight
from eyesight.cli import main
from eyesight.cli.runs import describe
from eyesight.run import RunFolder

QUICK = ("--epochs", "1", "--threads", "1", "--precision", "fp32", "-o", "r")


@pytest.fixture
def run(digits_run: eyesight.Run, tmp_path: Path) -> Path:
    """A run of its own, not yet judged."""
    shutil.copytree(digits_run.path, tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "evaluation", ignore_errors=True)
    shutil.rmtree(tmp_path / "r" / "figures", ignore_errors=True)
    return tmp_path / "r"


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in place of the system's opener; returns the file where it writes what it was asked to open."""
    folder, asked = tmp_path / "bin", tmp_path / "asked"
    folder.mkdir()
    program = folder / ("open" if sys.platform == "darwin" else "xdg-open")
    program.write_text(f'#!/bin/sh\necho "$1" >> "{asked}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return asked


def lines_of(path: Path, count: int) -> list[str]:
    """Wait for a program that nobody waits for."""
    for _ in range(100):
        if path.exists() and len(lines := path.read_text().splitlines()) >= count:
            return sorted(lines)
        time.sleep(0.05)
    return []


def test_train_ends_with_figures_and_a_sentence_and_opens_them(
    opener: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *QUICK, "--open"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model: r/model.safetensors (epoch 1 of 1, validation accuracy 0.")
    assert lines[1].startswith("train ")
    assert ": it " in lines[1]
    assert lines[2:] == ["figures: r/figures (curves.png, predictions.png)", "next: eyesight evaluate r"]
    names = ["r/figures/curves.png", "r/figures/predictions.png"]
    for name in names:
        with Image.open(name) as picture:
            assert picture.format == "PNG"
    assert lines_of(opener, 2) == names


def test_figures_that_cannot_be_written_are_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK]) == 0
    shutil.rmtree("r/figures")
    Path("r/figures").write_text("in the way")
    capsys.readouterr()
    assert main(["train", "--resume", "r"]) == 0
    out, err = capsys.readouterr()
    assert [line for line in err.splitlines() if "warning: no figures were drawn" in line]
    assert "Traceback" not in err
    assert out.splitlines()[-1] == "next: eyesight evaluate r"


def test_evaluate_adds_to_the_same_folder_and_says_when_it_repeats_itself(
    run: Path, opener: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--open"]) == 0
    first = capsys.readouterr()
    assert "as before" not in first.err
    assert "calibration error" in first.out
    assert {path.name for path in (run / "figures").iterdir()} == {
        "curves.png", "label-counts.png", "test-confusion.png", "test-predictions.png", "test-mistakes.png"
    }  # fmt: skip
    opened = [str(run / "figures" / f"test-{name}.png") for name in ("confusion", "mistakes", "predictions")]
    assert lines_of(opener, 3) == opened
    (folder,) = (path for path in (run / "evaluation").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} == {"report.json", "predictions.safetensors"}
    assert main(["evaluate", str(run)]) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert second.err.startswith("as before: the same classifier on the same pictures, with the same numbers\n")
    assert main(["evaluate", str(run), "--split", "validation"]) == 0
    assert "as before" not in capsys.readouterr().err
    assert (run / "figures" / "validation-confusion.png").exists()
    assert (run / "figures" / "test-confusion.png").exists()


def test_without_an_opener_one_line_says_so(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["evaluate", str(run), "--open"]) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith("is not installed, so nothing was opened")


def test_the_report_says_what_the_temperature_did_and_whether_it_overfits(run: Path) -> None:
    opened = eyesight.open_run(run)
    report = opened.evaluate().report
    assert report.temperature == opened.classifier.inference.temperature != 1
    assert report.calibration_error != report.calibration_error_before
    saved = json.loads((run / "overfitting.json").read_text())
    assert saved["model"] == opened.classifier.checksum
    assert saved["learned"]["n"] == saved["others"]["n"] == 143
    right = opened.evaluate("validation").accuracy * 143
    assert saved["others"]["right"] == round(right)
    assert report.overfitting.startswith(f"train {saved['learned']['right'] / 143:.3f}, validation {right / 143:.3f}: ")
    (run / "overfitting.json").write_text("damaged")
    assert opened.evaluate().report.overfitting == report.overfitting


def test_runs_counts_what_was_trained_not_the_looks_at_validation_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = ("--set", "recipe.validate_every=7", "--set", "recipe.updates=28")
    options = [option for option in QUICK if option not in ("--epochs", "1")]
    assert main(["train", *every, "--threads", "1", *options[-2:]]) == 0
    out, err = capsys.readouterr()
    assert "after 1.3 of 1.3 epochs" in out or "of 1.3 epochs" in out
    assert "update 28/28" in err
    row = describe(RunFolder("r"))
    assert row is not None
    assert (row["updates"], row["epochs"]) == (28, round(28 / 21, 3))
    assert main(["runs", "."]) == 0
    out = capsys.readouterr().out
    assert "1.3 epochs" in out
    assert max(map(len, out.splitlines())) <= 80


def test_python_m_eyesight_is_the_program(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "eyesight", "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip().startswith("Usage: eyesight ")
    wrong = subprocess.run([sys.executable, "-m", "eyesight", "runs", "nowhere"], capture_output=True, check=False)
    assert (wrong.returncode, wrong.stderr.decode()[:16]) == (1, "eyesight: error:")
