"""Downloads: whole or not at all, whatever the server, the disk, another process or Ctrl-C does."""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eyesight
from eyesight.cli import main
from eyesight.data import catalog, download, published
from eyesight.data.download import RemoteFile, fetch
from eyesight.errors import DataError, DataNotFoundError, EyesightError, UsageError
from eyesight.progress import DownloadReport

BODY = np.random.default_rng(0).bytes(700_000)
MD5 = hashlib.md5(BODY).hexdigest()


class Server:
    """A web server on this machine, which misbehaves as told.

    Attributes:
        files: by path.
        ranges: whether it can send a part.
        cuts: for each of the next answers, after how many bytes it breaks off.
        pause: seconds between pieces.
        asked: (path, Range) of every request so far.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/good/f.bin": BODY}
        self.ranges = True
        self.cuts: list[int] = []
        self.pause = 0.0
        self.shift = 0
        self.lengthless = False
        self.asked: list[tuple[str, str | None]] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append((handler.path, wanted))
        body = self.files.get(handler.path)
        if body is None:
            handler.send_error(404)
            return
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.ranges else 0
        if start and start >= len(body):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            first = start + self.shift
            handler.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if not self.lengthless:
            handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        rest = body[start:]
        rest = rest[: self.cuts.pop(0)] if self.cuts else rest
        try:
            for at in range(0, len(rest), 50_000):
                handler.wfile.write(rest[at : at + 50_000])
                time.sleep(self.pause)
        except OSError:  # the client has gone
            pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def remote(server: Server, *folders: str) -> RemoteFile:
    return RemoteFile("f.bin", MD5, tuple(f"{server.base}/{folder}/f.bin" for folder in folders or ("good",)))


def refused(call: Callable[[], Any], *parts: str, kind: type[EyesightError] = DataError) -> str:
    """The call must raise a one-line error that has all the parts in it."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    for part in parts:
        assert part in message
    assert "\n" not in message
    return message


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "lock")


# -- one file --------------------------------------------------------------------------------------------------------


def test_a_file_is_downloaded_once_and_its_progress_told(server: Server, tmp_path: Path) -> None:
    told = list[tuple[str, int, int | None]]()
    target = fetch(remote(server), tmp_path / "new" / "set", progress=lambda *step: told.append(step))
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["f.bin"]
    assert told[0] == ("f.bin", 0, len(BODY))
    assert told[-1] == ("f.bin", len(BODY), len(BODY))
    assert fetch(remote(server), target.parent) == target
    assert len(server.asked) == 1


def test_a_body_that_breaks_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 200_000]
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.ranges = [300_000], False
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-"]


def test_a_server_that_says_no_length_is_believed_only_with_the_checksum(server: Server, tmp_path: Path) -> None:
    server.lengthless = True
    assert fetch(remote(server), tmp_path / "whole").read_bytes() == BODY
    server.cuts = [300_000]
    refused(lambda: fetch(remote(server), tmp_path / "cut"), "wrong checksum")
    assert names(tmp_path / "cut") == []


def test_a_connection_that_never_brings_anything_is_given_up_and_its_part_kept(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 0, 0, 0]
    refused(
        lambda: fetch(remote(server), tmp_path),
        "f.bin: could not be downloaded: ",
        "broke off after 300,000 of 700,000 bytes; 0.3 MB are kept, and the same command goes on from there",
    )
    assert names(tmp_path) == ["f.bin.part"]
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert server.asked[-1][1] == "bytes=300000-"


def test_a_dead_mirror_and_one_with_another_file_give_way_to_a_good_one(server: Server, tmp_path: Path) -> None:
    server.files["/wrong/f.bin"] = BODY[::-1]
    lines = list[str]()
    dead = "http://127.0.0.1:1/f.bin"
    file = RemoteFile("f.bin", MD5, (dead, *remote(server, "gone", "wrong", "good").urls))
    assert fetch(file, tmp_path, say=lines.append).read_bytes() == BODY
    assert [re.sub(r"^http://\S+/(.*?)f\.bin: |; trying the next mirror$", "", line) for line in lines] == [
        "connection refused",
        "answered 404 Not Found",
        f"wrong checksum (MD5 {hashlib.md5(BODY[::-1]).hexdigest()}, expected {MD5})",
    ]
    assert lines[0].startswith(f"{dead}: ")


def test_where_all_mirrors_fail_each_is_named_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    server.files["/wrong/f.bin"] = b"<html>please log in</html>"
    message = refused(lambda: fetch(remote(server, "gone", "wrong"), tmp_path), "404 Not Found", "wrong checksum")
    assert "are kept" not in message
    assert names(tmp_path) == []


