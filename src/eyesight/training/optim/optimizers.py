"""Optimizers by name, their default learning rates, and their state by parameter name.

In: named parameters and a recipe. Out: a torch optimizer, and its state as flat named tensors and back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from ...registry import Registry
from .muon import Muon

if TYPE_CHECKING:
    from ..plan.recipe import Recipe

_MUON_SCALES = {"filters": 1.0, "biases": 0.2, "dense": 0.5}  # of the rate; fourfold either way changes little

Parameters = Iterable[tuple[str, torch.nn.Parameter]]

OPTIMIZERS = Registry(
    "optimizer",
    {
        "adam": "eyesight.training.optim.optimizers:adam",
        "adamw": "eyesight.training.optim.optimizers:adamw",
        "sgd": "eyesight.training.optim.optimizers:sgd",
        "rmsprop": "eyesight.training.optim.optimizers:rmsprop",
        "muon": "eyesight.training.optim.optimizers:muon",
        "keras-adam": "eyesight.training.optim.keras:keras_adam",
        "keras-rmsprop": "eyesight.training.optim.keras:keras_rmsprop",
    },
    group="eyesight.optimizers",
)


def build(named: Parameters, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer for the parameters that are to be trained."""
    trained = [parameter for _, parameter in named if parameter.requires_grad]
    optimizer: torch.optim.Optimizer = OPTIMIZERS.load(recipe.optimizer)(trained, recipe)
    return optimizer


# `fused` updates all parameters in one call, where torch's default makes several for each. Its result does not depend
# on timing, so seeds repeat.


def adam(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Adam; weight decay, if any, goes through the gradient. Source: Kingma & Ba, 2015."""
    return torch.optim.Adam(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def adamw(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay. Source: Loshchilov & Hutter, 2019."""
    return torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def sgd(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum (plain when momentum is 0)."""
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def rmsprop(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """RMSprop with ρ = 0.9. Source: Tieleman & Hinton, lecture 6.5, 2012."""
    return torch.optim.RMSprop(parameters, lr=recipe.lr, alpha=0.9, weight_decay=recipe.weight_decay)


def muon(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Muon for the filters of convolutions, Adam for all else; see `muon`."""
    kinds = {
        "filters": [parameter for parameter in parameters if parameter.ndim == 4],
        "biases": [parameter for parameter in parameters if parameter.ndim < 2],
        "dense": [parameter for parameter in parameters if parameter.ndim >= 2 and parameter.ndim != 4],
    }
    groups = [
        {"params": members, "filters": kind == "filters", "lr_scale": _MUON_SCALES[kind]}
        for kind, members in kinds.items()
        if members
    ]
    return Muon(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def state(optimizer: torch.optim.Optimizer, named: Parameters) -> dict[str, torch.Tensor]:
    """Return the optimizer's memory as "parameter name/what" → tensor."""
    return {
        f"{name}/{key}": value
        for name, parameter in named
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def load(optimizer: torch.optim.Optimizer, named: Parameters, tensors: dict[str, torch.Tensor]) -> None:
    """Restore what `state` gave, in the memory format of each parameter."""
    entries: dict[str, dict[str, Any]] = {}
    for path, value in tensors.items():
        name, _, key = path.rpartition("/")
        entries.setdefault(name, {})[key] = value
    for name, parameter in named:
        for key, value in entries.get(name, {}).items():
            like = value.shape == parameter.shape
            own = torch.empty_like(parameter if like else value, dtype=value.dtype, device=parameter.device)
            optimizer.state[parameter][key] = own.detach().copy_(value)
