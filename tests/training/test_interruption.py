"""What an interruption leaves behind, and whom it is meant for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.errors import TrainingError
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
