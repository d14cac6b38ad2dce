"""Datasets: the standard files are read right, hostile ones are refused in one line, and splits never leak."""

from __future__ import annotations

import gzip
import io
import re
import struct
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyesight.data import catalog
from eyesight.data.binary import read_cifar, read_idx
from eyesight.data.dataset import Dataset, from_arrays
from eyesight.errors import DataError, DataNotFoundError, UnknownNameError, UsageError
from eyesight.pictures.preprocess import pixel_statistics

RNG = np.random.default_rng(0)
IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: np.ndarray, *, kind: int = 8, shape: tuple[int, ...] | None = None) -> bytes:
    shape = array.shape if shape is None else shape
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def refused(call, *says: str) -> str:
    """Check that `call` raises a DataError of one line that holds all of `says`."""
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for text in says:
        assert text in message
    return message


# -- the named datasets ----------------------------------------------------------------------------------------------


def test_digits_need_no_files():
    data = catalog.load("digits", validation=0)
    assert (len(data.train), len(data.test), data.shape) == (1438, 359, (8, 8, 1))
    assert sorted(set(data.train.labels.tolist())) == list(range(10)) == sorted(set(data.test.labels.tolist()))
    pictures = data.train.gather(np.arange(len(data.train)))
    assert (pictures.min(), pictures.max()) == (0, 255)
    assert catalog.load("digits", validation=0).fingerprint == data.fingerprint


def test_digits_are_scikit_learns_with_no_picture_in_both_parts():
    from sklearn.datasets import load_digits

    data = catalog.load("digits", validation=0)
    images, labels = load_digits(return_X_y=True)
    rows = np.concatenate([data.train.rows, data.test.rows])
    assert sorted(rows.tolist()) == list(range(1797))
    np.testing.assert_array_equal(np.concatenate([data.train.labels, data.test.labels]), labels[rows])
    np.testing.assert_array_equal(
        data.test.gather([0])[0, :, :, 0], np.round(images[data.test.rows[0]].reshape(8, 8) * 255 / 16)
    )


