"""The training loop: plain, and all of it here.

In: a `Job`, a `TrainState`, the run's folder, listeners and a control. Out: a run folder that is complete, interrupted
or failed, with the classifier in it. It reports through events and is stopped through the control; it prints nothing.

Letters: N pictures in a batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..classifier import Training
from ..data.dataset import Split
from ..device import autocast
from ..errors import InterruptedRun, TrainingError
from ..metrics import cross_entropy
from ..models.torch_network import check_finite, load_arrays, to_arrays
from ..run import RunFolder, Status
from . import checkpoint
from .events import CheckpointSaved, Control, Ended, EpochEnded, Event, Listener, Progress, Started
from .job import Job
from .recipe import Recipe
from .state import Best, TrainState

_FLUSH_SECONDS = 0.25  # how often losses are fetched from the device, checked for NaN, and shown
_SAVING_SHARE = 0.01  # the most of the time that saving at the ends of epochs may take
_VALIDATION_BATCH = 2048  # pictures gathered at a time

Row = dict[str, Any]


class Loop:
    """One sitting of a training: from a state to the end, or to an interruption.

    Args:
        job: what stays the same.
        state: what changes.
        run: where results go.
        listeners: called with every event.
        control: asked after every update.
        checkpoint_every: seconds between saved states.
    """

    def __init__(
        self,
        job: Job,
        state: TrainState,
        run: RunFolder,
        *,
        listeners: Sequence[Listener],
        control: Control,
        checkpoint_every: float,
    ) -> None:
        self.job, self.state, self.run = job, state, run
        self.listeners, self.control = listeners, control
        self.checkpoint_every = checkpoint_every
        now = time.perf_counter()
        self._origin = now - state.seconds  # when training would have begun without the pauses between sittings
        self._first_step, self._first_time = state.step, now
        self._flushed_step, self._flushed_time = state.step, now
        self._saved_time, self._saving_took = now, 0.0

    def fit(self) -> None:
        """Train to the end and write the classifier.

        Raises:
            InterruptedRun: the control asked to stop; the state is saved.
            TrainingError: the loss is no longer a number (the last good weights are kept), or memory ran out.
        """
        job, state = self.job, self.state
        steps = job.batches.steps_per_epoch
        self.emit(Started(state.step, job.recipe.epochs, steps, len(job.data.train), str(job.device), job.precision))
        state.good = (state.step, to_arrays(state.network))
        state.network.train()
        while state.step < job.total_steps and not state.stopped:
            train_step(job, state)
            state.step += 1
            if state.step % steps == 0:
                self.end_epoch()
            elif time.perf_counter() - self._flushed_time >= _FLUSH_SECONDS:
                self.flush()
            if self.control.stop_signal is not None:
                self.interrupt(self.control.stop_signal)
        self.finish()

    def flush(self) -> None:
        """Fetch the losses, check them, report, and save when it is time."""
        job, state = self.job, self.state
        loss, accuracy = self.epoch_means()
        self.keep_if_finite(loss)
        now = time.perf_counter()
        rate = (state.step - self._flushed_step) * job.recipe.batch_size / (now - self._flushed_time)
        per_step = (now - self._first_time) / (state.step - self._first_step)
        epoch, position = divmod(state.step - 1, job.batches.steps_per_epoch)
        left = per_step * (job.total_steps - state.step)
        self.emit(Progress(epoch + 1, state.step, position + 1, loss, accuracy, rate, left))
        self._flushed_step, self._flushed_time = state.step, now
        if now - self._saved_time >= self.checkpoint_every:
            self.save()

    def end_epoch(self) -> None:
        """Validate, note the epoch, keep the weights if they are the best, and decide whether to go on."""
        job, state = self.job, self.state
        loss, accuracy = self.epoch_means()
        self.keep_if_finite(loss)
        epoch = state.step // job.batches.steps_per_epoch
        row: Row = {
            "epoch": epoch,
            "step": state.step,
            "loss": loss,
            "accuracy": accuracy,
            "lr": state.optimizer.param_groups[0]["lr"],  # of the epoch's last update
        }
        if job.data.validation is not None:
            row["val_loss"], row["val_accuracy"] = validate(job, state.network, job.data.validation)
        row["seconds"] = self.seconds()
        state.history.append(row)
        if job.keeps_best and best_row(state.history, self.monitor) is row:
            state.best = Best(epoch, to_arrays(state.network))
        state.stopped = self.early_stop()
        state.sums.zero_()
        self.run.write_metrics(state.history)
        self.emit(EpochEnded(row))
        now = time.perf_counter()
        if now - self._saved_time >= min(self.checkpoint_every, self._saving_took / _SAVING_SHARE):
            self.save()
        self._flushed_step, self._flushed_time = state.step, time.perf_counter()

    @property
    def monitor(self) -> Literal["val_loss", "val_accuracy"]:
        """The validation figure by which epochs are compared."""
        stopping = self.job.recipe.early_stopping
        return stopping.monitor if stopping else "val_accuracy"

    def early_stop(self) -> str:
        """Return why to stop now, or ""."""
        stopping, history = self.job.recipe.early_stopping, self.state.history
        if stopping is None:
            return ""
        sign = -1 if stopping.monitor == "val_accuracy" else 1
        figures = [nan_last(sign * row[stopping.monitor]) for row in history]  # lower is better
        waited = len(figures) - 1 - figures.index(min(figures))
        return f"no better {stopping.monitor} for {waited} epochs" if waited >= stopping.patience else ""

    def epoch_means(self) -> tuple[float, float]:
        """Return mean loss and accuracy over the epoch so far."""
        loss, correct, count = self.state.sums.tolist()
        return loss / count, correct / count

    def seconds(self) -> float:
        """Return the time of training so far, pauses between sittings left out."""
        return time.perf_counter() - self._origin

    def keep_if_finite(self, loss: float) -> None:
        """Note the weights as good; or, where loss or weights are not finite, stop with those last noted."""
        job, state = self.job, self.state
        if math.isfinite(loss) and check_finite(state.network):
            state.good = (state.step, to_arrays(state.network))
            return
        good_step, weights = state.good
        load_arrays(state.network, weights, "memory")
        self.write_model(last=True, epoch=good_step // job.batches.steps_per_epoch)
        fp32 = ", --precision fp32" if job.precision == "bf16" else ""
        raise TrainingError(
            f"the loss is no longer a number at step {state.step} (learning rate {job.recipe.lr:g}); the weights of "
            f"step {good_step} are kept in {self.run.model_file}; "
            f"try --lr {job.recipe.lr / 10:g}, --set recipe.clip_norm=1{fp32}"
        )

    def save(self) -> None:
        """Save the state."""
        started = time.perf_counter()
        self.state.seconds = self.seconds()
        job = self.job
        path = checkpoint.save(
            self.state, self.run.checkpoints_folder, config=job.config_hash, data=job.data.fingerprint
        )
        self._saved_time = time.perf_counter()
        self._saving_took = self._saved_time - started
        self.emit(CheckpointSaved(self.state.step, path.name, self._saving_took))

    def interrupt(self, signal_number: int) -> None:
        """Save the state and leave."""
        if self.state.step % self.job.batches.steps_per_epoch:  # at an epoch's end it has just been checked
            self.keep_if_finite(self.epoch_means()[0])
        self.save()
        self.close("interrupted", f"signal {signal_number}")
        raise InterruptedRun(
            f"interrupted after step {self.state.step} of {self.job.total_steps}; go on with: "
            f"eyesight train --resume {self.run.path}",
            signal_number,
        )

    def finish(self) -> None:
        """Write the classifier and close the run."""
        job, state = self.job, self.state
        last_epoch = state.step // job.batches.steps_per_epoch
        self.save()
        if job.keeps_best and state.best.epoch != last_epoch:
            self.write_model(last=True, epoch=last_epoch, beside=True)
            load_arrays(state.network, state.best.weights, "memory")
            self.write_model(last=False, epoch=state.best.epoch)
        else:
            self.write_model(last=not job.keeps_best, epoch=last_epoch)
        self.close("complete", state.stopped or "all epochs done")

    def write_model(self, *, last: bool, epoch: int, beside: bool = False) -> None:
        """Write the network as it is to the run's model file and note it there, or write it `beside` that file."""
        job = self.job
        training = Training(
            data=job.data.name,
            fingerprint=job.data.fingerprint,
            epoch=epoch,
            weights="last" if last else "best",
            seed=job.config.seed,
        )
        classifier = job.classifier(self.state.network, training=training)
        if beside:
            classifier.save(self.run.last_model_file)
        else:
            self.run.update(kept_epoch=epoch, model_checksum=classifier.save(self.run.model_file))

    def close(self, status: Status, reason: str) -> None:
        """Note how the run ended."""
        try:
            self.run.update(status=status, reason=reason, seconds=self.seconds(), steps=self.state.step)
        finally:  # a progress bar must let go of the terminal, even where the disk is full
            self.emit(Ended(status, reason, self.seconds()))

    def emit(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(event)


def fit(
    job: Job,
    state: TrainState,
    run: RunFolder,
    *,
    listeners: Sequence[Listener] = (),
    control: Control | None = None,
    checkpoint_every: float = 30.0,
) -> None:
    """Train from `state` to the end; see `Loop`. The caller's random numbers stay as they were.

    A failure is noted in the run before it is raised; memory that ran out becomes advice on the batch size.
    """
    loop = Loop(job, state, run, listeners=listeners, control=control or Control(), checkpoint_every=checkpoint_every)
    with torch.random.fork_rng(devices=[job.device] if job.device.type == "cuda" else []):
        try:
            loop.fit()
        except InterruptedRun:
            raise
        except TrainingError as error:
            loop.close("failed", str(error))
            raise
        except (RuntimeError, MemoryError) as error:
            loop.close("failed", str(error))
            if is_out_of_memory(error):
                raise TrainingError(memory_advice(job.recipe)) from error
            raise
        except BaseException as error:  # a full disk, a second Ctrl-C, a fault in somebody's listener
            with contextlib.suppress(OSError):
                loop.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", repr(error))
            raise


def train_step(job: Job, state: TrainState) -> None:
    """Make one update: forward, backward, and a step of the optimizer."""
    recipe, network, optimizer = job.recipe, state.network, state.optimizer
    seed = step_seed(job.config.seed, state.step)  # for dropout in a user's module
    torch.default_generator.manual_seed(seed)
    if job.device.type == "cuda":
        torch.cuda.manual_seed(seed)
    images, labels = job.batches.batch(state.step)  # (N, C, H, W), (N,)
    rate = learning_rate(job, state)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    part = math.ceil(len(labels) / recipe.accumulate)
    for x, y in zip(torch.split(images, part), torch.split(labels, part), strict=True):
        with autocast(job.device, job.precision):
            logits = network(x)  # (n, K)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=recipe.label_smoothing)
        share = loss if len(y) == len(labels) else loss * (len(y) / len(labels))
        share.backward()  # type: ignore[no-untyped-call] # torch
        with torch.no_grad():
            correct = (logits.argmax(1) == y).sum()
            state.sums += torch.stack((loss.double() * len(y), correct.double(), correct.new_tensor(len(y)).double()))
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    optimizer.step()


def learning_rate(job: Job, state: TrainState) -> float:
    """Return the learning rate of the next update."""
    return job.recipe.lr * job.schedule(state.step / job.total_steps)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of torch's own generator for one update: a function of the run's seed and the step."""
    return (seed * 0x9E3779B97F4A7C15 + step) % (1 << 63)


def validate(job: Job, network: nn.Module, split: Split) -> tuple[float, float]:
    """Return loss and accuracy on a split, with the network as it predicts (float32, evaluation mode)."""
    classifier = job.classifier(network)
    losses, correct = [], 0
    for start in range(0, len(split), _VALIDATION_BATCH):
        ids = np.arange(start, min(start + _VALIDATION_BATCH, len(split)))
        logits, labels = classifier.logits(split.gather(ids)), split.labels[ids]
        losses.append(cross_entropy(logits, labels))
        correct += int((logits.argmax(1) == labels).sum())
    network.train()
    return float(np.concatenate(losses).mean()), correct / len(split)


def best_row(history: Sequence[Row], monitor: Literal["val_loss", "val_accuracy"]) -> Row:
    """Return the best epoch; of equal accuracies the one with the lower loss, of equal ones the first."""
    if monitor == "val_loss":
        return min(history, key=lambda row: nan_last(row["val_loss"]))
    return min(history, key=lambda row: (-row["val_accuracy"], nan_last(row["val_loss"])))


def nan_last(value: float) -> float:
    """Return infinity for NaN, so that it sorts last."""
    return math.inf if math.isnan(value) else value


def memory_advice(recipe: Recipe) -> str:
    """Return what to change when memory ran out."""
    size, parts = recipe.batch_size, 2 * recipe.accumulate
    if size == 1:
        return "out of memory at batch size 1; this network needs smaller pictures or more memory"
    split = f", or --set recipe.accumulate={parts} for the same result in less memory" if parts <= size else ""
    return f"out of memory at batch size {size}; try --batch-size {size // 2}{split}"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out; torch's CPU allocator says so only in words."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
