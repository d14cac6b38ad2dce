"""How many CPU threads a training takes: the faster number, recorded before it is used, and repeated bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import eyesight
from eyesight.errors import FormatError, UsageError
from eyesight.training import threads as module
from eyesight.training.events import CheckpointSaved, EpochEnded, Event, ThreadsChosen
from eyesight.training.plan.recipe import parse_config
from eyesight.training.threads import Choice, Threads, read_choices


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    """Torch has two threads, whatever machine this is, and gets back what it had."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def train_with(threads: Threads, seconds: Callable[[int, int], float], *, steps: range) -> list[int]:
    """Make updates that take `seconds(step, threads)`; return the threads of each."""
    used = []
    for step in steps:
        threads.before(step)
        used.append(torch.get_num_threads())
        threads.after(step, seconds(step, used[-1]))
    return used


def chooser(path: Path, choices: list[Choice] | None = None, tell: Callable[[Event], None] = lambda _: None) -> Threads:
    return Threads(choices or [], (1, 2), updates=3, path=path, tell=tell)


@pytest.mark.parametrize(
    ("several", "taken", "reason"),
    [
        (0.06, 2, "1.7 times as fast"),
        (0.095, 1, "2 are hardly faster"),
        (0.09, 2, "1.1 times as fast"),
        (1.5, 1, "other programs use the processor: with 2, updates take 15.0 times as long"),
    ],
)
def test_the_faster_number_of_threads_is_taken_and_recorded(
    tmp_path: Path, several: float, taken: int, reason: str
) -> None:
    told: list[Any] = []
    threads = chooser(tmp_path / "t.jsonl", tell=told.append)
    used = train_with(threads, lambda _, count: 0.1 if count == 1 else several, steps=range(30))
    assert used[:6] == [1, 1, 1, 1, 2, 2]  # of each the first is not timed
    assert set(used[8:]) == {taken}
    assert read_choices(tmp_path / "t.jsonl") == threads.choices
    assert [event.threads for event in told] == [taken]
    assert reason in told[0].reason


def test_all_threads_are_given_up_as_soon_as_they_cannot_win(tmp_path: Path) -> None:
    threads = Threads([], (1, 2), updates=10, path=tmp_path / "t.jsonl")
    used = train_with(threads, lambda _, count: 0.01 if count == 1 else 0.2, steps=range(20))
    assert used == [1] * 11 + [2] * 2 + [1] * 7


def test_a_choice_is_on_disk_before_the_update_that_it_is_for(tmp_path: Path) -> None:
    threads = chooser(tmp_path / "t.jsonl")

    def seconds(step: int, count: int) -> float:
        recorded = read_choices(tmp_path / "t.jsonl")
        assert [choice.threads for choice in recorded if choice.step <= step][-1] == count
        return 0.1 / count

    train_with(threads, seconds, steps=range(12))


def test_another_look_is_taken_where_the_pace_halves_but_not_all_the_time(tmp_path: Path) -> None:
    told: list[Any] = []
    threads = chooser(tmp_path / "t.jsonl", tell=told.append)
    pace = {1: 0.1, 2: 0.06}
    used = train_with(threads, lambda step, count: 3.0 if step > 300 and count == 2 else pace[count], steps=range(400))
    assert set(used[8:301]) == {2}
    assert set(used[320:]) == {1}
    assert [event.threads for event in told] == [2, 1]
    # a machine that is slow with any number: looked at again only after twenty times as long as a look took
    before = len(threads.choices)
    train_with(threads, lambda *_: 5.0, steps=range(400, 560))
    assert len(threads.choices) - before == 3


def test_recorded_choices_come_first_and_what_was_chosen_is_not_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first = chooser(path)
    pace: Callable[[int, int], float] = lambda _, count: 0.1 / count  # noqa: E731
    used = train_with(first, pace, steps=range(20))
    a_little_slower_now = train_with(chooser(path, read_choices(path)), lambda _, count: 0.09, steps=range(20))
    assert a_little_slower_now == used
    again = chooser(path, read_choices(path)[:2])  # cut in the middle of the look at two threads
    assert train_with(again, pace, steps=range(5, 30))[-1] == 2
    assert again.choices[:2] == first.choices[:2]
    assert again.choices[-1].seconds is not None


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    train_with(chooser(path), lambda _, count: 0.1 / count, steps=range(9))
    whole = path.read_bytes()
    path.write_bytes(whole + b"[9")  # cut off by a crash
    assert len(read_choices(path)) == 3
    for damage in (whole[5:], whole + b"[1, 2, 0.1]\n", whole + b"[99, 0, 0.1]\n", whole + b"[99]\n", b"\n"):
        path.write_bytes(damage)
        with pytest.raises(FormatError, match=r"t\.jsonl"):
            read_choices(path)


