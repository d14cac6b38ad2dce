"""Trainings by the clock: they end in time, go on with the time that is left, and repeat from their record."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import eyesight
from eyesight.cli import main
from eyesight.errors import FormatError, InterruptedRun, RunError, UsageError
from eyesight.training import loop
from eyesight.training.clock import BudgetClock, read_progress
from eyesight.training.events import EpochEnded, Event, Started, Warned

OPTIONS = {"threads": 1, "precision": "fp32", "progress": False}


def trained(data: eyesight.Dataset, output: Path, **options: object) -> eyesight.Run:
    return eyesight.train(data, output=output, **{**OPTIONS, **options})


def interrupted(data: eyesight.Dataset, output: Path, *, budget: float, after: float) -> None:
    """Train by the clock, and be stopped at the end of an epoch after so many seconds."""

    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.row["seconds"] > after:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(InterruptedRun):
        trained(data, output, budget=budget, listeners=[stop])


def test_it_ends_in_time_with_the_schedule_at_its_end(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    trained(bars_data, tmp_path / "warm", epochs=1)
    started = time.perf_counter()
    run = trained(bars_data, tmp_path / "run", budget=2.0)
    assert time.perf_counter() - started == pytest.approx(2.0, abs=1.0)
    record = read_progress(run.folder.clock_file)
    assert record[0] == 0
    assert record[-1] == 1
    assert len(record) == run.about()["steps"] + 1
    rows = run.metrics()
    assert rows[-1]["step"] == run.about()["steps"]
    assert rows[-1]["lr"] < 0.05 * rows[0]["lr"]


def test_time_is_kept_for_the_statistics_of_averaged_weights(
    bars_data: eyesight.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are collected twice after the last update: to judge the weights, and to save them."""
    settings = {"model.name": "whitened-16-32-32", "recipe.averaging": "ema"}
    trained(bars_data, tmp_path / "warm", epochs=1, settings=settings)
    collect = loop.collect_statistics

    def slowly(*args: Any) -> None:
        time.sleep(1)
        collect(*args)

    monkeypatch.setattr(loop, "collect_statistics", slowly)
    started = time.perf_counter()
    trained(bars_data, tmp_path / "run", budget=4, settings=settings)
    assert time.perf_counter() - started < 4.7


