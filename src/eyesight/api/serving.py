"""A server from Python, and the one that the command starts.

In: a model by name, and settings. Out: a server in a thread, or one that runs until it is told to end.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..predictor import check_threshold
from .runs import load_model

if TYPE_CHECKING:
    from ..server.app import Service, Settings
    from ..server.running import Running

_NEEDED = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client")


def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str | None = None,
    cors: tuple[str, ...] | list[str] = (),
    threshold: float | None = None,
    threads: int | None = None,
    log: bool = False,
    **limits: float,
) -> Running:
    """Start a server in a thread of this process, and return it.

    Args:
        model: a run's folder, a `.safetensors` or `.onnx` file, or the name of a pretrained network.
        host: address to listen on.
        port: to listen on; 0 for one that is free.
        api_key: that requests must carry in X-API-Key; none where not given.
        cors: origins of pages that may ask it.
        threshold: answers whose largest probability is below are said to be unsure.
        threads: of the CPU, that compute; None for as many as this process may use.
        log: whether every request is written to stderr as a line of JSON.
        limits: what is accepted; see `eyesight.server.limits.Limits`.

    Returns:
        The server: its `url`, `reload()` and `stop()`; as a context it stops at the end.

    Raises:
        UsageError: a port that cannot be used, a limit that is none, or packages that are missing.
        FormatError, RunError: not a model.
    """
    check_packages()
    from ..server.log import Log
    from ..server.running import Running, listen

    settings = make_settings(key=api_key, cors=tuple(cors), threshold=threshold, **limits)
    service = make_service(model, settings, threads=threads, log=Log(requests=log))
    return Running(service, listen(host, port))


def run_server(
    model: str | Path,
    *,
    host: str,
    port: int,
    api_key: str | None,
    cors: list[str],
    threshold: float | None,
    workers: int,
    threads: int | None,
    log: bool,
    started: Any,
    **limits: float,
) -> None:
    """Answer until a signal says to end; see `serve`.

    Args:
        workers: processes that share the port.
        started: called with the address once the model is loaded and the port is taken.
    """
    check_packages()
    from ..server.log import Log
    from ..server.running import address_of, listen, run
    from ..server.workers import supervise

    settings = make_settings(key=api_key, cors=tuple(cors), threshold=threshold, **limits)
    make = functools.partial(make_service, str(model), settings, threads=threads, log=Log(requests=log))
    service = make()  # a model that cannot be served is told here, before workers are started
    listening = listen(host, port)
    started(address_of(listening))
    if workers > 1:
        supervise(make, listening, workers)
    else:
        run(service, listening)


def make_settings(
    *, key: str | None, cors: tuple[str, ...], threshold: float | None = None, **limits: float
) -> Settings:
    """Return settings, or say which limit is none."""
    from ..server.app import Settings
    from ..server.limits import Limits

    known = {name: type(value) for name, value in vars(Limits()).items()}
    for name, value in limits.items():
        if name not in known:
            raise UsageError(f"unknown limit; known: {', '.join(known)}", field=name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise UsageError(f"expected a number above 0; received: {value!r}", field=name)
    if key is not None and (not key or not key.isascii() or not key.isprintable()):
        raise UsageError("expected letters and digits; received: none, or others", field="api_key")
    converted: dict[str, Any] = {name: known[name](value) for name, value in limits.items()}
    check_threshold(threshold)
    return Settings(limits=replace(Limits(), **converted), key=key, cors=cors, threshold=threshold)


def make_service(model: str | Path, settings: Settings, *, threads: int | None, log: Any) -> Service:
    """Return a service with the model loaded."""
    from ..server.app import Service

    source = str(Path(model).absolute()) if os.path.exists(model) else str(model)  # noqa: PTH110 # a name is no path
    return Service(functools.partial(load_model, source, threads=threads), settings, log)


def check_packages() -> None:
    """Raise `UsageError` with the line that installs what a server needs, where something is missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"a server needs {', '.join(missing)}: pip install 'eyesight[serve]'")
