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
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

import eyesight
from eyesight.cli import main
from eyesight.data import cache, decoder, shards
from eyesight.data.inventory import list_cache
from eyesight.data.mapped import release
from eyesight.errors import DataError
from eyesight.pictures.preprocess import Preprocessing, read_picture
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
    assert [event[:2] for event in told] == [(0, 40), (16, 40), (32, 40), (40, 40)]
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


def test_processes_decode_what_threads_do(photos, monkeypatch):
    (photos / "a/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (photos / "a/pipe.png").unlink(missing_ok=True)
    os.mkfifo(photos / "a/pipe.png")
    paths = sorted(map(str, photos.rglob("*.png")))
    found = []
    for many in (1, 1000):
        monkeypatch.setattr(decoder, "_MANY", many)
        monkeypatch.setenv("EYESIGHT_CACHE", str(photos.parent / f"cache-{many}"))
        found.append(cache.decode_all(photos, paths, side=20, resize="crop"))
    apart, here = found
    assert apart.reasons == here.reasons
    assert apart.reasons[str(photos / "a/pipe.png")] == "not a file"
    assert len(apart.known.paths) == 40
    assert apart.known.paths == here.known.paths
    assert (apart.known.digests == here.known.digests).all()
    assert (apart.records.take(apart.known.rows) == here.records.take(here.known.rows)).all()


def test_a_file_that_a_decoder_crashes_on_is_named_and_the_others_are_read(photos, monkeypatch):
    real = decoder._Process.ask

    def ask(self: decoder._Process, job: decoder.Job) -> list[decoder.Result]:
        if any(path.endswith("a/7.png") for path in job.paths):
            self._process.kill()  # as the system does with a process that takes all memory
        return real(self, job)

    monkeypatch.setattr(decoder, "_MANY", 1)
    monkeypatch.setattr(decoder._Process, "ask", ask)
    data = eyesight.load_data(photos, validation=0)
    assert data.left_out == {"a/7.png": "the decoder crashed on it"}
    assert len(data.train) == 39


def test_where_no_process_can_be_started_threads_decode(photos, decoded, monkeypatch):
    monkeypatch.setattr(decoder, "_MANY", 1)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    load(photos)
    assert len(decoded) == 40


def test_a_jpeg_so_large_that_its_decoder_shrinks_it_is_stored_as_prediction_sees_it(photos, monkeypatch):
    drafts = []
    draft = JpegImageFile.draft
    monkeypatch.setattr(JpegImageFile, "draft", lambda self, *args: (drafts.append(args), draft(self, *args))[1])
    spots = np.random.default_rng(0).integers(0, 256, (42, 50, 3), dtype=np.uint8)
    Image.fromarray(spots).resize((5000, 4200)).save(photos / "a/0000.jpg")
    data = eyesight.load_data(photos, validation=0, img_size=24)
    assert data.train.example_ids[1] == "a/0000.jpg"
    as_predicted = Preprocessing(height=24, width=24, channels=3, mean=(0, 0, 0), std=(1, 1, 1))
    seen = read_picture(photos / "a/0000.jpg", as_predicted)
    assert (data.train.gather([1])[0] == seen).all()
    assert len(drafts) == 2


@pytest.mark.parametrize("many", [1, 1000])
def test_ctrl_c_while_decoding_keeps_what_was_decoded(photos, many):
    program = (
        "import signal, eyesight\nfrom eyesight.data import decoder\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"decoder._MANY, decoder._TOGETHER = {many}, (4, 4)\n"
        "from eyesight.data import cache\n"
        "def tell(done, total, doing):\n    print(done, flush=True)\n    import time; time.sleep(0.3)\n"
        f"cache.decode_all(__import__('pathlib').Path({str(photos)!r}), sorted(map(str, "
        f"__import__('pathlib').Path({str(photos)!r}).rglob('*.png'))), side=20, resize='crop', progress=tell)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.wait(30)
    left: list[tuple[int, int, str]] = []
    paths = sorted(map(str, photos.rglob("*.png")))
    found = cache.decode_all(photos, paths, side=20, resize="crop", progress=lambda *event: left.append(event))
    assert told == [0, 4, 8]
    assert len(found.known.paths) == 40
    assert left[0][1] <= 32


def test_pictures_of_a_large_set_leave_memory_again(photos, monkeypatch):
    first, released = load(photos), []
    monkeypatch.setattr(shards, "_SMALL", 0)
    monkeypatch.setattr(shards, "_RESIDENT", 10 << 16)
    monkeypatch.setattr(shards, "release", lambda part: released.append(release(part)))
    data = eyesight.load_data(photos, validation=0)
    for start in range(0, 40, 8):
        rows = np.arange(start, start + 8)
        assert (data.train.gather(rows) == first[rows]).all()
    assert len(released) >= 2