# channel means and deviations as published, of the training pictures
@pytest.mark.parametrize(
    ("name", "shape", "counts", "mean", "std"),
    [
        ("mnist", (28, 28, 1), (60_000, 10_000), (0.1307,), (0.3081,)),
        ("fashion-mnist", (28, 28, 1), (60_000, 10_000), (0.2860,), (0.3530,)),
        ("cifar10", (32, 32, 3), (50_000, 10_000), (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    ],
)
def test_the_standard_datasets_are_the_published_ones(data_dir, name, shape, counts, mean, std):
    data = catalog.load(name, data_dir=data_dir, validation=0)
    assert (data.shape, len(data.train), len(data.test)) == (shape, *counts)
    assert catalog.entry(name).counts == counts
    assert data.test.label_counts(10).sum() == counts[1]
    if name != "mnist":  # where all classes are equally frequent
        assert set(data.train.label_counts(10)) == {counts[0] // 10}
    found = pixel_statistics(data.train.batches(memory=4 << 20))
    assert found[0] == pytest.approx(mean, abs=6e-5)
    assert found[1] == pytest.approx(std, abs=6e-5)
    first = {"mnist": ["5", "0", "4"], "fashion-mnist": ["Ankle boot", "T-shirt/top", "T-shirt/top"]}
    if name in first:  # CIFAR-10 comes in more than one order
        assert [data.classes[label] for label in data.train.labels[:3]] == first[name]
    assert data.folder == str(data_dir.resolve())


def test_the_data_folder_may_stand_in_the_environment(data_dir, monkeypatch):
    monkeypatch.setenv("EYESIGHT_DATA", str(data_dir))
    assert len(catalog.load("fashion-mnist", validation=0.1).validation) == 6000


def test_names_and_class_names_are_complete():
    assert catalog.names() == ["digits", "mnist", "fashion-mnist", "cifar10", "cifar100"]
    for name in catalog.names():
        classes = catalog.entry(name).classes
        assert len(set(classes)) == len(classes) == (100 if name == "cifar100" else 10)
    assert list(catalog.entry("cifar100").classes) == sorted(catalog.entry("cifar100").classes)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown dataset 'fashion_mnist'; did you mean 'fashion-mnist'"):
        catalog.load("fashion_mnist")


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mnist", ["{train,t10k}-{images-idx3,labels-idx1}-ubyte", "mnist/"]),
        ("cifar10", ["cifar-10-binary.tar.gz", "cifar-10-batches-bin/", "cifar-10/"]),
        ("cifar100", ["cifar-100-binary.tar.gz", "cifar-100/"]),
    ],
)
def test_not_found_says_which_files_to_put_where(tmp_path, name, files):
    message = refused(lambda: catalog.load(name, data_dir=tmp_path), f"{name}: not found in {tmp_path}", *files)
    assert "--data-dir" in message
    with pytest.raises(
        DataNotFoundError, match=f"^{name}: not found; download it: eyesight data download {name}; or put "
    ):
        catalog.load(name)


def test_a_data_folder_that_does_not_exist_is_named_with_where_it_was_named(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="data_dir: no such folder: nowhere"):
        catalog.load("mnist", data_dir="nowhere")
    monkeypatch.setenv("EYESIGHT_DATA", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"\$EYESIGHT_DATA: no such folder: .*gone"):
        catalog.load("mnist")


# -- IDX -------------------------------------------------------------------------------------------------------------


def full_size_idx(folder: Path, *, dot: str = "-", packed: bool = False) -> None:
    """The four files of an MNIST-like set: all black but the first pixel, labels 0 to 9 in turn."""
    for name in IDX_NAMES:
        count = 60_000 if name.startswith("train") else 10_000
        array = np.zeros((count, 28, 28), np.uint8) if "images" in name else (np.arange(count) % 10).astype(np.uint8)
        if "images" in name:
            array[0, 0, 1] = 77
        data = idx(array)
        path = folder / (name.replace("-idx", f"{dot}idx") + (".gz" if packed else ""))
        written(path, gzip.compress(data, 1) if packed else data)


@pytest.mark.parametrize(("dot", "packed"), [("-", False), (".", False), ("-", True), (".", True)])
def test_idx_files_are_found_packed_or_not_with_a_dash_or_a_dot(tmp_path, dot, packed):
    full_size_idx(tmp_path / "mnist", dot=dot, packed=packed)
    data = catalog.load("mnist", data_dir=tmp_path, validation=0)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert data.train.gather([0])[0, 0, :3, 0].tolist() == [0, 77, 0]
    assert data.test.labels[:12].tolist() == [*range(10), 0, 1]
    assert data.train.source(5).startswith(str(tmp_path / "mnist" / f"train-images{dot}idx3-ubyte"))
    assert data.train.source(5).endswith("[5]")
    if packed:
        return
    assert len(catalog.load("mnist", data_dir=tmp_path / "mnist").test) == 10_000  # the folder itself may be named
    labels = tmp_path / "mnist" / f"train-labels{dot}idx1-ubyte"
    damaged = bytearray(labels.read_bytes())
    damaged[8 + 17] = 10
    labels.write_bytes(damaged)
    refused(
        lambda: catalog.load("mnist", data_dir=tmp_path), f"{labels}[17]: expected a label from 0 to 9", "received: 10"
    )
    labels.unlink()
    says = f"{tmp_path / 'mnist'}: has no train-labels-idx1-ubyte (or .gz)"
    refused(lambda: catalog.load("mnist", data_dir=tmp_path), says)
    assert catalog.locate("mnist", [tmp_path]) is None


PICTURES = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_values_come_back_in_order(tmp_path, packed):
    data = idx(PICTURES)
    path = written(tmp_path / ("a.gz" if packed else "a"), gzip.compress(data) if packed else data)
    np.testing.assert_array_equal(read_idx(path, shape=(5, 4, 3)), PICTURES)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"hello, this is text", "not an IDX file"),
        (idx(PICTURES, kind=0x0D), "not an IDX file of unsigned bytes in 3 dimensions"),
        (idx(PICTURES.reshape(20, 3)), "not an IDX file of unsigned bytes in 3 dimensions"),
        (idx(PICTURES)[:4], "cut off in its header"),
        (idx(PICTURES)[:6], "cut off in its header"),
        (idx(PICTURES)[:15], "cut off in its header"),
        (idx(PICTURES)[:16], "cut off (expected 76 bytes)"),
        (idx(PICTURES)[:-1], "cut off (expected 76 bytes)"),
        (idx(PICTURES) + b"\0", "longer than its header says"),
        (idx(PICTURES, shape=(6, 4, 3)), "expected 5 x 4 x 3 values; its header says: 6 x 4 x 3"),
        (idx(PICTURES, shape=(4, 5, 3)), "its header says: 4 x 5 x 3"),
        (idx(PICTURES, shape=(2**32 - 1,) * 3), "its header says: 4,294,967,295 x"),
        (idx(PICTURES, shape=(0, 0, 0)), "its header says: 0 x 0 x 0"),
    ],
)
def test_an_idx_file_that_is_not_as_it_should_be_is_refused(tmp_path, data, says):
    for path in (written(tmp_path / "a-ubyte", data), written(tmp_path / "a-ubyte.gz", gzip.compress(data))):
        refused(lambda path=path: read_idx(path, shape=(5, 4, 3)), f"{path}: ", says)


