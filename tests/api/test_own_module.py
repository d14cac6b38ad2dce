"""A user's own torch module in place of a registered network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import eyesight


class Viewing(nn.Module):
    """A network as torch's own tutorial writes it: it flattens by `view`, which needs plain memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.fc = nn.Linear(8 * 3 * 3, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.max_pool2d(torch.relu(self.conv(x)), 2).view(-1, 8 * 3 * 3))


def test_a_users_module_that_flattens_by_view_trains_and_predicts():
    run = eyesight.train("digits", model=Viewing(), epochs=2, output="run", progress=False)
    assert run.evaluate("validation").accuracy == run.metrics()[run.about()["kept_epoch"] - 1]["val_accuracy"]
    assert run.classifier.predict(np.zeros((8, 8), np.uint8))