@pytest.mark.parametrize("part", [b"of something else", BODY[:-1] + b"?", BODY + b"more"])
def test_a_part_of_something_else_is_thrown_away(server: Server, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "f.bin.part").write_bytes(part)
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert server.asked[0][1] == f"bytes={len(part)}-"


def test_a_part_that_is_whole_is_only_moved(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.bin.part").write_bytes(BODY)
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert (server.asked, names(tmp_path)) == ([], ["f.bin"])


def test_an_answer_with_another_range_than_asked_is_not_appended(server: Server, tmp_path: Path) -> None:
    server.shift = 5
    (tmp_path / "f.bin.part").write_bytes(BODY[:1000])
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


@pytest.mark.parametrize("lengthless", [False, True])
def test_a_server_that_sends_without_end_is_stopped(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengthless: bool
) -> None:
    monkeypatch.setattr(download, "_LARGEST", 100_000)
    server.lengthless = lengthless
    refused(lambda: fetch(remote(server), tmp_path), "100,000")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100_000


def test_a_server_that_falls_silent_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", 0.1)
    server.pause = 0.4
    refused(lambda: fetch(remote(server), tmp_path), "no answer for 0.1 seconds", "kept")


def test_a_file_of_that_name_is_the_users_and_stays(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.bin").write_bytes(b"mine")
    refused(lambda: fetch(remote(server), tmp_path), f"{tmp_path}/f.bin: is not the published file", "remove it")
    assert (tmp_path / "f.bin").read_bytes() == b"mine"
    (tmp_path / "f.bin").unlink()
    for name in ("f.bin", "f.bin.part"):  # one that waits for a pipe waits for ever
        os.mkfifo(tmp_path / name)
        refused(lambda: fetch(remote(server), tmp_path), f"{name}: expected a file; received: a pipe")
        (tmp_path / name).unlink()


# -- the disk --------------------------------------------------------------------------------------------------------


def test_no_space_is_told_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    refused(lambda: fetch(remote(server), tmp_path), f"{tmp_path}/f.bin.part: no space left on the disk")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_meanwhile_keeps_what_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 400_000:
                raise OSError(number, os.strerror(number))
            return super().write(data)

    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", *a: Full(str(path), mode) if mode in ("ab", "wb") else real(path, mode, *a)
    )
    refused(lambda: fetch(remote(server), tmp_path), "f.bin: no space left on the disk")
    monkeypatch.undo()
    assert names(tmp_path) == ["f.bin.part"]
    kept = (tmp_path / "f.bin.part").stat().st_size
    assert 0 < kept <= 400_000
    assert fetch(remote(server), tmp_path).read_bytes() == BODY
    assert server.asked[-1][1] == f"bytes={kept}-"


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(lambda: fetch(remote(server), tmp_path / "file" / "set"), f"{tmp_path}/file/set: not a directory")


# -- processes -------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from eyesight.data.download import RemoteFile, fetch
try:
    print("got", fetch(RemoteFile("f.bin", sys.argv[2], (sys.argv[1],)), Path("set"), say=print), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def start(server: Server) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, f"{server.base}/good/f.bin", MD5]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for_part(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)


def test_of_two_processes_one_downloads_and_the_other_waits(server: Server, tmp_path: Path) -> None:
    server.pause = 0.1
    first = start(server)
    wait_for_part(tmp_path / "set" / "f.bin.part", first)
    lines = list[str]()
    assert fetch(remote(server), tmp_path / "set", say=lines.append).read_bytes() == BODY
    assert lines == [f"{tmp_path}/set: another process is downloading; waiting for it"]
    assert first.communicate(timeout=20)[0] == "got set/f.bin\n"
    assert len(server.asked) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_leaves_what_came_and_the_next_goes_on(
    server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    server.pause = 0.1
    process = start(server)
    part = tmp_path / "set" / "f.bin.part"
    wait_for_part(part, process)
    process.send_signal(number)
    said = process.communicate(timeout=20)[0]
    assert said == ("interrupted\n" if number == signal.SIGINT else "")
    kept = part.stat().st_size
    assert 0 < kept < len(BODY)
    assert BODY.startswith(part.read_bytes())
    server.pause = 0
    assert fetch(remote(server), part.parent).read_bytes() == BODY
    assert server.asked[-1][1] == f"bytes={kept}-"


# -- the named sets --------------------------------------------------------------------------------------------------

STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_files() -> dict[str, bytes]:
    """The four files of a set of black pictures."""
    files = {}
    for stem in STEMS:
        count = 60_000 if stem.startswith("train") else 10_000
        shape = (count, 28, 28) if "images" in stem else (count,)
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        files[f"{stem}.gz"] = gzip.compress(header + np.zeros(shape, np.uint8).tobytes(), 1)
    return files


@pytest.fixture
def mirror(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that publishes a mnist of its own, and is the only one."""
    files = idx_files()
    sums = {name: hashlib.md5(body).hexdigest() for name, body in files.items()}
    monkeypatch.setitem(published._PUBLISHED, "mnist", published.Publication("mnist", (), sums))
    monkeypatch.setenv("EYESIGHT_MIRROR", f"{server.base}/")
    server.files = {f"/mnist/{name}": body for name, body in files.items()}
    return server


def test_the_checksums_and_mirrors_are_the_published_ones() -> None:
    assert list(published._PUBLISHED) == [name for name in catalog.names() if name != "digits"]
    for name in published._PUBLISHED:
        for file in published.published_files(name):
            assert re.fullmatch("[0-9a-f]{32}", file.md5)
            assert all(re.fullmatch(r"https?://[\w./~-]+", url) for url in file.urls)
    first = published.published_files("mnist")[0]
    assert (first.name, first.md5) == ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873")
    assert first.urls[0] == "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz"
    (cifar,) = published.published_files("cifar10")
    assert cifar.urls == ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",)


def test_ones_own_mirror_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYESIGHT_MIRROR", "https://files.example/sets/")
    urls = published.published_files("cifar100")[0].urls
    assert urls[0] == "https://files.example/sets/cifar-100/cifar-100-binary.tar.gz"
    assert len(urls) == 2
    monkeypatch.setenv("EYESIGHT_MIRROR", "/mnt/sets")
    refused(lambda: published.published_files("mnist"), "$EYESIGHT_MIRROR: expected the address", kind=UsageError)


def test_a_missing_set_says_the_command_and_the_command_gets_it(
    mirror: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "mnist"]) == 1
    assert capsys.readouterr().err.startswith(
        "eyesight: error: mnist: not found; download it: eyesight data download mnist; or put {train,t10k}"
    )
    assert mirror.asked == []
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("what is missing comes with: eyesight data download mnist fashion-mnist cifar10 cifar100\n")
    assert main(["data", "download", "mnist"]) == 0
    out, err = capsys.readouterr()
    place = Path(os.environ["XDG_DATA_HOME"]) / "eyesight" / "mnist"
    assert out == f"mnist: {place}\n"
    assert err.splitlines()[0].startswith("train-images-idx3-ubyte.gz (0.")
    data = eyesight.load_data("mnist")
    assert (len(data.test), data.folder) == (10_000, str(place.parent))
    assert main(["data", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1]["found"] == str(place)
    assert eyesight.download("mnist", offline=True) == place
    assert len(mirror.asked) == 4
    monkeypatch.setenv("EYESIGHT_DATA", str(tmp_path / "made"))
    assert eyesight.download("mnist", progress=False) == tmp_path / "made" / "mnist"
    assert eyesight.load_data("mnist").folder == str(tmp_path / "made")


def test_the_command_names_the_folder_that_was_named(mirror: Server, tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    refused(
        lambda: eyesight.load_data("mnist", data_dir="my data"),
        "mnist: not found in my data; download it: eyesight data download mnist --data-dir 'my data'; or put ",
        kind=DataNotFoundError,
    )
    assert main(["data", "download", "mnist", "--data-dir", "my data"]) == 0
    assert eyesight.load_data("mnist", data_dir="my data").folder == str(tmp_path / "my data")


@pytest.mark.parametrize("how", ["--offline", "EYESIGHT_OFFLINE"])
def test_offline_refuses_in_one_line(
    mirror: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    if how == "EYESIGHT_OFFLINE":
        monkeypatch.setenv(how, "1")
    command = ["data", "download", "mnist", *(["--offline"] if how == "--offline" else [])]
    assert main(command) == 1
    err = capsys.readouterr().err
    assert re.fullmatch(
        rf"eyesight: error: mnist: \S+/mnist has no train-images\S+, .*, and {how} forbids downloads\n", err
    )
    assert mirror.asked == []
    monkeypatch.setenv("EYESIGHT_OFFLINE", "0")
    assert not published.is_offline()


def test_sets_that_are_not_published_are_refused() -> None:
    refused(lambda: eyesight.download("digits"), "digits comes with the program", kind=UsageError)
    refused(lambda: eyesight.download("mnits"), "did you mean 'mnist'?", kind=UsageError)


def test_a_set_that_is_there_in_another_form_is_left_alone(mirror: Server, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"  # a root of torchvision
    raw.mkdir(parents=True)
    for name, body in idx_files().items():
        (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress(body))
    assert eyesight.download("mnist", data_dir=tmp_path) == raw
    (raw / STEMS[1]).write_bytes(b"cut")
    assert eyesight.download("mnist", data_dir=tmp_path) == tmp_path / "mnist"
    assert len(eyesight.load_data("mnist", data_dir=tmp_path).test) == 10_000


# -- what others have downloaded -------------------------------------------------------------------------------------


def keras_npz(path: Path, **changes: Any) -> None:
    """mnist.npz as Keras has it: all black, labels 0 to 9 in turn."""
    arrays: dict[str, Any] = {}
    for split, count in (("train", 60_000), ("test", 10_000)):
        arrays[f"x_{split}"] = np.zeros((count, 28, 28), np.uint8)
        arrays[f"y_{split}"] = (np.arange(count) % 10).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{name: value for name, value in (arrays | changes).items() if value is not None})


@pytest.fixture
def keras() -> Path:
    folder = Path(os.environ["KERAS_HOME"]) / "datasets"
    folder.mkdir(parents=True)
    return folder


def test_what_keras_downloaded_is_found(keras: Path) -> None:
    keras_npz(keras / "mnist.npz")
    data = eyesight.load_data("mnist", validation=0)
    assert (data.shape, len(data.train), data.folder) == ((28, 28, 1), 60_000, str(keras))
    assert data.test.labels[:12].tolist() == [*range(10), 0, 1]
    assert data.train.source(7) == f"{keras}/mnist.npz: x_train[7]"
    (keras / "fashion-mnist").mkdir()
    for name, body in idx_files().items():
        (keras / "fashion-mnist" / name).write_bytes(body)
    assert len(eyesight.load_data("fashion-mnist").test) == 10_000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y_test": None}, "has no array y_test"),
        ({"x_test": np.zeros((10_000, 28, 27), np.uint8)}, "x_test: expected 10,000 x 28 x 28 unsigned bytes"),
        ({"y_test": np.zeros(10_000, np.int64)}, "received: 10,000 of int64"),
        ({"y_test": np.full(10_000, {"a": 1}, object)}, "received: 10,000 of object"),
        ({"y_test": np.full(10_000, 10, np.uint8)}, "expected a label from 0 to 9; received: 10"),
    ],
)
def test_another_npz_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    keras_npz(tmp_path / "mnist.npz", **changes)
    refused(lambda: eyesight.load_data("mnist", data_dir=tmp_path), f"{tmp_path}/mnist.npz", says)


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    for body in (b"", b"PK\x03\x04 not really"):
        path.write_bytes(body)
        refused(lambda: eyesight.load_data("mnist", data_dir=tmp_path), f"{path}: not a file of NumPy arrays")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps("not an array"))
    refused(lambda: eyesight.load_data("mnist", data_dir=tmp_path), f"{path}: not a file of NumPy arrays")
    keras_npz(path)
    path.write_bytes(path.read_bytes()[:-100])
    refused(lambda: eyesight.load_data("mnist", data_dir=tmp_path), f"{path}: not a file of NumPy arrays")
    path.unlink()
    path.symlink_to("nothing")
    refused(lambda: eyesight.load_data("mnist", data_dir=tmp_path), f"{path}: expected a file")


def test_pickled_files_are_not_read_and_that_is_said(keras: Path) -> None:
    (keras / "cifar-10-batches-py").mkdir()
    (keras / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps({}))
    refused(
        lambda: eyesight.load_data("cifar10"),
        f"({keras}/cifar-10-batches-py is pickled, and not read: unpickling can run any program); download it: ",
    )


def test_a_half_download_of_somebody_else_does_not_hide_a_whole_one(
    keras: Path, mirror: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (keras / "mnist").mkdir()
    (keras / "mnist" / STEMS[0]).write_bytes(b"")
    refused(lambda: eyesight.load_data("mnist"), f"{keras}/mnist: has no train-labels")
    eyesight.download("mnist", progress=False)
    assert len(eyesight.load_data("mnist").test) == 10_000
    monkeypatch.setenv("EYESIGHT_DATA", str(keras))
    assert len(eyesight.load_data("mnist").test) == 10_000


def test_the_binary_cifar_in_a_root_of_torchvision_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in catalog._CIFAR10_BATCHES:
        (folder / name).write_bytes(bytes(3073) * 10_000)
    assert len(eyesight.load_data("cifar10", data_dir=tmp_path).test) == 10_000


# -- what a person sees ----------------------------------------------------------------------------------------------


def test_the_report_says_what_comes_and_where_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    report = DownloadReport(stream)
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    report("a.gz", 2_000_000, 10_000_000)
    clock[0] += 12
    report("a.gz", 8_000_000, 10_000_000)
    report("b.gz", 0, None)
    assert stream.getvalue().splitlines() == [
        "a.gz (10.0 MB): going on after 2.0 MB",
        "a.gz: 8.0 MB, 0.5 MB/s, 4.0 s left",
        "b.gz",
    ]
