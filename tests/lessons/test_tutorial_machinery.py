"""What reproducing the tutorials needs of training: Keras' optimizers, updates instead of epochs, sampled monitors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import eyesight
from eyesight.errors import UsageError
from eyesight.training.optim.optimizers import build
from eyesight.training.plan.recipe import Recipe

OPTIONS = {"threads": 1, "precision": "fp32", "progress": False}


def stepped(name: str, gradients: np.ndarray, lr: float) -> np.ndarray:
    """Return a weight after updates with these gradients."""
    weight = torch.nn.Parameter(torch.zeros(gradients.shape[1], dtype=torch.float64))
    optimizer = build([("weight", weight)], Recipe(optimizer=name, lr=lr))
    for gradient in gradients:
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    return weight.detach().numpy()


# gradients from large to far below ε, where the place of ε decides
GRADIENTS = np.random.default_rng(0).normal(size=(50, 8)) * 10.0 ** -np.arange(0, 16, 2)


def test_keras_adam_is_kerass_formula() -> None:
    m = v = w = np.zeros(8)
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(stepped("keras-adam", GRADIENTS, 0.01), w, rtol=1e-9)
    assert not np.allclose(stepped("adam", GRADIENTS, 0.01), w, rtol=1e-3)


def test_keras_rmsprop_is_kerass_formula() -> None:
    v = w = np.zeros(8)
    for g in GRADIENTS:
        v = 0.9 * v + 0.1 * g * g
        w = w - 0.01 * g / np.sqrt(v + 1e-7)
    np.testing.assert_allclose(stepped("keras-rmsprop", GRADIENTS, 0.01), w, rtol=1e-9)
    assert not np.allclose(stepped("rmsprop", GRADIENTS, 0.01), w, rtol=1e-3)


def test_a_training_of_updates_looks_at_a_sample_every_so_many(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = eyesight.train(
        bars_data.with_validation("test"),
        output=tmp_path / "run",
        updates=12,
        batch_size=20,
        sampling="replacement",
        validate_every=5,
        validation_sample=16,
        **OPTIONS,
    )
    rows = run.metrics()
    assert [row["step"] for row in rows] == [5, 10, 12]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["accuracy"] * 20 == pytest.approx(round(row["accuracy"] * 20))  # of the last batch alone
        assert row["val_accuracy"] * 16 == pytest.approx(round(row["val_accuracy"] * 16))
    assert run.about()["reason"] == "all updates done"
    assert run.about()["steps"] == 12
    again = eyesight.train(
        bars_data.with_validation("test"), config=run.path / "config.yaml", output=tmp_path / "again", progress=False
    )
    assert again.model_file.read_bytes() == run.model_file.read_bytes()
    assert [row["val_loss"] for row in again.metrics()] == [row["val_loss"] for row in rows]


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"epochs": 1, "updates": 5}, "epochs 1, updates 5"),
        ({"updates": 5, "budget": 2.0}, "updates 5, budget 2"),
    ],
)
def test_a_training_has_one_length(
    options: dict[str, object], received: str, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"expected one of epochs, updates and budget; received: {received}"):
        eyesight.train(bars_data, output=tmp_path / "run", **options, **OPTIONS)
