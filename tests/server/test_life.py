"""A server's life: it is asked too much, its model is replaced, it is told to end, it lives beside others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

import eyesight
from asking import SOURCE, connect, digit, head, program
from eyesight.errors import FormatError, UsageError
from eyesight.server.app import Service, Settings
from eyesight.server.limits import Limits
from eyesight.server.log import Log
from eyesight.server.running import Running, listen


class Slow:
    """A classifier that takes its time."""

    def __init__(self, classifier: eyesight.Classifier, seconds: float) -> None:
        self.classes, self.checksum, self.preprocessing = classifier.classes, None, classifier.preprocessing
        self._classifier, self._seconds = classifier, seconds

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        time.sleep(self._seconds * len(pictures))
        return self._classifier.probabilities(pictures)


def other_model(run: eyesight.Run, path: Path) -> None:
    """Write the same network with other probabilities."""
    classifier = eyesight.Classifier.load(run.model_file)
    classifier.inference = classifier.inference.model_copy(update={"temperature": 50.0})
    classifier.save(path)


class Load:
    """Clients that ask one picture after the other, until they are told to end."""

    def __init__(self, url: str, count: int = 4) -> None:
        self.statuses: list[int] = []
        self.lost: list[Exception] = []
        self._url, self._end = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._end.is_set():
                try:
                    self.statuses.append(client.post("/predict", content=digit()).status_code)
                except httpx.ConnectError:  # it takes no more
                    return
                except httpx.HTTPError as error:
                    self.lost.append(error)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def test_when_too_many_wait_the_rest_is_refused_at_once(digits_run: eyesight.Run) -> None:
    settings = Settings(limits=Limits(queue=8))
    service = Service(lambda: Slow(digits_run.classifier, 0.05), settings, Log(requests=False))
    with Running(service, listen("127.0.0.1", 0)) as server, ThreadPoolExecutor(24) as clients:

        def ask(_: int) -> tuple[httpx.Response, float]:
            with httpx.Client(timeout=30) as client:
                begun = time.perf_counter()
                return client.post(server.url + "/predict", content=digit()), time.perf_counter() - begun

        replies = list(clients.map(ask, range(24)))
    refused = [reply for reply, _ in replies if reply.status_code == 429]
    assert sum(reply.status_code == 200 for reply, _ in replies) + len(refused) == 24
    assert 4 <= len(refused) <= 16
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert all(reply.json()["error"] for reply in refused)


def test_a_late_answer_is_told_and_a_lost_client_is_not_computed(digits_run: eyesight.Run) -> None:
    counted = []

    class Counted(Slow):
        def probabilities(self, pictures: np.ndarray) -> np.ndarray:
            counted.append(len(pictures))
            return super().probabilities(pictures)

    settings = Settings(limits=Limits(timeout=1.0))
    service = Service(lambda: Counted(digits_run.classifier, 0.6), settings, Log(requests=False))
    with Running(service, listen("127.0.0.1", 0)) as server:
        url, body = server.url, digit()
        with ThreadPoolExecutor(8) as clients:
            first = clients.submit(httpx.post, url + "/predict", content=body, timeout=30)
            time.sleep(0.2)
            with connect(url) as gone:
                gone.sendall(head(len(body)) + body)
                time.sleep(0.1)
            late = [clients.submit(httpx.post, url + "/predict", content=body, timeout=30) for _ in range(4)]
            assert first.result().status_code == 200
            assert {reply.result().status_code for reply in late} == {503}
    assert counted[:3] == [1, 1, 4]  # the trial, the first, and those four: not the one whose client has gone


def test_a_new_model_is_taken_without_a_lost_request_and_a_broken_one_is_not(
    digits_run: eyesight.Run, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(digits_run.model_file.read_bytes())
    with program(path, "-q") as (url, process), Load(url) as load:

        def probability() -> float:
            return httpx.post(url + "/predict", content=digit()).json()["predictions"][0]["probability"]

        def reloads(outcome: str) -> bool:
            return f'eyesight_reloads_total{{outcome="{outcome}"}} 1.0' in httpx.get(url + "/metrics").text

        before = probability()
        other_model(digits_run, tmp_path / "new")
        (tmp_path / "new").replace(path)
        for outcome in ("done", "refused"):
            process.send_signal(signal.SIGHUP)
            wait_for(lambda outcome=outcome: reloads(outcome))
            assert probability() < before / 2
            path.write_bytes(b"broken")
    assert not load.lost
    assert set(load.statuses) == {200}


def wait_for(happened, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_it_took(number: int, digits_run: eyesight.Run) -> None:
    with program(digits_run.path, "-q") as (url, process), Load(url) as load:
        wait_for(lambda: len(load.statuses) > 20)
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not load.lost
    assert set(load.statuses) <= {200, 503}


def test_workers_share_a_port_a_count_and_a_signal(digits_run: eyesight.Run, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(digits_run.model_file.read_bytes())
    with program(path, "-q", "--workers", "2") as (url, process):
        with Load(url) as load:
            wait_for(lambda: len(load.statuses) > 50, 60)
            path.write_bytes(b"broken")
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            asked = len(load.statuses)
            wait_for(lambda: len(load.statuses) > asked + 50)
        text = httpx.get(url + "/metrics").text
        counted = sum(float(line.split()[-1]) for line in text.splitlines() if 'path="/predict",status="200"' in line)
        assert counted == len(load.statuses)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not load.lost
    assert set(load.statuses) == {200}


def test_a_thousand_cut_uploads_leave_memory_and_warnings_as_they_were(digits_run: eyesight.Run) -> None:
    whole = [digit(seed) for seed in range(8)]
    filters = list(warnings.filters)

    def cut(k: int) -> None:
        body = whole[k % 8]
        with connect(server.url) as connection:
            end = 1 + k % (len(body) // 2)
            connection.sendall(head(len(body) if k % 2 else end) + body[:end])
            if not k % 2:
                assert b"HTTP/1.1 400" in connection.recv(4096)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with eyesight.serve(digits_run.path, threads=1) as server, ThreadPoolExecutor(8) as clients:
        list(clients.map(cut, range(300)))
        before = resident()
        list(clients.map(cut, range(1000)))
        grown = resident() - before
        assert httpx.post(server.url + "/predict", content=digit()).status_code == 200
        assert server._service.held.bytes == 0
    assert grown < 8 << 20
    assert warnings.filters == filters


def test_two_models_in_one_process_keep_their_classes(digits_run: eyesight.Run, tmp_path: Path) -> None:
    classifier = eyesight.Classifier.load(digits_run.model_file)
    classifier.classes = tuple("abcdefghij")
    classifier.save(tmp_path / "letters.safetensors")
    with eyesight.serve(digits_run.path) as one, eyesight.serve(tmp_path / "letters.safetensors") as two:
        assert httpx.get(one.url + "/classes").json()["classes"] == list("0123456789")
        assert httpx.get(two.url + "/classes").json()["classes"] == list("abcdefghij")
        labels = [httpx.post(url + "/predict", content=digit()).json()["predictions"][0]["label"]
                  for url in (one.url, two.url)]  # fmt: skip
        assert "abcdefghij"[int(labels[0])] == labels[1]


FORKS = """
import os, sys, urllib.request
import eyesight
path, body = sys.argv[1], open(sys.argv[2], "rb").read()

