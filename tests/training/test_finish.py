"""The temperature of a classifier: fitted on validation pictures when training ends, and never on the test set."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import eyesight
from eyesight.calibration import fit_temperature
from eyesight.errors import InterruptedRun
from eyesight.metrics import cross_entropy
from eyesight.training import finish
from eyesight.training.events import CheckpointSaved, Event

QUICK: dict[str, Any] = {"threads": 1, "precision": "fp32", "progress": False}


def blurred(data: eyesight.Dataset) -> eyesight.Dataset:
    """Return the data with a fifth of all labels wrong, so that no classifier can be sure."""
    rng = np.random.default_rng(0)

    def wrong(split: eyesight.Split) -> eyesight.Split:
        labels = split.labels.copy()
        labels[rng.random(len(labels)) < 0.2] = 0
        return replace(split, labels=labels)

    assert data.validation is not None
    assert data.test is not None
    return replace(data, train=wrong(data.train), validation=wrong(data.validation), test=wrong(data.test))


@pytest.fixture
def noisy(bars_data: eyesight.Dataset) -> eyesight.Dataset:
    return blurred(bars_data.with_validation(0.3))


def test_the_temperature_is_that_of_the_validation_pictures_in_all_views(
    noisy: eyesight.Dataset, tmp_path: Path
) -> None:
    run = eyesight.train(noisy, output=tmp_path / "r", epochs=8, views="mirror-shift", keep="last", **QUICK)
    classifier = run.classifier
    temperature = classifier.inference.temperature
    assert temperature != 1
    assert noisy.validation is not None
    labels = noisy.validation.labels
    logits = classifier.logits(noisy.validation.gather(np.arange(len(labels)))) * temperature
    assert temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-3)
    assert cross_entropy(logits / temperature, labels).mean() <= cross_entropy(logits, labels).mean()


@pytest.mark.parametrize("validation", ["test", 0])
def test_without_validation_pictures_or_where_they_are_the_test_set_it_stays_one(
    bars_data: eyesight.Dataset, tmp_path: Path, validation: Any
) -> None:
    data = bars_data.with_validation(validation)
    assert eyesight.train(data, output=tmp_path / "r", epochs=2, **QUICK).classifier.inference.temperature == 1


class Overdone(nn.Module):
    """Good after two epochs and worse afterwards: so the best weights are not the last."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(12 * 12 * 3, 3)
        nn.init.zeros_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.register_buffer("updates", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.updates += 1
        return self.dense(x.flatten(1)) * (1 if self.updates <= 8 else 0.01)


def temperatures(run: eyesight.Run) -> tuple[float, float]:
    last = eyesight.load_classifier(run.last_model_file, module=Overdone())
    return run.classifier.inference.temperature, last.inference.temperature


def test_the_best_and_the_last_weights_have_each_their_own_and_a_stop_changes_neither(
    noisy: eyesight.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = QUICK | {"epochs": 4, "lr": 0.01}
    whole = eyesight.train(noisy, model=Overdone(), output=tmp_path / "whole", **options)
    kept, last = temperatures(whole)
    assert kept != last
    assert last < 0.1  # logits that were divided by 100 ask for a temperature far below 1

    steps, sent = whole.about()["steps"], []

    def stop_late(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and event.step == steps and not sent:
            sent.append(signal.raise_signal(signal.SIGINT))

    with pytest.raises(InterruptedRun):
        eyesight.train(
            noisy, model=Overdone(), output=tmp_path / "cut", checkpoint_every=1e9, listeners=[stop_late], **options
        )
    shutil.copytree(tmp_path / "cut", tmp_path / "again")
    resumed = eyesight.resume(tmp_path / "cut", data=noisy, model=Overdone(), progress=False)
    assert temperatures(resumed) == (kept, last)
    assert resumed.classifier.checksum == whole.classifier.checksum

    fitted = finish.calibrate

    def stop_at_the_second(job: Any, classifier: Any, control: Any) -> None:
        if classifier.training.weights == "best":
            control.stop_signal = signal.SIGINT
        fitted(job, classifier, control)

    with monkeypatch.context() as patch:  # now the network holds the best weights already
        patch.setattr("eyesight.training.loop.calibrate", stop_at_the_second)
        with pytest.raises(InterruptedRun):
            eyesight.resume(tmp_path / "again", data=noisy, model=Overdone(), progress=False)
    resumed = eyesight.resume(tmp_path / "again", data=noisy, model=Overdone(), progress=False)
    assert temperatures(resumed) == (kept, last)


def test_a_training_by_the_clock_keeps_time_for_it(noisy: eyesight.Dataset, tmp_path: Path) -> None:
    run = eyesight.train(noisy, output=tmp_path / "r", budget=1.5, views="mirror-shift", **QUICK)
    assert run.about()["seconds"] < 1.8
    again = eyesight.train(noisy, output=tmp_path / "again", replay=run, progress=False)
    assert again.classifier.inference == run.classifier.inference
