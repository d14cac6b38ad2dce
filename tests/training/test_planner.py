"""What is planned for a budget: the network, its batches, and smaller pictures at first."""

from __future__ import annotations

import json
import math
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import eyesight
from eyesight.cli import main
from eyesight.device import Precision, threads
from eyesight.errors import InterruptedRun, UsageError
from eyesight.models import network_spec
from eyesight.training.events import EpochEnded, Event, Planned
from eyesight.training.plan import planner, resolve, speed
from eyesight.training.plan.planner import CANDIDATES, Plan, plan
from eyesight.training.plan.speed import Speed
from eyesight.training.resolution import check_resolution

ORDER = [candidate.name for candidate in CANDIDATES]
DOCS = Path(__file__).resolve().parents[2] / "docs"


def planned(
    seconds: float,
    *,
    rate: float = 4e11,
    elementwise: float = 1.4e9,
    side: int = 32,
    pictures: int = 45_000,
    **options: Any,
) -> Plan:
    speed = Speed(rate, elementwise)
    return plan(seconds=seconds, speed=speed, shape=(side, side, 3), classes=10, pictures=pictures, **options)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine whose speed is set, and what was asked of it."""
    asked: dict[str, Any] = {"rate": 4e11, "times": 0}

    def speed(device: torch.device, precision: str, *, seconds: float) -> Speed:
        asked.update(times=asked["times"] + 1, seconds=seconds, threads=torch.get_num_threads(), precision=precision)
        return Speed(float(asked["rate"]), float(asked["rate"]) / 500, float(asked.get("share", 1)))

    monkeypatch.setattr(resolve, "machine_speed", speed)
    monkeypatch.setattr(resolve, "fastest_speed", speed)
    return asked


def large_pictures(count: int = 90) -> eyesight.Dataset:
    """Draw pictures of 32 pixels whose brightness tells two classes apart."""
    labels = np.arange(count) % 2
    pictures = np.random.default_rng(0).integers(0, 120, (count, 32, 32, 3), dtype=np.uint8)
    pictures[labels == 1] += 100
    return eyesight.from_arrays((pictures, labels))


def test_more_time_or_a_faster_machine_means_a_wider_network() -> None:
    assert [planned(seconds).model for seconds in (0.6, 8, 40, 150, 600, 4000)] == ORDER
    assert planned(60, rate=4e12, elementwise=1.4e10).model == planned(600).model
    assert planned(600, rate=4e9, elementwise=1.4e7).model == planned(6).model == ORDER[1]


def test_faster_convolutions_alone_do_not_make_a_wide_network_cheap() -> None:
    """As on processors with units for products of matrices: what lies between the convolutions then takes the time."""
    assert planned(30).model == planned(35, rate=2e12).model == "whitened-32-64-64"
    assert planned(35, rate=2e12, elementwise=4e9).model == "whitened-64-128-128"


def test_larger_steps_are_for_larger_pictures() -> None:
    assert planned(6).model == "whitened-32-64-64-s2"
    assert planned(6, side=28).model == "whitened-16-32-32"


def test_the_time_decides_the_batch_and_whether_pictures_are_smaller_at_first() -> None:
    assert planned(1).recipe == {"batch_size": 64}
    assert "resolution" not in planned(40).recipe
    assert planned(600).recipe == {"resolution": ((0.4, 0.5), (0.75, 0.75)), "batch_size": 1032}
    assert "resolution" not in planned(600, side=16).recipe
    assert "resolution" not in planned(1500).recipe  # enough epochs in full size
    assert planned(1500).model == "whitened-64-256-256"
    assert "resolution" not in planned(600, pictures=30_000).recipe
    assert planned(600, pictures=300).recipe["batch_size"] == 64
    assert planned(600, pictures=9000).recipe["batch_size"] == 300
    assert planned(40).recipe["batch_size"] == 250
    assert planned(36000).recipe["batch_size"] == 1500


def test_who_decides_on_the_sizes_gets_a_plan_without_them() -> None:
    assert "resolution" not in planned(600, smaller_first=False).recipe
    assert planned(600, smaller_first=False).model == "whitened-64-128-128"
    assert "resolution" not in planned(600, smaller_first=True).recipe
    assert planned(600, smaller_first=True).model == "whitened-64-256-256"


def test_a_network_that_is_named_gets_its_batches_and_nothing_else() -> None:
    assert planned(600, model="whitened-64-256-256").recipe == {"batch_size": 645}
    assert planned(600, model="whitened-64-256-256", smaller_first=True).recipe == {"batch_size": 1032}
    assert planned(4, model="whitened-32-64-64-s2", side=28).model == "whitened-32-64-64-s2"


@settings(deadline=None)
@given(
    seconds=st.floats(0, 1e7),
    rates=st.builds(Speed, st.floats(1e6, 1e15), st.floats(1e4, 1e13)),
    height=st.integers(8, 96),
    width=st.integers(8, 96),
    channels=st.sampled_from([1, 3]),
    classes=st.integers(2, 1000),
    pictures=st.integers(1, 10_000_000),
)
def test_every_plan_can_be_carried_out(
    seconds: float, rates: Speed, height: int, width: int, channels: int, classes: int, pictures: int
) -> None:
    shape = (height, width, channels)
    found = plan(seconds=seconds, speed=rates, shape=shape, classes=classes, pictures=pictures)
    check_resolution(network_spec(found.model, shape=shape, classes=classes), found.recipe.get("resolution", ()))
    assert 64 <= found.recipe["batch_size"] <= 1500
    longer = plan(seconds=2 * seconds, speed=rates, shape=shape, classes=classes, pictures=pictures)
    assert ORDER.index(longer.model) >= ORDER.index(found.model)


def test_the_page_names_the_networks_and_what_each_must_see() -> None:
    page = (DOCS / "fast.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(whitened-[\w-]+)`[^|]* \| ([\d,]*) ?\|$", page, re.MULTILINE))
    assert rows == {found.name: f"{found.least:,}" if found.least else "" for found in CANDIDATES}


@pytest.fixture
def never_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller pictures at first however many epochs there will be, as of so few pictures there are always many."""
    monkeypatch.setattr(planner, "_ENOUGH", math.inf)


