"""A client that asks at a fixed rate, whether or not answers come: open loop, as crowds do.

    python benchmarks/serving_load.py URL REQUEST_FILE --rate 1500 --seconds 10 [--core 1] [--connections 600]

In: the bytes of a whole HTTP request. Out: one line of JSON: for each status its count and the 50th and 99th percentile
of the milliseconds, counted from the moment the request was due, not from when it could be sent.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np


class Connection:
    """One connection that is kept open: at most one request at a time."""

    def __init__(self, address: tuple[str, int], poll: select.epoll) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due, self.unsent, self.received = 0.0, b"", b""
        self._poll = poll
        poll.register(self.socket, select.EPOLLIN)

    def send(self, request: bytes, due: float) -> None:
        """Send a request, or as much of it as goes at once."""
        self.due, self.received = due, b""
        sent = self.socket.send(request)
        self.unsent = request[sent:]
        if self.unsent:
            self._poll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)

    def go_on(self) -> None:
        """Send more of it."""
        self.unsent = self.unsent[self.socket.send(self.unsent) :]
        if not self.unsent:
            self._poll.modify(self.socket, select.EPOLLIN)

    def answer(self) -> int | None:
        """Read; return the status once the answer is whole and the request sent, -1 where the connection has ended."""
        try:
            part = self.socket.recv(65536)
        except OSError:
            return -1
        if not part:
            return -1
        self.received += part
        head, whole, body = self.received.partition(b"\r\n\r\n")
        if not whole or self.unsent:
            return None
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]) if len(body) >= length else None


def load(url: str, request: bytes, *, rate: float, seconds: float, most: int) -> dict[str, object]:
    """Ask at a rate for so long; wait for the last answers for at most five seconds."""
    parts = urlsplit(url)
    poll, address = select.epoll(), (parts.hostname or "", parts.port or 80)
    free = [Connection(address, poll) for _ in range(32)]
    busy: dict[int, Connection] = {}
    took: dict[int, list[float]] = {}
    asked, total, opened, in_time = 0, int(rate * seconds), len(free), 0

    def drop(connection: Connection) -> None:
        poll.unregister(connection.socket)
        connection.socket.close()

    begun = time.perf_counter()
    while (asked < total or busy) and time.perf_counter() - begun < seconds + 5:
        now = time.perf_counter() - begun
        if now > seconds:
            total = asked  # the rest could not be asked in time
        while asked < total and asked / rate <= now:
            if not free and opened < most:
                free.append(Connection(address, poll))
                opened += 1
            if not free:
                break
            connection = free.pop()
            connection.send(request, asked / rate)
            busy[connection.socket.fileno()] = connection
            asked += 1
        for number, event in poll.poll(max(0.0, asked / rate - now) if asked < total and free else 0.001):
            if number not in busy:  # a connection that was not used was closed
                for connection in [c for c in free if c.socket.fileno() == number]:
                    drop(connection)
                    free.remove(connection)
                    opened -= 1
                continue
            connection = busy[number]
            if event & select.EPOLLOUT:
                connection.go_on()
            status = connection.answer() if event & ~select.EPOLLOUT else None
            if status is not None:
                took.setdefault(status, []).append(1e3 * (time.perf_counter() - begun - connection.due))
                in_time += status == 200 and time.perf_counter() - begun <= seconds
                del busy[number]
                if status == -1:
                    drop(connection)
                    opened -= 1
                else:
                    free.append(connection)
    statuses = {
        str(status): {"count": len(values), "p50": float(np.median(values)), "p99": float(np.percentile(values, 99))}
        for status, values in took.items()
    }
    rates = {"asked_per_second": asked / seconds, "answered_per_second": in_time / seconds}
    return {**rates, "unanswered": len(busy), "statuses": statuses}


def main() -> None:
    """Ask, and print what came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("request", type=Path)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=600)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    found = load(
        arguments.url,
        arguments.request.read_bytes(),
        rate=arguments.rate,
        seconds=arguments.seconds,
        most=arguments.connections,
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
