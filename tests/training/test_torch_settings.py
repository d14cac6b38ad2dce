"""What the program around a training has set in torch: the training goes as always, and the settings come back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from torch import nn

import eyesight
from eyesight.errors import UsageError


@contextlib.contextmanager
def float64_default() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SETTINGS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "float64": float64_default,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def settings() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
    )


@pytest.mark.parametrize("model", ["lenet5", "whitened-16-32-32"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_inside_somebodys_torch_settings_gives_the_same_weights(
    name: str, model: str, bars_data: eyesight.Dataset
) -> None:
    def train(output: str) -> eyesight.Run:
        return eyesight.train(
            bars_data, model=model, epochs=1, precision="fp32", threads=1, output=output, progress=False
        )

    usual = train("usual")
    with SETTINGS[name]():
        before = settings()
        run = train("inside")
        assert settings() == before
        answers = run.classifier.logits(bars_data.train.gather(range(4)))
    assert run.about()["model_checksum"] == usual.about()["model_checksum"]
    np.testing.assert_array_equal(answers, usual.classifier.logits(bars_data.train.gather(range(4))))


def small_network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12 * 12 * 3, 3))


def test_a_module_made_in_float64_or_inference_mode_is_refused_with_what_to_do(bars_data: eyesight.Dataset) -> None:
    with float64_default():
        double = small_network()
    with pytest.raises(UsageError, match=r"its weights are float64.*call \.float\(\)"):
        eyesight.train(bars_data, model=double, epochs=1, progress=False)
    with torch.inference_mode():
        frozen = small_network()
    with pytest.raises(UsageError, match=r"made inside torch\.inference_mode\(\).*make it outside"):
        eyesight.train(bars_data, model=frozen, epochs=1, progress=False)
