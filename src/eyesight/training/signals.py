"""Ctrl-C and SIGTERM, turned into a request to stop after the update at hand.

In: nothing. Out: a `Control`. The second signal ends the program at once.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from .events import Control


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Control]:
    """Yield a control that the first SIGINT or SIGTERM asks to stop.

    The second one gets what the system does by itself, which no long step can delay; in a notebook or an interactive
    Python, whose process should live on, what was set before. Outside the main thread, where Python allows no handlers,
    nothing changes.
    """
    control = Control()
    if threading.current_thread() is not threading.main_thread():
        yield control
        return
    both = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {n: handler for n, handler in both.items() if handler not in (signal.SIG_IGN, None)}  # ignored stays so

    def request(number: int, _: FrameType | None) -> None:
        control.stop_signal = number
        for each, handler in before.items():
            signal.signal(each, handler if _is_interactive() else signal.SIG_DFL)

    for number in before:
        signal.signal(number, request)
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or "IPython" in sys.modules
