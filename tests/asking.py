"""A server as its users start it, pictures as they send them, and clients that keep to no rule."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SOURCE = Path(__file__).resolve().parents[1] / "src"


@contextlib.contextmanager
def program(model: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `eyesight serve` in a process of its own; yield its address and the process."""
    command = [sys.executable, "-m", "eyesight", "serve", str(model), "--port", "0", "--threads", "1", *options]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"on (http://\S+) ", line)
        assert found, line
        reading = threading.Thread(target=process.stderr.read)  # so that it never waits for a reader
        reading.start()
        yield found[1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        reading.join()
        process.stderr.close()


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def digit(seed: int = 0) -> bytes:
    """The file of a small picture, different for each seed."""
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)))


def odd_photos() -> dict[str, bytes]:
    """Files of the kinds of pictures that servers get wrong."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((320, 240))
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = Image.fromarray((np.arange(240 * 320).reshape(240, 320) % 65536).astype(np.uint16))
    alpha = small.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    return {
        "turned": encoded(small, "JPEG", exif=turned),
        "grey": encoded(small.convert("L"), "JPEG"),
        "deep": encoded(deep),
        "transparent": encoded(alpha),
        "cmyk": encoded(small.convert("CMYK"), "JPEG"),
        "one pixel": encoded(small.crop((0, 0, 1, 1))),
        "very wide": encoded(small.resize((6000, 3))),
        "20 megapixels": encoded(small.resize((5472, 3648)), "JPEG"),
        "webp": encoded(small, "WEBP"),
        "gif": encoded(small, "GIF"),
    }


def connect(url: str) -> socket.socket:
    """A connection that keeps to no rule."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def raw(url: str, data: bytes) -> bytes:
    """Send bytes, and return all that comes until the server closes."""
    with connect(url) as connection:
        connection.sendall(data)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                found += part
        return found


def head(length: int | str, *more: str, path: str = "/predict") -> bytes:
    """The headers of a picture of so many bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()
