"""Configurations for an amount of time: listed, run, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.cli import main
from eyesight.training.plan import resolve
from eyesight.training.plan.presets import PRESETS, figures_file, find
from eyesight.training.plan.recipe import parse_config
from eyesight.training.plan.speed import Speed


def test_the_list_has_command_time_accuracy_and_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    out = capsys.readouterr().out
    for preset in PRESETS.values():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{preset.name} ")]
        assert (preset.network or "").replace("whitened-", "") in line
        assert f"{preset.budget:g} s" in line
        assert (f"{preset.measured.mean:.4f} ± " if preset.measured else "not measured") in line
    assert figures_file()["machine"] in " ".join(out.split())
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert main(["presets", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(PRESETS)
    assert {"command", "seconds", "config", "network", "measured"} <= rows[0].keys()


def test_what_was_measured_belongs_to_a_preset_and_kept_its_time() -> None:
    assert set() < set(figures_file()["presets"]) <= set(PRESETS)
    for preset in PRESETS.values():
        assert (preset.network is None) == (preset.measured is None)
        if preset.measured:
            assert preset.measured.n > 1
            assert preset.measured.seconds_median <= preset.budget + max(1, 0.02 * preset.budget)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_whole_configuration(name: str) -> None:
    assert find(name).budget >= 4  # in less, a command (a new process) reaches less than was measured
    config = parse_config(find(name).config)
    assert (config.data.name, config.data.validation, config.recipe.budget) == (
        find(name).data, 0.0, find(name).budget,
    )  # fmt: skip


def test_the_machine_decides_the_network_of_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.zeros((300, 28, 28), np.uint8)
    data = eyesight.from_arrays((pictures, np.arange(300) % 10), validation=0)
    values = find("mnist-20s").config
    assert "model" not in values
    networks = []
    for factor in (0.01, 1, 100):
        speed = Speed(4e11 * factor, 1.4e9 * factor)
        monkeypatch.setattr(resolve, "machine_speed", lambda *_, speed=speed, **__: speed)
        config, _ = resolve.resolve(resolve.read_request(values), data)
        networks.append(config.model.name)
    assert networks == ["whitened-16-32-32", "whitened-32-64-64", "whitened-64-256-256"]


def test_a_preset_is_run_and_options_go_before(data_dir: Path, tmp_path: Path) -> None:
    options = {"data_dir": data_dir, "progress": False, "threads": 1}
    run = eyesight.train(preset="mnist-4s", budget=0.6, output=tmp_path / "run", **options)
    assert (run.config.data.name, run.config.model.name) == ("mnist", "whitened-16-32-32")
    assert (run.config.recipe.budget, run.config.recipe.optimizer, run.config.recipe.flip) == (0.6, "muon", False)
    assert len(run.data(data_dir).train) == 60_000
    whole = eyesight.load_data("mnist", data_dir=data_dir)  # a tenth of it held out
    own = eyesight.train(whole, preset="mnist-4s", updates=2, output=tmp_path / "own", progress=False)
    assert (own.config.data.validation, own.config.recipe.updates) == (0.0, 2)
    other = eyesight.train("digits", preset="mnist-4s", updates=2, seed=5, output=tmp_path / "other", progress=False)
    recipe = other.config.recipe
    assert (other.config.data.name, other.config.seed, recipe.updates, recipe.budget) == ("digits", 5, 2, None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--preset", "mnist-5s"], "unknown preset 'mnist-5s'; did you mean 'mnist-4s'?"),
        (
            ["--preset", "mnist-4s", "--config", "x.yaml"],
            "--preset: is a whole configuration, without config;",
        ),
        (["--preset", "mnist-4s", "--resume", "x"], "--resume: goes on with what the run was started with"),
        (["--preset", "mnist-4s", "--replay", "x"], "--replay: repeats what the run was started with"),
    ],
)
def test_what_does_not_go_with_a_preset_is_refused_in_one_line(
    options: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert text in error
    assert not Path("runs").exists()