def test_gzip_data_that_is_cut_off_or_damaged_or_none_is_refused(tmp_path):
    path, data = tmp_path / "a.gz", gzip.compress(idx(PICTURES))
    for size in range(len(data)):
        written(path, data[:size])
        refused(lambda: read_idx(path, shape=(5, 4, 3)), f"{path}: ")
    for place in range(len(data) - 8, len(data) - 4):  # the checksum of the contents
        damaged = bytearray(data)
        damaged[place] ^= 1
        written(path, bytes(damaged))
        refused(lambda: read_idx(path, shape=(5, 4, 3)), "not gzip data, or damaged")
    written(path, idx(PICTURES))
    refused(lambda: read_idx(path, shape=(5, 4, 3)), "not gzip data, or damaged")


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = written(tmp_path / "a.gz", gzip.compress(idx(PICTURES) + bytes(200_000_000), 1))
    tracemalloc.start()
    refused(lambda: read_idx(path, shape=(5, 4, 3)), "longer than its header says")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_missing_idx_file_and_a_folder_in_its_place_are_named(tmp_path):
    refused(lambda: read_idx(tmp_path / "none", shape=(1,)), f"{tmp_path / 'none'}: no such file")
    refused(lambda: read_idx(tmp_path, shape=(1,)), f"{tmp_path}: expected a file; received: a folder")


# -- CIFAR -----------------------------------------------------------------------------------------------------------


def records(count: int, label_bytes: int = 1) -> tuple[np.ndarray, np.ndarray, bytes]:
    """Random pictures (N, 32, 32, 3), label bytes (N, 1 or 2), and the file that holds them."""
    pictures = RNG.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = RNG.integers(0, 10, (count, label_bytes), dtype=np.uint8)
    planes = pictures.transpose(0, 3, 1, 2).reshape(count, -1)
    return pictures, labels, np.hstack([labels, planes]).tobytes()


def archive(path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as file:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("label_bytes", [1, 2])
@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz"])
def test_cifar_batches_are_read_plane_by_plane_with_the_last_label(tmp_path, kind, label_bytes):
    one, two = records(3, label_bytes), records(4, label_bytes)
    if kind == "folder":
        path = tmp_path
        written(tmp_path / "one.bin", one[2])
        written(tmp_path / "two.bin", two[2])
    else:  # in another order, in any folder, among other files
        path = archive(tmp_path / f"c.{kind}", {"x/two.bin": two[2], "x/readme.html": b"hi", "x/one.bin": one[2]})
    pictures, labels = read_cifar(path, [("one.bin", 3), ("two.bin", 4)], label_bytes=label_bytes)
    np.testing.assert_array_equal(pictures, np.concatenate([one[0], two[0]]))
    np.testing.assert_array_equal(labels, np.concatenate([one[1], two[1]])[:, -1])  # of CIFAR-100 the fine one


@pytest.mark.parametrize(("name", "archive_name"), [("a folder", None), ("tar", "cifar-10-binary.tar")])
def test_cifar10_is_found_unpacked_and_in_a_tar(tmp_path, name, archive_name):
    batches = {f"data_batch_{i}.bin": np.zeros((10_000, 3073), np.uint8) for i in range(1, 6)}
    batches["test_batch.bin"] = np.zeros((10_000, 3073), np.uint8)
    for i, batch in enumerate(batches.values()):
        batch[:, 0] = i
        batch[7, 1 + 1024] = 200 + i  # the first green value
    if archive_name:
        (tmp_path / "cifar-10").mkdir()
        members = {f"cifar-10-batches-bin/{key}": value.tobytes() for key, value in batches.items()}
        place = archive(tmp_path / "cifar-10" / archive_name, members)
    else:
        place = tmp_path / "cifar-10-batches-bin"
        for key, value in batches.items():
            written(place / key, value.tobytes())
    data = catalog.load("cifar10", data_dir=tmp_path, validation=0)
    assert data.train.labels[::10_000].tolist() == [0, 1, 2, 3, 4]
    assert data.test.labels[0] == 5
    assert data.train.gather([20_007])[0, 0, 0].tolist() == [0, 202, 0]
    assert data.train.source(20_007) == f"{place}/data_batch_3.bin[7]"
    assert data.test.source(3) == f"{place}/test_batch.bin[3]"
    if archive_name is None:
        batches["data_batch_2.bin"][9, 0] = 10
        written(place / "data_batch_2.bin", batches["data_batch_2.bin"].tobytes())
        says = f"{place}/data_batch_2.bin[9]: expected a label from 0 to 9; received: 10"
        refused(lambda: catalog.load("cifar10", data_dir=tmp_path), says)
        (place / "data_batch_4.bin").unlink()
        refused(lambda: catalog.load("cifar10", data_dir=tmp_path), f"{place}: has no data_batch_4.bin")


def test_cifar100_of_full_size_is_found_unpacked(tmp_path):
    place = tmp_path / "cifar-100" / "cifar-100-binary"
    for name, count in (("train.bin", 50_000), ("test.bin", 10_000)):
        batch = np.zeros((count, 3074), np.uint8)
        batch[:, 0], batch[:, 1] = 19, np.arange(count) % 100  # coarse, fine
        written(place / name, b"")
        batch.tofile(place / name)
    data = catalog.load("cifar100", data_dir=tmp_path, validation=0)
    assert (len(data.train), len(data.test), data.shape, len(data.classes)) == (50_000, 10_000, (32, 32, 3), 100)
    assert data.train.label_counts(100).tolist() == [500] * 100
    assert data.test.source(12) == f"{place}/test.bin[12]"


def linked(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("c/one.bin")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "has no one.bin"),
        ({"c/two.bin": b"x"}, "has no one.bin"),
        ({"c/one.bin": linked(tarfile.SYMTYPE)}, "c/one.bin: expected a file or folder; received: a symbolic link"),
        ({"c/one.bin": linked(tarfile.LNKTYPE)}, "c/one.bin: expected a file or folder; received: a hard link"),
        ({"c/one.bin": linked(tarfile.DIRTYPE)}, "has no one.bin"),
        ({"c/one.bin": linked(tarfile.FIFOTYPE)}, "c/one.bin: expected a file or folder; received: a pipe"),
        ({"c/one.bin": bytes(6146), "d/one.bin": bytes(6146)}, "one.bin: is there twice"),
        ({"c/one.bin": b""}, "one.bin: expected 6,146 bytes (2 pictures); received: 0"),
        ({"c/one.bin": bytes(6145)}, "received: 6,145"),
        ({"c/one.bin": bytes(6147)}, "received: 6,147"),
    ],
)
def test_an_archive_with_links_or_missing_or_short_batches_is_refused(tmp_path, members, says):
    for name in ("c.tar", "c.tar.gz"):
        path = archive(tmp_path / name, members)
        refused(lambda path=path: read_cifar(path, [("one.bin", 2)], label_bytes=1), f"{path}: ", says)


