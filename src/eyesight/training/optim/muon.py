"""Muon: momentum whose update is orthogonalised, for the filters of convolutions.

In: parameters and their gradients. Out: changed parameters. Everything that is not a filter (biases, the last dense
layer) gets Adam's update, at rates of its own.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim.adamw import adamw

_STEPS = 3  # of the iteration; its result need not be exactly orthogonal
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # the quintic that rises fastest at zero
_EPS = 1e-7
_ADAM_EPS = 1e-12
_LARGE = 50_000  # numbers; below, products in bf16 take longer than in fp32


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
            if parameters:
                (self._step_filters if group["filters"] else self._step_adam)(parameters, group)

    # with small networks it is the number of calls that takes the time, so that each call is for all parameters

    def _step_filters(self, weights: list[torch.Tensor], group: dict[str, Any]) -> None:
        gradients, momenta = _gradients(weights), self._memory(weights, "momentum")
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, gradients)
        directions = torch._foreach_add(gradients, momenta, alpha=group["momentum"])
        norms = torch._foreach_norm(weights)
        torch._foreach_mul_(weights, [len(w) ** 0.5 / (norm + _EPS) for w, norm in zip(weights, norms, strict=True)])
        torch._foreach_add_(weights, [orthogonalised(direction) for direction in directions], alpha=-group["lr"])

    def _step_adam(self, weights: list[torch.Tensor], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        adamw(
            weights,
            _gradients(weights),
            self._memory(weights, "mean"),
            self._memory(weights, "square"),
            [],
            self._memory(weights, "step", lambda weight: torch.zeros((), device=weight.device)),
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"] / group["lr_scale"],
            eps=_ADAM_EPS,
            maximize=False,
        )

    def _memory(
        self, weights: list[torch.Tensor], name: str, first: Callable[[torch.Tensor], torch.Tensor] = torch.zeros_like
    ) -> list[torch.Tensor]:
        """Return what is remembered of each weight under a name; `first` gives what it begins with."""
        for weight in weights:
            if name not in self.state[weight]:
                self.state[weight][name] = first(weight)
        return [self.state[weight][name] for weight in weights]


def _gradients(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def orthogonalised(weight: torch.Tensor) -> torch.Tensor:
    """Return the nearly orthogonal tensor nearest to one of filters (O, I, kh, kw): its singular values become about 1.

    Under autocast the products of large ones are computed in bf16, which is exact enough: the result is approximate
    anyway. Each filter counts as a row. The order of the columns does not matter, so that of the memory is taken.
    """
    if torch.is_autocast_enabled(weight.device.type) and weight.numel() < _LARGE:
        with torch.autocast(weight.device.type, enabled=False):
            return orthogonalised(weight)
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