@pytest.mark.usefixtures("never_enough")
def test_a_planned_run_is_told_noted_and_repeated(machine: dict[str, Any], tmp_path: Path) -> None:
    """With a machine so fast that the widest network and smaller pictures are planned."""
    machine["rate"] = 1e18
    data, told = large_pictures(), list[Event]()
    options = {"progress": False, "threads": 1, "precision": "fp32"}
    run = eyesight.train(data, budget=1, output=tmp_path / "run", listeners=[told.append], **options)
    event = told[0]
    assert isinstance(event, Planned)
    assert event.elementwise == 1e18 / 500
    assert (event.network, event.rate) == (ORDER[-1], 1e18) == (run.config.model.name, machine["rate"])
    assert (machine["times"], machine["threads"], machine["precision"]) == (1, 1, "fp32")
    assert 0 < machine["seconds"] <= 0.01
    assert run.config.recipe.resolution == event.recipe["resolution"] == ((0.4, 0.5), (0.75, 0.75))
    first = json.loads((run.path / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (first["event"], first["network"]) == ("Planned", ORDER[-1])
    again = eyesight.train(data, replay=run, output=tmp_path / "again", progress=False)
    assert machine["times"] == 1
    assert again.config.model == run.config.model
    assert again.model_file.read_bytes() == run.model_file.read_bytes()


def test_batches_may_be_split_in_more_parts_than_the_usual_batch_has(machine: dict[str, Any], tmp_path: Path) -> None:
    machine["rate"] = 4e13  # so that batches have more than the default 64, however little time is left
    options = {"model": "whitened-16-32-32", "budget": 1, "threads": 1, "progress": False}
    data = large_pictures(3000)
    run = eyesight.train(data, settings={"recipe.accumulate": 80}, output=tmp_path / "run", **options)
    assert run.config.recipe.batch_size >= 80
    with pytest.raises(UsageError, match=r"recipe\.accumulate: should be at most the batch size, \d+; received: 900"):
        eyesight.train(data, settings={"recipe.accumulate": 900}, output=tmp_path / "other", **options)


def test_going_on_plans_nothing_anew(machine: dict[str, Any], tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRun):
        eyesight.train("digits", budget=1.5, output=tmp_path / "run", listeners=[stop], progress=False, threads=1)
    machine["rate"] = 1e18
    run = eyesight.resume(tmp_path / "run", progress=False)
    assert (machine["times"], run.status) == (1, "complete")
    assert run.config.model.name != ORDER[-1]


@pytest.mark.usefixtures("never_enough")
def test_a_plan_is_one_line_for_a_person(
    machine: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "digits", "--budget", "0.5s", "--threads", "1", "-o", str(tmp_path / "run")]) == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(r"whitened-[\d-]+: about [\d,.]+ epochs in this time, at 400 GFLOP/s", line)
    machine["rate"] = 1e18
    eyesight.train(large_pictures(), budget=0.5, output=tmp_path / "large", threads=1)
    assert capsys.readouterr().err.splitlines()[0].endswith(" GFLOP/s, with smaller pictures at first")


def test_that_other_programs_use_the_processor_is_told(
    machine: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for share, lines in ((0.9, 0), (0.5, 1)):
        machine["share"] = share
        eyesight.train("digits", budget=0.5, output=tmp_path / f"{share}", threads=1)
        said = "warning: other programs are using the processor; what was planned is for the 50% of it that they left"
        assert capsys.readouterr().err.splitlines().count(said) == lines


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ({"model": "mlp", "budget": 0.3}, "mlp"),
        ({"epochs": 1}, "whitened-32-64-64"),
        ({"budget": 0.3, "settings": {"model.dense": [16]}}, "small-cnn-1pool"),
        ({"updates": 2, "settings": {"model.batch_norm": True}}, "small-cnn-1pool"),
        ({"updates": 2, "batch_size": 1}, "small-cnn-1pool"),
        ({"model": "whitened-16-32-32", "budget": 0.3, "batch_size": 64}, "whitened-16-32-32"),
    ],
)
def test_without_a_budget_or_with_other_wishes_nothing_is_measured(
    options: dict[str, Any], network: str, machine: dict[str, Any], tmp_path: Path
) -> None:
    run = eyesight.train("digits", output=tmp_path / "run", progress=False, threads=1, **options)
    assert (run.config.model.name, machine["times"]) == (network, 0)


