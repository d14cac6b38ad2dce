"""What an interruption leaves behind, and whom it is meant for."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.errors import InterruptedRun, TrainingError
from eyesight.training.events import EpochEnded, Event
from eyesight.training.signals import stop_on_signals


def test_an_interruption_never_saves_weights_that_are_not_numbers(monkeypatch):
    from eyesight.training import loop

    plain = loop.train_step

    def step_and_interrupt(*args):
        plain(*args)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "train_step", step_and_interrupt)
    with pytest.raises(TrainingError, match="no longer a number"):
        eyesight.train("digits", optimizer="sgd", lr=1e300, epochs=1, output="run", progress=False)
    assert not list(Path("run/checkpoints").glob("*"))
    run = eyesight.open_run("run")
    assert all(np.isfinite(p.detach().numpy()).all() for p in run.classifier.network.parameters())
    assert "the run is failed" in run.evaluate().report.notes[0]


def test_a_signal_that_the_process_was_told_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals() as control:
            os.kill(os.getpid(), signal.SIGINT)
        assert control.stop_signal is None
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted_run(data: eyesight.Dataset, *, after: int, **options: object) -> InterruptedRun:
    """Train until a signal comes in the middle of epoch `after`+1; return the error."""

    def interrupt(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.row["epoch"] == after:
            os.kill(os.getpid(), signal.SIGINT)

    def train_twice() -> None:
        for number in range(2):  # as a study of one's own would go on with the next training
            with contextlib.suppress(Exception):
                eyesight.train(data, output=f"run-{number}", progress=False, listeners=[interrupt], **options)

    with pytest.raises(KeyboardInterrupt) as stop:
        train_twice()
    assert isinstance(stop.value, InterruptedRun)
    assert stop.value.run == Path("run-0")
    return stop.value


def test_an_interruption_ends_a_loop_over_trainings_and_the_weights_so_far_are_at_hand(bars_data: eyesight.Dataset):
    options = {"model": "lenet5", "epochs": 4, "threads": 1}
    error = interrupted_run(bars_data, after=2, **options)
    assert "the weights so far are in run-0/model.safetensors; go on with: eyesight train --resume run-0" in str(error)
    run = eyesight.open_run(error.run, data=bars_data)
    assert run.status == "interrupted"
    kept = run.about()["kept_epoch"]
    assert kept in (1, 2)
    evaluation = run.evaluate("validation")
    assert evaluation.accuracy == run.metrics()[kept - 1]["val_accuracy"]
    assert "the run is interrupted" in evaluation.report.notes[-1]
    whole = eyesight.train(bars_data, output="whole", progress=False, **options)
    assert eyesight.resume(error.run, data=bars_data, progress=False).classifier.checksum == whole.classifier.checksum


def test_without_validation_pictures_the_last_weights_are_at_hand(bars_data: eyesight.Dataset):
    data = bars_data.with_validation(0)
    options = {"model": "lenet5", "threads": 1, "schedule": "constant"}
    error = interrupted_run(data, after=3, epochs=4, **options)
    third = eyesight.train(data, epochs=3, output="third", progress=False, **options)
    some = data.train.gather(range(8))
    so_far = eyesight.open_run(error.run, data=data)
    assert so_far.about()["kept_epoch"] == 3
    np.testing.assert_array_equal(so_far.classifier.logits(some), third.classifier.logits(some))
