"""Pictures decoded in threads, ahead of whoever takes them, in order and in bounded memory.

In: items and what is done with each. Out: what comes of them, in the order of the items; never more of it at a time
than was asked for. Pillow lets go of Python's lock while it decodes, so threads are enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar

from ..errors import PictureError
from .preprocess import Pixels, Preprocessing, read_picture

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int, together: int, ahead: int
) -> Generator[Result]:
    """Yield what `work` gives for every item, in order. When the iterator is closed, work that has begun is waited for.

    Args:
        work: called in the threads.
        items: taken as they are needed.
        workers: number of threads.
        together: items that a thread is given at a time.
        ahead: items, at most, that are begun and not yet yielded; `together`, where that is more.
    """
    stopped = Event()  # a break then waits for an item, not for all that a thread was given

    def run(some: list[Item]) -> list[Result]:
        return [work(item) for item in some if not stopped.is_set()]

    left = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        running = deque[Future[list[Result]]]()
        while True:
            while len(running) < max(1, ahead // together) and (some := list(islice(left, together))):
                running.append(pool.submit(run, some))
            if not running:
                return
            yield from running.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def read_or_reason(source: Path | bytes, preprocessing: Preprocessing) -> Pixels | str:
    """Return a picture, uint8 of shape (H, W, C), or why it cannot be read."""
    try:
        return read_picture(source, preprocessing, name="-")
    except PictureError as error:
        return str(error).removeprefix("-: ")
    except OSError as error:
        return (error.strerror or str(error)).lower()
