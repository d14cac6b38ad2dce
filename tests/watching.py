"""Watches what Python executes, for tests of files that want to be executed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FORBIDDEN = ("pickle.", "marshal.", "exec", "compile", "os.system", "os.exec", "os.spawn", "os.fork", "subprocess.")
_watched: list[str] | None = None


def _watch(event: str, _: object) -> None:
    if _watched is not None and event.startswith(_FORBIDDEN):
        _watched.append(event)


sys.addaudithook(_watch)  # Python tells it of everything it runs; it cannot be taken away again


@contextmanager
def nothing_executed() -> Iterator[None]:
    """Fail if any code is compiled, unpickled or executed, or a process started, in here."""
    global _watched  # noqa: PLW0603
    _watched = seen = []
    try:
        yield
    finally:
        _watched = None
    assert seen == [], seen


class Bomb:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, ("exploded",)
