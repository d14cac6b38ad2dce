"""Class weights while training by gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import eyesight
from conftest import bars
from eyesight.metrics import class_weights
from eyesight.training.job import prepare
from eyesight.training.loop import train_step
from eyesight.training.plan.resolve import read_request, resolve


def uneven() -> eyesight.Dataset:
    pictures, labels = bars(200)
    keep = np.concatenate([np.flatnonzero(labels != 1), np.flatnonzero(labels == 1)[:6]])
    return eyesight.from_arrays((pictures[keep], labels[keep]), validation=0)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_one_update_is_of_the_weighted_loss(accumulate: int) -> None:
    data = uneven()
    changes = {
        "machine.device": "cpu",
        "machine.precision": "fp32",
        "recipe.balance": True,
        "recipe.optimizer": "sgd",
        "recipe.accumulate": accumulate,
        "model.name": "lenet5",
    }
    config, _ = resolve(read_request(None, changes), data)
    job, state = prepare(data, config)
    images, labels = job.batches.batch(0)
    weights = torch.from_numpy(class_weights(data.train.labels, len(data.classes))).float()
    expected = (F.cross_entropy(state.network(images), labels, reduction="none") * weights[labels]).mean()
    parameters = list(state.network.parameters())
    wanted = torch.autograd.grad(expected, parameters)
    train_step(job, state, 0.0)
    for parameter, gradient in zip(parameters, wanted, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_the_configuration_says_it_only_where_it_is_so() -> None:
    run = eyesight.train(uneven(), model="lenet5", epochs=1, balance=True, progress=False)
    assert "balance: true" in (run.path / "config.yaml").read_text()
    plain = eyesight.train(uneven(), model="lenet5", epochs=1, progress=False)
    assert "balance" not in (plain.path / "config.yaml").read_text()
