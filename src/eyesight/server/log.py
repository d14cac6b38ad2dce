"""What a server writes down, without anything of the pictures: JSON, or plain lines where a person looks on.

In: requests and events. Out: lines on stderr. They are written by a thread of its own, so that nobody waits for a slow
terminal; where lines come faster than they can be written, the oldest are dropped, and their number is told.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from typing import Any, TextIO

_MOST = 10_000  # lines that wait to be written
_EVERY = 0.1  # seconds


class Log:
    """Lines about requests and events.

    Args:
        requests: whether every request has a line, or only those that met a fault of ours.
        out: where lines go; stderr where not given.
    """

    def __init__(self, *, requests: bool = True, out: TextIO | None = None) -> None:
        self._requests, self._out = requests, out
        self._lines: deque[dict[str, Any]] = deque()
        self._dropped = self._refused = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"requests": self._requests}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc] # in another process, with a thread of its own

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._work, name="eyesight-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1)

    def write(self, event: str, **values: Any) -> None:
        """Write a line, soon."""
        if len(self._lines) >= _MOST:
            self._dropped += 1
            self._lines.popleft()
        self._lines.append({"time": time.time(), "event": event, **values})

    def refused(self) -> None:
        """Count a request that was refused because too many wait; these have a line together."""
        self._refused += 1

    def request(self, scope: Any, status: int, seconds: float, fault: str | None) -> None:
        """Write the line of a request: what was asked for, how it ended, how long it took."""
        if not self._requests and fault is None:
            return
        client = scope.get("client")
        values = {
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "milliseconds": round(1e3 * seconds, 2),
            "client": client[0] if client else None,
        }
        if "eyesight.pictures" in scope:
            values["pictures"] = scope["eyesight.pictures"]
        if fault is not None:
            values["fault"] = fault[:500]
        self.write("request", **values)

    def _work(self) -> None:
        while not self._ended.wait(_EVERY):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Write all that waits."""
        for name in ("_refused", "_dropped"):
            if count := getattr(self, name):
                setattr(self, name, 0)
                if self._requests or name == "_dropped":
                    self._lines.append({"time": time.time(), "event": name[1:], "count": count})
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        out = self._out or sys.stderr
        form = _plain if out.isatty() else _json
        try:
            out.write("".join(form(line) + "\n" for line in lines))
            out.flush()
        except (OSError, ValueError):  # whoever read it has gone; requests are answered all the same
            return


def _json(line: dict[str, Any]) -> str:
    return json.dumps({**line, "time": round(line["time"], 3)})


def _plain(line: dict[str, Any]) -> str:
    """Return a line for people; what a client has sent is written so that no terminal acts on it."""
    moment = time.strftime("%H:%M:%S", time.localtime(line["time"]))
    values = " ".join(str(value) if isinstance(value, int | float) else ascii(value)[1:-1] for value in _told(line))
    return f"{moment} {values}"


def _told(line: dict[str, Any]) -> list[Any]:
    """Return what a line says: of a request, the values alone."""
    rest = {name: value for name, value in line.items() if name not in ("time", "event") and value is not None}
    if line["event"] == "request":
        return [f"{value} ms" if name == "milliseconds" else value for name, value in rest.items()]
    return [line["event"], *(f"{name}: {value}" for name, value in rest.items())]
