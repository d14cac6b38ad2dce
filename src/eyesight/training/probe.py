"""A probe: a pretrained network's features of the photos, and a linear head fitted on them.

In: a dataset at the size of a pretrained network, a configuration, a path. Out: a run folder that is complete,
interrupted or failed. Nothing is lost by an interruption: features that were computed are kept in the user's cache, and
the head takes seconds.

Whatever is chosen is chosen by cross-validation on the training pictures alone. Its predictions of the pictures that it
left out each time are kept: they give the estimate, and the temperature.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..backbones import BACKBONES, with_head
from ..calibration import fit_temperature
from ..classifier import Classifier, InferenceSpec, Training
from ..data.dataset import Dataset, Split, split_fingerprint
from ..data.folds import deal_folds
from ..data.near import find_together
from ..environment import describe_environment
from ..errors import EyesightError, FormatError, InterruptedRun, RunError, UsageError
from ..intervals import wilson
from ..metrics import cross_entropy
from ..models.network import NetworkWeights
from ..pictures.preprocess import Preprocessing
from ..pictures.views import Views
from ..predictions import Predictions
from ..run import RunFolder, Status
from .event_file import EventFile
from .events import Control, Embedding, Ended, Event, HeadFitted, Listener, Warned
from .features import Backbone, Floats, SplitPictures, embed, open_backbone
from .head import FOLDS, STRENGTHS, Choice, Head, choose, fit_head, mean_view
from .plan.recipe import Config
from .signals import stop_on_signals
from .validation import StopAsked, check

_MIRRORED = 2_000  # pictures: of more, mirror images cost more than they give, unless they are asked for
_CHOSEN_ON = 5_000  # pictures: with more, the strength would hardly be another


def start(
    data: Dataset,
    config: Config,
    create: Callable[[dict[str, Any]], RunFolder],
    *,
    listeners: Sequence[Listener] = (),
    began: float | None = None,
    repeats: RunFolder | None = None,
) -> RunFolder:
    """Fit a probe in a new run folder, which `create` makes once all checks have passed. See `eyesight.train`.

    Args:
        data, config, listeners: what to learn from and how, and who is told.
        create: makes the folder.
        began: the `time.perf_counter()` from which seconds count; now, where not given.
        repeats: a run of the same configuration that is to be repeated.

    Raises:
        DataNotFoundError: the pretrained network's package is not installed.
        UsageError: the data does not fit.
        RunError: the run to repeat was of other data.
    """
    began = time.perf_counter() if began is None else began
    with stop_on_signals() as control, opened(data, config, create, listeners, repeats) as (job, run, told):
        ProbeFitting(job, run, told, control, began).fit()
    return run


@contextlib.contextmanager
def opened(
    data: Dataset,
    config: Config,
    create: Callable[[dict[str, Any]], RunFolder],
    listeners: Sequence[Listener],
    repeats: RunFolder | None,
) -> Iterator[tuple[ProbeJob, RunFolder, list[Listener]]]:
    """Make the folder of a run that begins with a probe, and hold it; see `start`."""
    job = ProbeJob(data, config, _backbone(data, config))
    if repeats is not None and _fingerprint_of(repeats) != data.fingerprint:
        raise RunError(f"{repeats.path}: cannot be repeated, because {data.name} is not what it was trained on")
    run = create(_about(job) | ({"repeats": str(repeats.path)} if repeats else {}))
    with run.lock():
        run.write_environment(_environment(job))
        told: list[Listener] = [*listeners, EventFile(run)]
        for note in data.notes:
            tell(told, Warned(note))
        run.write_config(config.model_dump(mode="json"))  # last: with it, the run can be taken up
        yield job, run, told


def resume(
    run: RunFolder, config: Config, load: Callable[[], Dataset], *, listeners: Sequence[Listener] = ()
) -> RunFolder:
    """Go on with a probe; features that were computed are not computed again.

    Raises:
        RunError: its data has changed, or another process uses it.
    """
    began = time.perf_counter()
    with stop_on_signals() as control, opened_again(run, config, load) as job:
        run.write_environment(_environment(job))
        ProbeFitting(job, run, [*listeners, EventFile(run)], control, began).fit()
    return run


@contextlib.contextmanager
def opened_again(run: RunFolder, config: Config, load: Callable[[], Dataset]) -> Iterator[ProbeJob]:
    """Hold a run that begins with a probe and goes on; see `resume`."""
    with run.lock():
        data = load()
        job = ProbeJob(data, config, _backbone(data, config))
        if _fingerprint_of(run) not in (None, data.fingerprint):
            raise RunError(f"{run.path}: cannot go on, because {data.name} has changed; start a new run")
        run.update(status="running")
        yield job


@dataclass(frozen=True)
class ProbeJob:
    """What stays the same throughout one probe."""

    data: Dataset
    config: Config
    backbone: Backbone

    @property
    def threads(self) -> int | None:
        """Threads of the CPU, that compute; None for as many as the process may use."""
        threads = self.config.machine.threads
        return threads if isinstance(threads, int) else None


def _backbone(data: Dataset, config: Config) -> Backbone:
    """Return the pretrained network that a configuration names, for the channels that the pictures have."""
    name, (height, width, channels) = config.model.name, data.shape
    side = BACKBONES[name].size
    if (height, width) != (side, side):
        raise UsageError(
            f"{name} looks at pictures of {side}x{side} pixels; received: {width}x{height}", field="data.img_size"
        )
    threads = config.machine.threads
    return open_backbone(
        name, channels=channels, fit=data.resize, threads=threads if isinstance(threads, int) else None
    )


def _about(job: ProbeJob) -> dict[str, Any]:
    """Return what `runs` lists."""
    return {
        "data": job.data.name,
        "protocol": job.data.protocol,
        "model": job.config.model.name,
        "method": job.config.recipe.method,
        "seed": job.config.seed,
        "steps_per_epoch": 1,
    }


def _environment(job: ProbeJob) -> dict[str, Any]:
    return describe_environment() | {
        "device": "cpu",
        "precision": "fp32",
        "threads": job.config.machine.threads,
        "deterministic": True,
        "seed": job.config.seed,
        "data_fingerprint": job.data.fingerprint,
        "data_folder": job.data.folder,
        "backbone": BACKBONES[job.config.model.name].sha256,
    }


def _fingerprint_of(run: RunFolder) -> str | None:
    """Return the fingerprint of what a run learned from, where it still says so."""
    try:
        found: str | None = run.read_environment().get("data_fingerprint")
    except FormatError:
        return None
    return found


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe that is fitted.

    Attributes:
        weights: of the pretrained network with the new last layer.
        views: which views of a picture it looks at.
        row: what metrics.jsonl holds of it.
        judged: (N, K) logits of the validation pictures; None where there are none.
        temperature: that its logits are divided by.
    """

    weights: NetworkWeights
    views: Views
    row: dict[str, Any]
    judged: npt.NDArray[np.float32] | None
    temperature: float

    def inference(self, preprocessing: Preprocessing) -> InferenceSpec:
        """Return how it looks at pictures."""
        return InferenceSpec(preprocessing=preprocessing, views=self.views, temperature=self.temperature)