@pytest.mark.parametrize("value", [0, -1, 1025, True, "two", 1.5, [], [[1, 1]], [[0, 1], [0, 2]], [[0, 0]], [[0]], [1]])
def test_threads_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"machine\.threads: expected auto, or a number from 1 to 1024; received:"):
        parse_config({"machine": {"threads": value}})


@pytest.mark.parametrize(("value", "found"), [(None, "auto"), ("2", 2), ([[0, 1], [7, 2]], ((0, 1), (7, 2)))])
def test_threads_come_back_from_a_file_as_they_were(value: object, found: object) -> None:
    config = parse_config({"machine": {"threads": value}})
    assert config.machine.threads == found
    assert parse_config(config.model_dump(mode="json")) == config


OPTIONS = {"model": "small-cnn-1pool", "batch_size": 27, "precision": "fp32", "progress": False}


@pytest.fixture
def choosing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let also the small networks of these tests be measured, briefly."""
    monkeypatch.setattr(module, "_SMALL", 0)
    monkeypatch.setattr(module, "_LOOK", 0.0)


def test_a_run_that_chose_its_threads_is_repeated_from_its_configuration_and_its_record(
    bars_data: eyesight.Dataset, tmp_path: Path, choosing: None
) -> None:
    told: list[Event] = []
    run = eyesight.train(bars_data, output=tmp_path / "run", epochs=2, listeners=[told.append], **OPTIONS)
    chosen = [event for event in told if isinstance(event, ThreadsChosen)]
    assert len(chosen) >= 1
    assert any('"ThreadsChosen"' in line for line in (run.path / "events.jsonl").read_text().splitlines())
    threads = run.read_config()["machine"]["threads"]
    assert threads[:2] == [[0, 1], [4, 2]]
    repeated = eyesight.train(bars_data, output=tmp_path / "a", config=run.path / "config.yaml", progress=False)
    replayed = eyesight.train(bars_data, output=tmp_path / "b", replay=run, progress=False)
    for other in (repeated, replayed):
        assert other.model_file.read_bytes() == run.model_file.read_bytes()
        assert other.read_config()["machine"]["threads"] == threads
    assert torch.get_num_threads() == 2


def stop_at(step: int) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and event.step >= step:
            raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_that_is_taken_up_has_the_threads_that_were_recorded(
    bars_data: eyesight.Dataset, tmp_path: Path, choosing: None, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Also where the record was lost with the machine's power, as far as the saved state goes."""
    with pytest.raises(KeyboardInterrupt):
        eyesight.train(
            bars_data, output=tmp_path / "run", epochs=3, listeners=[stop_at(10)], checkpoint_every=1e-9, **OPTIONS
        )
    file = tmp_path / "run" / "threads.jsonl"
    recorded = read_choices(file)
    assert recorded[-1].seconds is not None
    if lost:
        file.unlink()
    monkeypatch.setattr(module, "_SLOWER", 1e9)  # other programs of this machine must not interfere
    run = eyesight.resume(tmp_path / "run", data=bars_data, progress=False)
    assert read_choices(file) == recorded
    repeated = eyesight.train(bars_data, output=tmp_path / "a", config=run.path / "config.yaml", progress=False)
    assert repeated.model_file.read_bytes() == run.model_file.read_bytes()


def test_small_networks_get_one_thread_and_a_number_that_is_asked_for_stays(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    seen: list[int] = []
    listeners = [lambda event: seen.append(torch.get_num_threads()) if isinstance(event, EpochEnded) else None]
    few = {**OPTIONS, "batch_size": 9}
    small = eyesight.train(bars_data, output=tmp_path / "a", epochs=1, listeners=listeners, **few)
    assert small.read_config()["machine"]["threads"] == 1
    asked = eyesight.train(bars_data, output=tmp_path / "b", epochs=1, threads=2, listeners=listeners, **OPTIONS)
    assert asked.read_config()["machine"]["threads"] == 2
    assert not (asked.path / "threads.jsonl").exists()
    assert seen == [1, 2]
    assert json.loads((asked.path / "environment.json").read_text())["threads"] == 2