@pytest.mark.parametrize("name", ["../../one.bin", "/tmp/evil", "c/../one.bin", ".."])
def test_an_archive_that_climbs_out_of_its_folder_is_refused_and_writes_nothing(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = archive(tmp_path / "in" / "c.tar", {name: records(2)[2]})
    refused(
        lambda: read_cifar(path, [("one.bin", 2)], label_bytes=1), f"{path}: {name}: the name leads out of the archive"
    )
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "c.tar"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("folder", ["", "c/", "./", f"{'long/' * 22}", "größe/"])
def test_archives_that_other_programs_make_are_read(tmp_path, form, folder):
    pictures, _, data = records(3)
    path = tmp_path / "c.tar"
    with tarfile.open(path, "w", format=form) as file:
        if folder:
            parent = tarfile.TarInfo(folder)
            parent.type = tarfile.DIRTYPE
            file.addfile(parent)
        info = tarfile.TarInfo(f"{folder}one.bin")
        info.size, info.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
        file.addfile(info, io.BytesIO(data))
    if len(folder) > 100 and form != tarfile.USTAR_FORMAT:  # the plain header of these cuts the name off
        refused(lambda: read_cifar(path, [("one.bin", 3)], label_bytes=1), "has no one.bin")
        return
    np.testing.assert_array_equal(read_cifar(path, [("one.bin", 3)], label_bytes=1)[0], pictures)


def test_a_short_batch_in_a_folder_is_named(tmp_path):
    written(tmp_path / "one.bin", bytes(100))
    refused(lambda: read_cifar(tmp_path, [("one.bin", 2)], label_bytes=1), f"{tmp_path}/one.bin: expected 6,146 bytes")
    refused(lambda: read_cifar(tmp_path, [("two.bin", 2)], label_bytes=1), f"{tmp_path}: has no two.bin")


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path, kind):
    data = archive(tmp_path / f"whole.{kind}", {"c/one.bin": records(4)[2]}).read_bytes()
    path = tmp_path / f"cut.{kind}"
    end = 512 + 4 * 3073 if kind == "tar" else len(data) - 8  # what follows in a tar is padding
    for size in [*range(40), *range(40, end, 97), end - 1]:
        written(path, data[:size])
        refused(lambda: read_cifar(path, [("one.bin", 4)], label_bytes=1), f"{path}: ")


