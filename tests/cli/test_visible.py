"""Names of files and classes cannot steer the terminal that they are shown on."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import eyesight
from drawn_photos import fill  # beside these tests
from eyesight.report.visible import visible

NASTY = "a\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202egpj"


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Return the exit code of a command, and all that a terminal got from it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "eyesight", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    ) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that the other side is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    return process.returncode, b"".join(parts).decode("utf-8", "surrogateescape")


def harmless(shown: str) -> bool:
    """Tell whether nothing of the nasty name has come through."""
    return not any(piece in shown for piece in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\r\u202e", "\u202e"))


@given(text=st.text())
def test_what_is_shown_is_obeyed_by_no_terminal(text):
    shown = visible(text)
    assert all(letter.isprintable() or letter.isspace() for letter in shown if ord(letter) < 0xA0)
    assert not set(shown) & set("\x1b\x9b\x7f\r\x07\u202e\u2066")
    shown.encode("utf-8")
    assert visible(shown) == shown


@given(text=st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"))))
def test_ordinary_text_stays_as_it_is(text):
    assert visible(text) == text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / f"{NASTY}.png", "PNG")
    (folder / f"{NASTY}2.png").write_bytes(b"no picture")
    return folder


def test_nasty_names_of_files_are_shown_in_tables_and_in_errors(digits_run: eyesight.Run, folder: Path):
    code, shown = on_a_terminal("predict", str(digits_run.path), str(folder))
    assert code == 1
    assert harmless(shown), repr(shown)
    assert shown.count("\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m") == 2  # in the table, and in what was skipped


def test_a_nasty_name_that_is_not_there_is_shown_in_the_error(digits_run: eyesight.Run):
    code, shown = on_a_terminal("predict", str(digits_run.path), NASTY)
    assert code == 2  # as it has a bracket, it is a pattern, which matches no file
    assert "\\u001b" in shown
    assert harmless(shown), repr(shown)


def test_nasty_names_of_classes_are_shown_in_what_training_says(tmp_path: Path):
    photos = tmp_path / "photos"
    fill(tmp_path, "photos", 12)
    (photos / "dots").rename(photos / NASTY)
    (photos / NASTY / "cut.png").write_bytes(b"no picture")
    code, shown = on_a_terminal("train", str(photos), "--output", str(tmp_path / "run"))
    assert code == 0, shown
    assert harmless(shown), repr(shown)
    code, shown = on_a_terminal("evaluate", str(tmp_path / "run"), "--split", "train")
    assert code == 0, shown
    assert harmless(shown), repr(shown)
    assert "\\u001b]0;owned" in shown
