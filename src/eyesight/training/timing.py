"""How long learning from photos takes, measured before it begins.

In: a job and its network. Out: seconds for a photo, and the number of threads that it is fastest with. It changes no
weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..device import autocast, set_threads, synchronise
from ..models.tunable import TunableNetwork
from .job import Job
from .statistics import seed_torch
from .threads import WORTH

_TIMED = 8  # photos of an update that is timed


@dataclass(frozen=True)
class Timing:
    """How long learning from a photo takes, as measured.

    Attributes:
        threads: of the CPU, that it is fastest with; the number that was asked for, where one was.
        upper, whole: seconds while the upper stages learn, and while all do.
    """

    threads: int
    upper: float
    whole: float


def time_photos(job: Job, network: TunableNetwork, check: Callable[[], None]) -> Timing:
    """Measure how long learning from a photo takes; the weights stay as they are.

    Of every kind of update two small ones are computed, and the second is timed. With other programs at work, several
    threads can be slower than one by far, so that both are tried where the number is open.
    """
    before = torch.get_num_threads()
    chooses = job.config.machine.threads == "auto" and job.device.type == "cpu" and job.available_threads > 1
    network.train()
    try:
        timed = {
            count: _time_photo(job, network, count, check) for count in (before, *[job.available_threads] * chooses)
        }
        count = min(timed, key=lambda count: timed[count] * (WORTH if count > 1 else 1.0))
        network.first = network.upper
        return Timing(count, _time_photo(job, network, count, check), timed[count])
    finally:
        network.first = 0
        network.zero_grad()
        if torch.get_num_threads() != before:
            set_threads(before)


def _time_photo(job: Job, network: TunableNetwork, count: int, check: Callable[[], None]) -> float:
    """Return the seconds that the gradient of one photo takes with so many threads, reading it included."""
    set_threads(count)
    seconds, pictures = 0.0, 1
    with torch.random.fork_rng(devices=[job.device] if job.device.type == "cuda" else []):
        for step in range(2):
            check()
            began = time.perf_counter()
            seed_torch(job, step)
            images, labels = job.batches.batch(step, most=_TIMED)
            with autocast(job.device, job.precision):
                logits = network(images)
            F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call] # torch
            synchronise(job.device)
            seconds, pictures = time.perf_counter() - began, len(labels)
    return seconds / pictures
