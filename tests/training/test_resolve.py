"""The one entrance of a configuration: what goes before what, what is filled in, and who is told of a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

import eyesight
from eyesight.cli import main
from eyesight.errors import UsageError
from eyesight.training.plan.entries import compare, describe_changes
from eyesight.training.plan.resolve import read_request, resolve


def test_changes_go_before_the_base_and_one_length_replaces_another() -> None:
    base = {"recipe": {"budget": 5.0, "lr": 0.1}, "seed": 3}
    config = read_request(base, {"recipe.epochs": 2, "recipe.lr": 0.2}).config
    assert (config.recipe.epochs, config.recipe.budget, config.recipe.lr, config.seed) == (2, None, 0.2, 3)
    assert base == {"recipe": {"budget": 5.0, "lr": 0.1}, "seed": 3}


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({}, None, "mine.yaml: recipe.momentum: should be less than 1; received: 2"),
        ({"recipe.momentum": 3}, "recipe.momentum", "recipe.momentum: should be less than 1; received: 3"),
        ({"recipe.momentum": 0.5, "seed": -1}, "seed", "seed: should be greater than or equal to 0; received: -1"),
        ({"recipe.momentum": 0.5}, None, ""),
    ],
)
def test_a_fault_is_told_of_the_file_only_where_the_file_has_it(
    changes: dict[str, object], field: str | None, text: str
) -> None:
    base = {"recipe": {"momentum": 2}}
    if not text:
        assert read_request(base, changes, source="mine.yaml").config.recipe.momentum == 0.5
        return
    with pytest.raises(UsageError) as caught:
        read_request(base, changes, source="mine.yaml")
    assert (str(caught.value), caught.value.field) == (text, field)


def test_an_entry_cannot_be_set_within_a_value() -> None:
    with pytest.raises(UsageError, match=r"mine\.yaml: recipe: should be a mapping; received: 3"):
        read_request({"recipe": 3}, {"seed": 1}, source="mine.yaml")
    with pytest.raises(UsageError, match=r"recipe: should be a mapping; received: 3"):
        read_request({"recipe": 3}, {"recipe.lr": 1}, source="mine.yaml")


def test_what_is_resolved_leaves_nothing_open_and_resolves_to_itself(bars_data: eyesight.Dataset) -> None:
    config, planned = resolve(read_request({"recipe": {"epochs": 1}}), bars_data)
    assert planned is None
    assert config.model.name == "whitened-32-64-64"
    assert (config.recipe.optimizer, config.recipe.lr) == ("muon", 0.2)
    assert "auto" not in (config.machine.device, config.machine.precision)
    assert config.machine.threads is not None
    assert (config.data.name, config.data.kind, config.data.validation) == ("arrays", "arrays", 0.1)
    assert resolve(read_request(config.model_dump()), bars_data)[0] == config


def test_a_configuration_for_somebodys_module_asks_for_it(bars_data: eyesight.Dataset) -> None:
    request = read_request({"model": {"name": "their.Net", "kind": "module"}})
    with pytest.raises(UsageError, match=r"the configuration was made for their\.Net; pass an instance"):
        resolve(request, bars_data)
    assert resolve(request, bars_data, own_module=True)[0].model.name == "their.Net"


def test_an_option_is_named_by_its_own_name_wherever_the_fault_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, text in (
        (["train", "--device", "gpu9"], "--device: gpu9 is not usable with this machine"),
        (["train", "--set", "machine.device=gpu9"], "--set: machine.device: gpu9 is not usable with this machine"),
        (["train", "--threads", "5000"], "--threads: expected auto, or a number from 1 to 1024; received: 5000"),
        (["train", "--optimizer", "adm"], "--optimizer: unknown optimizer 'adm'; did you mean 'adam'?"),
        (["train", "--patience", "1", "--validation", "0"], "--patience: needs validation pictures"),
        (["train", "mnist", "--data-dir", "nowhere"], "--data-dir: no such folder: nowhere"),
        (["data", "list", "--data-dir", "nowhere"], "--data-dir: no such folder: nowhere"),
        (["study", "epochs", "--threads", "2", "--set", "recipe.lr=0"], "--set: recipe.lr: should be greater than 0"),
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.startswith(f"eyesight: error: {text}")
    assert list(tmp_path.iterdir()) == []


def test_differences_are_told_entry_by_entry() -> None:
    was = {"recipe": {"lr": 0.001, "early_stopping": None, "epochs": 3}, "classes": ["a", "b"]}
    now = {"recipe": {"lr": 0.01, "early_stopping": {"patience": 3}}, "classes": ["a", "b"]}
    assert compare(was, was) == {}
    assert describe_changes(was, now) == [
        "recipe.lr was 0.001 and is 0.01",
        "recipe.early_stopping was not set and is patience 3",
        "recipe.epochs was 3 and is not set",
    ]
