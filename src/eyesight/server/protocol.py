"""Connections that do not wait for their clients for ever, and that refuse cheaply when too many ask.

In: bytes of connections. Out: uvicorn's own handling of HTTP, and the end of connections whose requests do not come,
are too long, or are too many. Each is in one phase: idle, head (headers are not whole), body (the body is not whole),
or whole.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .limits import Limits

Phase = Literal["idle", "head", "body", "whole"]
Refuse = Callable[[int], bytes | None]

_LONGEST_HEADERS = 64 << 10  # bytes
_PREDICT = (b"POST /predict ", b"POST /predict?")


def guarded_protocol(limits: Limits, refuse: Refuse) -> type[asyncio.Protocol]:
    """Return a protocol for uvicorn that keeps to limits.

    Args:
        limits: of time and of connections.
        refuse: takes the number of whole requests that are not answered; returns the answer to a new picture where
            too many wait, else None.
    """
    return type("Guarded", (GuardedProtocol,), {"limits": limits, "refuse": staticmethod(refuse), "taken": set()})


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol for HTTP, with an eye on clients that send no whole request."""

    limits: Limits
    refuse: Refuse
    ending = False  # whether every answer is the last of its connection
    taken: set[GuardedProtocol]  # those with a whole picture that is not answered

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.phase: Phase = "idle"
        self.since = time.monotonic()  # it is in this phase
        self._received = 0  # bytes of headers that are not whole

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers; where there are too many connections, one that only waits is closed."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            waiting = [c for c in self.connections if isinstance(c, GuardedProtocol) and c.is_waiting()]
            min(waiting, key=lambda connection: connection.since, default=self).transport.close()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on; a whole request that would have to be refused is refused here, for a tenth of the time."""
        if self.is_waiting() and self.phase != "head":
            if data.startswith(_PREDICT) and _is_whole(data):
                if (answer := self.refuse(len(self.taken))) is not None:
                    self._answer_now(answer)
                    return
                self.taken.add(self)
            self._enter("head")
        super().data_received(data)
        if self.phase == "head":
            self._received += len(data)
            if self._received > _LONGEST_HEADERS:
                self._refuse(431, f"expected at most {_LONGEST_HEADERS:,} bytes of headers; received: more")

    def check(self, now: float) -> None:
        """End the connection where its client has been waited for too long; called about once a second."""
        if now - self.since < self.limits.timeout:
            return
        if self.transport.is_closing():
            self.transport.abort()  # the client does not read its answer
        elif self.phase == "head":
            self._refuse(408, f"expected whole headers within {self.limits.timeout:g} seconds")
        elif self.cycle is None or (self.phase == "body" and self.cycle.response_complete):
            self.transport.close()

    def on_response_complete(self) -> None:
        """Note that it is answered."""
        self.taken.discard(self)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.taken.discard(self)
        super().connection_lost(exc)

    def is_waiting(self) -> bool:
        """Tell whether the connection waits for its client to send a request, or the rest of its headers."""
        return self.phase in ("idle", "head") or (
            self.phase == "whole" and (self.cycle is None or self.cycle.response_complete)
        )

    def on_headers_complete(self) -> None:
        """Start to answer."""
        self._enter("body")
        super().on_headers_complete()
        if self.ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_begin(self) -> None:
        """Begin with the next request, which may have come together with the one before."""
        self._enter("head")
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._enter("whole")
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg.rstrip(".").lower())

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since, self._received = phase, time.monotonic(), 0

    def _answer_now(self, answer: bytes) -> None:
        self.transport.write(answer)
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _refuse(self, status: int, text: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(plain_answer(status, text, field="request", headers="connection: close\r\n"))
            self.transport.close()


def plain_answer(status: int, text: str, *, field: str | None, headers: str = "") -> bytes:
    """Return an error as the bytes of an answer."""
    body = json.dumps({"error": text, "field": field}).encode()
    head = f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def _is_whole(data: bytes) -> bool:
    """Tell whether these bytes are exactly one request with a body, of a client that goes on with its connection."""
    end = data.find(b"\r\n\r\n")
    head = data[: max(0, end)].lower()
    _, named, rest = head.partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    if not named or not length.isdigit() or len(length) > 9 or int(length) != len(data) - end - 4:
        return False
    return not any(word in head for word in (b"transfer-encoding", b"close", b"upgrade", b"expect", b"http/1.0"))
