"""What a server writes down: a line of JSON for each request, without anything of the pictures.

In: requests and events. Out: lines on stderr.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO


class Log:
    """Lines of JSON.

    Args:
        requests: whether every request has a line, or only those that met a fault of ours.
        out: where lines go; stderr where not given.
    """

    def __init__(self, *, requests: bool = True, out: TextIO | None = None) -> None:
        self._requests, self._out = requests, out

    def write(self, event: str, **values: Any) -> None:
        """Write a line."""
        line = {"time": round(time.time(), 3), "event": event, **values}
        out = self._out or sys.stderr
        try:
            out.write(json.dumps(line) + "\n")
            out.flush()
        except (OSError, ValueError):  # whoever read it has gone; requests are answered all the same
            return

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