def test_a_budget_that_is_over_before_it_began_still_gives_a_model(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = trained(bars_data, tmp_path / "run", budget=0.001)
    assert run.about()["steps"] == 1
    assert run.classifier.classes == bars_data.classes
    assert [row["epoch"] for row in run.metrics()] == [1]


def test_a_machine_that_sleeps_midway_still_ends_annealed(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    slept = []

    def sleep_once(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.row["seconds"] > 0.6 and not slept:
            slept.append(time.sleep(0.8))

    run = trained(bars_data, tmp_path / "run", budget=2.0, listeners=[sleep_once])
    assert slept
    record = read_progress(run.folder.clock_file)
    assert max(b - a for a, b in itertools.pairwise(record)) > 0.3
    assert record[-1] == 1
    assert run.metrics()[-1]["lr"] < 0.05 * run.metrics()[0]["lr"]


@pytest.fixture(scope="module")
def whole(bars_data: eyesight.Dataset, tmp_path_factory: pytest.TempPathFactory) -> eyesight.Run:
    return trained(bars_data, tmp_path_factory.mktemp("clock") / "run", budget=1.0, averaging="swa")


def test_a_run_by_the_clock_is_repeated_bit_for_bit_from_its_record(
    whole: eyesight.Run, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    again = eyesight.train(bars_data, replay=whole, output=tmp_path / "again", progress=False)
    assert again.model_file.read_bytes() == whole.model_file.read_bytes()
    assert again.folder.clock_file.read_bytes() == whole.folder.clock_file.read_bytes()


@pytest.mark.parametrize("kept", [0, 20])
def test_a_record_that_is_not_whole_is_not_repeated_as_something_else(
    kept: int, whole: eyesight.Run, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole.path, tmp_path / "copy"))
    lines = (copy / "clock.jsonl").read_text().splitlines(keepends=True)
    (copy / "clock.jsonl").write_text("".join(lines[: kept and kept + 1]))
    with pytest.raises(RunError, match=rf"clock\.jsonl: holds {kept} of {len(lines) - 2} updates"):
        eyesight.train(bars_data, replay=copy, output=tmp_path / "again", progress=False)
    assert not (tmp_path / "again").exists()


def test_a_repetition_of_a_run_that_stopped_early_stays_one_when_it_is_killed(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    stopping = {"monitor": "val_loss", "patience": 1}
    first = trained(bars_data, tmp_path / "first", budget=20.0, lr=0.3, early_stopping=stopping)
    assert first.about()["reason"].startswith("no better val_loss")

    def die(event: Event) -> None:
        if isinstance(event, Started):
            os._exit(1)

    if (child := os.fork()) == 0:
        eyesight.train(bars_data, replay=first, output=tmp_path / "again", progress=False, listeners=[die])
    os.waitpid(child, 0)
    again = eyesight.resume(tmp_path / "again", data=bars_data, progress=False)
    assert again.model_file.read_bytes() == first.model_file.read_bytes()


def test_a_run_is_not_repeated_over_itself(whole: eyesight.Run, bars_data: eyesight.Dataset) -> None:
    with pytest.raises(UsageError, match="expected another folder than that of the run to repeat"):
        eyesight.train(bars_data, replay=whole, output=whole.path, overwrite=True, progress=False)
    assert whole.model_file.is_file()


def test_stopped_it_goes_on_with_the_time_that_is_left_and_its_record_repeats_it(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    interrupted(bars_data, tmp_path / "run", budget=1.5, after=0.7)
    before = read_progress(tmp_path / "run" / "clock.jsonl")
    assert 0.4 < before[-1] < 1
    time.sleep(1.0)  # does not count
    run = eyesight.resume(tmp_path / "run", data=bars_data, progress=False)
    record = read_progress(run.folder.clock_file)
    assert record[: len(before)] == before
    assert 0 <= record[len(before)] - before[-1] < 0.1  # neither the pause nor a guess at what validation takes
    assert len({value for value in record if value > before[-1]}) > 10
    assert run.about()["seconds"] == pytest.approx(1.5, abs=0.5)
    again = eyesight.train(bars_data, replay=run, output=tmp_path / "again", progress=False)
    assert again.model_file.read_bytes() == run.model_file.read_bytes()


def test_what_was_recorded_after_the_saved_state_is_taken_first(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    """As after a kill: the state is old, the record is newer."""
    interrupted(bars_data, tmp_path / "run", budget=2.0, after=0.7)
    file = tmp_path / "run" / "clock.jsonl"
    recorded = read_progress(file)
    later = [recorded[-1] + 0.001 * i for i in range(1, 8)]
    with file.open("a") as record:
        record.write("".join(f"{value!r}\n" for value in later) + "0.9")  # and one that was cut off
    run = eyesight.resume(tmp_path / "run", data=bars_data, progress=False)
    assert read_progress(run.folder.clock_file)[: len(recorded) + 7] == recorded + later
    assert read_progress(run.folder.clock_file)[len(recorded) + 7] - later[-1] < 0.3


def test_a_damaged_record_is_told_and_the_saved_state_suffices(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    interrupted(bars_data, tmp_path / "run", budget=1.0, after=0.4)
    before = read_progress(tmp_path / "run" / "clock.jsonl")
    (tmp_path / "run" / "clock.jsonl").write_text("rubbish\n")
    heard: list[Event] = []
    run = eyesight.resume(tmp_path / "run", data=bars_data, progress=False, listeners=[heard.append])
    assert any(isinstance(event, Warned) and "clock.jsonl" in event.message for event in heard)
    record = read_progress(run.folder.clock_file)
    assert record[: len(before)] == before
    assert len(record) > len(before) + 10


@pytest.mark.parametrize(
    "lines",
    [
        ["1"],
        ['{"format": "eyesight-clock", "version": 1}', "0.5", "0.4"],
        ['{"format": "eyesight-clock", "version": 1}', "0.5", "1.5"],
        ['{"format": "eyesight-clock", "version": 1}', "-0.5"],
        ['{"format": "eyesight-clock", "version": 1}', '"x"'],
        ['{"format": "eyesight-clock", "version": 1}', "NaN"],
        ['{"format": "eyesight-clock", "version": 9}', "0.5"],
        ["{", "0.5"],
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "clock.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FormatError, match=r"clock\.jsonl"):
        read_progress(path)


def test_progress_never_falls_and_a_wall_clock_that_jumps_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: -1e9)
    clock = BudgetClock(0.2, seconds=0.0, path=tmp_path / "clock.jsonl")
    values = [clock.progress(step, reserve=0.1 if step % 2 else 0.0) for step in range(50)]
    time.sleep(0.2)
    values.append(clock.progress(50, reserve=0.0))
    clock.close()
    assert values == sorted(values)
    assert values[-1] == 1
    assert read_progress(tmp_path / "clock.jsonl") == values


def test_epochs_and_a_budget_exclude_each_other(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of epochs, updates and budget; received: epochs 2, budget 3"):
        trained(bars_data, tmp_path / "run", epochs=2, budget=3.0)
    with pytest.raises(UsageError, match="received: none of them"):
        trained(bars_data, tmp_path / "run", settings={"recipe.epochs": None})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["60", "0s", "-1s", "1 day", ""])
def test_a_budget_that_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--budget", text]) == 2
    assert "--budget: expected a time such as 30s, 2m or 1h; received: " in capsys.readouterr().err


def test_what_is_asked_for_replaces_the_other_way_in_a_configuration(
    whole: eyesight.Run, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    run = trained(bars_data, tmp_path / "run", config=whole.path / "config.yaml", epochs=1)
    assert (run.config.recipe.epochs, run.config.recipe.budget) == (1, None)


def test_a_replay_takes_nothing_that_would_change_it(
    whole: eyesight.Run, bars_data: eyesight.Dataset, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"replay: repeats .* as it was; received: recipe\.lr"):
        eyesight.train(bars_data, replay=whole, lr=0.1, progress=False)
    with pytest.raises(RunError, match="is not what it was trained on"):
        eyesight.train(bars_data.with_validation(0.2), replay=whole, output=tmp_path / "x", progress=False)
    assert main(["train", "--replay", str(whole.path), "--epochs", "2"]) == 2
    assert "--replay: repeats what the run was started with; received: --epochs" in capsys.readouterr().err


def test_a_replay_on_the_command_line_repeats_a_run_of_epochs_too(tmp_path: Path) -> None:
    assert main(["train", "digits", "--epochs", "2", "--threads", "1", "-o", str(tmp_path / "a")]) == 0
    assert main(["train", "--replay", str(tmp_path / "a"), "-o", str(tmp_path / "b")]) == 0
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_events_tell_the_budget(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    run = trained(bars_data, tmp_path / "run", budget=0.5)
    events = map(json.loads, (run.path / "events.jsonl").read_text().splitlines())
    planned, started, *_, ended = (event for event in events if event["event"] != "Warned")  # of a busy processor
    assert (planned["event"], planned["network"]) == ("Planned", run.config.model.name)
    assert (started["epochs"], started["budget"]) == (None, 0.5)
    assert ended["reason"] == "time is up"


def test_what_torch_loads_for_a_training_is_loaded_before_the_clock_starts(tmp_path: Path) -> None:
    program = (
        "import sys, eyesight; from eyesight.training import trainer; before = set(sys.modules);"
        f"eyesight.train('digits', updates=1, output={str(tmp_path / 'run')!r}, progress=False);"
        "print(sum(name.startswith('torch') for name in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10  # hundreds otherwise
