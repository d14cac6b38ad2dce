"""Showing files with the program that the system has for them.

In: paths. Out: a program that was started, or a line that says why none was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from .say import say


def open_files(paths: Iterable[Path]) -> None:
    """Open every file with the system's own program; where there is none, say so and go on."""
    if sys.platform == "win32":
        for path in paths:
            os.startfile(path)
        return
    name = "open" if sys.platform == "darwin" else "xdg-open"
    program = shutil.which(name)
    if program is None:
        say(f"eyesight: --open: {name} is not installed, so nothing was opened", err=True)
        return
    quiet = subprocess.DEVNULL
    for path in paths:
        try:  # in a session of its own: it stays when the terminal is closed
            process = subprocess.Popen(
                [program, str(path)], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
            )
        except OSError as error:
            say(f"eyesight: --open: {program}: {(error.strerror or str(error)).lower()}", err=True)
            return
        threading.Thread(target=process.wait, daemon=True).start()  # it may run for long, and must be waited for