@pytest.mark.filterwarnings("ignore:train. all pictures are of one class")
def test_one_picture_can_be_learned(tmp_path: Path) -> None:
    data = eyesight.from_arrays((np.zeros((1, 12, 12), np.uint8), np.zeros(1, np.int64)), validation=0)
    run = eyesight.train(data, updates=2, output=tmp_path / "run", progress=False)
    assert run.config.model.name == "small-cnn-1pool"


def test_pictures_that_are_too_small_and_modules_get_no_plan(machine: dict[str, Any], tmp_path: Path) -> None:
    tiny = eyesight.from_arrays((np.random.default_rng(0).integers(0, 9, (60, 6, 6), np.uint8), np.arange(60) % 2))
    run = eyesight.train(tiny, budget=0.3, output=tmp_path / "tiny", progress=False)
    assert run.config.model.name == "small-cnn-1pool"
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    eyesight.train(tiny, model=module, budget=0.3, output=tmp_path / "own", progress=False)
    assert machine["times"] == 0


def test_a_configuration_keeps_its_network_when_it_gets_a_budget(machine: dict[str, Any], tmp_path: Path) -> None:
    before = eyesight.train("digits", epochs=1, output=tmp_path / "before", progress=False)
    after = eyesight.train(config=before.path / "config.yaml", budget=0.3, output=tmp_path / "after", progress=False)
    assert (after.config.model.name, machine["times"]) == (before.config.model.name, 0)


def test_what_the_user_says_goes_before_the_plan(machine: dict[str, Any], tmp_path: Path) -> None:
    run = eyesight.train("digits", budget=0.5, batch_size=50, output=tmp_path / "run", progress=False)
    assert (run.config.recipe.batch_size, machine["times"]) == (50, 1)


def test_batches_of_a_named_network_fit_the_time(machine: dict[str, Any]) -> None:
    """The more time, the larger, until an epoch has thirty."""
    pictures = np.zeros((9000, 8, 8), np.uint8)
    data = eyesight.from_arrays((pictures, np.arange(9000) % 2), validation=0)
    for budget, batch in ((0.4, 64), (60, 300)):
        values = {"model": {"name": "whitened-64-128-128"}, "recipe": {"budget": budget}}
        config, found = resolve.resolve(resolve.read_request(values), data)
        assert (config.model.name, config.recipe.batch_size) == ("whitened-64-128-128", batch)
        assert found is not None
        assert found.recipe == {"batch_size": batch}
    assert machine["times"] == 2


def test_a_machine_that_does_not_exist_is_refused_before_anything_is_measured(
    machine: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="device: cuda:99 is not usable"):
        eyesight.train("digits", budget=1, device="cuda:99", output=tmp_path / "run", progress=False)
    assert machine["times"] == 0
    assert not (tmp_path / "run").exists()


def test_the_rate_is_operations_over_the_shortest_time_without_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock: before and after the first; for each call before, after, and whether there is time for another; end.

    The process had 8 of the 20 seconds of its two threads after the first call.
    """
    ticks, used = iter([0, 10, 10, 12, 12, 12, 13, 13, 13, 17, 20, 20]), iter([3, 11])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(speed.time, "process_time", lambda: next(used))
    with threads(2):
        found = speed.convolution_rate(torch.device("cpu"), "fp32", seconds=19)
    assert found.per_second == pytest.approx(3 * 2 * 32 * 256 * 64 * 9 * 15**2 / 1)  # of 2, 1 and 4 seconds
    assert found.share == pytest.approx(8 / 20)


def test_a_moment_does_not_tell_whether_other_programs_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks, used = iter([0, 10, 10, 10.008, 10.009, 10.01]), iter([3, 3.004])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(speed.time, "process_time", lambda: next(used))
    assert speed.convolution_rate(torch.device("cpu"), "fp32", seconds=0).share == 1


def test_numbers_between_convolutions_are_those_of_pooling_batch_norm_and_activation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = iter([0, 5, 10, 12, 20, 20])  # a call to warm up, and one of two seconds
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(ticks))
    found = speed.elementwise_rate(torch.device("cpu"), "fp32", 1)
    assert found.per_second == pytest.approx(32 * 64 * (30**2 + 15**2 + 15**2) / 2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_rates_of_a_machine_are_measured(precision: Precision) -> None:
    found = speed.machine_speed(torch.device("cpu"), precision, seconds=0.02)
    assert 1e8 < found.convolutions < 1e15
    assert 1e6 < found.elementwise < 1e12
    assert 0 < found.share <= 1
