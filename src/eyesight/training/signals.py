"""Ctrl-C and SIGTERM, turned into a request to stop after the update at hand.

In: a `Control`. Out: nothing. The second Ctrl-C ends the program at once, as without this.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from .events import Control


@contextlib.contextmanager
def stop_on_signals(control: Control) -> Iterator[None]:
    """Set `control.stop_signal` on the first SIGINT or SIGTERM.

    Outside the main thread, where Python allows no handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    both = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {
        n: handler for n, handler in both.items() if handler not in (signal.SIG_IGN, None)
    }  # ignored stays ignored

    def request(number: int, _: FrameType | None) -> None:
        control.stop_signal = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, request)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
