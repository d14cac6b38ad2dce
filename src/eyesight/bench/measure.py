"""The timing: how many pictures a second each setting trains or predicts.

In: a network's name, its picture size and classes, settings. Out: rates, several for each setting. What is timed is
what training and prediction really do: `train_step` (gather, normalise, forward, loss, backward, optimizer) and
`Classifier.logits`, whatever computes it. It draws no conclusions.

Settings take turns, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from ..data.dataset import Dataset, from_arrays
from ..device import synchronise, threads
from ..models import network_spec
from ..training.job import prepare
from ..training.loop import is_out_of_memory, train_step
from ..training.plan.recipe import parse_config
from .settings import Setting

ROUNDS = 9  # enough for quartiles
OPTIMIZER = "adam"  # the default of `eyesight train`

_QUIET_SECONDS = 2  # at least, between lines of progress
_WARM_UPS = 10  # slices at most; without anything else running, three to five settle
_SETTLED = 0.9  # a slice that takes at least this share of the one before it is no longer warming up
_FASTEST_GROWTH = 10  # from one warm-up slice to the next: the first update is slow, and no measure of the others
_MOST_PICTURES, _MOST_BYTES = 4096, 32 << 20  # drawn at random; larger batches repeat them


class Bench:
    """Measures all settings of one network.

    Args:
        network: a registered name.
        shape: (H, W, C) of the pictures.
        classes: K.
        settings: what to measure.
        seconds: measured time for each setting, warm-up not counted.

    Attributes:
        spec: the network as data.
        rates: pictures a second of each setting, one number for each round.
        problems: settings that could not be measured, and why.

    Raises:
        UnknownNameError, UsageError: no such network, or the pictures do not fit it.
    """

    def __init__(
        self, network: str, *, shape: tuple[int, int, int], classes: int, settings: Sequence[Setting], seconds: float
    ) -> None:
        self.spec = network_spec(network, shape=shape, classes=classes)
        self.network, self.settings, self.seconds = network, tuple(settings), seconds
        self.rates: dict[Setting, list[float]] = {setting: [] for setting in settings}
        self.problems: dict[Setting, str] = {}
        self._data = random_pictures(shape, classes)
        self._workloads: dict[Setting, Callable[[], object]] = {}
        self._step_seconds: dict[Setting, float] = {}  # of one step, once warm

    def run(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Warm up, then measure in rounds.

        Args:
            say: called with a line of progress when a setting is warm, and every few seconds after that.
        """
        with _as_before(self.settings):
            for i, setting in enumerate(self.settings, start=1):
                self._attempt(setting, self._warm_up)
                say(f"warm-up {i} of {len(self.settings)}: {self._describe(setting)}")
            start = spoke = time.perf_counter()
            turns = ROUNDS * len(self.settings)
            for done, setting in enumerate(self.settings * ROUNDS, start=1):
                self._attempt(setting, self._measure)
                if (now := time.perf_counter()) - spoke >= _QUIET_SECONDS:
                    say(f"measured {done / turns:.0%}, about {(now - start) * (turns - done) / done:.0f} s left")
                    spoke = now

    def _describe(self, setting: Setting) -> str:
        name = f"{setting.task}, {setting.where}, batch size {setting.batch_size}"
        if setting in self.problems:
            return f"{name}: {self.problems[setting]}"
        return f"{name}: about {setting.batch_size / self._step_seconds[setting]:,.0f} pictures/s"

    def _steps(self, step_seconds: float) -> int:
        """Return how many steps of a given length make a slice."""
        return max(1, round(self.seconds / ROUNDS / step_seconds))

    def _attempt(self, setting: Setting, action: Callable[[Setting], None]) -> None:
        """Do something with a setting, unless it has failed; note it where memory runs out, and go on."""
        if setting in self.problems:
            return
        try:
            action(setting)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.problems[setting] = "out of memory"
        if setting in self.problems:
            self._workloads.pop(setting, None)
            if setting.device.startswith("cuda"):
                torch.cuda.empty_cache()  # only here, where the error and the tensors in its traceback have gone

    def _warm_up(self, setting: Setting) -> None:
        """Run slices of growing length until their steps take no less time than before."""
        steps, took = 1, math.inf
        for _ in range(_WARM_UPS):
            before, took = took, self._slice(setting, steps) / steps
            if took >= _SETTLED * before and self._steps(took) <= 2 * steps:
                break
            steps = min(self._steps(took), _FASTEST_GROWTH * steps)
        self._step_seconds[setting] = took

    def _measure(self, setting: Setting) -> None:
        steps = self._steps(self._step_seconds[setting])
        took = self._slice(setting, steps) / steps
        self.rates[setting].append(setting.batch_size / took)
        self._step_seconds[setting] = min(took, self._step_seconds[setting])  # of a warm-up that others slowed down

    def _slice(self, setting: Setting, steps: int) -> float:
        """Return the seconds that so many steps take, work that is queued on the device included."""
        with threads(setting.threads):
            if setting not in self._workloads:
                self._workloads[setting] = self.workload(setting)
            step = self._workloads[setting]
            step()  # brings back into the caches what the other settings displaced
            synchronise(setting.device)
            start = time.perf_counter()
            for _ in range(steps):
                step()
            synchronise(setting.device)
            return time.perf_counter() - start

    def workload(self, setting: Setting) -> Callable[[], object]:
        """Return what is timed: a function that handles one batch, with a network of its own."""
        # "centered" costs what the default "standard" does, without counting pixels first
        recipe = {"optimizer": OPTIMIZER, "normalize": "centered", "batch_size": setting.batch_size}
        machine: dict[str, object] = {"device": setting.device, "precision": setting.precision}
        machine |= {} if setting.threads is None else {"threads": setting.threads}
        values = {"model": {"name": self.network}, "recipe": recipe, "machine": machine}
        job, state = prepare(_whole_batches(self._data, setting.batch_size), parse_config(values))
        if setting.task == "prediction":
            classifier = job.classifier(state.network)
            classifier.threads = setting.threads
            pictures = job.data.train.gather(np.arange(setting.batch_size))
            return lambda: classifier.logits(pictures)
        state.network.train()

        def train() -> None:
            train_step(job, state, 0.0)  # always its beginning, as far as the learning rate goes
            state.step += 1

        return train


def random_pictures(shape: tuple[int, int, int], classes: int) -> Dataset:
    """Return noise with labels: pictures (H, W, C) of K classes, all for training."""
    count = min(_MOST_PICTURES, max(1, _MOST_BYTES // math.prod(shape)))
    pictures = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    names = [str(k) for k in range(classes)]
    return from_arrays((pictures, np.arange(count) % classes), classes=names, validation=0, name="random")


def _whole_batches(data: Dataset, batch_size: int) -> Dataset:
    """Return the pictures repeated until the last batch of an epoch is a whole one; none of them is copied."""
    count = len(data.train)
    positions = np.resize(np.arange(count), batch_size * math.ceil(count / batch_size))
    return replace(data, train=data.train.select(positions, name="train"))


@contextlib.contextmanager
def _as_before(settings: Sequence[Setting]) -> Iterator[None]:
    """Give torch back its number of threads and the state of its random numbers."""
    gpus = {setting.device for setting in settings if setting.device.startswith("cuda")}
    with threads(), torch.random.fork_rng(devices=[torch.device(name) for name in sorted(gpus)]):
        yield
