"""A lock on a folder, which goes with the process that holds it, however that ends.

In: a folder. Out: a context in which no other process has it. It does not know what is in the folder.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import RunError

LOCK_FILE = "lock"
_ATTEMPTS = 5
_PAUSE = 0.05  # seconds between them


@contextlib.contextmanager
def hold(folder: Path, *, doing: str, wait: bool = False) -> Iterator[None]:
    """Hold the folder for this process.

    Args:
        folder: where the lock file lies.
        doing: what another process must be doing where it is held already, for the message.
        wait: for that process to end, however long that takes.

    Raises:
        RunError: another process holds it.
    """
    with hold_file(folder / LOCK_FILE, doing=doing, wait=wait, name=folder):
        yield


@contextlib.contextmanager
def hold_file(path: Path, *, doing: str, wait: bool = False, name: Path | None = None) -> Iterator[int]:
    """Hold a file for this process, made where there is none, and yield its open handle; see `hold`.

    Args:
        path: the file.
        doing, wait: see `hold`.
        name: what an error calls it; the file's own where not given.

    Raises:
        RunError: another process holds it.
    """
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if wait:
            fcntl.flock(handle, fcntl.LOCK_EX)
        for attempt in range(0 if wait else _ATTEMPTS):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == _ATTEMPTS - 1:
                    raise RunError(f"{name or path}: another process is {doing}") from None
                time.sleep(_PAUSE)  # it may only be `is_held` of another process, which lets go at once
        yield handle
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Tell whether a process holds the folder."""
    import fcntl

    try:
        with (folder / LOCK_FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # never locked, or not to be read
        return False
    return False
