"""Averaged weights: the right averages, used for judging and saving, never in the way of training."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import eyesight
from eyesight.device import repeatable
from eyesight.errors import InterruptedRun
from eyesight.metrics import cross_entropy
from eyesight.training.events import CheckpointSaved, Ended, EpochEnded, Event
from eyesight.training.optim.averaging import (
    AVERAGES,
    ExponentialAverage,
    TailAverage,
    evaluation_weights,
    fresh_batch_norm,
)

OPTIONS = {"threads": 1, "precision": "fp32", "progress": False}


def weights_over_time(steps: int) -> tuple[nn.Linear, list[np.ndarray]]:
    torch.manual_seed(0)
    return nn.Linear(3, 2), [np.random.default_rng(i).normal(size=(2, 3)).astype(np.float32) for i in range(steps)]


def take(average: ExponentialAverage | TailAverage, network: nn.Linear, values: list[np.ndarray]) -> None:
    for step, value in enumerate(values):
        with torch.no_grad():
            network.weight.copy_(torch.from_numpy(value))
        average.update(network, step / len(values))


def test_the_exponential_average_follows_its_formula() -> None:
    network, values = weights_over_time(30)
    average = ExponentialAverage()
    take(average, network, values)
    expected = values[0].astype(np.float64)
    for count, value in enumerate(values[1:], start=1):
        decay = min(0.999, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
    np.testing.assert_allclose(average.mean["weight"].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert average.count == 30


def test_the_tail_average_is_the_mean_of_the_last_quarter() -> None:
    network, values = weights_over_time(40)
    average = TailAverage()
    take(average, network, values)
    assert average.count == 10
    np.testing.assert_allclose(average.mean["weight"].numpy(), np.mean(values[30:], axis=0), rtol=1e-5, atol=1e-6)


def test_the_network_has_its_own_weights_again_even_after_an_error() -> None:
    network, values = weights_over_time(40)
    average = ExponentialAverage()
    take(average, network, values)
    own = network.weight.detach().clone()

    def fail() -> None:
        with evaluation_weights(average, network) as averaged:
            assert averaged
            assert torch.equal(network.weight, average.mean["weight"])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(network.weight, own)


def test_batch_norm_collects_anew_for_averaged_weights_and_gets_its_own_back() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    network(torch.randn(8, 2))
    own = {name: buffer.clone() for name, buffer in network.named_buffers()}
    data = torch.randn(64, 2) * 3 + 5
    with fresh_batch_norm(network) as layers:
        assert len(layers) == 1
        network(data[:32])
        network(data[32:])
        mean = (data[:32].mean(0) + data[32:].mean(0)) / 2
        torch.testing.assert_close(network[0].running_mean, mean)
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, own[name]), name
    assert network[0].momentum == 0.1


def test_averaging_leaves_the_training_itself_as_it_is_and_saves_the_average(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    runs = {
        name: eyesight.train(bars_data, output=tmp_path / name, epochs=3, averaging=name, keep="last", **OPTIONS)
        for name in AVERAGES
    }
    losses = {name: [row["loss"] for row in run.metrics()] for name, run in runs.items()}
    assert losses["ema"] == losses["swa"] == losses["none"]
    models = {name: run.model_file.read_bytes() for name, run in runs.items()}
    assert len(set(models.values())) == 3
    for name, run in runs.items():
        assert run.classifier.training.averaging == name
        measured = run.evaluate("validation")
        assert measured.accuracy == run.metrics()[-1]["val_accuracy"]  # judged with what is saved
        assert loss_while_training(measured) == pytest.approx(run.metrics()[-1]["val_loss"], rel=1e-4)


def loss_while_training(measured: eyesight.Evaluation) -> float:
    """Return the loss before there was a temperature."""
    predictions = measured.predictions
    return float(cross_entropy(predictions.logits * measured.report.temperature, predictions.labels).mean())


class WithBatchNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm, self.out = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_a_saved_average_has_the_statistics_that_it_was_judged_with(
    averaging: str, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    run = eyesight.train(
        bars_data, model=WithBatchNorm(), output=tmp_path / "run", epochs=3, averaging=averaging, keep="last", **OPTIONS
    )
    found = loss_while_training(run.evaluate("validation"))
    assert found == pytest.approx(run.metrics()[-1]["val_loss"], rel=1e-4)
    norm = run.classifier.network.norm
    assert not torch.equal(norm.running_var, torch.ones(4))  # collected, not only reset


def test_a_signal_in_the_middle_of_validation_does_not_wait_for_its_end(
    bars_data: eyesight.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyesight.classifier import Classifier
    from eyesight.training import validation

    whole = eyesight.train(bars_data, output=tmp_path / "whole", epochs=3, **OPTIONS)
    monkeypatch.setattr(validation, "_MOST", 10)  # three parts of 30 pictures
    plain, calls = Classifier.logits, []

    def counted(self: Classifier, *args: object) -> object:
        calls.append(1)
        if len(calls) == 5:  # the second part of the second epoch's
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, *args)

    monkeypatch.setattr(Classifier, "logits", counted)
    with pytest.raises(InterruptedRun) as caught:
        eyesight.train(bars_data, output=tmp_path / "run", epochs=3, **OPTIONS)
    assert caught.value.exit_code == 143
    assert len(calls) == 5
    assert [row["epoch"] for row in eyesight.open_run(tmp_path / "run").metrics()] == [1]
    heard: list[Event] = []
    run = eyesight.resume(tmp_path / "run", data=bars_data, progress=False, listeners=[heard.append])
    assert [event.row["epoch"] for event in heard if isinstance(event, EpochEnded)] == [2, 3]
    monkeypatch.undo()
    assert run.model_file.read_bytes() == whole.model_file.read_bytes()


def test_slow_saving_stretches_the_default_interval(
    bars_data: eyesight.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the ends of epochs too: where a save takes 0.2 s, the next is 20 s away."""
    import time

    from eyesight.training import checkpoint

    plain = checkpoint.save

    def slow(*args: object, **options: object) -> Path:
        time.sleep(0.2)
        return plain(*args, **options)

    monkeypatch.setattr(checkpoint, "save", slow)
    heard: list[Event] = []
    eyesight.train(bars_data, output=tmp_path / "run", epochs=20, listeners=[heard.append], **OPTIONS)
    saved = [event for event in heard if isinstance(event, CheckpointSaved)]
    assert len(saved) == 2  # the first epoch's, which nothing was known of, and the end's
    assert isinstance(heard[-1], Ended)


def test_a_save_that_takes_a_second_is_made_every_hundred_by_default() -> None:
    from types import SimpleNamespace

    from eyesight.training.loop import Loop

    interval = Loop.checkpoint_every.fget
    assert interval(SimpleNamespace(_every=None, state=SimpleNamespace(saving=0.01))) == 30
    assert interval(SimpleNamespace(_every=None, state=SimpleNamespace(saving=1.0))) == 100
    assert interval(SimpleNamespace(_every=5.0, state=SimpleNamespace(saving=1.0))) == 5


def test_deterministic_kernels_are_asked_for_on_a_gpu_and_given_back() -> None:
    gpu = torch.device("cuda")
    assert not torch.are_deterministic_algorithms_enabled()
    with repeatable(gpu, True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()
    for device, wanted in ((gpu, False), (torch.device("cpu"), True)):
        with repeatable(device, wanted):
            assert not torch.are_deterministic_algorithms_enabled()
