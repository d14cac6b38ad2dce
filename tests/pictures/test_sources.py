"""Which pictures a folder or a pattern stands for, where links, pipes, permissions and odd names are in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eyesight.errors import PictureError, UsageError
from eyesight.pictures.decode import decode
from eyesight.pictures.sources import count_pictures, picture_files


def touch(*names: str) -> list[Path]:
    paths = [Path(name) for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_links_to_folders_are_followed_each_folder_once():
    own = touch("photos/a.png", "photos/sub/b.png", "photos/sub/deep/c.png")
    other = touch("elsewhere/d.png")
    Path("photos/away").symlink_to(Path("elsewhere").resolve())
    for i in range(3):  # in circles, each of which doubles the number of ways
        Path(f"photos/circle{i}").symlink_to(Path("photos").resolve())
        Path(f"photos/sub/up{i}").symlink_to("..")
    Path("photos/again").symlink_to("sub")
    Path("photos/itself").symlink_to("itself")
    expected = [own[0], Path("photos/away") / other[0].name, *own[1:]]
    assert picture_files(["photos"]) == [*own, Path("photos/away") / other[0].name]  # what links lead to comes last
    assert count_pictures(["photos", "photos/a.png", "photos/sub/*"]) == 4 + 1 + 1
    assert picture_files(["photos/**/*.png"]) == sorted(expected)
    assert picture_files(["pho*/**"]) == sorted(expected)
    assert picture_files([f"{Path.cwd()}/photos/s*/*.png"]) == [Path.cwd() / "photos/sub/b.png"]


def test_names_come_in_the_order_of_people():
    names = [*(f"photos/{i}.png" for i in (1, 2, 10, 100)), *(f"photos/day {i}/a.png" for i in (1, 2, 10))]
    touch(*reversed(names))
    assert [str(path) for path in picture_files(["photos"])] == names
    assert [str(path) for path in picture_files(["photos/*.png"])] == names[:4]


def test_nothing_to_count_is_said_like_nothing_to_walk():
    Path("empty").mkdir()
    for item in ("", "empty", "*.png"):
        with pytest.raises(UsageError) as counted:
            count_pictures([item])
        with pytest.raises(UsageError) as walked:
            picture_files([item])
        assert str(counted.value) == str(walked.value)


def test_what_programs_leave_beside_pictures_is_passed_over():
    kept = touch("photos/a.png", "photos/sub/b.png")
    touch("photos/._a.png", "photos/.ipynb_checkpoints/a-checkpoint.png", "photos/__MACOSX/sub/._b.png")
    touch("photos/sub/@eaDir/b.png/thumb.jpg", "photos/__MACOSX/c.png")
    assert picture_files(["photos"]) == kept
    assert picture_files(["photos/**/*.png"]) == kept
    assert picture_files(["photos/*/*.png"]) == kept[1:]
    assert picture_files(["photos/__MACOSX/c.png"]) == [Path("photos/__MACOSX/c.png")]  # as named


def test_patterns_match_as_those_of_a_shell():
    touch(
        "photos/a1.png",
        "photos/a2.png",
        "photos/b1.PNG",
        "photos/.hidden.png",
        "photos/.cache/d.png",
        "photos/x/y/a3.png",
    )
    assert picture_files(["photos/a?.png"]) == [Path("photos/a1.png"), Path("photos/a2.png")]
    assert picture_files(["photos/[!a]*"]) == [Path("photos/b1.PNG")]
    assert picture_files(["photos/.h*"]) == [Path("photos/.hidden.png")]
    assert picture_files(["./photos/../photos/a1*"]) == [Path("photos/../photos/a1.png")]
    assert picture_files(["photos/**/a*.png"]) == [
        Path(f"photos/{name}") for name in ("a1.png", "a2.png", "x/y/a3.png")
    ]
    for nothing in ("photos/*.jpg", "nowhere/*", "photos/a1.png/*", "photos/x*"):
        with pytest.raises(UsageError, match="matches no file"):
            picture_files([nothing])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_among_the_files_is_refused_and_does_not_hang():
    touch("photos/a.png")
    os.mkfifo("photos/pipe.png")
    assert picture_files(["photos"]) == [Path("photos/a.png"), Path("photos/pipe.png")]
    with pytest.raises(PictureError, match=r"^photos/pipe.png: a named pipe, not a file$"):
        decode("photos/pipe.png", channels=1)
    Path("link.png").symlink_to("photos/pipe.png")
    with pytest.raises(PictureError, match="a named pipe"):
        decode("link.png", channels=1)


@pytest.mark.skipif(not hasattr(os, "pipe"), reason="this system has no pipes")
def test_a_pipe_of_the_shell_is_read(tmp_path):
    from PIL import Image

    Image.new("L", (3, 2), 7).save("a.png")
    read, write = os.pipe()
    os.write(write, Path("a.png").read_bytes())
    os.close(write)
    try:
        assert decode(f"/dev/fd/{read}", channels=1).size == (3, 2)
    finally:
        os.close(read)


def test_a_folder_that_may_not_be_entered_is_kept_to_be_reported(monkeypatch):
    touch("photos/a.png", "photos/closed/b.png")
    closed, scandir = Path("photos/closed"), os.scandir

    def refuse(folder):  # whoever runs the tests may enter every folder
        if Path(folder) == closed:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert picture_files(["photos"]) == [Path("photos/a.png"), closed]
    assert picture_files([closed]) == [closed]
    assert picture_files(["photos/**/*.png"]) == [Path("photos/a.png")]
    with pytest.raises(PictureError, match="photos/closed: "):
        decode(closed, channels=1)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a" * 300 + ".png", "file name too long"),
        ("a" * 300 + "*[", "file name too long|matches no file"),
        ("\ud800.png", "its name cannot be encoded here"),
        ("a\0b.png", "null byte"),
    ],
)
def test_a_name_that_the_system_refuses_is_one_error_of_that_picture(name, says):
    with pytest.raises((PictureError, UsageError), match=says):
        decode(*picture_files([name]), channels=1)


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_a_name_that_is_not_utf_8_is_found():
    Path("photos").mkdir()
    name = os.fsdecode(b"photos/Zo\xeb.png")
    Path(name).touch()
    assert picture_files(["photos"]) == picture_files(["photos/*"]) == [Path(name)]
