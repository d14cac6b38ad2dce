"""A rate for every stage of a pretrained network: the lower, the smaller.

In: a network and a recipe. Out: a torch optimizer. What lower stages see, edges and textures, is of use as it is; what
upper ones see belongs to the pictures that they were trained on.

Source: Howard & Ruder, "Universal language model fine-tuning for text classification", ACL 2018 (discriminative rates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...models.torch_network import Network
from .optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from ..plan.recipe import Recipe


def build_layerwise(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer, with groups of parameters whose `lr_scale` is their share of the rate.

    The head has the whole rate, and each stage below `layer_decay` of that above it. Biases, and scales and shifts of
    batch norms, do not decay towards 0.
    """
    groups: list[dict[str, Any]] = []
    for height, (path, module) in enumerate([("head", network.head), *reversed(network.stages)]):
        scale = recipe.layer_decay**height
        for weights in (True, False):
            members = [p for p in module.parameters() if p.requires_grad and (p.ndim > 1) == weights]
            if members:
                decay = recipe.weight_decay if weights else 0.0
                groups.append({"params": members, "lr_scale": scale, "weight_decay": decay, "stage": path})
    optimizer: torch.optim.Optimizer = OPTIMIZERS.load(recipe.optimizer)(groups, recipe)
    return optimizer
