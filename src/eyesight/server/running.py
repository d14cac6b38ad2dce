"""A server at work: in this thread until it is told to end, in a thread of its own, or in several processes.

In: a service, an address. Out: a port that answers. SIGTERM and Ctrl-C end it after what was taken is answered; SIGHUP
reads the model again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import uvicorn

from ..errors import EyesightError, UsageError
from .app import Service, build_app
from .protocol import GuardedProtocol, guarded_protocol

_BACKLOG = 2048
_GRACE = 30  # seconds for what was taken to be answered, at the end
_LAST_REQUESTS = 0.2  # seconds in which a request is still answered that was under way when the end was told


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UsageError: the port is in use, or may not be taken; or there is no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"no such address: {host} ({getattr(error, 'strerror', None) or error})", field="host"
        ) from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{port} cannot be used on {host}: {reason}", field="port") from None
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server, which looks after its connections and ends without losing a request."""

    def __init__(self, service: Service) -> None:
        limits = service.settings.limits
        self._service, self._protocol = service, guarded_protocol(limits, service.refuse)
        config = uvicorn.Config(
            build_app(service),
            http=self._protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(limits.idle),
            timeout_graceful_shutdown=_GRACE,
            backlog=_BACKLOG,
        )
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # else every broken request is a line on stderr
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until told to end."""
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self.serve(sockets=sockets))

    async def on_tick(self, counter: int) -> bool:
        """Look about once a second for connections whose client has been waited for too long."""
        if counter % 5 == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, GuardedProtocol):
                    connection.check(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, answer what is on its way, and end."""
        self._service.stopping = self._protocol.ending = True  # type: ignore[attr-defined] # of GuardedProtocol
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_REQUESTS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGTERM and Ctrl-C, the second of which does not wait; read the model again at SIGHUP."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), self.handle_exit)
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = self._reload
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _reload(self, *_: Any) -> None:
        threading.Thread(target=self._service.reload, daemon=True).start()


def run(service: Service, listening: socket.socket) -> None:
    """Answer until a signal says to end; then answer what was taken."""
    Server(service).run([listening])


class Running:
    """A server in a thread of this process.

    Attributes:
        url: where it answers.
    """

    def __init__(self, service: Service, listening: socket.socket) -> None:
        self.url = address_of(listening)
        self._service, self._server, self._listening = service, Server(service), listening
        self._thread = threading.Thread(target=self._server.run, args=[[listening]], name="eyesight-serve", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.002)
        if not self._server.started:
            raise EyesightError("the server could not be started")
        _running.add(self)

    def reload(self) -> bool:
        """Read the model again; tell whether it is a new one. Where that fails, the one at work goes on."""
        return self._service.reload()

    def stop(self) -> None:
        """End the server, after what it has taken is answered."""
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()

    def let_go(self) -> None:
        """Close, in a process that was forked off, what only the parent's server answers."""
        numbers = [self._listening.fileno()]
        for connection in list(self._server.server_state.connections):
            numbers.append(connection.transport.get_extra_info("socket").fileno())
        for number in numbers:
            with contextlib.suppress(OSError):
                os.close(number)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


_running: weakref.WeakSet[Running] = weakref.WeakSet()


def _fork() -> None:
    """In a forked child, leave the servers to the parent: a port would stay taken, and clients would wait for ever."""
    for running in list(_running):
        running.let_go()
    _running.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_fork)
