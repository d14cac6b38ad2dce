"""Many requests, one computation at a time: pictures that come together are computed together.

In: bodies of pictures, from an event loop. Out: a future of probabilities for each. No picture can harm another: each
is decoded by itself, its error is its own, and large ones are decoded by other threads than the small ones, which pass
them. It knows nothing of HTTP.

    submit ─► small ──────────────────► engine thread: decode, compute ─► futures
          └─► large ─► pool: decode ──►
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import numpy as np

from ..environment import available_cores
from ..errors import EyesightError, LargePictureError
from ..pictures.preprocess import Pixels
from .limits import Limits, LostClientError, RequestError, busy
from .model import Model, Probabilities

BATCH = 64  # pictures computed at once; more would make the first of them wait
WINDOW = 0.002  # seconds that decoded pictures wait for those that are being decoded
_SMALL_FILE = 32 << 10  # bytes, and
_SMALL_PICTURE = 256 * 256  # pixels: so many decode in less than a thread takes to be woken, or little more
_FEW = 32  # pictures that may always wait: what one takes is not known better than that

Answered = tuple["Ticket", Probabilities | EyesightError]


class Ticket:
    """One picture on its way.

    Attributes:
        body: its file.
        name: what errors call it.
        future: of its probabilities (K,), and of the model that they are of.
        deadline: by `time.monotonic`, after which nobody waits for it.
        lost: tells whether its client has gone.
        model: that it was decoded for.
        pixels: once decoded.
    """

    __slots__ = ("body", "deadline", "future", "lost", "model", "name", "pixels")

    def __init__(
        self,
        body: bytes,
        name: str,
        future: asyncio.Future[tuple[Model, Probabilities]],
        deadline: float,
        lost: Callable[[], bool],
    ) -> None:
        self.body, self.name, self.future, self.deadline, self.lost = body, name, future, deadline, lost
        self.model: Model | None = None
        self.pixels: Pixels | None = None

    def decode(self, model: Model, most: int) -> None:
        """Decode it for a model, if somebody still waits for it.

        Raises:
            EyesightError: it cannot be decoded, or nobody waits.
        """
        if self.lost():
            raise LostClientError("the client has gone")
        if time.monotonic() > self.deadline:
            raise _late()
        self.pixels, self.model = model.read(self.body, name=self.name, most=most), model
        self.body = b""


class Batcher:
    """A queue of pictures and the threads that answer them.

    Args:
        model: that answers.
        limits: how many wait, and how long.
        observe: called with the number of pictures of every batch, in the thread that computes.

    Attributes:
        model: that answers what is decoded from now on; may be replaced at any time.
        waiting: number of pictures that were taken and are not answered.
    """

    def __init__(self, model: Model, limits: Limits, *, observe: Callable[[int], None]) -> None:
        self.model, self.waiting = model, 0
        self._limits, self._observe = limits, observe
        self._tickets: set[Ticket] = set()
        self._seconds = 0.0  # that the engine thread takes for a picture, by the last ones
        self._seconds_apart = 0.0  # that the pool takes to decode a large one
        self._computing_since: float | None = None
        self._small: deque[Ticket] = deque()
        self._decoded: deque[Ticket] = deque()
        self._decoding = 0
        self._closed = False
        self._changed = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._workers = max(2, available_cores())
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="eyesight-decode")
        self._thread = threading.Thread(target=self._work, name="eyesight-engine", daemon=True)
        self._thread.start()

    # In the thread of the event loop.

    def full(self, count: int = 1) -> bool:
        """Tell whether so many more pictures would wait too long, or be too many."""
        waiting = self.waiting
        if not waiting:
            return False  # whatever they take, nobody is served sooner by refusing them
        long = waiting > _FEW and waiting * self._seconds > self._limits.wait
        return long or waiting + count > self._limits.queue

    def retry_after(self) -> int:
        """Return the seconds after which those that wait now will have been answered."""
        return max(1, math.ceil(self.waiting * self._seconds), math.ceil(self._wait_apart()))

    def _wait_apart(self) -> float:
        """Return the seconds that a large picture would wait to be decoded."""
        return self._decoding * self._seconds_apart / self._workers

    def submit(
        self, pictures: Iterable[tuple[str, bytes]], *, lost: Callable[[], bool]
    ) -> list[asyncio.Future[tuple[Model, Probabilities]]]:
        """Take pictures, each a name and a file; return a future of the model and the probabilities (K,) of each.

        Raises:
            RequestError: too many are waiting; none of these was taken.
        """
        pictures = list(pictures)
        if self._closed:
            raise _stopping()
        large = any(len(body) > _SMALL_FILE for _, body in pictures)
        if self.full(len(pictures)) or (large and self._decoding and self._wait_apart() > self._limits.wait):
            raise busy(self.retry_after())
        now = time.monotonic()
        tickets = [
            Ticket(body, name, self._loop.create_future(), now + self._limits.timeout, lost) for name, body in pictures
        ]
        self.waiting += len(tickets)
        self._tickets.update(tickets)
        small = [ticket for ticket in tickets if len(ticket.body) <= _SMALL_FILE]
        with self._changed:
            self._small += small
            self._changed.notify()
        for ticket in tickets:
            if len(ticket.body) > _SMALL_FILE:
                self._decode_apart(ticket)
        return [ticket.future for ticket in tickets]

    def expire(self) -> None:
        """Give up those that wait for too long, whatever the threads are doing."""
        now = time.monotonic()
        self._deliver([(ticket, _late()) for ticket in self._tickets if now > ticket.deadline])

    def stuck(self) -> bool:
        """Tell whether the thread that computes has died, or has been computing one batch for very long."""
        since = self._computing_since
        return not self._thread.is_alive() or (since is not None and time.monotonic() - since > self._limits.timeout)

    def close(self) -> None:
        """Answer what was taken, then end the threads; nothing more is taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(self._limits.timeout)
        self._pool.shutdown(wait=False, cancel_futures=True)  # it is empty, unless a picture took for ever

    def _deliver(self, answers: list[Answered]) -> None:
        """Set the futures of pictures that are still waited for."""
        count = 0
        for ticket, answer in answers:
            if ticket not in self._tickets:
                continue  # given up before
            self._tickets.remove(ticket)
            count += 1
            if ticket.future.done():  # cancelled
                continue
            if isinstance(answer, EyesightError):
                ticket.future.set_exception(answer)
                ticket.future.exception()  # seen: nobody need wait for it
            else:
                assert ticket.model is not None  # it has been computed
                ticket.future.set_result((ticket.model, answer))
        self.waiting -= count

    # In other threads.

    def _decode_apart(self, ticket: Ticket) -> None:
        with self._changed:
            self._decoding += 1
        try:
            self._pool.submit(self._decode_large, ticket)
        except RuntimeError:  # the pool has ended, or no thread can be started
            with self._changed:
                self._decoding -= 1
                self._changed.notify()
            self._send([(ticket, _stopping())])

    def _decode_large(self, ticket: Ticket) -> None:
        begun = time.monotonic()
        try:
            ticket.decode(self.model, self._limits.pixels)
        except Exception as error:
            self._send([(ticket, _domain_error(error))])
        finally:
            with self._changed:
                self._decoding -= 1
                self._seconds_apart = _mean(self._seconds_apart, time.monotonic() - begun, 1)
                if ticket.pixels is not None:
                    self._decoded.append(ticket)
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._small or self._decoded or (self._closed and not self._decoding))
                if not self._small and not self._decoded:
                    return
                small = [self._small.popleft() for _ in range(min(BATCH, len(self._small)))]
            begun = self._computing_since = time.monotonic()
            self._decode_small(small)
            decoded = time.monotonic()
            with self._changed:
                self._changed.wait_for(lambda: not self._decoding or len(self._decoded) >= BATCH, WINDOW)
                batch = [self._decoded.popleft() for _ in range(min(BATCH, len(self._decoded)))]
            window = time.monotonic()
            self._compute(batch)
            if batch:
                took = decoded - begun + time.monotonic() - window
                self._seconds = _mean(self._seconds, took / len(batch), len(batch))
            self._computing_since = None

    def _decode_small(self, tickets: list[Ticket]) -> None:
        """Decode pictures that take next to nothing, and let the pool decode those whose file is small only."""
        model, refused, large = self.model, list[Answered](), list[Ticket]()
        most = min(_SMALL_PICTURE, self._limits.pixels)
        for ticket in tickets:
            try:
                ticket.decode(model, most)
                self._decoded.append(ticket)
            except LargePictureError:
                large.append(ticket)
            except Exception as error:
                refused.append((ticket, _domain_error(error)))
        for ticket in large:
            self._decode_apart(ticket)
        if refused:
            self._send(refused)

    def _compute(self, batch: list[Ticket]) -> None:
        """Compute decoded pictures, those of each model together."""
        for model, group in groupby(batch, lambda ticket: ticket.model):
            tickets = list(group)
            assert model is not None  # they are decoded
            try:
                self._observe(len(tickets))
                rows = model.probabilities(np.stack([ticket.pixels for ticket in tickets if ticket.pixels is not None]))
                self._send(list(zip(tickets, rows, strict=True)))
            except Exception as error:
                if len(tickets) == 1:
                    self._send([(tickets[0], _domain_error(error))])
                else:  # perhaps one of them is to blame, perhaps the memory
                    for ticket in tickets:
                        self._compute([ticket])

    def _send(self, answers: list[Answered]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, answers)
        except RuntimeError:  # the loop has ended: nobody waits
            return


def _mean(before: float, seconds: float, count: int) -> float:
    """Return the mean of about the last pictures, of which the newest took so long."""
    return before + (seconds - before) * min(1, count / _FEW)


def _domain_error(error: Exception) -> EyesightError:
    """Return an error of ours for anything that went wrong."""
    if isinstance(error, EyesightError):
        return error
    said = " ".join(str(error).split())[:200]
    return RequestError(f"could not be computed ({type(error).__name__}: {said})", status=503, retry_after=1)


def _late() -> RequestError:
    return RequestError("not answered in time", status=503, retry_after=1)


def _stopping() -> RequestError:
    return RequestError("the server is stopping", status=503, retry_after=1)
