"""What a server counts, in the text form of Prometheus.

In: requests, pictures and batches as they are answered. Out: the text of `/metrics`. With several workers the counts of
all are added up, through files in the folder that PROMETHEUS_MULTIPROC_DIR names.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counts of one server, by themselves: two servers in one process do not mix theirs."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter("eyesight_requests", "Requests answered.", ("path", "status"), registry=registry)
        self.refused = self.requests.labels("/predict", "429")
        self.pictures = Counter("eyesight_pictures", "Pictures answered, or refused.", ("outcome",), registry=registry)
        self.seconds = Histogram(
            "eyesight_request_seconds", "From the headers to the answer.", buckets=_SECONDS, registry=registry
        )
        self.batches = Histogram(
            "eyesight_batch_pictures", "Pictures computed at once.", buckets=_SIZES, registry=registry
        )
        self.waiting = Gauge(
            "eyesight_waiting_pictures",
            "Pictures taken and not answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.reloads = Counter("eyesight_reloads", "Times the model was read again.", ("outcome",), registry=registry)

    def text(self) -> bytes:
        """Return all counts."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