def test_an_archive_whose_pixels_were_altered_is_refused_by_gzips_checksum(tmp_path):
    data = archive(tmp_path / "c.tar.gz", {"c/one.bin": records(8)[2]}).read_bytes()
    for place in range(100, len(data), 499):
        damaged = bytearray(data)
        damaged[place] ^= 4
        path = written(tmp_path / "damaged.tar.gz", bytes(damaged))
        refused(lambda path=path: read_cifar(path, [("one.bin", 8)], label_bytes=1), f"{path}: ")


def test_what_is_not_an_archive_is_refused(tmp_path):
    for data in (b"", b"<html>404 not found</html>", gzip.compress(b"hello"), bytes(20_000)[:-1] + b"x"):
        path = written(tmp_path / "c.tar.gz", data)
        refused(lambda path=path: read_cifar(path, [("one.bin", 2)], label_bytes=1), f"{path}: ")
    refused(lambda: read_cifar(tmp_path / "gone.tar", [("one.bin", 2)], label_bytes=1), "gone.tar: no such file")


def test_an_archive_with_a_damaged_header_is_read_or_refused_never_a_traceback(tmp_path):
    good = archive(tmp_path / "good.tar", {"c/one.bin": records(1)[2]}).read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(400):
        damaged = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(512)] = rng.choice([0, 32, 48, 55, 57, 75, 76, 103, 120, 128, 255])
        total = sum(damaged[:148]) + sum(damaged[156:512]) + 8 * 32
        damaged[148:156] = b"%06o\0 " % total  # a header checksum that is right again
        path = written(tmp_path / "damaged.tar", bytes(damaged))
        try:
            read_cifar(path, [("one.bin", 1)], label_bytes=1)
        except DataError as error:
            message = str(error)
        else:
            continue
        assert message.startswith(f"{path}: ")


# -- mutations -------------------------------------------------------------------------------------------------------


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with some bytes flipped, cut out, put in or cut off; more often near its start, where the headers are."""
    result = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(result)) | st.integers(0, min(len(result), 600)))
        how = draw(st.sampled_from(["flip", "cut", "insert", "end"]))
        if how == "flip" and place < len(result):
            result[place] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del result[place : place + draw(st.integers(1, 40))]
        elif how == "insert":
            result[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif how == "end":
            del result[place:]
    return bytes(result)


def read_or_refused(path: Path, read: Callable[[Path], Any]) -> Any:
    """What was read, or None where it was refused in a line that begins with the file's name."""
    try:
        return read(path)
    except DataError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return None


@settings(deadline=None, max_examples=150)
@given(mutated(idx(PICTURES)), st.booleans())
def test_a_mutated_idx_file_gives_what_it_holds_or_is_refused(tmp_path_factory, data, packed):
    path = tmp_path_factory.getbasetemp() / ("mutated.gz" if packed else "mutated")
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    array = read_or_refused(path, lambda path: read_idx(path, shape=(5, 4, 3)))
    assert array is None or idx(array) == data


@settings(deadline=None, max_examples=150)
@given(mutated(gzip.compress(idx(PICTURES), mtime=0)))
def test_mutated_gzip_data_gives_what_was_packed_or_is_refused(tmp_path_factory, data):
    path = written(tmp_path_factory.getbasetemp() / "mutated-stream.gz", data)
    array = read_or_refused(path, lambda path: read_idx(path, shape=(5, 4, 3)))
    assert array is None or (array == PICTURES).all()  # what was changed was of gzip's own


def small_archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name, content in (("c/notes.html", b"hi"), ("c/one.bin", bytes(3073))):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return data.getvalue()[: 512 * 11]  # up to the end mark: the rest is padding


@settings(deadline=None, max_examples=150)
@given(mutated(small_archive()), st.booleans())
def test_a_mutated_archive_is_read_or_refused(tmp_path_factory, data, packed):
    path = written(tmp_path_factory.getbasetemp() / "mutated.tar", gzip.compress(data, 1) if packed else data)
    read = read_or_refused(path, lambda path: read_cifar(path, [("one.bin", 1)], label_bytes=1))
    assert read is None or (read[0].shape, read[1].shape) == ((1, 32, 32, 3), (1,))


# -- splits ----------------------------------------------------------------------------------------------------------


