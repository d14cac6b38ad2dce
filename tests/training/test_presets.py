"""Configurations for an amount of time: listed, run, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.cli import main
from eyesight.training.plan import resolve
from eyesight.training.plan.presets import find
from eyesight.training.plan.recipe import parse_config
from eyesight.training.plan.speed import Speed


def test_what_is_listed_is_what_train_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for row in rows:
        config = parse_config(row["config"])
        assert row["command"] == f"eyesight train --preset {row['name']}"
        assert row["seconds"] == config.recipe.budget
        assert row["seconds"] >= 4  # in less, a command (a new process) reaches less than was measured
        assert config.data.validation == 0.0  # all training pictures, as measured
        (line,) = [line for line in lines if line.startswith(f"{row['name']} ")]
        assert f"{row['seconds']:g} s" in line
        if row["measured"] is not None:
            assert f"{row['measured']['mean']:.4f} ± " in line


def test_the_machine_decides_the_network_of_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.zeros((300, 28, 28), np.uint8)
    data = eyesight.from_arrays((pictures, np.arange(300) % 10), validation=0)
    values = find("mnist-20s").config
    assert "model" not in values
    networks = []
    for factor in (0.01, 1, 100):
        speed = Speed(4e11 * factor, 1.4e9 * factor)
        monkeypatch.setattr(resolve, "fastest_speed", lambda *_, speed=speed, **__: speed)
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
