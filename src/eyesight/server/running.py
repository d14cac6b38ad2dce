"""A server at work: in this thread until it is told to end, in a thread of its own, or in several processes.

In: a service, an address. Out: a port that answers. SIGTERM and Ctrl-C end it after what was taken is answered; SIGHUP
reads the model again.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from typing import Any

import uvicorn

from ..errors import UsageError
from .app import Service, build_app
from .protocol import guarded_protocol

_BACKLOG = 2048
_GRACE = 30  # seconds for what was taken to be answered, at the end


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


def server_of(service: Service) -> uvicorn.Server:
    """Return uvicorn's server for a service, without any logging of its own."""
    limits = service.settings.limits
    config = uvicorn.Config(
        build_app(service),
        http=guarded_protocol(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(limits.idle),
        timeout_graceful_shutdown=_GRACE,
        backlog=_BACKLOG,
    )
    return uvicorn.Server(config)


def run(service: Service, listening: socket.socket) -> None:
    """Answer until a signal says to end; then answer what was taken."""
    server = server_of(service)
    config = server.config
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=service.reload, daemon=True).start())
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listening]))


class Running:
    """A server in a thread of this process.

    Attributes:
        url: where it answers.
    """

    def __init__(self, service: Service, listening: socket.socket) -> None:
        self.url = address_of(listening)
        self._service, self._server, self._listening = service, server_of(service), listening
        self._thread = threading.Thread(target=self._run, name="eyesight-serve", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.002)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve(sockets=[self._listening]))

    def reload(self) -> bool:
        """Read the model again; tell whether it is a new one. Where that fails, the one at work goes on."""
        return self._service.reload()

    def stop(self) -> None:
        """End the server, after what it has taken is answered."""
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()