def numbered(labels: list[int], *, test: int = 0, **options) -> Dataset:
    """A dataset whose picture i holds the number i."""
    pictures = np.zeros((len(labels), 2, 2), np.uint8)
    pictures[:, 0, 0] = np.arange(len(labels)) % 256
    pictures[:, 0, 1] = np.arange(len(labels)) // 256
    part = (pictures[:test], np.zeros(test, int)) if test else None
    return from_arrays((pictures, np.array(labels)), test=part, **options)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=300).filter(lambda x: max(np.bincount(x)) > 1),
    st.floats(0.01, 0.5),
    st.integers(0, 2**31),
)
@pytest.mark.filterwarnings("ignore:train. (no|all) pictures")
def test_a_validation_split_is_stratified_disjoint_complete_and_a_function_of_the_seed(labels, share, seed):
    whole = numbered(labels, classes=list("abcde"), validation=0)
    data = whole.with_validation(share, seed=seed)
    train, held_out = data.train, data.validation
    assert not set(train.rows) & set(held_out.rows)
    assert sorted([*train.rows, *held_out.rows]) == list(range(len(labels)))
    for split in (train, held_out):
        np.testing.assert_array_equal(split.labels, np.array(labels)[split.rows])
        assert (np.diff(split.rows) > 0).all()
        assert split.gather(np.arange(len(split)))[:, 0, 0, 0].tolist() == [row % 256 for row in split.rows]
    for count, taken in zip(whole.train.label_counts(5), held_out.label_counts(5), strict=True):
        assert taken == (min(max(1, round(share * count)), count - 1) if count else 0)
    again = whole.with_validation(0.3, seed=seed + 1).with_validation(share, seed=seed)
    np.testing.assert_array_equal(again.validation.rows, held_out.rows)
    assert again.fingerprint == data.fingerprint


def test_another_seed_draws_other_pictures():
    data = numbered([0, 1] * 100)
    assert set(data.with_validation(0.2, seed=1).validation.rows) != set(
        data.with_validation(0.2, seed=2).validation.rows
    )


def test_validating_on_the_test_set_is_said_in_the_protocol():
    data = numbered([0, 1] * 10, test=4, validation="test")
    assert data.protocol == "test-as-validation"
    assert data.validation is data.test
    assert len(data.train) == 20
    assert list(data.splits()) == ["train", "validation", "test"]
    with pytest.raises(UsageError, match="has no test set"):
        numbered([0, 1] * 10, validation="test")


def test_no_validation_uses_every_picture_for_training():
    data = numbered([0, 1] * 10).with_validation(0)
    assert (len(data.train), data.validation, data.protocol) == (20, None, "no-validation")
    with pytest.raises(UsageError, match="has no split 'validation'; it has: train"):
        data.split("validation")


@pytest.mark.parametrize("share", [-0.1, 0.51, 1, 5, float("nan"), "tset", None])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(UsageError, match=r"validation: expected a share from 0 to 0\.5"):
        numbered([0, 1] * 10).with_validation(share)
    with pytest.raises(UsageError, match="seed: expected a whole number, 0 or more; received: -1"):
        numbered([0, 1] * 10).with_validation(0.1, seed=-1)


def test_classes_of_one_picture_cannot_be_held_out():
    refused(lambda: numbered([0, 1, 2]), "no class has two pictures")


def test_ids_and_sources_stay_with_the_picture_however_it_is_split():
    data = numbered([0, 1] * 20, test=3)
    assert data.test.example_ids == ["test/0", "test/1", "test/2"]
    for changed in (data, data.with_validation(0.4, seed=9), data.with_validation("test")):
        for split in (changed.train, changed.validation):
            for i, name in enumerate(split.example_ids):
                part, row = name.split("/")
                assert split.source(i) == f"{part}[{row}]"
                assert split.gather([i])[0, 0, 0, 0] == int(row)


# -- fingerprints ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:train. no pictures of 1 of 3 classes")
def test_the_fingerprint_changes_with_anything_a_run_could_depend_on():
    pictures, labels = RNG.integers(0, 255, (20, 3, 3, 1), dtype=np.uint8), np.arange(20) % 2

    def build(change=None, *, classes=("a", "b"), validation=0.2, seed=0, test=True) -> str:
        arrays = {"train": (pictures.copy(), labels.copy()), "test": (pictures[:4].copy(), labels[:4].copy())}
        if change:
            change(arrays)
        data = from_arrays(arrays["train"], test=arrays["test"] if test else None, classes=list(classes), validation=0)
        return data.with_validation(validation, seed=seed).fingerprint

    def pixel(part: str, row: int):
        def change(arrays) -> None:
            arrays[part][0][row, 2, 1, 0] += 1

        return change

    def label(part: str, row: int):
        def change(arrays) -> None:
            arrays[part][1][row] ^= 1

        return change

    same = build()
    assert same == build()
    different = [
        *(build(change(part, row)) for change in (pixel, label) for part in ("train", "test") for row in (0, 3)),
        build(pixel("train", 19)), build(classes=("a", "c")), build(classes=("b", "a")), build(classes=("a", "b", "c")),
        build(validation=0.3), build(seed=1), build(validation=0), build(validation="test"), build(test=False),
    ]  # fmt: skip
    assert len({same, *different}) == 1 + len(different)


