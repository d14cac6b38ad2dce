"""The three streams that a program is started with, also where some are closed or cannot hold what is written.

In: `sys.stdin`, `sys.stdout`, `sys.stderr` as Python made them. Out: streams that can be used, and an error for what was
written to a stdout that is closed.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


class ClosedStdout(io.StringIO):
    """Stands in for a stdout that is closed; `check` tells whether anything was lost."""

    def write(self, text: str) -> int:
        """Note that there was something."""
        return super().write(text[:1])

    def check(self) -> None:
        """Raise OSError where something was written."""
        if self.tell():
            raise OSError("stdout is closed")


def prepare_streams() -> None:
    """Put usable streams in place of closed ones, and a buffer around a stdout that has none.

    A stdout that a program has put in its place is left as it is.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _occupy_numbers()
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 # for as long as the program runs
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = ClosedStdout()
    elif sys.stdout is sys.__stdout__:
        _give_buffer()


def _give_buffer() -> None:
    """Put a buffer around a stdout that has none: without one Python drops what a nearly full disk does not take."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper) and isinstance(raw := stdout.buffer, io.RawIOBase):
        encoding, errors = stdout.encoding, stdout.errors
        stdout.detach()  # else it would close the file when it is collected
        buffer = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(buffer, encoding=encoding, errors=errors, write_through=True, line_buffering=True)


def _occupy_numbers() -> None:
    """Open nothing on the numbers 0 to 2 that are free: a model file there would get what libraries print."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
