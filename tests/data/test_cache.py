"""Photos are decoded once, into a cache that is never half, and is made anew where it is damaged."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.cli import main
from eyesight.data import cache, decoder, shards
from eyesight.data.inventory import list_cache
from eyesight.errors import DataError
from photo_files import fill, write


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were decoded, in no particular order."""
    found: list[str] = []
    real = decoder.decode_file
    monkeypatch.setattr(
        decoder, "decode_file", lambda path, *rest: (found.append(Path(path).name), real(path, *rest))[1]
    )
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"a": 20, "b": 20})


def load(photos: Path, **options) -> np.ndarray:
    data = eyesight.load_data(photos, validation=0, **options)
    return data.train.gather(np.arange(len(data.train)))


def folder() -> Path:
    return next((Path(os.environ["EYESIGHT_CACHE"]) / "pictures").iterdir())


def test_nothing_is_decoded_twice_and_ten_new_photos_cost_ten(photos, decoded):
    first = load(photos)
    assert len(decoded) == 40
    assert (load(photos) == first).all()
    assert len(decoded) == 40
    for i in range(10):
        write(photos / f"a/new{i}.png", 1000 + i)
    write(photos / "b/3.png", 2000)
    again = load(photos)
    assert sorted(decoded[40:]) == ["3.png", *(f"new{i}.png" for i in range(10))]
    assert (again[:20] == first[:20]).all()
    assert (again[30:43] == first[20:33]).all()
    assert (again[43] != first[33]).any()  # b/3.png, in the order of names


def test_another_size_or_way_to_it_is_decoded_apart(photos, decoded):
    load(photos)
    load(photos, img_size=10)
    load(photos, img_size=10, resize="pad")
    assert len(decoded) == 120
    assert len(list_cache()) == 3


@pytest.mark.parametrize("damage", ["cut pictures", "cut index", "other bytes", "no pictures", "nonsense"])
def test_a_damaged_cache_is_made_anew_and_said(photos, decoded, damage):
    first = load(photos)
    (index,), (pictures,) = folder().glob(f"*{shards.ABOUT}"), folder().glob(f"*{shards.PIXELS}")
    if damage == "cut pictures":
        os.truncate(pictures, 1000)
    elif damage == "cut index":
        os.truncate(index, 200)
    elif damage == "other bytes":
        data = bytearray(pictures.read_bytes())
        data[5000] ^= 1
        pictures.write_bytes(data)
    elif damage == "no pictures":
        pictures.unlink()
    else:
        index.write_text("nonsense")
    data = eyesight.load_data(photos, validation=0)
    assert any("was damaged and is made anew" in note for note in data.notes)
    assert (data.train.gather(np.arange(40)) == first).all()
    assert len(decoded) == 80
    assert not eyesight.load_data(photos).notes


def test_of_several_shards_only_the_damaged_one_is_decoded_again(photos, decoded, monkeypatch):
    monkeypatch.setattr(cache, "_SHARD", 16 * 20 * 20 * 3)
    first = load(photos)
    pictures = sorted(folder().glob(f"*{shards.PIXELS}"))
    assert len(pictures) == 3
    data = bytearray(pictures[1].read_bytes())
    data[0] ^= 1
    pictures[1].write_bytes(data)
    decoded.clear()
    again = eyesight.load_data(photos, validation=0)
    assert [note for note in again.notes if note.startswith("a part of the cache")]
    assert len(decoded) == 16
    assert (again.train.gather(np.arange(40)) == first).all()
    rows = np.random.default_rng(0).integers(0, 40, 100)
    assert (again.train.gather(rows) == first[rows]).all()


def test_what_is_open_stays_as_it_was_while_the_cache_is_made_anew(photos):
    data = eyesight.load_data(photos, validation=0)
    before = data.train.gather(np.arange(40))
    for index in folder().glob(f"*{shards.ABOUT}"):
        index.unlink()
    for i in range(20):
        write(photos / f"a/{i}.png", 500 + i)
    load(photos)
    assert (data.train.gather(np.arange(40)) == before).all()


