"""Muon: what it does to filters, what to the rest, and that its memory is saved."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eyesight.training.optim.muon import Muon, orthogonalised
from eyesight.training.optim.optimizers import muon
from eyesight.training.plan.recipe import Recipe


@settings(deadline=None, max_examples=30)
@given(out=st.integers(1, 40), inputs=st.integers(1, 20), kernel=st.sampled_from([1, 3]), scale=st.floats(1e-6, 1e6))
def test_singular_values_come_near_one_whatever_the_scale(out: int, inputs: int, kernel: int, scale: float) -> None:
    weight = scale * torch.randn(out, inputs, kernel, kernel, generator=torch.Generator().manual_seed(0))
    found = orthogonalised(weight)
    assert found.shape == weight.shape
    before = torch.linalg.svdvals(weight.flatten(1).double())
    after = torch.linalg.svdvals(found.flatten(1).double())
    assert float(after.max()) < 1.35
    strong = before > 0.1 * before.max()  # three steps do not bring up what is next to nothing
    assert float(after[: int(strong.sum())].min()) > 0.4


def test_the_memory_format_makes_no_difference() -> None:
    weight = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    last = weight.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(orthogonalised(weight), orthogonalised(last), atol=1e-5, rtol=0)


def test_only_large_products_are_computed_in_bf16() -> None:
    generator = torch.Generator().manual_seed(0)
    small, large = (torch.randn(size, size, 3, 3, generator=generator) for size in (32, 128))
    with torch.autocast("cpu", torch.bfloat16):
        in_autocast = orthogonalised(small), orthogonalised(large)
    assert torch.equal(in_autocast[0], orthogonalised(small))
    assert in_autocast[1].dtype == torch.bfloat16
    torch.testing.assert_close(in_autocast[1].float(), orthogonalised(large), atol=0.02, rtol=0)


def groups(filters: torch.nn.Parameter, others: torch.nn.Parameter) -> list[dict[str, object]]:
    return [{"params": [filters], "filters": True}, {"params": [others], "filters": False}]


def test_filters_keep_their_norm_and_go_against_the_gradient() -> None:
    filters = torch.nn.Parameter(torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)))
    bias = torch.nn.Parameter(torch.zeros(8))
    optimizer = Muon(groups(filters, bias), lr=0.01, momentum=0.6)
    target = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(30):
        loss = ((filters / filters.norm() - target / target.norm()) ** 2).sum() + (bias - 1).square().sum()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert float(filters.detach().norm()) == pytest.approx(8**0.5, rel=0.1)
    assert 0 < float(bias.detach()[0]) <= 0.4


def test_every_parameter_of_a_module_is_trained_whatever_its_shape() -> None:
    parameters = [torch.nn.Parameter(torch.ones((2,) * dimensions)) for dimensions in range(6)]
    optimizer = muon(parameters, Recipe(optimizer="muon"))
    sum((parameter * 3).sum() for parameter in parameters).backward()
    optimizer.step()
    assert all(bool((parameter != 1).any()) for parameter in parameters)


def test_the_others_get_adams_update() -> None:
    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    ours, torchs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    mine = Muon([{"params": [ours], "filters": False}], lr=0.02, momentum=0.6, betas=(0.9, 0.95), weight_decay=0.1)
    reference = torch.optim.AdamW([torchs], lr=0.02, betas=(0.9, 0.95), eps=1e-12, weight_decay=0.1)
    for step in range(10):
        for parameter, optimizer in ((ours, mine), (torchs, reference)):
            optimizer.zero_grad()
            (parameter.sin() * (step + 1)).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, torchs)
