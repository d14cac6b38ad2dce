"""How many requests a second a server answers, and what it does with ten times as many.

    python benchmarks/serving.py [--networks digits,lite0] [--seconds 8] [--overload 10] [--requests 200000]
        [--litserve-python PATH] [--photo FILE] [--json FILE]

Server and load run on a core each. The rate grows by a quarter until a request fails or the 99th percentile passes
`--slowest` milliseconds; the last rate before that is what the server sustains. Then it is asked `--overload` times as
much: what it answers a second, and how soon it refuses the rest. Then `--requests` at 0.7 of its rate: what its
memory does. With `--litserve-python`, LitServe is asked in the same way, in the same run, with an ONNX file of the same
network and a form as the request; eyesight is then asked once more, with the same form.

digits: small-cnn for 28x28 pictures, random weights, a PNG of 28x28. lite0: efficientnet-lite0, a photo.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import machine
from eyesight import api
from eyesight.classifier import Classifier, InferenceSpec
from eyesight.models import network_spec
from eyesight.pictures.preprocess import Preprocessing

HERE = Path(__file__).resolve().parent
SERVER_CORE, LOAD_CORE = 0, 1
REFUSED_WITHIN = 20.0  # milliseconds, 99th percentile
GROWTH, FIRST = 1.25, {"digits": 400.0, "lite0": 8.0}
Found = dict[str, Any]


def model_of(name: str, folder: Path) -> Path:
    """Write the classifier of a network; return its file."""
    path = folder / f"{name}.safetensors"
    if name == "lite0":
        api.load_classifier("efficientnet-lite0").save(path)
        return path
    import torch

    network = network_spec("small-cnn", shape=(28, 28, 1), classes=10).build()
    network.initialise(torch.Generator().manual_seed(0), torch.zeros(1, 1, 28, 28))
    preprocessing = Preprocessing(height=28, width=28, channels=1, mean=(0.5,), std=(0.5,))
    Classifier(network, InferenceSpec(preprocessing=preprocessing), [f"{k}" for k in range(10)]).save(path)
    return path


def picture_of(name: str, photo: Path | None) -> bytes:
    """Return the file that is sent."""
    if name == "lite0":
        if photo is not None:
            return photo.read_bytes()
        from sklearn.datasets import load_sample_image

        picture, kind = Image.fromarray(load_sample_image("china.jpg")).resize((320, 214)), "JPEG"
    else:
        picture, kind = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)), "PNG"
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def request_of(body: bytes, *, form: bool) -> bytes:
    """Return a whole request: the picture alone, or in a form."""
    kind = "application/octet-stream"
    if form:
        kind = "multipart/form-data; boundary=border"
        start = b'--border\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body = start + body + b"\r\n--border--\r\n"
    head = f"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.contextmanager
def server(command: list[str], port: int) -> Iterator[int]:
    """Run a server on its core until the end; yield its process."""
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(SERVER_CORE), *command],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            time.sleep(0.1)
        yield process.pid
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def ask(port: int, request: Path, rate: float, seconds: float) -> Found:
    """Let the load process ask; return what it found."""
    command = [sys.executable, str(HERE / "serving_load.py"), f"http://127.0.0.1:{port}", str(request)]
    options = ["--rate", str(rate), "--seconds", str(seconds), "--core", str(LOAD_CORE)]
    return json.loads(subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True).stdout)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process group holds."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == pid:
                pages += int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def sustained(side: str, port: int, request: Path, first: float, seconds: float, slowest: float) -> float:
    """Return the largest rate at which all is answered, and 99 % within so many milliseconds."""
    rate, best = first, 0.0
    while True:
        found = ask(port, request, rate, seconds)
        good = found["statuses"].get("200", {"count": 0, "p50": 0, "p99": 0})
        whole = set(found["statuses"]) == {"200"} and not found["unanswered"]
        print(
            f"{side:10} asked {found['asked_per_second']:8,.0f}/s  "
            f"answered {found['answered_per_second']:8,.0f}/s  "
            f"p50 {good['p50']:7.2f} ms  p99 {good['p99']:7.2f} ms",
            flush=True,
        )
        if not whole or good["p99"] > slowest or found["asked_per_second"] < 0.95 * rate:
            return best
        best, rate = rate, rate * GROWTH


def overload(side: str, port: int, request: Path, rate: float, times: float, seconds: float) -> Found:
    """Ask many times what is sustained; print and return what is answered and how soon the rest is refused."""
    found = ask(port, request, rate * times, seconds)
    refused = found["statuses"].get("429", {"count": 0, "p99": 0.0})
    goodput = found["answered_per_second"] / rate
    print(
        f"{side:10} asked {found['asked_per_second']:8,.0f}/s, {found['asked_per_second'] / rate:.1f} times: "
        f"goodput {goodput:.0%} (at least 90 %), "
        f"{refused['count']:,} refused, p99 {refused['p99']:.1f} ms (at most {REFUSED_WITHIN:g}), "
        f"others {sorted(set(found['statuses']) - {'200', '429'})}, {found['unanswered']} without an answer"
    )
    return found | {"goodput": goodput}


def memory(side: str, port: int, pid: int, request: Path, rate: float, count: int) -> float:
    """Print and return by what share memory grows over so many requests, the first tenth apart."""
    ask(port, request, 0.7 * rate, 0.1 * count / (0.7 * rate))
    before = resident(pid)
    ask(port, request, 0.7 * rate, 0.9 * count / (0.7 * rate))
    grown = resident(pid) / before - 1
    print(f"{side:10} memory {before / 1e6:,.0f} MB, {grown:+.1%} over {count:,} requests (at most 5 %)")
    return grown


def measure(name: str, arguments: argparse.Namespace, folder: Path) -> Found:
    """Measure one network on all sides."""
    model, body = model_of(name, folder), picture_of(name, arguments.photo)
    raw, form = folder / "raw", folder / "form"
    raw.write_bytes(request_of(body, form=False))
    form.write_bytes(request_of(body, form=True))
    eyesight = [sys.executable, "-m", "eyesight", "serve", str(model), "--threads", "1", "-q", "--port"]
    sides = {"eyesight": (eyesight, raw)}
    if arguments.litserve_python:
        onnx = folder / f"{name}.onnx"
        subprocess.run(
            [sys.executable, "-m", "eyesight", "export", str(model), "--format", "onnx", "--output", str(onnx)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        lit = [str(arguments.litserve_python), str(HERE / "serving_litserve.py"), str(onnx)]
        sides |= {"as a form": (eyesight, form), "LitServe": (lit, form)}
    results: Found = {}
    for k, (side, (command, request)) in enumerate(sides.items()):
        port = arguments.port + k
        with server([*command, str(port)], port) as pid:
            ask(port, request, FIRST[name], 2)  # warm
            rate = sustained(side, port, request, FIRST[name], arguments.seconds, arguments.slowest)
            print(f"{side:10} {name}: sustains {rate:,.0f}/s", flush=True)
            found = results[side] = {"sustained": rate}
            if rate and arguments.overload:
                found["overload"] = overload(side, port, request, rate, arguments.overload, arguments.seconds)
            if rate and arguments.requests and side == "eyesight":
                found["memory"] = memory(side, port, pid, request, rate, arguments.requests)
    return results


def main() -> int:
    """Measure all networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="digits,lite0")
    parser.add_argument("--seconds", type=float, default=8, help="of every rate")
    parser.add_argument("--slowest", type=float, default=50, help="milliseconds, 99th percentile, that still count")
    parser.add_argument("--overload", type=float, default=10, help="times what is sustained; 0 for none")
    parser.add_argument("--requests", type=int, default=200_000, help="of the look at memory; 0 for none")
    parser.add_argument("--litserve-python", type=Path, help="Python of LitServe's environment")
    parser.add_argument("--photo", type=Path, help="sent to lite0; a photo of 320x214 where not given")
    parser.add_argument("--port", type=int, default=9700)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: Found = {"machine": machine.announce(), "networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks.split(","):
            results["networks"][name] = measure(name, arguments, Path(folder))
            if arguments.json:
                arguments.json.write_text(json.dumps(results) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
