"""Adam and RMSprop by Keras' formulas and constants, which are not torch's.

In: parameters and a recipe. Out: a torch optimizer. With ε = 1e-7 it matters where ε stands: Keras divides by √v + ε
with v not yet corrected for its bias, and in RMSprop by √(v + ε).

Source: https://keras.io/api/optimizers, and the optimizers' source in Keras 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ..plan.recipe import Recipe

_EPSILON = 1e-7
_RHO = 0.9


class KerasAdam(torch.optim.Adam):
    """Adam with the step lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε).

    torch's step is that with ε · √(1 − β₂ᵗ) in place of ε, so its own fused kernel is given ε / √(1 − β₂ᵗ).
    """

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one update."""
        for group in self.param_groups:
            done = next((int(self.state[p]["step"]) for p in group["params"] if p in self.state), 0)
            group["eps"] = _EPSILON / math.sqrt(1 - group["betas"][1] ** (done + 1))
        result: float | None = super().step(closure)
        return result


class KerasRMSprop(torch.optim.Optimizer):
    """RMSprop with v ← ρ · v + (1 − ρ) · g² and the step lr · g / √(v + ε)."""

    def __init__(self, parameters: list[torch.nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override] # noqa: ARG002
        """Make one update."""
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in trained:
                if not self.state[parameter]:
                    self.state[parameter]["velocity"] = torch.zeros_like(parameter)
            velocities: list[Any] = [self.state[parameter]["velocity"] for parameter in trained]
            gradients: list[Any] = [parameter.grad for parameter in trained]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, trained, alpha=group["weight_decay"]))
            torch._foreach_mul_(velocities, _RHO)
            torch._foreach_addcmul_(velocities, gradients, gradients, 1 - _RHO)
            roots = torch._foreach_add(velocities, _EPSILON)
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(trained, gradients, roots, -group["lr"])


def keras_adam(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Keras' Adam: β 0.9 and 0.999, ε 1e-7."""
    return KerasAdam(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def keras_rmsprop(parameters: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Keras' RMSprop: ρ 0.9, ε 1e-7; weight decay, if any, goes through the gradient."""
    return KerasRMSprop(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
