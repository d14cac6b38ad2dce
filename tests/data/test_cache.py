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
from eyesight.data import cache
from eyesight.errors import DataError
from photo_files import fill, write


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were decoded, in no particular order."""
    found: list[str] = []
    real = cache._decode_one
    monkeypatch.setattr(cache, "_decode_one", lambda path, *rest: (found.append(Path(path).name), real(path, *rest))[1])
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
    assert len(cache.list_cache()) == 3


@pytest.mark.parametrize(
    "damage", ["cut pictures", "cut index", "other bytes", "no pictures", "nonsense", "wrong rows"]
)
def test_a_damaged_cache_is_made_anew_and_said(photos, decoded, damage):
    first = load(photos)
    index, pictures = folder() / cache.INDEX_FILE, folder() / cache.PICTURES_FILE
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
    elif damage == "nonsense":
        index.write_text('{"format": "eyesight-pictures", "version": 1, "entries": [], "rows": 3}')
    else:
        index.write_text(index.read_text().replace('"rows": 40', '"rows": 3'))
    data = eyesight.load_data(photos, validation=0)
    assert any("was damaged and is made anew" in note for note in data.notes)
    assert (data.train.gather(np.arange(40)) == first).all()
    assert len(decoded) == 80
    assert not eyesight.load_data(photos).notes


def test_what_is_open_stays_as_it_was_while_the_cache_is_made_anew(photos):
    data = eyesight.load_data(photos, validation=0)
    before = data.train.gather(np.arange(40))
    (folder() / cache.INDEX_FILE).unlink()
    for i in range(20):
        write(photos / f"a/{i}.png", 500 + i)
    load(photos)
    assert (data.train.gather(np.arange(40)) == before).all()


def test_a_break_loses_nothing_that_was_decoded(photos, decoded, monkeypatch):
    def stop(done: int, total: int, doing: str) -> None:
        assert total == 40
        if done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.decode_all(photos, sorted(map(str, photos.rglob("*.png"))), side=20, resize="crop", progress=stop)
    decoded.clear()
    paths = sorted(map(str, photos.rglob("*.png")))
    assert len(cache.decode_all(photos, paths, side=20, resize="crop").entries) == 40
    assert len(decoded) == 15


def test_a_killed_process_leaves_a_cache_that_works(photos, tmp_path):
    slow = (
        "import time, eyesight\nfrom eyesight.data import cache\nreal = cache._decode_one\n"
        "cache._SAVED_EVERY = 0.0\n"
        "cache._decode_one = lambda *a: (time.sleep(0.02), real(*a))[1]\n"
        f"print('ready', flush=True)\neyesight.load_data({str(photos)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    ends = time.monotonic() + 60
    while not list(Path(os.environ["EYESIGHT_CACHE"]).rglob(cache.INDEX_FILE)) and time.monotonic() < ends:
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
    assert first.entries == second.entries


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
    assert cache.list_cache() == []


def test_decoding_says_how_much_disk_it_takes_and_where(photos):
    told: list[tuple[int, int, str]] = []
    paths = sorted(map(str, photos.rglob("*.png")))
    cache.decode_all(photos, paths, side=100, resize="crop", progress=lambda *event: told.append(event))
    assert [event[:2] for event in told] == [(i + 1, 40) for i in range(40)]
    assert told[0][2] == f"reading photos at 100x100 (1.2 MB in {folder()}); this is done once"
