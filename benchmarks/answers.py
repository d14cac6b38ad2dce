"""What every side of prediction_speed.py answers, whatever computes the logits.

In: a function from uint8 pictures (N, 32, 32, 3) to outputs (N, K). It answers each line of JSON on stdin with one:

    {"do": "logits"}                        {"logits": [[…], …]} of ten pictures that are the same on every side
    {"do": "latency", "repeats": 300}       {"seconds": […]} of single pictures, one after the other
    {"do": "throughput", "pictures": 2000}  {"seconds": …} of so many at once

Imports nothing but NumPy, as it runs in several environments.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WARM_UP = 20  # single pictures


def answer_all(logits: Callable[[np.ndarray], np.ndarray], *, versions: dict[str, Any]) -> None:
    """Warm up, say so, and answer until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    pictures = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    for i in range(WARM_UP):
        logits(pictures[i : i + 1])
    logits(pictures)
    answer(ready=True, versions=versions)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "logits":
            answer(logits=np.asarray(logits(pictures[:10])).tolist())
        elif request["do"] == "latency":
            seconds = []
            for i in range(request["repeats"]):
                one = pictures[i % len(pictures)][None]
                started = time.perf_counter()
                logits(one)
                seconds.append(time.perf_counter() - started)
            answer(seconds=seconds)
        else:
            many = np.resize(pictures, (request["pictures"], 32, 32, 3))
            started = time.perf_counter()
            logits(many)
            answer(seconds=time.perf_counter() - started)
