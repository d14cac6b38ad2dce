"""Muon: momentum whose update is orthogonalised, for the filters of convolutions.

In: parameters and their gradients. Out: changed parameters. Everything that is not a filter (biases, the last dense
layer) gets Adam's update, at rates of its own.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_STEPS = 3  # of the iteration; its result need not be exactly orthogonal
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the quintic that rises fastest at zero
_EPS = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon for parameters of four dimensions, Adam for the others.

    Args:
        groups: parameter groups, each with `filters` (whether it is Muon's) and `lr_scale` (its share of `lr`).
        lr: learning rate of the filters. They are kept at a norm of √(output channels), so that it means the same
            for every layer and throughout the training.
        momentum: of the filters, Nesterov's.
        betas: of Adam.
        weight_decay: times the rate of the filters, the share by which the other parameters shrink in an update.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "lr_scale": 1.0, "momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # noqa: ARG002 - torch's signature
        """Make one update."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["filters"]:
                for parameter in parameters:
                    self._step_filters(parameter, group)
            else:
                for parameter in parameters:
                    self._step_adam(parameter, group)

    def _step_filters(self, weight: torch.nn.Parameter, group: dict[str, Any]) -> None:
        gradient, memory = weight.grad, self.state[weight]
        assert gradient is not None
        if not memory:
            memory["momentum"] = torch.zeros_like(weight)
        momentum = memory["momentum"].mul_(group["momentum"]).add_(gradient)
        direction = gradient.add(momentum, alpha=group["momentum"])
        weight.mul_(len(weight) ** 0.5 / (weight.norm() + _EPS))
        weight.add_(orthogonalised(direction), alpha=-group["lr"])

    def _step_adam(self, weight: torch.nn.Parameter, group: dict[str, Any]) -> None:
        gradient, memory = weight.grad, self.state[weight]
        assert gradient is not None
        if not memory:
            memory["step"] = torch.zeros(())
            memory["mean"], memory["square"] = torch.zeros_like(weight), torch.zeros_like(weight)
        beta1, beta2 = group["betas"]
        memory["step"] += 1
        step = float(memory["step"])
        mean = memory["mean"].lerp_(gradient, 1 - beta1)
        square = memory["square"].lerp_(gradient.square(), 1 - beta2)
        deviation = (square / (1 - beta2**step)).sqrt_().add_(1e-12)
        weight.mul_(1 - group["weight_decay"] * group["lr"] / group["lr_scale"])
        weight.addcdiv_(mean, deviation, value=-group["lr"] / (1 - beta1**step))


def orthogonalised(weight: torch.Tensor) -> torch.Tensor:
    """Return the nearly orthogonal tensor nearest to one of filters (O, I, kh, kw): its singular values become about 1.

    Under autocast the products are computed in bf16, which is exact enough: the result is approximate anyway. Each
    filter counts as a row. The order of the columns does not matter, so that of the memory is taken.
    """
    a, b, c = _COEFFICIENTS
    rows = weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
    tall = rows.shape[0] > rows.shape[1]
    x = rows.T if tall else rows
    x = x / (x.norm() + _EPS)
    for _ in range(_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    rows = x.T if tall else x
    out, inputs, height, width = weight.shape
    return rows.reshape(out, height, width, inputs).permute(0, 3, 1, 2)
