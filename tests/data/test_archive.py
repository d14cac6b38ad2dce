"""Archives of photos: read as folders are, and never out of their place."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

import eyesight
from eyesight.data import archive
from eyesight.errors import DataError
from photo_files import fill


def said(data: eyesight.Dataset, text: str) -> bool:
    return any(text in note for note in data.notes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "files", {"train/Größe": 3, "train/b": 3, "val/b": 1})


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for file in sorted(folder.rglob("*.*")):
            made.write(file, f"photos/{file.relative_to(folder)}")
    return path


def test_a_zip_or_tar_is_the_folder_that_it_holds(tmp_path, folder):
    expected = eyesight.load_data(folder)
    zipped(tmp_path / "photos.zip", folder)
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz"), (".tar.xz", "w:xz"), (".TGZ", "w:gz")):
        with tarfile.open(tmp_path / f"photos{suffix}", mode) as made:
            made.add(folder, "photos")
    for path in tmp_path.glob("photos.*"):
        data = eyesight.load_data(path)
        assert (data.name, data.fingerprint) == ("photos", expected.fingerprint), path.name
        assert data.train.example_ids[0] == "photos/train/Größe/0.png"
        assert Path(data.train.source(0)).is_file()


def test_an_archive_is_unpacked_once(tmp_path, folder, monkeypatch):
    path = zipped(tmp_path / "photos.zip", folder)
    eyesight.load_data(path)
    monkeypatch.setattr(archive, "_unpack", None)
    assert len(eyesight.load_data(path).train) == 6


def test_entries_that_leave_the_archive_or_are_links_are_left_out_and_named(tmp_path, folder):
    picture = (folder / "train/b/0.png").read_bytes()
    outside = tmp_path / "evil.png"
    path = zipped(tmp_path / "photos.zip", folder)
    with zipfile.ZipFile(path, "a") as made:
        for name in ("../evil.png", str(outside), "photos/train/../../../evil.png", "C:\\evil.png", "..\\evil.png"):
            made.writestr(name, picture)
        link = zipfile.ZipInfo("photos/train/b/link.png")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")
    tar = tmp_path / "photos.tar"
    with tarfile.open(tar, "w") as made:
        made.add(folder, "photos")
        kinds = {"../evil.png": b"0", str(outside): b"0", "l.png": b"2", "x.png": b"1", "p.png": b"6", "d.png": b"3"}
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            info.size = len(picture) if kind == b"0" else 0
            made.addfile(info, io.BytesIO(picture))
    for place in (path, tar):
        data = eyesight.load_data(place)
        assert len(data.train) == 6
        assert said(data, "left out 6 entries that leave the archive or are links: ")
    assert not outside.exists()
    assert not list((tmp_path.parent).glob("evil.png"))
    cache = Path(os.environ["EYESIGHT_CACHE"])
    assert not [file for file in cache.rglob("*") if file.is_symlink() or file.name == "evil.png"]


def test_a_table_in_an_archive_cannot_name_pictures_outside(tmp_path, folder):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as made:
        outside = [f"{path},a" for path in (folder / "train/b/0.png", "../../../files/train/b/1.png")]
        made.writestr("labels.csv", "\n".join(["image,label", *outside, "own.png,a", "own2.png,b"]))
        made.write(folder / "train/b/2.png", "own.png")
        made.write(folder / "train/Größe/2.png", "own2.png")
    data = eyesight.load_data("set.zip", validation=0)
    assert data.train.example_ids == ["own.png", "own2.png"]
    assert said(data, "2 rows name a picture that is not there")


@pytest.mark.parametrize("how", ["cut", "text", "empty", "bomb", "crypt", "lies"])
def test_archives_that_are_damaged_or_too_large_are_refused_and_leave_nothing(tmp_path, folder, monkeypatch, how):
    path = zipped(tmp_path / "photos.zip", folder)
    data = path.read_bytes()
    if how == "bomb":
        monkeypatch.setattr(archive, "_SPARE", 1000)
        monkeypatch.setattr(archive, "_RATIO", 2)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("a/0.png", bytes(10_000_000))
    elif how == "lies":
        at = data.index(b"PK\1\2")
        path.write_bytes(data[: at + 24] + b"\5\0\0\0" + data[at + 28 :])
    elif how == "crypt":
        at = data.index(b"PK\1\2")
        path.write_bytes(data[: at + 8] + b"\1" + data[at + 9 :])
    else:
        path.write_bytes({"cut": data[:500], "text": b"hello", "empty": b""}[how])
    with pytest.raises(DataError, match=r"photos\.zip: ") as caught:
        eyesight.load_data(path)
    assert "\n" not in str(caught.value)
    assert not list((Path(os.environ["EYESIGHT_CACHE"]) / "archives").glob("*"))


@pytest.mark.parametrize("size", [b"-0000000001\0", b"77777777777\0"])
def test_headers_of_tar_that_would_fill_memory_or_never_end_are_refused(tmp_path, folder, size):
    with tarfile.open(tmp_path / "photos.tar", "w") as made:
        made.add(folder, "photos")
    info = tarfile.TarInfo("x" * 90)
    info.type = b"L"
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    data = (tmp_path / "photos.tar").read_bytes()
    (tmp_path / "photos.tar").write_bytes(header + data)
    with pytest.raises(DataError, match=r"photos\.tar: not an archive, or damaged"):
        eyesight.load_data("photos.tar")
