"""What happened in a run, as lines of its `events.jsonl`.

In: events. Out: lines in the run's folder.
"""

from __future__ import annotations

import time

from ..run import RunFolder
from .events import Decoding, Embedding, Event, Progress, event_to_json

_LOGGED_EVERY = 10.0  # seconds between the lines that tell how far it is


class EventFile:
    """A listener that writes events to the run's `events.jsonl`; of those on how far it is, one in ten seconds."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._progress_at = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Progress | Embedding | Decoding):
            if time.monotonic() - self._progress_at < _LOGGED_EVERY:
                return
            self._progress_at = time.monotonic()
        self.run.append_event({"time": round(time.time(), 3), **event_to_json(event)})
