"""What is planned for a budget: the network, its batches, and smaller pictures at first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import eyesight
from eyesight.device import choose_device
from eyesight.errors import UsageError
from eyesight.models import NETWORKS, network_spec
from eyesight.training.events import Event, Planned
from eyesight.training.planner import CANDIDATES, Plan, plan
from eyesight.training.resolution import check_resolution
from eyesight.training.speed import convolution_rate

ORDER = [candidate.name for candidate in CANDIDATES]


def planned(budget: float, *, rate: float = 4e11, side: int = 32, pictures: int = 45_000) -> Plan:
    return plan(budget=budget, rate=rate, shape=(side, side, 3), classes=10, pictures=pictures)


def test_more_time_or_a_faster_machine_means_a_wider_network() -> None:
    assert [planned(seconds).model for seconds in (1, 40, 150, 600)] == ORDER
    assert planned(60, rate=4e12).model == planned(600).model
    assert planned(600, rate=4e9).model == ORDER[0]


def test_the_time_decides_the_batch_and_whether_pictures_are_smaller_at_first() -> None:
    assert planned(1).recipe == {"batch_size": 64}
    assert "resolution" not in planned(40).recipe
    assert planned(600).recipe == {"resolution": ((0.4, 0.5), (0.75, 0.75)), "batch_size": 450}
    assert "resolution" not in planned(600, side=16).recipe
    assert planned(600, pictures=300).recipe["batch_size"] == 64


@given(
    budget=st.floats(0.01, 1e7),
    rate=st.floats(1e6, 1e15),
    height=st.integers(8, 96),
    width=st.integers(8, 96),
    channels=st.sampled_from([1, 3]),
    classes=st.integers(2, 1000),
    pictures=st.integers(1, 10_000_000),
)
def test_every_plan_can_be_carried_out(
    budget: float, rate: float, height: int, width: int, channels: int, classes: int, pictures: int
) -> None:
    found = plan(budget=budget, rate=rate, shape=(height, width, channels), classes=classes, pictures=pictures)
    check_resolution(
        network_spec(found.model, shape=(height, width, channels), classes=classes), found.recipe.get("resolution", ())
    )
    assert 64 <= found.recipe["batch_size"] <= 500
    longer = plan(budget=2 * budget, rate=rate, shape=(height, width, channels), classes=classes, pictures=pictures)
    assert ORDER.index(longer.model) >= ORDER.index(found.model)


def test_a_budget_without_a_network_gets_one_and_the_run_can_be_repeated(tmp_path: Path) -> None:
    told: list[Event] = []
    options = {"progress": False, "threads": 1}
    run = eyesight.train("digits", budget=2, output=tmp_path / "run", listeners=[told.append], **options)
    event = told[0]
    assert isinstance(event, Planned)
    assert event.network == run.config.model.name
    assert event.network in NETWORKS
    assert event.rate > 1e8
    assert event.epochs > 0
    again = eyesight.train(replay=run, output=tmp_path / "again", progress=False)
    assert again.config.model == run.config.model
    assert again.model_file.read_bytes() == run.model_file.read_bytes()


@pytest.mark.parametrize("options", [{"model": "mlp", "budget": 0.3}, {"epochs": 1}])
def test_who_names_a_network_or_epochs_gets_what_was_named(options: dict[str, object], tmp_path: Path) -> None:
    told: list[Event] = []
    run = eyesight.train("digits", output=tmp_path / "run", listeners=[told.append], progress=False, **options)
    assert not [event for event in told if isinstance(event, Planned)]
    assert run.config.model.name == options.get("model", "whitened-32-64-64")


def test_what_the_user_says_goes_before_the_plan(tmp_path: Path) -> None:
    run = eyesight.train("digits", budget=0.5, batch_size=50, output=tmp_path / "run", progress=False)
    assert run.config.recipe.batch_size == 50


def test_a_machine_that_does_not_exist_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--device cuda:99"):
        eyesight.train("digits", budget=1, device="cuda:99", output=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_the_rate_is_that_of_this_machine() -> None:
    device = choose_device("cpu")
    before = torch.get_num_threads()
    assert 1e8 < convolution_rate(device, "fp32", seconds=0.05) < 1e14
    assert torch.get_num_threads() == before
