"""The addresses of a server: a picture in, its class out.

In: a model, limits. Out: an ASGI application. Every error is JSON with its text and field, and never a 500: what is
the client's fault is a 4xx, what is not is a 503 that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import EyesightError
from .batching import Batcher
from .bodies import Held, Pictures, read_pictures
from .describe import describe
from .limits import Limits, LostClientError, RequestError, busy, status_of
from .log import Log
from .metrics import CONTENT_TYPE, Metrics
from .model import Load, Model, Probabilities
from .protocol import plain_answer

_PAGES = Path(__file__).parent / "page"
_SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}
_EXPIRES = 0.25  # seconds between looks at those that have waited too long
_MOST_TOP = 1000
_PATHS = frozenset(("/", "/predict", "/classes", "/health", "/ready", "/metrics", "/docs", "/openapi.json"))


@dataclass(frozen=True)
class Settings:
    """How a server behaves.

    Attributes:
        limits: what it accepts.
        key: that requests must carry in X-API-Key, or as a bearer token; None for none.
        cors: origins of pages that may ask it; "*" for all.
        threshold: answers whose largest probability is below are said to be unsure; None for none.
    """

    limits: Limits = field(default_factory=Limits)
    key: str | None = None
    cors: tuple[str, ...] = ()
    threshold: float | None = None


class Service:
    """The model at work, and what is counted of it.

    Args:
        load: makes the model, at first and at every reload.
        settings: how to behave.
        log: told what happens.
    """

    def __init__(self, load: Load, settings: Settings, log: Log) -> None:
        self.settings, self.log = settings, log
        self.metrics, self.held = Metrics(), Held(settings.limits.held)
        self.stopping = False
        self._refusals: dict[int, bytes] = {}
        self._load, self._reloading = load, threading.Lock()
        self.model = Model(load())
        self._batcher: Batcher | None = None

    @property
    def batcher(self) -> Batcher:
        """The queue; there is one while the application runs."""
        assert self._batcher is not None  # started with the application
        return self._batcher

    async def run(self) -> AsyncIterator[None]:
        """Start the queue, and end it when the application ends."""
        self.log.start()
        self._batcher = Batcher(self.model, self.settings.limits, observe=self.metrics.batches.observe)
        expiring = asyncio.create_task(self._expire())
        try:
            yield
        finally:
            self.stopping = True
            await asyncio.to_thread(self.batcher.close)
            expiring.cancel()
            self.log.close()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRES)
            self.batcher.expire()
            self.metrics.waiting.set(self.batcher.waiting)

    def reload(self) -> bool:
        """Read the model again; where that fails, the one at work goes on. Tell whether it is a new one."""
        with self._reloading:
            try:
                model = Model(self._load())
            except Exception as error:  # whatever is wrong with it, the one at work is not
                self.metrics.reloads.labels("refused").inc()
                self.log.write("reload", error=str(error), note="the model at work goes on")
                return False
            self.model = self.batcher.model = model
            self.metrics.reloads.labels("done").inc()
            self.log.write("reload", model=model.checksum)
            return True

    def refuse(self, taken: int) -> bytes | None:
        """Return the answer to a new picture where too many wait, and count it; None where there is room.

        Args:
            taken: requests that are not answered, those among them that have not come as far as the queue.
        """
        if self._batcher is None or self.settings.cors:  # pages want headers of their own
            return None
        if taken < self.settings.limits.queue and not self._batcher.full():
            return None
        seconds = self._batcher.retry_after()
        if seconds not in self._refusals:
            said = busy(seconds)
            self._refusals = {seconds: plain_answer(429, said.text, field=None, headers=f"retry-after: {seconds}\r\n")}
        self.metrics.refused.inc()
        self.log.refused()
        return self._refusals[seconds]

    def ready(self) -> bool:
        """Tell whether pictures are answered now."""
        return not self.stopping and not self.batcher.stuck() and not self.batcher.full()


def build_app(service: Service) -> ASGIApp:
    """Return the application of a service."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async for _ in service.run():
            yield

    key = service.settings.key
    app = FastAPI(title="eyesight", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    guard = functools.partial(_guard, key)
    predict = guard(functools.partial(_predict, service))
    for path, handler, methods in (
        ("/predict", predict, ["POST"]),
        ("/classes", guard(functools.partial(_classes, service)), ["GET"]),
        ("/metrics", guard(functools.partial(_metrics, service)), ["GET"]),
        ("/health", functools.partial(_health, service), ["GET"]),
        ("/ready", functools.partial(_ready, service), ["GET"]),
        ("/", _page("index.html"), ["GET"]),
        ("/docs", _page("docs.html"), ["GET"]),
        ("/openapi.json", functools.partial(_openapi, service), ["GET"]),
    ):
        app.add_route(path, handler, methods=methods, include_in_schema=False)
    app.add_exception_handler(HTTPException, _http_error)
    entrance: ASGIApp = _Entrance(app, predict)
    if service.settings.cors:
        entrance = CORSMiddleware(
            entrance,
            allow_origins=list(service.settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["content-type", "x-api-key", "authorization", "x-filename"],
        )
    return Watched(entrance, service)


Handler = Callable[[Request], Awaitable[Response]]


class _Entrance:
    """Brings pictures straight to where they are answered: the way through the routes takes as long as the answer."""

    def __init__(self, app: ASGIApp, predict: Handler) -> None:
        self._app, self._predict = app, predict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] == "/predict" and scope["method"] == "POST":
            response = await self._predict(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _guard(key: str | None, handler: Handler) -> Handler:
    """Let only those in who have the key."""
    if key is None:
        return handler

    async def guarded(request: Request) -> Response:
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), key.encode()):
            said = RequestError("expected the server's key; received: none, or another", field="x-api-key", status=401)
            return error_response(said)
        return await handler(request)

    return guarded


