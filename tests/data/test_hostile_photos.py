"""A folder of every kind of file that is no picture, or a broken one: nothing crashes, each is named with a reason."""

from __future__ import annotations

import os
import sys

import pytest

import eyesight
from photo_files import fill
from pictures.test_hostile_pictures import specimens

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="devices and pipes as Linux has them")

CONTENTS = {
    "empty.jpg": b"",
    "one byte.png": b"\x89",
    "text.jpg": b"not a picture\n",
    "page.png": b"<!DOCTYPE html><html>404</html>",
    "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "archive.jpg": b"PK\3\4" + bytes(60),
    "video.png": b"\x1aE\xdf\xa3" + bytes(60),
    "sound.gif": b"RIFF\4\0\0\0WAVE",
    "document.jpg": b"%PDF-1.7\n",
    "array.png": b"\x93NUMPY" + bytes(60),
    "zeros.jpg": bytes(5000),
    "huge.ppm": b"P6 99999 99999 255\n" + bytes(100),
    "jxl.jxl": b"\xff\x0a" + bytes(30),
    "jp2.jp2": b"\0\0\0\x0cjP  " + bytes(30),
    "photoshop.tif": b"8BPS" + bytes(30),
    "icon.png": b"\0\0\1\0" + bytes(30),
}


def test_every_hostile_file_is_left_out_and_named_with_its_reason(tmp_path):
    fill(tmp_path / "photos", {"a": 3, "b": 3})
    hostile = tmp_path / "photos/a"
    for name, data in CONTENTS.items():
        (hostile / name).write_bytes(data)
    cut = {f"cut {name}" for name, _ in specimens() if not name.endswith((".pfm", "F.tif"))}
    for name, data in specimens():
        if f"cut {name}" in cut:
            (hostile / f"cut {name}").write_bytes(data[: max(12, len(data) // 5)])
    (hostile / "nothing.jpg").symlink_to("nowhere")
    (hostile / "circle.jpg").symlink_to("circle.jpg")
    (hostile / "endless.jpg").symlink_to("/dev/zero")
    os.mkfifo(hostile / "pipe.jpg")
    data = eyesight.load_data("photos/", validation=0)
    assert {"a/0.png", "b/2.png"} <= set(data.train.example_ids)
    special = {"nothing.jpg", "circle.jpg", "endless.jpg", "pipe.jpg"}
    expected = {f"a/{name}" for name in {*CONTENTS, *special} | cut}
    readable = {name for name in expected if name in data.train.example_ids}
    assert len(readable) <= 3  # a text format is whole wherever it is cut, but for its last number
    assert set(data.left_out) == expected - readable
    assert len(data.left_out) >= 60
    for name, reason in data.left_out.items():
        assert reason, name
        assert "\n" not in reason, name
        assert "/" not in reason or "/dev" in reason or "pip" in reason or "git" in reason, (name, reason)
    assert any(
        f"6 of {6 + len(data.left_out)} pictures read" in note or "pictures read; left out" in note
        for note in data.notes
    )
