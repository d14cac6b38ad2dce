"""One side of a comparison in a process of its own, which waits, without computing, between requests.

In: a command. Out: answers to requests, one line of JSON each way. The first line that it prints says what it is.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

Result = dict[str, Any]


class Worker:
    """One side; see above."""

    def __init__(self, side: str, command: list[str]) -> None:
        self.side = side
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.read()

    def ask(self, **request: Any) -> Result:
        """Send one request and return the answer."""
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.read()

    def read(self) -> Result:
        """Return the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the {self.side} side ended with exit code {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Let it end."""
        self.process.communicate()