def tell(listeners: Sequence[Listener], event: Event) -> None:
    """Tell every listener."""
    for listener in listeners:
        listener(event)


class ProbeFitting:
    """One sitting of a probe."""

    def __init__(
        self, job: ProbeJob, run: RunFolder, listeners: Sequence[Listener], control: Control, began: float
    ) -> None:
        self.job, self.run, self.listeners, self.control, self.began = job, run, listeners, control, began

    def fit(self) -> None:
        """Compute features, fit the head, write the classifier, and close the run, however it ends."""
        with self.guarded():
            self.compute()
        self.close("complete", "the head is fitted")

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Close the run where what is done inside is interrupted, or fails."""
        try:
            yield
        except StopAsked:
            number = self.control.stop_signal or 0
            self.close("interrupted", f"signal {number}")
            raise InterruptedRun(
                f"interrupted; what was computed is kept; go on with: eyesight train --resume {self.run.path}",
                number,
                run=self.run.path,
            ) from None
        except BaseException as error:  # a full disk, a second Ctrl-C, a fault in somebody's listener
            with contextlib.suppress(OSError, EyesightError):  # another error is on its way to the user
                self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", str(error))
            raise

    def compute(self) -> Probe:
        """Compute features, fit the head, and write the classifier and what is known of it; the run goes on.

        Raises:
            StopAsked: the control wants to stop; what was computed is kept.
        """
        job, data, recipe = self.job, self.job.data, self.job.config.recipe
        train, classes = data.train, len(data.classes)
        asks_mirror = recipe.mirror if recipe.mirror is not None else len(train) <= _MIRRORED
        plain = self._embed(train)
        mirrored = self._embed(train, mirror=True) if asks_mirror else None
        together = find_together(train, plain)
        if said := str(together):
            self.emit(Warned(said))
        folds = deal_folds(train.labels, recipe.folds or FOLDS, groups=together.groups, seed=job.config.seed)
        choice = self._choose(plain, mirrored, folds)
        features = mean_view(plain, mirrored) if choice.mirror and mirrored is not None else plain
        head = fit_head(features, train.labels, classes, choice.strength, balance=recipe.balance)
        temperature = fit_temperature(choice.logits, train.labels)
        self.check()
        row, judged = self._row(head, choice, features)
        weights = with_head(job.backbone.weights, head.weight, head.bias)
        probe = Probe(weights, "mirror" if choice.mirror else "one", row, judged, temperature)
        self._write(probe, choice, folds)
        good = choice.logits.argmax(axis=1) == train.labels
        right = int(good.sum())
        low, high = wilson(right, len(train))
        spread = None if recipe.folds is None else _over_folds(good, folds)
        row["seconds"] = self.seconds()
        self.run.write_metrics([row])
        estimate = {"accuracy": right / len(train), "interval": [low, high], "loss": row["oof_loss"], "n": len(train)}
        if spread is not None:
            estimate["folds"] = spread
        self.run.update(estimate=estimate, strength=choice.strength, mirror=choice.mirror)
        self.emit(HeadFitted(choice.strength, choice.mirror, right / len(train), low, high, len(train), row, spread))
        return probe

    def _embed(self, split: Split, *, mirror: bool = False) -> Floats:
        """Return the features of a split's pictures, telling how far it is."""
        name, began = self.job.backbone.name, time.perf_counter()
        first = True

        def progress(done: int, total: int) -> None:
            nonlocal first
            if first:
                first = False
                self.emit(Embedding(name, 0, total, 0.0, 0.0, mirror))
            rate = done / max(time.perf_counter() - began, 1e-9)
            self.emit(Embedding(name, done, total, rate, (total - done) / rate, mirror))
            self.check()

        self.check()
        found = embed(self.job.backbone, SplitPictures(split), mirror=mirror, progress=progress)
        for problem in found.problems:
            self.emit(Warned(problem))
        return found.features

    def _choose(self, plain: Floats, mirrored: Floats | None, folds: np.ndarray[Any, Any]) -> Choice:
        """Choose strength and views, and return the predictions that were made out of fold with them."""
        recipe, train, classes = self.job.config.recipe, self.job.data.train, len(self.job.data.classes)
        balance = recipe.balance
        strengths: Sequence[float] = STRENGTHS if recipe.strength is None else (recipe.strength,)
        if recipe.mirror and mirrored is not None:
            plain, mirrored = mean_view(plain, mirrored), None
        few = np.arange(len(train))
        if len(train) > _CHOSEN_ON and len(strengths) > 1:
            few = np.sort(np.random.default_rng(self.job.config.seed).permutation(len(train))[:_CHOSEN_ON])
        part = mirrored if mirrored is None else mirrored[few]
        labels, check = train.labels, self.check
        choice = choose(
            plain[few], part, labels[few], folds[few], classes, strengths=strengths, balance=balance, check=check
        )
        if len(few) < len(train):
            seen = mean_view(plain, mirrored) if choice.mirror and mirrored is not None else plain
            chosen = (choice.strength,)
            whole = choose(seen, None, labels, folds, classes, strengths=chosen, balance=balance, check=check)
            choice = Choice(choice.strength, choice.mirror, choice.losses, whole.logits)
        return Choice(choice.strength, choice.mirror or bool(recipe.mirror), choice.losses, choice.logits)

    def _row(self, head: Head, choice: Choice, features: Floats) -> tuple[dict[str, Any], Floats | None]:
        """Return what metrics.jsonl holds: of training pictures, of those left out of folds, of validation ones.

        With it come the logits of the validation pictures.
        """
        data, train = self.job.data, self.job.data.train
        row: dict[str, Any] = {"epoch": 1, "step": 1}
        judged = None
        row["loss"], row["accuracy"] = _figures(head.logits(features), train)
        row["oof_loss"], row["oof_accuracy"] = _figures(choice.logits, train)
        if data.validation is not None:
            seen = self._embed(data.validation)
            if choice.mirror:
                seen = mean_view(seen, self._embed(data.validation, mirror=True))
            judged = head.logits(seen)
            row["val_loss"], row["val_accuracy"] = _figures(judged, data.validation)
        row["cross_validation"] = {f"{strength:g}": loss for strength, loss in choice.losses.items()}
        return row, judged

    def _write(self, probe: Probe, choice: Choice, folds: np.ndarray[Any, Any]) -> None:
        """Write the classifier, and what it said of pictures that it had not seen."""
        job, data = self.job, self.job.data
        training = Training(data=data.name, fingerprint=data.fingerprint, epoch=1, weights="last", seed=job.config.seed)
        inference = probe.inference(job.backbone.preprocessing)
        classifier = Classifier(probe.weights, inference, data.classes, training=training, threads=job.threads)
        checksum = classifier.save(self.run.model_file)
        Predictions(
            example_ids=tuple(data.train.example_ids),
            labels=data.train.labels,
            logits=(choice.logits / probe.temperature).astype(np.float32),
            classes=data.classes,
            split=data.train.name,
            model=checksum,
            data=split_fingerprint(data.train),
            folds=folds,
        ).save(self.run.out_of_fold_file)
        self.run.update(kept_epoch=1, model_checksum=checksum)

    def check(self) -> None:
        """Raise `StopAsked` where the control wants to stop."""
        check(self.control)

    def seconds(self) -> float:
        """Return the seconds since this sitting began."""
        return time.perf_counter() - self.began

    def emit(self, event: Event) -> None:
        """Tell every listener."""
        tell(self.listeners, event)

    def close(self, status: Status, reason: str) -> None:
        """Note how the run ended."""
        try:
            self.run.update(status=status, reason=reason, seconds=self.seconds(), steps=1)
        finally:  # a progress bar must let go of the terminal, even where the disk is full
            self.emit(Ended(status, reason, self.seconds()))


def _over_folds(good: np.ndarray[Any, Any], folds: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return accuracy of each fold, their mean, standard deviation, and the 95 % interval of the mean (Student's t).

    Args:
        good: (N,) whether the answers out of fold were right.
        folds: (N,).
    """
    from scipy.special import stdtrit

    found = np.array([good[folds == fold].mean() for fold in np.unique(folds)])
    mean, deviation = float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else 0.0
    half = float(stdtrit(max(len(found) - 1, 1), 0.975)) * deviation / len(found) ** 0.5
    interval = [max(mean - half, 0.0), min(mean + half, 1.0)]
    return {"accuracies": found.tolist(), "mean": mean, "deviation": deviation, "interval": interval}


def _figures(logits: Floats, split: Split) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    loss = cross_entropy(logits, split.labels).mean()
    return float(loss), float((logits.argmax(axis=1) == split.labels).mean())
