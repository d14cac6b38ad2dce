"""Streams that a shell has closed, or a disk that does not take all that is printed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyesight

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Thirty pictures, of which predict prints some kilobytes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / f"{number:02d}.png")
    return folder


def eyesight_in_shell(arguments: str, *, unbuffered: bool = False, most: int | None = None) -> tuple[int, str, str]:
    """Run the program with redirections; `most` bytes fit in a file."""

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m eyesight {arguments}"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""},
        preexec_fn=limit,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("how", ["--json", "--csv", ""])
def test_output_that_a_disk_cannot_hold_is_an_error(
    digits_run: eyesight.Run, pictures: Path, unbuffered: bool, how: str
) -> None:
    command = f"predict {digits_run.path} {pictures} {how}"
    code, _, error = eyesight_in_shell(f"{command} > cut.json", unbuffered=unbuffered, most=1000)
    assert (code, error) == (1, "eyesight: error: file too large\n")
    code, _, error = eyesight_in_shell(f"{command} > /dev/full", unbuffered=unbuffered)
    assert (code, error) == (1, "eyesight: error: no space left on the disk\n")


def test_an_unbuffered_stdout_prints_the_same(digits_run: eyesight.Run, pictures: Path) -> None:
    command = f"predict {digits_run.path} {pictures} --json"
    code, text, _ = eyesight_in_shell(command, unbuffered=True)
    assert code == 0
    assert text == eyesight_in_shell(command)[1]
    assert len(json.loads(text)) == 30


def test_a_closed_stdout_is_an_error_of_one_line_where_something_is_printed(digits_run: eyesight.Run) -> None:
    code, _, error = eyesight_in_shell(f"evaluate {digits_run.path} --json >&-")
    assert code == 1
    assert error.splitlines()[-1] == "eyesight: error: stdout is closed"


def test_a_training_without_any_stream_writes_its_model_and_nothing_else_into_it() -> None:
    code, _, _ = eyesight_in_shell("train digits --epochs 1 --threads 1 -o run <&- >&- 2>&-")
    assert code == 1  # what it printed is lost
    run = eyesight.open_run("run")
    assert run.status == "complete"
    assert run.classifier.predict(np.zeros((8, 8), np.uint8))


def test_a_closed_stdin_holds_no_picture(digits_run: eyesight.Run) -> None:
    code, _, error = eyesight_in_shell(f"predict {digits_run.path} - <&-")
    assert code == 1
    assert len(error.splitlines()) == 2
    assert "fault in eyesight" not in error
    assert "empty" in error


def test_errors_do_not_go_to_stdout_where_stderr_is_closed(digits_run: eyesight.Run) -> None:
    assert eyesight_in_shell(f"predict {digits_run.path} nothing.png 2>&-") == (1, "", "")
