"""What the first review by fresh eyes found: faults between the files, each seen once and not to come back."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import eyesight
from eyesight.cli import main
from eyesight.device import choose_device
from eyesight.errors import RunError, TrainingError, UsageError
from eyesight.formats import atomic_path
from eyesight.run import RunFolder
from eyesight.training import checkpoint
from eyesight.training.signals import stop_on_signals


class Viewing(nn.Module):
    """A network as torch's own tutorial writes it: it flattens by `view`, which needs plain memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.fc = nn.Linear(8 * 3 * 3, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.max_pool2d(torch.relu(self.conv(x)), 2).view(-1, 8 * 3 * 3))


def test_a_users_module_that_flattens_by_view_trains_and_predicts():
    run = eyesight.train("digits", model=Viewing(), epochs=2, output="run", progress=False)
    assert run.evaluate("validation").accuracy == run.metrics()[run.about()["kept_epoch"] - 1]["val_accuracy"]
    assert run.classifier.predict(np.zeros((8, 8), np.uint8))


def test_runs_that_start_at_the_same_moment_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunFolder.create_next(tmp_path, "digits", {"seed": 0}), range(16)))
    assert len({run.path for run in runs}) == 16


def test_of_two_starts_in_one_folder_only_one_gets_it(tmp_path):
    def start(_: int) -> bool:
        try:
            RunFolder.create(tmp_path / "run", {})
        except RunError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(16))) == 1


def test_pictures_that_may_have_been_learned_from_are_not_judged_as_new(digits_run):
    other = eyesight.load_data("digits", split_seed=1)
    for split in ("validation", "train"):
        with pytest.raises(UsageError, match=r"is not what .* was trained on"):
            digits_run.evaluate(split, data=other)
    assert "the data differs" in digits_run.evaluate(data=other).report.notes[0]
    assert digits_run.evaluate().report.notes == ()


def test_a_look_at_the_test_set_in_training_is_noted_whatever_data_is_passed():
    run = eyesight.train("digits", epochs=1, validation="test", output="run", progress=False)
    assert any(
        "test set was validation data" in n for n in run.evaluate(data=eyesight.load_data("digits")).report.notes
    )


def test_damaged_later_states_do_not_push_out_the_new_ones(tmp_path, monkeypatch):
    class State:
        step = 5

        def facts(self):
            return {"step": self.step}

        def arrays(self):
            return {"a": np.zeros(2)}

    for step in (8, 9):
        (tmp_path / f"step-{step:09d}.safetensors").write_bytes(b"cut off")
    state = State()
    for state.step in (5, 6, 7):
        checkpoint.save(state, tmp_path, identity={})
        found, _ = checkpoint.newest(tmp_path)
        assert found is not None
        assert found.facts["step"] == state.step
    assert [path.name for path in sorted(tmp_path.iterdir())] == [f"step-{n:09d}.safetensors" for n in (6, 7)]


def test_an_interruption_never_saves_weights_that_are_not_numbers(monkeypatch):
    from eyesight.training import loop

    plain = loop.train_step

    def step_and_interrupt(*args):
        plain(*args)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "train_step", step_and_interrupt)
    with pytest.raises(TrainingError, match="no longer a number"):
        eyesight.train("digits", optimizer="sgd", lr=1e300, epochs=1, output="run", progress=False)
    assert not list(Path("run/checkpoints").glob("*"))
    run = eyesight.open_run("run")
    assert all(np.isfinite(p.detach().numpy()).all() for p in run.classifier.network.parameters())
    assert "the run is failed" in run.evaluate().report.notes[0]


def test_a_signal_that_the_process_was_told_to_ignore_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals() as control:
            os.kill(os.getpid(), signal.SIGINT)
        assert control.stop_signal is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_runs_lists_the_figures_of_the_model_that_was_kept(capsys):
    run = eyesight.train("digits", epochs=4, lr=0.003, keep="last", output="runs/a", progress=False)
    eyesight.train("digits", epochs=1, validation="test", output="runs/b", progress=False)
    accuracy = run.evaluate().accuracy
    assert main(["runs", "--json"]) == 0
    import json

    first, second = json.loads(capsys.readouterr().out)
    assert first["validation"] == run.metrics()[-1]["val_accuracy"]
    assert first["test"] == accuracy
    assert isinstance(first["seconds"], float)
    assert second["validation"] is None
    assert main(["runs", "runs/a"]) == 0
    assert "runs/a" in capsys.readouterr().out


def test_patience_keeps_the_monitor_of_the_configuration():
    config = {"recipe": {"epochs": 1, "early_stopping": {"monitor": "val_accuracy", "patience": 5}}}
    Path("c.yaml").write_text(f"format: eyesight-config\nversion: 1\nrecipe: {config['recipe']}\n")
    assert main(["train", "--config", "c.yaml", "--patience", "2", "-o", "run"]) == 0
    stopping = eyesight.open_run("run").config.recipe.early_stopping
    assert stopping is not None
    assert (stopping.monitor, stopping.patience) == ("val_accuracy", 2)


def test_square_brackets_in_a_path_are_only_letters(capfd):
    eyesight.train("digits", epochs=1, output="b[/a][red]", progress=False)
    assert main(["train", "--resume", "b[/a][red]"]) == 0
    assert "b[/a][red]: is complete already" in capfd.readouterr().err


def test_a_config_that_lost_a_part_and_a_metrics_line_that_lost_a_figure_are_named(capsys):
    run = eyesight.train("digits", epochs=1, output="runs/a", progress=False)
    eyesight.train("digits", epochs=1, output="runs/b", progress=False)
    config = run.path / "config.yaml"
    config.write_text(re.sub(r"model:\n(  .*\n)+", "model: lenet5\n", config.read_text()))
    assert main(["evaluate", "runs/a"]) == 2
    assert "config.yaml: model: should be a mapping" in capsys.readouterr().err
    (run.path / "metrics.jsonl").write_text('{"a": 1}\n')
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert "runs/b" in out
    assert "metrics.jsonl: line 1 should have" in err


def test_a_device_that_holds_no_numbers_is_refused():
    with pytest.raises(UsageError, match="device: meta is not usable"):
        choose_device("meta")


def test_a_file_that_cannot_be_written_is_named_as_the_user_knows_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"report\.json") as caught, atomic_path(tmp_path / "file" / "report.json"):
        pass
    assert caught.value.filename == str(tmp_path / "file" / "report.json")


def test_pictures_in_a_folder_that_cannot_be_read_are_named_not_passed_over(digits_run, capsys):
    Path("photos").mkdir()
    Path("photos/a.heic").write_bytes(b"ftypheic")
    Path("photos/b.png").symlink_to("nowhere.png")
    assert main(["predict", str(digits_run.path), "photos"]) == 1
    err = capsys.readouterr().err
    assert "a.heic" in err
    assert "b.png: no such file" in err


def test_datasets_can_be_compared_and_hashed(bars_data):
    assert bars_data == bars_data  # noqa: PLR0124 - arrays inside would have no single truth value
    assert hash(bars_data)