async def _predict(service: Service, request: Request) -> Response:
    """Answer one picture or several."""
    taken = 0
    try:
        top = _top(request)
        if service.batcher.full():
            raise busy(service.batcher.retry_after())
        pictures = await read_pictures(request, service.settings.limits, service.held)
        taken = sum(len(body) for _, body in pictures)
        service.held.bytes += taken
        answers = await _answers(service, request, pictures)
        return _told(service, request, pictures, answers, top)
    except EyesightError as error:
        service.metrics.pictures.labels("refused").inc()
        return error_response(error)
    finally:
        service.held.give(taken)


def _top(request: Request) -> int:
    text = request.query_params.get("top", "5")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST_TOP:
        expected = f"expected a whole number from 1 to {_MOST_TOP}"
        raise RequestError(f"{expected}; received: {text[:40]!r}", field="top", status=422)
    return int(text)


async def _answers(
    service: Service, request: Request, pictures: Pictures
) -> list[tuple[Model, Probabilities] | BaseException]:
    """Return the model and the probabilities of every picture, or its error."""
    gone = _gone(request)
    futures = service.batcher.submit(pictures, lost=gone)
    return await asyncio.gather(*futures, return_exceptions=True)


def _gone(request: Request) -> Callable[[], bool]:
    """Return what tells whether the client has gone, without waiting: uvicorn notes it where it can be seen."""
    cycle = getattr(request.receive, "__self__", None)
    return lambda: bool(getattr(cycle, "disconnected", False))


def _told(
    service: Service,
    request: Request,
    pictures: Pictures,
    answers: list[tuple[Model, Probabilities] | BaseException],
    top: int,
) -> Response:
    """Return the answers as JSON; where there is none but errors, the first error."""
    rows, model = [], service.model
    for (name, _), answer in zip(pictures, answers, strict=True):
        if isinstance(answer, BaseException):
            if not isinstance(answer, EyesightError):
                raise answer
            if len(pictures) == 1:
                raise answer
            rows.append({"source": name, "error": answer.text, "field": answer.field})
        else:
            model, shares = answer
            rows.append({"source": name, **best(model.classes, shares, top, service.settings.threshold)})
    errors = [answer for answer in answers if isinstance(answer, EyesightError)]
    if len(errors) == len(answers):
        raise errors[0]
    for outcome, count in (("refused", len(errors)), ("answered", len(answers) - len(errors))):
        if count:
            service.metrics.pictures.labels(outcome).inc(count)
    request.scope["eyesight.pictures"] = len(pictures)
    return JsonAnswer({"predictions": rows, "model": model.checksum})


def best(classes: tuple[str, ...], shares: Probabilities, top: int, threshold: float | None = None) -> dict[str, Any]:
    """Return the most probable classes as plain data, the first of equals first.

    >>> best(("cat", "dog"), np.array([0.25, 0.75]), 1, 0.8)
    {'label': 'dog', 'probability': 0.75, 'top': [{'label': 'dog', 'probability': 0.75}], 'unsure': True}
    """
    order = np.argsort(-shares, kind="stable")[:top].tolist()
    listed = [{"label": classes[k], "probability": float(shares[k])} for k in order]
    unsure = {} if threshold is None else {"unsure": bool(listed[0]["probability"] < threshold)}
    return {**listed[0], "top": listed, **unsure}


async def _classes(service: Service, _: Request) -> Response:
    return JsonAnswer(service.model.about())


async def _metrics(service: Service, _: Request) -> Response:
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


async def _health(service: Service, _: Request) -> Response:
    stuck = service.batcher.stuck()
    return JsonAnswer({"status": "stuck" if stuck else "alive"}, status_code=503 if stuck else 200)


async def _ready(service: Service, _: Request) -> Response:
    if service.ready():
        return JsonAnswer({"status": "ready"})
    return JsonAnswer({"status": "busy"}, status_code=503)


async def _openapi(service: Service, _: Request) -> Response:
    return JsonAnswer(describe(service.settings.limits, key=service.settings.key is not None))


def _page(name: str) -> Handler:
    text = (_PAGES / name).read_text(encoding="utf-8")

    async def page(_: Request) -> Response:
        return HTMLResponse(text, headers=_SECURITY)

    return page


class JsonAnswer(JSONResponse):
    """JSON in which names keep their letters."""

    def render(self, content: Any) -> bytes:
        """Return the bytes; what no encoding has is escaped."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def error_response(error: EyesightError) -> Response:
    """Return an error as JSON, with the status that says whose it is."""
    headers = {}
    if isinstance(error, RequestError):
        if error.retry_after is not None:
            headers["retry-after"] = str(error.retry_after)
        if error.close:
            headers["connection"] = "close"
    if isinstance(error, LostClientError):
        return Response(status_code=499)  # nobody reads it; the log does
    return JsonAnswer({"error": error.text, "field": error.field}, status_code=status_of(error), headers=headers)


async def _http_error(_: Request, error: Exception) -> Response:
    """Answer what no address or no method is there for."""
    assert isinstance(error, HTTPException)
    return JsonAnswer(
        {"error": str(error.detail).lower(), "field": None}, status_code=error.status_code, headers=error.headers
    )


class Watched:
    """Counts and logs every request, and answers where a fault of ours would leave it without an answer."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        fault = None
        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            if not status:
                said = RequestError("could not be answered", status=503, retry_after=1)
                await error_response(said)(scope, receive, noted)
        seconds = time.perf_counter() - begun
        path = scope["path"] if scope["path"] in _PATHS else "other"
        metrics = self._service.metrics
        metrics.requests.labels(path, str(status)).inc()
        metrics.seconds.observe(seconds)
        self._service.log.request(scope, status, seconds, fault)