def works(server):
    with urllib.request.urlopen(urllib.request.Request(server.url + "/predict", body)) as reply:
        return reply.status == 200

before = eyesight.serve(path)
assert works(before)
r, w = os.pipe()
child = os.fork()
if child == 0:
    inside = eyesight.serve(path)
    answered = works(inside) and works(before)
    os.write(w, b"y" if answered else b"n")
    inside.stop()
    os.read(0, 1)
    os._exit(0)
assert os.read(r, 1) == b"y"
port = int(before.url.rsplit(":", 1)[1])
before.stop()
again = eyesight.serve(path, port=port)  # which the child does not hold
assert works(again)
again.stop()
assert "torch" not in sys.modules
print("all answered")
"""


def test_it_starts_in_a_thread_before_and_after_a_fork_without_torch(digits_run: eyesight.Run, tmp_path: Path) -> None:
    (tmp_path / "digit.png").write_bytes(digit())
    program_file = tmp_path / "forks.py"
    program_file.write_text(FORKS, encoding="utf-8")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(program_file)]
    done = subprocess.run(
        [*command, str(digits_run.path), str(tmp_path / "digit.png")],
        stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert done.stdout == "all answered\n", done.stderr


def test_what_cannot_be_served_is_told_in_one_line(digits_run: eyesight.Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=r"port: .* cannot be used"):
            eyesight.serve(digits_run.path, port=port)
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(FormatError):
        eyesight.serve(tmp_path / "broken.safetensors")
    with pytest.raises(UsageError, match="unknown limit"):
        eyesight.serve(digits_run.path, pixel=3)


def test_a_missing_extra_names_its_line(digits_run: eyesight.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else found(name))
    with pytest.raises(UsageError, match=r"uvicorn: pip install 'eyesight\[serve\]'"):
        eyesight.serve(digits_run.path)
