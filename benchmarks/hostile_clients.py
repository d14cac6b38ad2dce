"""What two hundred hostile clients do to a server, and to those who ask it properly.

    python benchmarks/hostile_clients.py [--clients 200] [--seconds 120] [--rate 50] [--network lite0]

Proper requests come at `--rate`, first alone, then beside the hostile ones: their 99th percentile may double, no more.
The hostile clients send cut pictures, bodies of 12 MB, bombs, text, slow headers, slow bodies, lengths that lie, and go
away in the middle. At the end the server must be alive, with every hostile answer a 4xx. Server and clients run on a
core each. Exit code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import os
import random
import sys
import tempfile
import threading
import urllib.request
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import machine
from serving import LOAD_CORE, ask, model_of, picture_of, request_of, resident, server

HEAD = b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def bomb() -> bytes:
    """Return a PNG that says it has 400 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    size = (20000).to_bytes(4)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + size + b"\x08\0\0\0\0") + chunk(b"IDAT", rows)


async def send(streams: Streams, data: bytes) -> None:
    """Send bytes."""
    streams[1].write(data)
    await streams[1].drain()


async def slowly(streams: Streams, data: bytes) -> None:
    """Send a byte now and then."""
    for k in range(len(data)):
        await send(streams, data[k : k + 1])
        await asyncio.sleep(0.5)


def tricks(picture: bytes) -> dict[str, Callable[[Streams], Awaitable[None]]]:
    """Return what hostile clients do, by name."""
    whole = HEAD % len(picture) + picture
    dark, large = bomb(), HEAD % 12_000_000
    return {
        "cut": lambda s: send(s, HEAD % (len(picture) // 2) + picture[: len(picture) // 2]),
        "large": lambda s: send(s, large + bytes(12_000_000)),
        "bomb": lambda s: send(s, HEAD % len(dark) + dark),
        "text": lambda s: send(s, HEAD % 11 + b"no picture."),
        "type": lambda s: send(s, whole.replace(b"Host", b"Content-Type: application/json\r\nHost", 1)),
        "slow headers": lambda s: slowly(s, whole[:60]),
        "slow body": lambda s: slowly(s, whole[:200]),
        "too long a length": lambda s: send(s, HEAD % (len(picture) + 1000) + picture),
        "too short a length": lambda s: send(s, HEAD % 40 + picture),
        "gone": lambda s: send(s, whole[: len(whole) // 2]),
        "no HTTP": lambda s: send(s, b"\x16\x03\x01\0\r\n\r\n"),
    }


async def hostile(port: int, picture: bytes, end: asyncio.Event, seen: collections.Counter[str]) -> None:
    """Be one hostile client until the end."""
    dice = random.Random()
    all_tricks = tricks(picture)
    while not end.is_set():
        name = dice.choice([*all_tricks])
        try:
            streams = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 10)
        except (OSError, TimeoutError):
            seen[f"{name}: no connection"] += 1
            continue
        try:
            await asyncio.wait_for(all_tricks[name](streams), 30)
            if name != "gone":
                answer = await asyncio.wait_for(streams[0].readline(), 30)
                seen[f"{name}: {answer[9:12].decode() or 'closed'}"] += 1
        except (OSError, TimeoutError) as error:
            seen[f"{name}: {type(error).__name__}"] += 1
        finally:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()
        await asyncio.sleep(dice.random())


async def crowd(port: int, picture: bytes, count: int, end: threading.Event, seen: collections.Counter[str]) -> None:
    """Be so many hostile clients until the end."""
    over = asyncio.Event()
    tasks = [asyncio.create_task(hostile(port, picture, over, seen)) for _ in range(count)]
    await asyncio.to_thread(end.wait)
    over.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Measure; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=float, default=50, help="of proper requests, a second")
    parser.add_argument("--network", default="digits", choices=["digits", "lite0"])
    parser.add_argument("--port", type=int, default=9750)
    arguments = parser.parse_args()
    machine.announce()
    port, picture = arguments.port, picture_of(arguments.network, None)
    seen: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        model, request = model_of(arguments.network, Path(folder)), Path(folder) / "request"
        request.write_bytes(request_of(picture, form=False))
        command = [sys.executable, "-m", "eyesight", "serve", str(model), "-q", "--threads", "1", "--port", str(port)]
        with server(command, port) as pid:
            os.sched_setaffinity(0, {LOAD_CORE})
            ask(port, request, arguments.rate, 2)
            alone = ask(port, request, arguments.rate, max(3.0, arguments.seconds / 4))
            before, end = resident(pid), threading.Event()
            thread = threading.Thread(
                target=lambda: asyncio.run(crowd(port, picture, arguments.clients, end, seen)), daemon=True
            )
            thread.start()
            beside = ask(port, request, arguments.rate, arguments.seconds)
            end.set()
            thread.join(60)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as reply:
                alive = reply.status == 200
            after = resident(pid)
    for name, count in sorted(seen.items()):
        print(f"{count:7,}  {name}")
    quiet, loud = (found["statuses"]["200"] for found in (alone, beside))
    strange = {name: found for name, found in beside["statuses"].items() if name != "200"}
    print(f"alone   p50 {quiet['p50']:.2f} ms  p99 {quiet['p99']:.2f} ms")
    times = loud["p99"] / quiet["p99"]
    print(f"beside  p50 {loud['p50']:.2f} ms  p99 {loud['p99']:.2f} ms: {times:.1f} times (at most 2)")
    print(f"other answers to proper requests: {strange or 'none'}; without an answer: {beside['unanswered']}")
    print(f"alive: {alive}; memory {before / 1e6:,.0f} MB before, {after / 1e6:,.0f} MB after")
    wrong = [name for name in seen if name.rpartition(": ")[2][:1] in "25" or "no connection" in name]
    met = alive and not strange and not wrong and times <= 2
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
