"""The training loop: plain, and all of it here.

In: a `Job`, a `TrainState`, the run's folder, listeners and a control. Out: a run folder that is complete, interrupted
or failed, with the classifier in it. It reports through events and is stopped through the control; it prints nothing.

Letters: N pictures in a batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..classifier import Training
from ..device import autocast, synchronise
from ..errors import EyesightError, InterruptedRun, RunError, TrainingError
from ..models.torch_network import check_finite, load_arrays, to_arrays
from ..models.tunable import TunableNetwork
from ..run import RunFolder, Status
from . import checkpoint
from .clock import Clock
from .events import CheckpointSaved, Control, Ended, EpochEnded, Event, Listener, Progress, Started, Warned
from .finish import calibrate, calibration_views
from .job import Job
from .optim import averaging
from .plan.recipe import Recipe
from .resolution import shrink
from .state import Best, TrainState
from .statistics import collect_statistics, seed_torch, statistics_batches
from .threads import Threads, prepare_threads
from .validation import EpochRow, StopAsked, best_row, early_stop, validate

_FLUSH_SECONDS = 0.25  # how often losses are fetched from the device, checked for NaN, and shown
_KEPT_SECONDS = 10.0  # how often, within an epoch, weights are noted, to go back to
_DIVERGED = 10.0  # times the loss of guessing: one that learns, however badly, is below
_ASKED = 64  # pictures that weights must answer for before they are gone back to
_SAVING_SHARE = 0.01  # the most of the time that saving at the ends of epochs may take


class Loop:
    """One sitting of a training: from a state to the end, or to an interruption.

    Args:
        job: what stays the same.
        state: what changes.
        run: where results go.
        listeners: called with every event.
        control: asked after every update.
        clock: tells how far the training is.
        checkpoint_every: seconds between saved states; None for every 30, or more where saving is slow.
    """

    def __init__(
        self,
        job: Job,
        state: TrainState,
        run: RunFolder,
        *,
        listeners: Sequence[Listener],
        control: Control,
        clock: Clock,
        checkpoint_every: float | None,
    ) -> None:
        self.job, self.state, self.run = job, state, run
        self.listeners, self.control, self.clock = listeners, control, clock
        self._every = checkpoint_every
        now = time.perf_counter()
        self._first_step, self._first_time = state.step, now
        self._flushed_step, self._flushed_time = state.step, now
        self._saved_time = self._kept_time = now
        self._collecting: float | None = None  # seconds that the statistics of averaged weights took last
        self._warm: tuple[int, float] | None = None  # step and time after the sitting's first, slower update
        self.threads = prepare_threads(job, state, run, self.emit)

    def fit(self) -> None:
        """Train to the end and write the classifier.

        Raises:
            InterruptedRun: the control asked to stop; the state is saved.
            TrainingError: the loss is no longer a number (the last good weights are kept), or memory ran out.
        """
        job, state = self.job, self.state
        steps = job.steps_per_round
        self.emit(
            Started(
                job.config.model.name,
                state.step,
                job.recipe.epochs,
                job.recipe.updates,
                job.recipe.budget,
                steps,
                len(job.data.train),
                str(job.device),
                job.precision,
            )
        )
        self.keep_weights()
        state.network.train()
        self.threads.set(max(state.step - 1, 0))  # those of the last update, also for what comes after an epoch
        if state.step % steps == 0:
            self.end_epoch()  # where a signal came in the middle of it
            self.stop_if_asked()
        while not state.stopped and (progress := self.clock.progress(state.step, reserve=self.reserve())) < 1:
            self.update(progress)
            if state.step % steps == 0:
                self.end_epoch()
            elif time.perf_counter() - self._flushed_time >= _FLUSH_SECONDS:
                self.flush(progress)
            self.stop_if_asked()
        self.end_epoch()
        self.stop_if_asked()
        self.finish()

    def update(self, progress: float) -> None:
        """Make one update, with the threads that it is to have."""
        state = self.state
        self.threads.before(state.step)
        started = time.perf_counter()
        train_step(self.job, state, progress)
        state.average.update(state.network, progress)
        self.threads.after(state.step, time.perf_counter() - started)
        state.step += 1

    def reserve(self) -> float:
        """Return how many seconds validation, the statistics of averaged weights, and saving will take at the end."""
        job, state = self.job, self.state
        seconds = state.saving
        if job.data.validation is not None:
            timed, pictures = state.validating, job.recipe.validation_sample or len(job.data.validation)
            seconds += timed if timed is not None else self.estimated(pictures)
            # fitting a temperature: as long as that for each view, or a third of an update; the lower, as one
            # validation can be slow by chance, and this is many times as much
            views = calibration_views(job)
            guesses = (self.estimated(views) / 3, (timed or 0.0) / pictures * views)
            seconds += min((guess for guess in guesses if guess > 0), default=0.0)
        if state.average.mean and job.smallest_part > 1:  # it has batch norm
            # twice, to judge the weights and to save them; each a third of what an update takes for as many pictures
            pictures = statistics_batches(job) * job.recipe.batch_size
            seconds += 2 * (self._collecting if self._collecting is not None else self.estimated(pictures) / 3)
        return seconds

    def estimated(self, pictures: int) -> float:
        """Return the seconds that updates with so many pictures take; 0 as long as none has been timed."""
        state, now = self.state, time.perf_counter()
        if self._warm is None and state.step > self._first_step:
            self._warm = (state.step, now)
        if self._warm is None or state.step == self._warm[0]:
            return 0.0
        trained = (state.step - self._warm[0]) * self.job.recipe.batch_size
        return (now - self._warm[1]) / trained * pictures

    def stop_if_asked(self) -> None:
        """Leave where the control asks to stop."""
        if self.control.stop_signal is not None:
            self.interrupt(self.control.stop_signal)

    def flush(self, progress: float) -> None:
        """Fetch the losses, check them, report, and save when it is time."""
        job, state = self.job, self.state
        loss, accuracy = self.epoch_means()
        now = time.perf_counter()
        saves = now - self._saved_time >= self.checkpoint_every
        if saves or now - self._kept_time >= _KEPT_SECONDS or not math.isfinite(loss):
            self.keep_if_finite(loss)
        rate = (state.step - self._flushed_step) * job.recipe.batch_size / (now - self._flushed_time)
        epoch, position = divmod(state.step - 1, job.steps_per_round)
        self.emit(Progress(epoch + 1, state.step, position + 1, progress, loss, accuracy, rate, self.seconds_left()))
        self._flushed_step, self._flushed_time = state.step, now
        if saves:
            self.save()

    def seconds_left(self) -> float:
        """Return an estimate of the time to the end."""
        recipe, state = self.job.recipe, self.state
        if recipe.budget is not None:
            return max(0.0, recipe.budget - self.clock.seconds())
        assert self.job.total_steps is not None  # without a budget there are epochs
        per_step = (time.perf_counter() - self._first_time) / (state.step - self._first_step)
        return per_step * (self.job.total_steps - state.step)

    @property
    def checkpoint_every(self) -> float:
        """Seconds between saved states."""
        return self._every if self._every is not None else max(30.0, self.state.saving / _SAVING_SHARE)

    def end_epoch(self) -> None:
        """Do what comes after an epoch, where it has not been done for the last update already.

        Where a signal asks to stop in the middle of it, the state is saved as it was before, and going on begins here.
        """
        state = self.state
        if state.step and not (state.history and state.history[-1]["step"] == state.step):
            with contextlib.suppress(StopAsked):
                self.judge_epoch()

    def judge_epoch(self) -> None:
        """Validate, note the epoch, keep the weights if they are the best, and decide whether to go on."""
        job, state = self.job, self.state
        loss, accuracy = self.epoch_means()
        self.keep_if_finite(loss)
        epoch = math.ceil(state.step / job.steps_per_round)
        row: EpochRow = {
            "epoch": epoch,
            "step": state.step,
            "loss": loss,
            "accuracy": accuracy,
            "lr": job.recipe.lr * job.schedule(self.clock.at(state.step - 1)),  # of the epoch's last update
        }
        with self.evaluation_weights() as averaged:
            if job.data.validation is not None:
                started = time.perf_counter()
                figures = validate(job, state.network, job.data.validation, state.step, self.control)
                row["val_loss"], row["val_accuracy"] = figures
                state.validating = time.perf_counter() - started
            row["seconds"] = self.clock.seconds()
            state.history.append(row)
            if job.keeps_best and best_row(state.history, job.recipe) is row:
                state.best = Best(epoch, averaged, to_arrays(state.network))
        state.stopped = early_stop(state.history, job.recipe)
        state.sums.zero_()
        self.run.write_metrics(state.history)
        self.emit(EpochEnded(row))
        now = time.perf_counter()
        if now - self._saved_time >= min(self.checkpoint_every, state.saving / _SAVING_SHARE):
            self.save()
        self._flushed_step, self._flushed_time = state.step, time.perf_counter()

    @contextlib.contextmanager
    def evaluation_weights(self) -> Iterator[bool]:
        """Let the network have the weights it is judged and saved with: the average, where there is one."""
        network = self.state.network
        with averaging.evaluation_weights(self.state.average, network) as averaged:
            if not averaged:
                yield False
                return
            with averaging.fresh_batch_norm(network) as layers:
                if layers:
                    started = time.perf_counter()
                    collect_statistics(self.job, network, self.control)
                    synchronise(self.job.device)
                    self._collecting = time.perf_counter() - started
                yield True

    def epoch_means(self) -> tuple[float, float]:
        """Return mean loss and accuracy over the epoch so far."""
        loss, correct, count = self.state.sums.tolist()
        return loss / count, correct / count

    def keep_if_finite(self, loss: float) -> None:
        """Note the weights; or, where loss or weights are not finite, stop with the last that answer in numbers."""
        job, state = self.job, self.state
        if math.isfinite(loss) and check_finite(state.network):
            self.keep_weights()
            return
        kept = self.keep_good_weights()
        fp32 = ", --precision fp32" if job.precision == "bf16" else ""
        raise TrainingError(
            f"the loss is no longer a number at step {state.step} (learning rate {job.recipe.lr:g}); {kept}; "
            f"try --lr {job.recipe.lr / 10:g}, --set recipe.clip_norm=1{fp32}"
        )

    def keep_good_weights(self) -> str:
        """Write a classifier that answers in numbers, after weights that do not; return which and where, in words."""
        good_step = self.restore_weights()
        epoch = good_step // self.job.steps_per_round
        self.write_model(last=True, epoch=epoch, averaged=False, calibrated=False)
        return f"the weights of step {good_step} are kept in {self.run.model_file}"

    def keep_weights(self) -> None:
        """Note the weights and those noted before, on their device and always in the same memory."""
        own, noted = self.state.network.state_dict(), self.state.noted
        free = noted.pop(0)[1] if len(noted) == 2 else {name: torch.empty_like(tensor) for name, tensor in own.items()}
        copy_tensors(own, free)
        noted.append((self.state.step, free))
        self._kept_time = time.perf_counter()

    def restore_weights(self) -> int:
        """Give the network the last noted weights that answer in numbers; return their step.

        No loss has been computed yet with those noted last: they can be finite, and what they give need not be.
        """
        job, network = self.job, self.state.network
        some = job.data.train.gather(np.arange(min(len(job.data.train), _ASKED)))
        for step, weights in reversed(self.state.noted):
            copy_tensors(weights, network.state_dict())
            if np.isfinite(job.classifier(network).logits(some)).all():
                return step
        return self.state.noted[0][0]

    def save(self) -> None:
        """Save the state; not into a folder that somebody has removed, which would come back with parts of a run."""
        if not self.run.exists:
            raise RunError(f"{self.run.path}: was removed while it was training")
        started = time.perf_counter()
        self.state.seconds = self.clock.seconds()
        self.state.clock = self.clock.realised(self.state.step)
        self.state.threads = [list(choice) for choice in self.threads.until(self.state.step)]
        path = checkpoint.save(self.state, self.run.checkpoints_folder, identity=self.job.identity)
        self._saved_time = time.perf_counter()
        self.state.saving = self._saved_time - started
        self.emit(CheckpointSaved(self.state.step, path.name, self.state.saving))

    def interrupt(self, signal_number: int) -> None:
        """Save the state and leave."""
        if self.state.sums[2].item():  # none where an epoch has just been checked
            self.keep_if_finite(self.epoch_means()[0])
        self.save()
        self.leave(signal_number)

    def leave(self, signal_number: int) -> None:
        """Leave with the state as it was saved last, and the weights so far as a classifier."""
        weights = ""
        with contextlib.suppress(OSError):  # a full disk takes nothing from the state that is saved
            weights = f"{self.write_weights_so_far()}; "
        self.close("interrupted", f"signal {signal_number}")
        of = f" of {self.job.total_steps}" if self.job.total_steps is not None else ""
        raise InterruptedRun(
            f"interrupted after step {self.state.step}{of}; {weights}"
            f"go on with: eyesight train --resume {self.run.path}",
            signal_number,
            run=self.run.path,
        )

    def finish(self) -> None:
        """Write the classifier and close the run."""
        self.save()
        try:
            self.write_models()
        except StopAsked:
            assert self.control.stop_signal is not None
            self.leave(self.control.stop_signal)  # unsaved: the network may hold the best weights in place of the last
        recipe = self.job.recipe
        done = "time is up" if recipe.budget else "all updates done" if recipe.updates else "all epochs done"
        diverged = self.warn_of_divergence()
        self.close("complete", (self.state.stopped or done) + diverged)

    def warn_of_divergence(self) -> str:
        """Warn where the loss is a number still, but far above that of guessing; return what the run's reason adds."""
        loss, recipe = self.state.history[-1]["loss"], self.job.recipe
        guessing = math.log(max(len(self.job.data.classes), 2))
        if loss <= _DIVERGED * guessing:
            return ""
        self.emit(
            Warned(
                f"the training diverged: its loss is {loss:.3g}, where guessing gives {guessing:.3g} (learning rate "
                f"{recipe.lr:g}); try --lr {recipe.lr / 10:g}, --set recipe.clip_norm=1"
            )
        )
        return f", but the loss is {loss:.3g}"

    def write_models(self) -> None:
        """Write the classifier that is kept, and the last one beside it where that is another."""
        job, state = self.job, self.state
        last_epoch = math.ceil(state.step / job.steps_per_round)
        with self.evaluation_weights() as averaged:
            if not job.keeps_best or state.best.epoch == last_epoch:
                self.write_model(last=not job.keeps_best, epoch=last_epoch, averaged=averaged)
            else:
                self.write_model(last=True, epoch=last_epoch, averaged=averaged, beside=True)
        if job.keeps_best and state.best.epoch != last_epoch:
            load_arrays(state.network, state.best.weights, "memory")
            self.write_model(last=False, epoch=state.best.epoch, averaged=state.best.averaged)

    def write_weights_so_far(self) -> str:
        """Write the best weights so far, or the last where there is no best one; return which and where, in words.

        This is done without the work of a finished run.
        """
        job, state = self.job, self.state
        if job.keeps_best and state.best.epoch:
            load_arrays(state.network, state.best.weights, "memory")
            self.write_model(last=False, epoch=state.best.epoch, averaged=state.best.averaged, calibrated=False)
        else:
            self.write_model(last=True, epoch=state.step // job.steps_per_round, averaged=False, calibrated=False)
        return f"the weights so far are in {self.run.model_file}"

    def write_model(
        self, *, last: bool, epoch: int, averaged: bool, beside: bool = False, calibrated: bool = True
    ) -> None:
        """Write the network as it is to the run's model file and note it there, or write it `beside` that file."""
        job = self.job
        training = Training(
            data=job.data.name,
            fingerprint=job.data.fingerprint,
            epoch=epoch,
            weights="last" if last else "best",
            seed=job.config.seed,
            averaging=job.recipe.averaging if averaged else "none",
        )
        classifier = job.classifier(self.state.network, training=training)
        if calibrated:
            calibrate(job, classifier, self.control)
        if beside:
            classifier.save(self.run.last_model_file)
        else:
            self.run.update(kept_epoch=epoch, model_checksum=classifier.save(self.run.model_file))

    def close(self, status: Status, reason: str) -> None:
        """Note how the run ended."""
        try:
            self.run.update(status=status, reason=reason, seconds=self.clock.seconds(), steps=self.state.step)
            if status == "complete" and self.threads.candidates:
                self.run.write_config(config_to_repeat(self.job, self.threads))
        finally:  # a progress bar must let go of the terminal, even where the disk is full
            self.emit(Ended(status, reason, self.clock.seconds()))

    def note(self, status: Status, reason: str) -> None:
        """Note how the run ended where that can still be written; another error is on its way to the user."""
        with contextlib.suppress(OSError, EyesightError):
            self.close(status, reason)

    def emit(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(event)


def fit(loop: Loop) -> None:
    """Train to the end; see `Loop.fit`. The caller's random numbers stay as they were.

    A failure is noted in the run before it is raised; memory that ran out becomes advice on the batch size.
    """
    job = loop.job
    with torch.random.fork_rng(devices=[job.device] if job.device.type == "cuda" else []):
        try:
            loop.fit()
        except InterruptedRun:
            raise
        except TrainingError as error:
            loop.note("failed", str(error))
            raise
        except (RuntimeError, MemoryError) as error:
            loop.note("failed", str(error))
            if is_out_of_memory(error):
                raise TrainingError(memory_advice(job.recipe)) from error
            raise
        except BaseException as error:  # a full disk, a second Ctrl-C, a fault in somebody's listener
            loop.note("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", repr(error))
            raise


def config_to_repeat(job: Job, threads: Threads) -> dict[str, Any]:
    """Return the configuration that repeats a training bit for bit: with the threads that it has chosen."""
    machine = job.config.machine.model_copy(update={"threads": threads.schedule()})
    return job.config.model_copy(update={"machine": machine}).model_dump(mode="json")


def train_step(job: Job, state: TrainState, progress: float) -> None:
    """Make one update: forward, backward, and a step of the optimizer.

    Args:
        job: what stays the same.
        state: what changes.
        progress: of the training, from 0 to 1; the schedule turns it into a learning rate.
    """
    recipe, network, optimizer = job.recipe, state.network, state.optimizer
    seed_torch(job, state.step)
    images, labels = job.batches.batch(state.step)  # (N, C, H, W), (N,)
    images = shrink(images, recipe.resolution, progress)
    if isinstance(network, TunableNetwork):
        network.first = network.upper if progress < recipe.upper else 0
    rate = job.recipe.lr * job.schedule(progress)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)
    optimizer.zero_grad()
    if recipe.sampling == "replacement":
        state.sums.zero_()  # there is no epoch to take means over: the figures are the last batch's
    parts = max(1, min(recipe.accumulate, len(labels) // job.smallest_part))
    for x, y in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with autocast(job.device, job.precision):
            logits = network(x)  # (n, K)
        exact = logits if logits.dtype == torch.float64 else logits.float()
        if job.class_weights is None:
            loss = F.cross_entropy(exact, y, label_smoothing=recipe.label_smoothing)
        else:
            each = F.cross_entropy(exact, y, label_smoothing=recipe.label_smoothing, reduction="none")
            loss = (each * job.class_weights[y]).mean()
        share = loss if len(y) == len(labels) else loss * (len(y) / len(labels))
        share.backward()  # type: ignore[no-untyped-call] # torch
        with torch.no_grad():
            correct = (logits.argmax(1) == y).sum()
            # without smoothing and weights, so that it compares with the validation loss
            plain = F.cross_entropy(exact, y) if recipe.label_smoothing or recipe.balance else loss
            state.sums += torch.stack(
                (plain.double() * len(y), correct.double(), correct.new_full((), len(y), dtype=torch.float64))
            )
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    with autocast(job.device, job.precision):  # for products of matrices in it; sums and memory stay float32
        optimizer.step()


@torch.no_grad()
def copy_tensors(source: Mapping[str, torch.Tensor], target: Mapping[str, torch.Tensor]) -> None:
    """Copy tensors into those of the same names."""
    for name, tensor in source.items():
        target[name].copy_(tensor)


def memory_advice(recipe: Recipe) -> str:
    """Return what to change when memory ran out."""
    size, parts = recipe.batch_size, 2 * recipe.accumulate
    if size == 1:
        return "out of memory at batch size 1; this network needs smaller pictures or more memory"
    split = f", or --set recipe.accumulate={parts} for less memory" if parts <= size else ""
    return f"out of memory at batch size {size}; try --batch-size {size // 2}{split}"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out; torch's CPU allocator says so only in words."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
