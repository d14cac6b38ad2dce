"""Files that survive a crash and cannot lie: atomic writes, versions, and tensor files whose every byte is checked."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from eyesight import formats
from eyesight.errors import FormatError
from eyesight.formats import atomic_path

DTYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def sealed(header: dict[str, Any] | bytes, body: bytes) -> bytes:
    """A tensor file with this header and a checksum that is right, as only a liar would make it."""
    if isinstance(header, dict):
        header = {"__metadata__": {"checksum": "0" * 64, "eyesight": "{}"}, **header}
        header = json.dumps(header, separators=(",", ":")).encode()
    data = struct.pack("<Q", len(header)) + header + body
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


# -- atomic writes ---------------------------------------------------------------------------------------------------


def test_a_write_that_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")

    def write_half() -> None:
        with formats.atomic_path(path) as temporary:
            temporary.write_text("half of the ne")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert path.read_text() == "old"
    assert contents(tmp_path) == {"result.json"}


def test_nobody_sees_a_file_before_it_is_whole(tmp_path):
    path = tmp_path / "new" / "result.bin"
    with formats.atomic_path(path) as temporary:
        temporary.write_bytes(b"1234")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename is atomic only within a file system
    assert path.read_bytes() == b"1234"
    assert contents(path.parent) == {"result.bin"}


def test_who_is_reading_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        formats.write_bytes(path, b"new")
        assert (reader.read(), path.read_bytes()) == (b"old", b"new")


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")
    script = (
        "import os, sys; from pathlib import Path; from eyesight import formats\n"
        "with formats.atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'new'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert path.read_bytes() == b"old"
    formats.remove_temporaries(tmp_path)
    assert contents(tmp_path) == {"result.bin"}


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_results_are_as_readable_as_any_file_of_the_user(tmp_path):
    old = os.umask(0o027)
    try:
        formats.write_bytes(tmp_path / "result", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == 0o640


def test_a_disk_that_reads_back_something_else_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "result"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"rotten")
    with pytest.raises(FormatError, match="read back"):
        formats.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"


def test_what_a_disk_takes_in_parts_is_written_whole_and_what_it_stops_taking_is_told(tmp_path, monkeypatch):
    path = tmp_path / "result"
    path.write_bytes(b"old")
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:3]))
    formats.write_bytes(path, bytes(range(100)))
    assert path.read_bytes() == bytes(range(100))
    monkeypatch.setattr(os, "write", lambda handle, data: 0)
    with pytest.raises(OSError, match="nothing more could be written") as caught:
        formats.write_bytes(path, b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
    assert path.read_bytes() == bytes(range(100))
    assert contents(tmp_path) == {"result"}


def test_a_save_is_synced_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    calls = []

    def noted(name):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *arguments: calls.append(name) or real(*arguments))

    for name in ("write", "fsync", "replace"):
        noted(name)
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: calls.append("read back") or read(path))
    formats.write_bytes(tmp_path / "result", b"new")
    assert calls == ["write", "fsync", "read back", "replace", "fsync"]


@pytest.mark.parametrize(("number", "told"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_folders_is_no_failure_but_a_failing_one_is(tmp_path, monkeypatch, number, told):
    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="result") if told else contextlib.nullcontext():
        formats.write_bytes(tmp_path / "result", b"new")
    assert (tmp_path / "result").read_bytes() == b"new"


def test_an_error_of_a_rename_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "result" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="result") as caught:
        formats.write_bytes(tmp_path / "result", b"new")
    assert str(caught.value).endswith(f": '{tmp_path / 'result'}'")
    assert contents(tmp_path) == {"result"}


def test_a_file_that_cannot_be_written_is_named_as_the_user_knows_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"report\.json") as caught, atomic_path(tmp_path / "file" / "report.json"):
        pass
    assert caught.value.filename == str(tmp_path / "file" / "report.json")


def test_a_failure_to_clean_up_does_not_hide_the_failure_before_it(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "cannot remove")

    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(os, "replace", lambda *_: os.open("/nowhere/at/all", os.O_RDONLY))
    with pytest.raises(FileNotFoundError):
        formats.write_bytes(tmp_path / "result", b"new")
    (left,) = tmp_path.iterdir()
    assert formats.is_temporary(left)
    monkeypatch.undo()
    formats.remove_temporaries(tmp_path)
    assert contents(tmp_path) == set()


def test_only_temporary_files_are_removed(tmp_path):
    theirs = {".result.json", ".a.0123456.tmp", "a.01234567.tmp", ".a.0123456g.tmp", ".a.01234567.tmp.gz", ".bashrc"}
    for name in (*theirs, ".a.01234567.tmp", ".step-000000001.safetensors.0a1b2c3d.tmp"):
        (tmp_path / name).touch()
    formats.remove_temporaries(tmp_path)
    assert contents(tmp_path) == theirs
    formats.remove_temporaries(tmp_path / "none")


# -- lines that are added --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (None, b""),
        (b"", b""),
        (b"1\n2\n", b"1\n2\n"),
        (b"1\n2\n{cut", b"1\n2\n"),
        (b"{cut", b""),
        (b"1\n\0\0\0", b"1\n"),
    ],
)
def test_a_line_is_added_and_what_was_left_of_a_half_written_one_goes(tmp_path, found, kept):
    path = tmp_path / "events.jsonl"
    if found is not None:
        path.write_bytes(found)
    formats.append_line(path, b"new")
    formats.append_line(path, b"newer")
    assert path.read_bytes() == kept + b"new\nnewer\n"


def test_a_line_that_a_full_disk_cuts_off_does_not_spoil_the_next(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    formats.append_line(path, b"first")
    real, left = os.write, [4]

    def fill_up(handle, data):
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, bytes(data)[: left.pop()])

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(OSError, match=r"events\.jsonl"):
        formats.append_line(path, b"second")
    monkeypatch.undo()
    assert path.read_bytes() == b"first\nseco"
    formats.append_line(path, b"third")
    assert path.read_bytes() == b"first\nthird\n"


# -- format and version ----------------------------------------------------------------------------------------------


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"format": "thing", "version": 3, "name": "Zoë → 猫", "values": [1, 2.5, None]}
    formats.write_json(tmp_path / "a.json", value)
    assert formats.read_json(tmp_path / "a.json", name="thing", version=3) == value
    assert "Zoë → 猫" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_file_name_that_is_not_utf_8_comes_back_as_it_was(tmp_path):
    value = {"format": "thing", "version": 1, "folder": os.fsdecode(b"/data/Zo\xeb")}
    formats.write_json(tmp_path / "a.json", value)
    assert formats.read_json(tmp_path / "a.json", name="thing", version=1) == value
    (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a JSON file, or cut off"),
        ('{"format": "thing", "vers', "not a JSON file, or cut off"),
        (b"\xff\xfe\x00\xd8", "not a JSON file, or cut off"),
        ("[" * 100_000, "not a JSON file, or cut off"),
        ("[1]", "expected a file of format thing; received: None"),
        ("{}", "expected a file of format thing; received: None"),
        ('{"format": "other", "version": 1}', "expected a file of format thing; received: 'other'"),
        ('{"format": "thing"}', "received: None"),
        ('{"format": "thing", "version": 0}', "received: 0"),
        ('{"format": "thing", "version": true}', "received: True"),
        ('{"format": "thing", "version": "2"}', "received: '2'"),
        ('{"format": "thing", "version": 9}', "thing version 9 is newer than this eyesight reads (up to 2); update"),
    ],
)
def test_a_json_file_that_is_something_else_is_refused_by_name_in_one_line(tmp_path, text, says):
    path = written(tmp_path / "a.json", text)
    with pytest.raises(FormatError) as caught:
        formats.read_json(path, name="thing", version=2)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("make", "says"), [(None, "no such file"), (Path.mkdir, "is a directory")])
def test_reading_what_is_not_a_file_names_it(tmp_path, make, says):
    path = tmp_path / "thing"
    if make:
        make(path)
    for read in (
        lambda: formats.read_json(path, name="thing", version=1),
        lambda: formats.read_tensors(path),
    ):
        with pytest.raises(FormatError, match=f"thing: {says}"):
            read()


def test_older_versions_are_upgraded_step_by_step_in_order(tmp_path):
    upgrades = {
        1: lambda value: {**value, "steps": [*value["steps"], "1→2"]},
        2: lambda value: {**value, "steps": [*value["steps"], "2→3"]},
        3: lambda value: {**value, "steps": [*value["steps"], "3→4"]},
    }
    for start, expected in ((1, ["1→2", "2→3", "3→4"]), (3, ["3→4"]), (4, [])):
        path = written(tmp_path / "a.json", json.dumps({"format": "thing", "version": start, "steps": []}))
        value = formats.read_json(path, name="thing", version=4, upgrades=upgrades)
        assert value == {"format": "thing", "version": 4, "steps": expected}


# -- tensor files: what goes in comes out ----------------------------------------------------------------------------


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda key: key != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(
            lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
        ),
        max_size=5,
    ),
    description=st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=9), st.none())),
)
def test_any_arrays_and_description_come_back_and_any_safetensors_reader_opens_them(tmp_path, arrays, description):
    path = tmp_path / "a.safetensors"
    checksum = formats.write_tensors(path, arrays, description)
    found, found_description, found_checksum = formats.read_tensors(path)
    assert (found_description, found_checksum) == (description, checksum)
    for table in (found, load_file(path)):
        assert table.keys() == arrays.keys()
        for key, array in arrays.items():
            assert (table[key].dtype, table[key].shape) == (array.dtype, array.shape)
            assert table[key].tobytes() == array.tobytes()


def test_arrays_of_any_memory_layout_are_saved_and_come_back_writable(tmp_path):
    arrays = {
        "channels last": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        "strided": np.arange(20)[::-3],
        "big-endian": np.array([1, 2, 3], ">i4"),
        "scalar": np.float32(2.5),
    }
    formats.write_tensors(tmp_path / "a.safetensors", arrays, {})
    found = formats.read_tensors(tmp_path / "a.safetensors")[0]
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key], array)
        found[key][...] = 0  # would raise on a read-only view


def test_the_same_contents_give_the_same_bytes_in_any_order_and_process():
    arrays = {"b": np.ones(3, np.float32), "a": np.zeros(2), "c": np.arange(4, dtype=np.uint8)}
    first = formats.pack_tensors(arrays, {"x": 1, "y": [2]})
    for _ in range(20):
        assert formats.pack_tensors(dict(reversed(arrays.items())), {"x": 1, "y": [2]}) == first
    assert first[1] == "e49fe510ba6620f11a6843c8b8ac07d3be20a2292e6aeab4fceac13ad94e13c2"


def test_a_description_that_looks_like_a_checksum_does_no_harm(tmp_path):
    description = {"blank": "0" * 64, "checksum": "0" * 64, "quoted": '"checksum":"' + "0" * 64 + '"'}
    formats.write_tensors(tmp_path / "a.safetensors", {"0" * 64: np.zeros(2)}, description)
    assert formats.read_tensors(tmp_path / "a.safetensors")[1] == description


def test_tensors_that_a_disk_reads_back_otherwise_are_noticed(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    sync = formats._sync

    def rot(handle: int) -> None:
        sync(handle)
        os.pwrite(handle, b"\xff", os.fstat(handle).st_size - 1)

    monkeypatch.setattr(formats, "_sync", rot)
    with pytest.raises(FormatError, match="read back"):
        formats.write_tensors(path, {"a": np.zeros(9)}, {})
    assert path.read_bytes() == b"old"
    assert contents(tmp_path) == {"a.safetensors"}


def test_tensors_are_written_one_at_a_time_without_a_copy_of_the_whole(tmp_path):
    """Sixteen arrays of 2 MB, each made when it is written: no more than one of them and a buffer are in memory."""
    size = 1 << 18
    arrays = {
        str(i): formats.LazyArray(np.dtype(np.float64), (size,), lambda i=i: np.full(size, float(i))) for i in range(16)
    }
    tracemalloc.start()
    try:
        checksum = formats.write_tensors(tmp_path / "a.safetensors", arrays, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 8 * size
    found, _, found_checksum = formats.read_tensors(tmp_path / "a.safetensors")
    assert found_checksum == checksum
    assert all((found[str(i)] == i).all() for i in range(16))


def test_a_type_that_cannot_be_read_back_is_not_written(tmp_path):
    with pytest.raises(FormatError, match=r"tensor 'z'.*complex128"):
        formats.write_tensors(tmp_path / "a.safetensors", {"z": np.zeros(2, complex)}, {})
    assert contents(tmp_path) == set()


# -- tensor files: what is not right is noticed ----------------------------------------------------------------------

SMALL = formats.pack_tensors({"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"format": "thing"})[0]


def test_every_flipped_byte_is_noticed():
    for i in range(len(SMALL)):
        for flip in (0x01, 0x20, 0xFF):
            damaged = bytearray(SMALL)
            damaged[i] ^= flip
            with pytest.raises(FormatError):
                formats.unpack_tensors(bytes(damaged), "file")


def test_every_truncation_and_every_appended_byte_is_noticed():
    for size in range(len(SMALL)):
        with pytest.raises(FormatError, match=r"^file: "):
            formats.unpack_tensors(SMALL[:size], "file")
    with pytest.raises(FormatError):
        formats.unpack_tensors(SMALL + b"\0", "file")


def test_an_honest_header_made_by_hand_is_read():
    data = sealed({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8))
    assert formats.unpack_tensors(data, "file")[0]["a"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]},
        {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [0, 10**30], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [1] * 70 + [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [float("inf")], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0.0, 8.0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0]},
        {"dtype": "F32", "shape": [2], "data_offsets": "08"},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "O8", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
        [1, 2],
        None,
    ],
)
def test_a_header_entry_that_lies_is_noticed_before_anything_is_allocated(entry):
    with pytest.raises(FormatError, match=r"^file: .*header"):
        formats.unpack_tensors(sealed({"a": entry}, bytes(8)), "file")


@pytest.mark.parametrize("second", [(0, 4), (0, 8), (2, 6), (4, 8), (6, 10)])
def test_tensors_that_overlap_or_leave_a_gap_are_noticed(second):
    table = {
        "a": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]},
        "b": {"dtype": "U8", "shape": [4], "data_offsets": [*second]},
    }
    table["b"]["shape"] = [second[1] - second[0]]
    with pytest.raises(FormatError, match=r"do not agree|does not fit"):
        formats.unpack_tensors(sealed(table, bytes(12)), "file")
    with pytest.raises(FormatError, match=r"do not agree|does not fit"):
        formats.unpack_tensors(sealed(table, bytes(8)), "file")


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"__metadata__":{"checksum":"' + b"0" * 64 + b'","eyesight":"' + b"[" * 200_000 + b'"}}',
        b'{"__metadata__":{"checksum":"' + b"0" * 64 + b'","eyesight":"[]"}}',
        b'{"__metadata__":{"checksum":"' + b"0" * 64 + b'","eyesight":7}}',
        b'{"__metadata__":{"checksum":7,"eyesight":"{}"}}',
        b'{"__metadata__":{"checksum":"abc","eyesight":"{}"}}',
        b'{"__metadata__":[]}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b"[]",
        b"7 ",
        b"\xff\xfe",
    ],
)
def test_a_header_that_is_not_ours_is_refused(header):
    with pytest.raises(FormatError, match="not a file that eyesight wrote"):
        formats.unpack_tensors(sealed(header, b""), "file")


def test_a_safetensors_file_of_another_program_is_refused_by_name(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    with pytest.raises(FormatError, match=r"theirs.safetensors: not a file that eyesight wrote"):
        formats.read_tensors(tmp_path / "theirs.safetensors")


@pytest.mark.parametrize("size", [0, 1, 64 * 2**20 + 1, 2**63, 2**64 - 1])
def test_a_claimed_header_size_that_cannot_be_is_refused_before_it_is_read(tmp_path, size):
    path = written(tmp_path / "a", struct.pack("<Q", size) + b"{}" * 50)
    with pytest.raises(FormatError, match="not a safetensors file"):
        formats.read_tensors(path)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_crashed_on(data):
    for candidate in (data, SMALL[: len(data)] + data, struct.pack("<Q", len(data)) + data):
        with pytest.raises(FormatError):
            formats.unpack_tensors(candidate, "file")
