"""Connections that do not wait for their clients for ever.

In: bytes of connections. Out: uvicorn's own handling of HTTP, and the end of connections whose headers do not come, are
too long, or are too many. Bodies are another matter; see `bodies`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .limits import Limits

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
    except ImportError:
        from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol

_LONGEST_HEADERS = 64 << 10  # bytes
_REFUSED = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def guarded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return a protocol for uvicorn that keeps to limits."""
    return type("LimitedProtocol", (GuardedProtocol,), {"limits": limits})


class GuardedProtocol(Protocol):
    """uvicorn's protocol for HTTP, with an eye on clients that send no whole headers."""

    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0  # bytes of headers that are not whole
        self.since = time.monotonic()

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers; where there are too many connections, one that only waits is closed."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.limits.connections:
            idle = [c for c in self.connections if isinstance(c, GuardedProtocol) and c.is_waiting()]
            oldest = min(idle, key=lambda connection: connection.since, default=self)
            oldest.transport.close()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on; while headers are not whole, count them and wait only so long."""
        if self.is_waiting():
            self._received += len(data)
            if self._received > _LONGEST_HEADERS + self.limits.body:  # a whole request may come at once
                self.transport.close()
                return
        super().data_received(data)
        if self.is_waiting():
            if self._received > _LONGEST_HEADERS:
                self._refuse()
            elif self._timer is None:
                self._watch()
        else:
            self._received = 0
            self._unwatch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unwatch()
        super().connection_lost(exc)

    def is_waiting(self) -> bool:
        """Tell whether the connection waits for its client to send a request."""
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        self.since = time.monotonic()
        self._timer = self.loop.call_later(self.limits.timeout, self._refuse)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self) -> None:
        self._timer = None
        if self.is_waiting() and not self.transport.is_closing():
            if self._received:
                self.transport.write(_REFUSED)
            self.transport.close()
