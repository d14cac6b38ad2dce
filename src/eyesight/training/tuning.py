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
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..calibration import fit_temperature
from ..classifier import Classifier, InferenceSpec, Logits, Training
from ..data.augment_photos import PhotoAugmentation
from ..data.cache import Progress
from ..data.dataset import Dataset, Pixels, Split
from ..data.larger import larger
from ..device import (
    autocast,
    choose_device,
    choose_precision,
    input_dtype,
    keep_freed_memory,
    set_first_threads,
    set_threads,
    synchronise,
    threads,
    torch_defaults,
)
from ..formats import Arrays
from ..metrics import class_scores, confusion_matrix, cross_entropy, mean_defined
from ..models.network import NetworkWeights
from ..models.torch_network import to_arrays
from ..models.tunable import TunableNetwork, tunable
from ..pictures.preprocess import Preprocessing
from ..pictures.views import Views, number_of_views
from ..run import RunFolder
from .again import go_on, record_to_repeat, write_environment
from .batches import Batches, stream
from .event_file import EventFile
from .events import Compared, Decoding, EpochTimed, Listener, ThreadsChosen, Warned
from .identity import first_weights
from .job import Job
from .loop import Loop
from .optim.layerwise import build_layerwise
from .optim.schedules import SCHEDULES
from .plan.recipe import Config, Recipe
from .probe import Probe, ProbeFitting, opened, opened_again
from .signals import stop_on_signals
from .sitting import train_on
from .state import TrainState
from .statistics import seed_torch
from .threads import WORTH
from .validation import check

_KEPT_SIDE = 8 / 7  # of the sides that the network sees, so that there is something to cut: 256 of 224
_TIMED = 8  # photos of an update that is timed
_TOLD_EVERY = 0.5  # seconds
# How far from the probe to the tuned weights a network is looked for at the end. Half of the way is often better than
# the whole, as what was learned from few photos is in part of those alone. Source: Wortsman et al., "Robust fine-tuning
# of zero-shot models", CVPR 2022.
_SHARES = (0.5, 1.0)
_JUDGED = 256  # pictures at a time; a signal waits for no more than these


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


class TuningLoop(Loop):
    """The loop, at whose end the better of the probe and the tuned network is kept.

    Args:
        probe: what the network began as.
    """

    def __init__(self, *args: Any, probe: Probe, **options: Any) -> None:
        super().__init__(*args, **options)
        self.probe = probe

    @property
    def views(self) -> Views:
        """Which views of a picture the tuned network looks at: the mirror image too, where it has learned from both."""
        return "mirror" if self.job.recipe.flip else self.probe.views

    def reserve(self) -> float:
        """Return how many seconds judging and saving will take at the end."""
        validation = self.job.data.validation
        assert validation is not None  # what decides; `resolve` has seen to it
        timed = self.state.validating
        judging = timed if timed is not None else self.estimated(len(validation)) / 3
        return self.state.saving + (1 + len(_SHARES) * number_of_views(self.views)) * judging

    def keep_good_weights(self) -> str:
        """Leave the probe's classifier where it is."""
        return f"the probe is kept in {self.run.model_file}"

    def write_weights_so_far(self) -> str:
        """Leave the probe's classifier where it is: the weights so far have not been compared with it."""
        return f"until then the probe is in {self.run.model_file}"

    def write_models(self) -> None:
        """Judge the network as it will predict, and write it in place of the probe, or beside it."""
        validation, epoch = self.job.data.validation, self.state.history[-1]["epoch"]
        assert validation is not None
        assert self.probe.judged is not None
        share, tuned, logits = self._best()
        tuned.inference = tuned.inference.model_copy(update={"temperature": fit_temperature(logits, validation.labels)})
        figures = {
            name: {"accuracy": self._score(given), "loss": float(cross_entropy(given, validation.labels).mean())}
            for name, given in (("probe", self.probe.judged), ("tuned", logits))
        }
        better = figures["tuned"]["accuracy"] > figures["probe"]["accuracy"]
        kept, balanced = "tuned" if better else "probe", self.job.recipe.balance
        checksum = tuned.save(self.run.model_file if better else self.run.last_model_file)
        if better:
            self.run.update(kept_epoch=epoch, model_checksum=checksum)
        about = {"kept": kept, "share": share, "n": len(validation), "balanced": balanced, **figures}
        self.run.update(tuning=self.run.about().get("tuning", {}) | about)
        self.emit(Compared(figures["probe"]["accuracy"], figures["tuned"]["accuracy"], len(validation), kept, balanced))

    def _best(self) -> tuple[float, Classifier, Logits]:
        """Return how far from the probe to the last weights the best ones lie, the classifier, and what it says."""
        job, last = self.job, to_arrays(self.state.network)
        epoch = self.state.history[-1]["epoch"]
        training = Training(
            data=job.data.name, fingerprint=job.data.fingerprint, epoch=epoch, weights="last", seed=job.config.seed
        )
        inference = InferenceSpec(preprocessing=job.preprocessing, views=self.views)
        assert job.data.validation is not None
        found = []
        for share in _SHARES:
            weights = NetworkWeights(self.probe.weights.spec, between(self.probe.weights.arrays, last, share))
            classifier = Classifier(weights, inference, job.data.classes, training=training, device=str(job.device))
            found.append((share, classifier, self._judge(classifier, job.data.validation)))
        return max(found, key=lambda each: self._score(each[2]))  # of equal ones the first

    def _score(self, logits: Logits) -> float:
        validation = self.job.data.validation
        assert validation is not None
        return score(logits, validation, len(self.job.data.classes), balanced=self.job.recipe.balance)

    def _judge(self, classifier: Classifier, split: Split) -> Logits:
        """Return the logits of a split's pictures (N, K)."""
        parts = []
        for begin in range(0, len(split), _JUDGED):
            check(self.control)
            parts.append(classifier.logits(split.gather(np.arange(begin, min(begin + _JUDGED, len(split))))))
        return np.concatenate(parts)


def between(first: Arrays, last: Arrays, share: float) -> Arrays:
    """Return the weights that lie a share of the way from the first to the last.

    >>> between({"w": np.array([1.0, 2.0])}, {"w": np.array([3.0, 2.0])}, 0.5)["w"].tolist()
    [2.0, 2.0]
    """
    moved = {name: last[name] - value for name, value in first.items() if value.dtype.kind == "f"}
    return {
        name: (value + np.asarray(share, value.dtype) * moved[name]) if name in moved else value
        for name, value in first.items()
    }


def score(logits: Logits, split: Split, classes: int, *, balanced: bool = False) -> float:
    """Return the accuracy of logits (N, K) on a split; the mean over its classes where it is to be balanced."""
    predicted = logits.argmax(axis=1)
    if not balanced:
        return float((predicted == split.labels).mean())
    return mean_defined(class_scores(confusion_matrix(split.labels, predicted, classes)).recall)