def test_the_fingerprint_is_not_a_matter_of_memory_layout_or_name():
    pictures, labels = RNG.integers(0, 255, (20, 3, 4, 3), dtype=np.uint8), np.arange(20) % 2
    first = from_arrays((pictures, labels), name="one").fingerprint
    assert from_arrays((np.asfortranarray(pictures), labels.astype(np.uint8)), name="two").fingerprint == first
    assert from_arrays((pictures / 255, labels[:, None].tolist())).fingerprint == first


# -- arrays ----------------------------------------------------------------------------------------------------------

SOUND = np.zeros((6, 4, 4, 3), np.uint8)
LABELS = np.array([0, 1, 2] * 2)


@pytest.mark.parametrize(
    ("pictures", "labels", "says"),
    [
        (SOUND[0, 0], LABELS, "expected pictures of shape (N, H, W)"),
        (np.zeros((6, 3, 4, 4), np.uint8), LABELS, "(channels come last here)"),
        (np.zeros((6, 4, 4, 2), np.uint8), LABELS, "received: (6, 4, 4, 2)"),
        (SOUND[:0], LABELS[:0], "received: (0, 4, 4, 3)"),
        (SOUND[:, :0], LABELS, "received: (6, 0, 4, 3)"),
        (SOUND.astype(np.int64) + 256, LABELS, "from 0 to 255, or floats from 0 to 1; received: int64 from 256"),
        (SOUND.astype(np.int8) - 1, LABELS, "received: int8 from -1 to -1"),
        (SOUND + 255.0, LABELS, "received: 255 to 255 (divide by 255)"),
        ([np.zeros((4, 4)), np.zeros((5, 4))], LABELS, "one size; received: 2 shapes, (4, 4), (5, 4); scale them"),
        (SOUND.astype(bool), LABELS, "received: bool"),
        (SOUND + 1.5, LABELS, "expected float pictures from 0 to 1; received: 1.5 to 1.5"),
        (SOUND - 0.5, LABELS, "received: -0.5 to -0.5"),
        (SOUND + np.nan, LABELS, "received: nan to nan"),
        ([[1], [1, 2]], LABELS, "expected arrays of pictures and labels"),
        (SOUND, [[0], [1, 2]], "expected arrays of pictures and labels"),
        (SOUND, LABELS[:5], "expected 6 whole-number labels"),
        (SOUND, LABELS * 0.5, "whole numbers from 0; received: float64, such as 0.0"),
        (SOUND, LABELS * np.nan, "received: float64, such as nan"),
        (SOUND, np.eye(6) * 0.9, "expected one class for each picture; received: labels of shape (6, 6)"),
        (SOUND, np.ones((6, 3), int), "that are not one-hot (labels.argmax(axis=1)"),
        (SOUND, list("abcabc"), "received: names, such as a; names, labels = numpy.unique(labels, return"),
        (SOUND, np.array(list("abcabc"), object), "received: names, such as a; names, labels = numpy.unique("),
        (SOUND, LABELS - 1, "expected labels from 0; received: -1"),
        (SOUND, LABELS + 10**9, "1,000,000,003 classes without names"),
        (SOUND, LABELS.astype(np.uint64) + np.uint64(2**63), "expected labels from 0; received: -9223372036854775808"),
    ],
)
def test_arrays_of_another_shape_type_or_range_are_refused_by_argument(pictures, labels, says):
    message = refused(lambda: from_arrays((pictures, labels)), says)
    assert message.startswith(("train: ", "labels: "))
    if message.startswith("train: "):
        assert refused(lambda: from_arrays((SOUND, LABELS), test=(pictures, labels)), says).startswith("test: ")


@pytest.mark.parametrize(
    "labels",
    [LABELS * 1.0, LABELS.astype(np.float32)[:, None], np.eye(3)[LABELS], np.eye(3, dtype=bool)[LABELS], list(LABELS)],
    ids=["float", "float-column", "one-hot", "bool-one-hot", "list"],
)
def test_labels_in_other_forms_mean_the_same_classes(labels):
    data = from_arrays((SOUND, labels), validation=0)
    assert data.train.labels.tolist() == LABELS.tolist()
    assert data.train.labels.dtype == np.int64


def test_bool_labels_are_two_classes():
    data = from_arrays((SOUND, LABELS == 2), classes=["other", "cat"], validation=0)
    assert data.train.labels.tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.int8])
def test_pixels_of_other_whole_numbers_keep_their_values(kind):
    pictures = RNG.integers(0, 100, (6, 4, 4, 3)).astype(kind)
    np.testing.assert_array_equal(from_arrays((pictures, LABELS), validation=0).train.gather(np.arange(6)), pictures)


