"""A pretrained network tuned to photos: first a probe, then the network's upper stages, then all of it.

In: a dataset at the size of a pretrained network, with validation pictures; a configuration; a path. Out: a run folder
that is complete, interrupted or failed. The last layer begins as the probe's. What is kept in the end is the better of
the probe and the tuned network on the validation pictures; of equal ones the probe.

Nothing is lost by an interruption: features and decoded photos are kept in the user's cache, the probe is fitted again
in seconds, and tuning goes on from its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ..data.augment_photos import PhotoAugmentation
from ..data.cache import Progress
from ..data.dataset import Dataset, Pixels, Split
from ..data.larger import larger
from ..device import (
    choose_device,
    choose_precision,
    input_dtype,
    keep_freed_memory,
    set_first_threads,
    threads,
    torch_defaults,
)
from ..models.tunable import TunableNetwork, tunable
from ..pictures.preprocess import Preprocessing
from ..run import RunFolder
from .again import go_on, record_to_repeat, write_environment
from .batches import Batches, stream
from .comparison import TuningLoop
from .event_file import EventFile
from .events import Decoding, EpochTimed, Listener, ThreadsChosen, Warned
from .identity import first_weights
from .job import Job
from .optim.layerwise import build_layerwise
from .optim.schedules import SCHEDULES
from .plan.recipe import Config, Recipe
from .probe import Probe, ProbeFitting, opened, opened_again
from .signals import stop_on_signals
from .sitting import train_on
from .state import TrainState
from .timing import time_photos

_KEPT_SIDE = 8 / 7  # of the sides that the network sees, so that there is something to cut: 256 of 224
_TOLD_EVERY = 0.5  # seconds


@torch_defaults()
@threads()
def start(
    data: Dataset,
    config: Config,
    create: Callable[[dict[str, Any]], RunFolder],
    *,
    listeners: Sequence[Listener] = (),
    checkpoint_every: float | None = None,
    began: float | None = None,
    repeats: RunFolder | None = None,
) -> RunFolder:
    """Tune in a new run folder, which `create` makes once all checks have passed. See `trainer.start`."""
    began = time.perf_counter() if began is None else began
    with stop_on_signals() as control, opened(data, config, create, listeners, repeats) as (job, run, told):
        fitting = ProbeFitting(job, run, told, control, began)
        _Tuning(fitting, listeners, checkpoint_every).fit(repeats=repeats)
    return run


def resume(
    run: RunFolder,
    config: Config,
    load: Callable[[], Dataset],
    *,
    listeners: Sequence[Listener] = (),
    checkpoint_every: float | None = None,
    force: bool = False,
) -> RunFolder:
    """Go on, to the same weights as if it had never stopped; see `trainer.resume`."""
    began = time.perf_counter()
    with stop_on_signals() as control, opened_again(run, config, load) as job:
        fitting = ProbeFitting(job, run, [*listeners, EventFile(run)], control, began)
        _Tuning(fitting, listeners, checkpoint_every).fit(resumes=True, force=force)
    return run


class _Tuning:
    """One sitting: a probe, photos at a larger size, and the loop."""

    def __init__(self, fitting: ProbeFitting, listeners: Sequence[Listener], checkpoint_every: float | None) -> None:
        self.fitting, self.listeners, self.checkpoint_every = fitting, listeners, checkpoint_every
        self.run, self.control, self.config = fitting.run, fitting.control, fitting.job.config

    def fit(self, *, repeats: RunFolder | None = None, resumes: bool = False, force: bool = False) -> None:
        """Do all of it, and close the run, however it ends."""
        run, fitting = self.run, self.fitting
        with fitting.guarded():
            probe = fitting.compute()
            row = probe.row | {"epoch": 0, "step": 0}
            run.write_metrics([row])
            run.update(kept_epoch=0)
            photos = self._larger()
            job, state = prepare(fitting.job.data, photos, self.config, probe, fitting.job.backbone.preprocessing)
            state.history.append(row)
            run.update(steps_per_epoch=job.batches.steps_per_epoch)
            record = record_to_repeat(repeats, job, state, self.listeners) if repeats else []
            since = run.about().get("tuning", {}).get("since", 0.0)
            if resumes:
                record = go_on(job, state, run, self.listeners, force=force)
            else:
                write_environment(run, job, first_weights(state))
            self._measure(job, state, chooses=not resumes)
            if not state.step:
                since = state.seconds = fitting.seconds()
                run.update(tuning={"since": since})
            if job.recipe.budget is not None and not record and since >= job.recipe.budget:
                fitting.emit(Warned("the time was up before anything could be tuned; the probe is kept"))
                fitting.close("complete", "time was up after the probe")
                return
        loop = partial(TuningLoop, probe=probe)
        train_on(job, state, run, self.control, self.listeners, self.checkpoint_every, record, since=since, kind=loop)

    def _larger(self) -> Split:
        """Return the training photos at a size from which parts can be cut, telling how far their decoding is."""
        data, told = self.fitting.job.data, 0.0

        def progress(done: int, total: int, doing: str) -> None:
            nonlocal told
            self.fitting.check()
            now = time.monotonic()
            if now - told > _TOLD_EVERY or done == total:
                told = now
                self.fitting.emit(Decoding(done, total, doing))

        return larger(data, data.train, kept_side(data.shape[0]), progress=progress)

    def _measure(self, job: Job, state: TrainState, *, chooses: bool) -> None:
        """Measure how long an epoch will take, and tell; where that `chooses`, also with how many threads."""
        assert isinstance(state.network, TunableNetwork)
        timing = time_photos(job, state.network, self.fitting.check)
        if chooses and job.config.machine.threads == "auto":
            state.threads = [[0, timing.threads, timing.whole * job.recipe.batch_size]]
            reason = "as measured on a few photos"
            self.fitting.emit(ThreadsChosen(0, timing.threads, job.available_threads, reason))
        pictures, recipe, share = len(job.batches.split), job.recipe, job.recipe.upper
        upper, whole = timing.upper * pictures, timing.whole * pictures
        if job.total_steps is not None:
            epochs = (job.total_steps - state.step) / job.batches.steps_per_epoch
            seconds = epochs * (share * upper + (1 - share) * whole)
        else:
            assert recipe.budget is not None
            seconds = max(recipe.budget - (state.seconds if state.step else self.fitting.seconds()), 0.0)
            epochs = seconds * (share / upper + (1 - share) / whole)
        self.fitting.emit(EpochTimed(upper, whole, epochs, seconds))


def prepare(
    data: Dataset, photos: Split, config: Config, probe: Probe, preprocessing: Preprocessing
) -> tuple[Job, TrainState]:
    """Make everything ready for the first update.

    Args:
        data: the dataset, at the size that the network sees.
        photos: its training pictures, at the size from which parts are cut.
        config: the configuration.
        probe: what the network begins as.
        preprocessing: of pictures, as the probe has it.
    """
    keep_freed_memory()
    available = set_first_threads(config.machine.threads)
    device = choose_device(config.machine.device)
    precision = choose_precision(config.machine.precision, device)
    recipe = config.recipe
    network = tunable(probe.weights).to(device)
    batches = Batches(
        photos,
        preprocessing,
        batch_size=recipe.batch_size,
        seed=config.seed,
        device=device,
        dtype=input_dtype(precision),
        augmentation=photo_augmentation(recipe, data.shape[0]),
    )
    schedule = SCHEDULES.load(recipe.schedule)
    job = Job(data, config, preprocessing, batches, schedule, device, precision, 1, available)
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    return job, TrainState(network, build_layerwise(network, recipe), sums)


def photo_augmentation(recipe: Recipe, side: int) -> PhotoAugmentation:
    """Return how photos are changed at random while a network of pictures of this side is tuned."""
    return PhotoAugmentation(
        recipe.side or side, crop=recipe.crop, flip=recipe.flip, colour=recipe.colour, erase=recipe.erase
    )


def augmented(
    data: Dataset,
    photos: Split,
    augmentation: PhotoAugmentation,
    *,
    seed: int,
    epochs: int,
    progress: Progress | None = None,
) -> Pixels:
    """Return photos as they are, and as epochs show them: (N · (1 + epochs), s, s, C), those of a photo together.

    Args:
        data: what the photos are of.
        photos: some of its training pictures.
        augmentation: how they are changed.
        seed: of the run.
        epochs: how many.
        progress: called while photos are decoded.
    """
    kept = larger(data, photos, kept_side(data.shape[0]), progress=progress).gather(np.arange(len(photos)))
    as_it_is = PhotoAugmentation(augmentation.side)
    changes = [as_it_is.draw(stream(seed, "augmentation", 0), len(kept))]
    changes += [augmentation.draw(stream(seed, "augmentation", epoch), len(kept)) for epoch in range(epochs)]
    seen = np.stack([change.apply(kept) for change in changes], axis=1)  # (N, 1 + epochs, s, s, C)
    return seen.reshape(-1, *seen.shape[2:])


def kept_side(side: int) -> int:
    """Return the side at which photos are kept for a network that sees them at another: 256 pixels for 224."""
    return round(_KEPT_SIDE * side)