def test_a_break_loses_nothing_that_was_decoded(photos, decoded, monkeypatch):
    def stop(done: int, total: int, doing: str) -> None:
        assert total == 40
        if done > 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.decode_all(photos, sorted(map(str, photos.rglob("*.png"))), side=20, resize="crop", progress=stop)
    decoded.clear()
    paths = sorted(map(str, photos.rglob("*.png")))
    assert len(cache.decode_all(photos, paths, side=20, resize="crop").known.paths) == 40
    assert len(decoded) <= 8  # what two threads had been given, and no more


def test_a_killed_process_leaves_a_cache_that_works(photos, tmp_path):
    slow = (
        "import time, eyesight\nfrom eyesight.data import cache, decoder\nreal = decoder.decode_file\n"
        "cache._SHARD = 1\n"
        "decoder.decode_file = lambda *a: (time.sleep(0.02), real(*a))[1]\n"
        f"print('ready', flush=True)\neyesight.load_data({str(photos)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    ends = time.monotonic() + 60
    while not list(Path(os.environ["EYESIGHT_CACHE"]).rglob(f"*{shards.ABOUT}")) and time.monotonic() < ends:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    data = eyesight.load_data(photos, validation=0)
    assert (len(data.train), data.notes) == (40, ())


def test_two_at_once_decode_every_picture_once(photos, decoded):
    paths = sorted(map(str, photos.rglob("*.png")))
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(cache.decode_all, photos, paths, side=20, resize="crop") for _ in range(2)]
        first, second = (job.result() for job in jobs)
    assert len(decoded) == 40
    assert first.known.paths == second.known.paths == paths
    assert (first.records.take(first.known.rows) == second.records.take(second.known.rows)).all()


@pytest.mark.parametrize("at", ["before", "within"])
def test_a_full_disk_is_one_line(photos, monkeypatch, at):
    if at == "before":
        monkeypatch.setattr(cache, "_SPARE", 1 << 62)
    else:

        def full(handle: int, data: memoryview, place: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DataError, match=r"cache/pictures/\w+: no space left on the disk; .*\$EYESIGHT_CACHE"):
        load(photos)


def test_the_cache_is_listed_and_cleaned(photos, capsys):
    assert main(["data", "cache"]) == 0
    assert "in all 0.0 MB" in capsys.readouterr().out
    load(photos)
    assert main(["data", "cache"]) == 0
    out = capsys.readouterr().out
    assert "40 pictures at 20x20" in out
    assert main(["data", "cache", "--clean"]) == 0
    assert "removed" in capsys.readouterr().out
    assert list_cache() == []


def test_decoding_says_how_much_disk_it_takes_and_where(photos):
    told: list[tuple[int, int, str]] = []
    paths = sorted(map(str, photos.rglob("*.png")))
    cache.decode_all(photos, paths, side=100, resize="crop", progress=lambda *event: told.append(event))
    assert [event[:2] for event in told] == [(16, 40), (32, 40), (40, 40)]
    assert told[0][2] == f"reading photos at 100x100 (1.2 MB in {folder()}); this is done once"


def test_verify_finds_a_file_that_changed_without_a_sign_and_a_rotten_picture(photos, decoded, monkeypatch, capsys):
    monkeypatch.setattr(cache, "_CHECKED", 0)  # as with so many pictures that they are not looked at every time
    file = write(photos / "a/same.bmp", 5000)
    first, about = load(photos), file.stat()
    write(file, 5001)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert file.stat().st_size == about.st_size
    decoded.clear()
    assert not eyesight.load_data(photos).notes
    assert not decoded
    seen = eyesight.load_data(photos, validation=0, verify=True)
    assert decoded == ["same.bmp"]
    assert any("1 file has changed without another size or time: read again" in note for note in seen.notes)
    assert (seen.train.gather(np.arange(20)) == first[:20]).all()
    assert (seen.train.gather([20]) != first[20]).any()

    pictures = max(folder().glob(f"*{shards.PIXELS}"), key=lambda path: path.stat().st_size)
    data = bytearray(pictures.read_bytes())
    data[7000] ^= 1
    pictures.write_bytes(data)
    assert not eyesight.load_data(photos).notes
    assert main(["data", "cache", "--verify"]) == 1
    assert "its pixels are not those that were written" in capsys.readouterr().err
    assert main(["data", "cache", "--verify"]) == 0
    assert (load(photos)[:20] == first[:20]).all()
