"""Several processes behind one port.

In: how to make a service in a child process, a socket. Out: workers that share it; one that dies is replaced, a signal
to end ends all of them after what they took is answered, and at SIGHUP each reads the model again.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from .app import Service
from .running import run

_LOOK = 0.2  # seconds between looks at the workers
_FASTEST_DEATH = 2.0  # seconds; a worker that lives shorter than that is not replaced at once

Make = Callable[[], Service]


def _work(make: Make, listening: socket.socket) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run(make(), listening)


def _end_with_parent() -> None:
    """End this process as a signal would, once the one that watches over it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def supervise(make: Make, listening: socket.socket, count: int) -> None:
    """Run so many workers until a signal says to end.

    Args:
        make: makes the service, in each worker; must be picklable.
        listening: shared by all.
        count: of workers.
    """
    folder = tempfile.mkdtemp(prefix="eyesight-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        _Supervisor(make, listening, count).run()
    finally:
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        shutil.rmtree(folder, ignore_errors=True)


class _Supervisor:
    def __init__(self, make: Make, listening: socket.socket, count: int) -> None:
        self._arguments = (make, listening)
        self._context = multiprocessing.get_context("spawn")
        self._ending = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, self._reload)
        self._workers = [self._start() for _ in range(count)]

    def _end(self, *_: Any) -> None:
        self._ending = True

    def _reload(self, *_: Any) -> None:
        for process, _started in self._workers:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGHUP)

    def _start(self) -> tuple[BaseProcess, float]:
        process = self._context.Process(target=_work, args=self._arguments)
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which it inherits, until it can read a model again
        process.start()
        signal.signal(signal.SIGHUP, before)
        return process, time.monotonic()

    def run(self) -> None:
        """Watch over the workers until the end."""
        while not self._ending:
            time.sleep(_LOOK)
            for k, (process, started) in enumerate(self._workers):
                if not process.is_alive() and time.monotonic() - started > _FASTEST_DEATH:
                    self._workers[k] = self._start()
        for process, _ in self._workers:
            process.terminate()
        for process, _ in self._workers:
            process.join()