@pytest.mark.parametrize(
    "classes",
    [
        {0: "ant", 1: "bee", 2: "cat"}, {2: "cat", 0: "ant", 1: "bee"}, {"cat": 2, "ant": 0, "bee": 1},
        ["ant", "bee", "cat"], np.array(["ant", "bee", "cat"]), iter(["ant", "bee", "cat"]),
        {np.int64(1): "bee", np.int64(0): "ant", np.int64(2): "cat"},
    ],
)  # fmt: skip
def test_class_names_come_in_the_order_of_their_numbers(classes):
    assert from_arrays((SOUND, LABELS), classes=classes).classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ({"ant", "bee", "cat"}, "list of names, in the order of their numbers; received: set"),
        (frozenset("abc"), "received: frozenset"),
        ("cat", "received: str"),
        (3, "received: int"),
        (["a", "a", "b"], "names that differ; received: 'a' twice"),
        ([1, "1", 2], "names that differ; received: '1' twice"),
        ([None, "b", "c"], "name for each class; received: None"),
        (["a", " ", "c"], "a name for each class; received: ' '"),
        ({0: "a", 1: "b", 2: None}, "a mapping of numbers and names"),
        ({0: "a", 1: "b", 3: "c"}, "the numbers 0 to 2; received: 0, 1, 3"),
        ({0: "a", 1: "a", 2: "b"}, "names that differ; received: 'a' twice"),
    ],
)
def test_class_names_without_an_order_or_that_are_no_names_are_refused(classes, says):
    with pytest.raises(UsageError, match=f"^classes: expected .*{re.escape(says)}"):
        from_arrays((SOUND, LABELS), classes=classes)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (LABELS + 1, r"train: no pictures of 1 of 4 classes: 0; .*numpy\.unique"),
        (np.array([5, 50, 500])[LABELS], r"train: no pictures of 498 of 501 classes: 0, 1, 2, 3, 4, 6, .*, …;"),
        (LABELS * 0, "train: all pictures are of one class, 0: every answer will be right"),
        (LABELS * 0 + 2, "train: all pictures are of one class, 2"),
    ],
)
def test_classes_without_pictures_and_one_class_alone_are_named_in_a_warning(labels, says):
    with pytest.warns(UserWarning, match=says):
        from_arrays((SOUND, labels))


def test_what_is_not_a_pair_is_refused():
    refused(lambda: from_arrays(SOUND), "train: expected a pair (pictures, labels); received: ndarray")
    refused(lambda: from_arrays((SOUND, LABELS, 3)), "train: expected a pair")


def test_a_test_set_must_fit_the_training_set():
    other = np.zeros((6, 5, 4, 3), np.uint8)
    refused(lambda: from_arrays((SOUND, LABELS), test=(other, LABELS)), "test: expected pictures of shape (4, 4, 3)")
    says = "labels of the test split should be from 0 to 2; received: 1 to 3"
    refused(lambda: from_arrays((SOUND, LABELS), test=(SOUND, LABELS + 1), classes=list("abc")), says)


def test_every_shape_and_type_that_means_pictures_is_taken():
    grey = RNG.integers(0, 256, (6, 4, 5), dtype=np.uint8)
    for pictures in (grey, grey[..., None], grey / 255, (grey / 255).astype(np.float32), np.asfortranarray(grey)):
        data = from_arrays((pictures, LABELS), validation=0)
        assert data.shape == (4, 5, 1)
        np.testing.assert_array_equal(data.train.gather(np.arange(6))[..., 0], grey)
    assert from_arrays((grey, LABELS[:, None]), validation=0).train.labels.tolist() == LABELS.tolist()
    assert from_arrays((grey, LABELS)).classes == ("0", "1", "2")


def test_tensors_are_taken_and_those_with_gradients_refused():
    import torch

    pictures = torch.rand(6, 4, 4)
    assert from_arrays((pictures, torch.from_numpy(LABELS))).shape == (4, 4, 1)
    refused(lambda: from_arrays((pictures.requires_grad_(), LABELS)), "train: expected arrays of pictures and labels")


def test_pictures_handed_out_are_copies():
    pictures = SOUND.copy()
    data = from_arrays((pictures, LABELS), validation=0)
    data.train.gather([0])[:] = 9
    assert (data.train.gather([0]) == 0).all()


@pytest.mark.parametrize(("memory", "sizes"), [(12 * 12 * 3 * 130, [128, 128, 14]), (1, [1] * 270)])
def test_batches_are_as_large_as_a_budget_of_bytes_allows(memory: int, sizes: list[int], bars_data: Dataset) -> None:
    parts = list(bars_data.train.batches(memory=memory))
    assert [len(part) for part in parts] == sizes
    np.testing.assert_array_equal(np.concatenate(parts), bars_data.train.gather(np.arange(270)))


def test_datasets_can_be_compared_and_hashed(bars_data):
    assert bars_data == bars_data  # noqa: PLR0124 - arrays inside would have no single truth value
    assert hash(bars_data)
