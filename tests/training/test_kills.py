"""Trainings that are killed or stopped at any moment, again and again, end as if nothing had happened.

Real processes and real signals; `kill_worker.py` makes the processes, so that hundreds of them take minutes.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import eyesight
from eyesight.formats import is_temporary, read_tensors
from eyesight.training.optim.averaging import AVERAGES
from eyesight.training.optim.optimizers import OPTIMIZERS
from eyesight.training.optim.schedules import SCHEDULES

WORKER = Path(__file__).with_name("kill_worker.py")
PROMPT = 2.0  # seconds from a signal to the end of the process, where a step takes less
Job = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal that killed it), when, and what it said on stderr."""

    code: int
    at: float
    log: str

    def __str__(self) -> str:
        return f"exit code {self.code}, said:\n{self.log}"


class Child:
    """A process that trains."""

    def __init__(self, worker: Worker, pid: int, log: Path) -> None:
        self.worker, self.pid, self.log = worker, pid, log

    def send(self, number: signal.Signals) -> float:
        """Send a signal and return when; its number stays taken until `wait`, so no other process can be hit."""
        now = time.monotonic()
        os.kill(self.pid, number)
        return now

    def lasts_until(self, condition: Callable[[], bool]) -> bool:
        """Wait, without a pause, until the condition holds (True) or the process has ended (False)."""
        handle = os.pidfd_open(self.pid)
        try:
            while not condition():
                if select.select([handle], [], [], 0)[0]:
                    return False
            return True
        finally:
            os.close(handle)

    def wait(self) -> Ended:
        """Wait for the end."""
        answer = self.worker.ask("")
        return Ended(answer["code"], answer["ended"], self.log.read_text() if self.log.exists() else "")


class Worker:
    """Starts processes through `kill_worker.py`, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def start(self, job: Job, **blow: Any) -> Child:
        self.log.unlink(missing_ok=True)
        whole = job | {"log": str(self.log), "blow": {"kind": "file", "at": None} | blow}
        return Child(self, self.ask(json.dumps(whole))["pid"], self.log)

    def run(self, job: Job, **blow: Any) -> Ended:
        return self.start(job, **blow).wait()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("worker"))
    with worker.process:  # closes stdin, whereupon it ends
        yield worker


@pytest.fixture
def rng() -> Iterator[random.Random]:
    """Another one in every session; a failure shows its seed."""
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed of this test:", seed)
    return random.Random(seed)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def outcome(output: Path) -> dict[str, Any]:
    """What a training came to, less the time it took; nothing unfinished may lie in its folder."""
    run = eyesight.open_run(output)
    about = run.about()
    assert about["status"] == "complete"
    assert [path for path in output.rglob("*") if is_temporary(path)] == []
    assert 1 <= len(list(run.folder.checkpoints_folder.iterdir())) <= 2
    assert read_tensors(run.model_file)[2] == about["model_checksum"]
    return {
        "model": digest(run.model_file),
        "last": digest(run.last_model_file),
        "rows": [{**row, "seconds": 0} for row in run.metrics()],
        **{key: about[key] for key in ("kept_epoch", "steps", "reason")},
    }


def resuming(job: Job) -> Job:
    if "argv" in job:
        return job | {"argv": ["train", "--resume", job["output"], *job["more"]]}
    return job | {"call": "resume"}


def overwriting(job: Job) -> Job:
    if "argv" in job:
        return job | {"argv": [*job["argv"], "--overwrite"]}
    return job | {"options": job["options"] | {"overwrite": True}}


def going_on(worker: Worker, job: Job, met: Counter[str]) -> Job:
    """Return what a user does next with a run whose process is gone."""
    output = Path(job["output"])
    if not (output / "run.json").exists():
        met["before there was a run"] += 1
        return job
    if not (output / "config.yaml").exists():
        met["before there was a configuration"] += 1
        assert worker.run(resuming(job)).code == 1
        return overwriting(job)
    assert eyesight.open_run(output).status in ("interrupted", "complete")
    return resuming(job)


# --- kill -9


def combinations() -> list[tuple[str, str, str]]:
    """Every optimizer with every schedule and averaging; the first few have each of them at least once."""
    names = [list(OPTIMIZERS), list(SCHEDULES), list(AVERAGES)]
    first = [tuple(each[i % len(each)] for each in names) for i in range(max(map(len, names)))]
    return first + [each for each in itertools.product(*names) if each not in first]  # type: ignore[return-value]


CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"recipe.accumulate": 3},
    {"recipe.clip_norm": 0.5},
    {"recipe.flip": True, "recipe.shift": 1},
    {"recipe.keep": "last"},
    {"recipe.sampling": "replacement", "recipe.validation_sample": 40},
    {"recipe.label_smoothing": 0.1},
)
LENGTHS: tuple[dict[str, Any], ...] = (
    {"recipe.epochs": 4},
    {"recipe.epochs": 10, "recipe.early_stopping": {"patience": 1}, "recipe.lr": 0.03},
    {"recipe.updates": 17, "recipe.validate_every": 5},
)


def training(number: int, output: Path) -> Job:
    """Return one of many different trainings; those with the same number are the same."""
    every = combinations()
    optimizer, schedule, averaging = every[number % len(every)]
    options: dict[str, Any] = {"optimizer": optimizer, "schedule": schedule, "averaging": averaging}
    number += number // len(every)  # in the next round, the same three with other options
    options |= {"batch_size": 40, "seed": number, "threads": 1, "precision": ("fp32", "bf16")[number // 2 % 2]}
    settings = CHANGES[number % len(CHANGES)] | LENGTHS[number % len(LENGTHS)]
    job = {"call": "train", "output": str(output), "options": options | {"settings": settings}}
    if number % 2:
        return job | {"network": "noisy"}
    options["model"] = "small-cnn-1pool"
    if number % 4:
        settings |= {"model.dropout": 0.3, "model.batch_norm": True}
    return job | {"options": options | {"settings": settings}}


@dataclass
class Reference:
    """The training that nothing interrupts: what it came to, its length in seconds, its calls that touch files."""

    outcome: dict[str, Any]
    seconds: float
    calls: int


def uninterrupted(worker: Worker, job: Job) -> Reference:
    counted = Path(job["output"]).with_name("counted")
    started = time.monotonic()
    ended = worker.run(job | {"counted": str(counted)})
    assert ended.code == 0, str(ended)
    return Reference(outcome(Path(job["output"])), ended.at - started, int(counted.read_text()))


def killed(worker: Worker, job: Job, rng: random.Random, reference: Reference) -> tuple[Ended, str]:
    """Start a process that is killed, if it lasts long enough; return how it ended and how it was killed."""
    how = rng.choices(["moment", "call", "file"], [3, 6, 1])[0]
    if how == "call":
        moment = rng.choice(["before", "middle", "after"])
        return worker.run(job, at=rng.randrange(reference.calls), moment=moment), "inside a save"
    child = worker.start(job)
    if how == "moment":
        time.sleep(rng.uniform(0, reference.seconds))
        child.send(signal.SIGKILL)
        return child.wait(), "at a random moment"
    folder, seen, wanted = Path(job["output"]) / "checkpoints", set[Path](), rng.randrange(1, 12)

    def appears() -> bool:
        with contextlib.suppress(FileNotFoundError):
            seen.update(filter(is_temporary, folder.iterdir()))
        return len(seen) >= wanted

    if child.lasts_until(appears):
        child.send(signal.SIGKILL)
    return child.wait(), "inside a save"


def endure(worker: Worker, job: Job, rng: random.Random, reference: Reference, met: Counter[str]) -> None:
    """Bring a training to its end through one to four kills."""
    begun, sitting, todo = job, 0, job
    while True:
        if sitting == 0 or (sitting < 4 and rng.random() < 0.4):
            ended, how = killed(worker, todo, rng, reference)
        else:
            ended, how = worker.run(todo), "no"
        if ended.code != -signal.SIGKILL:
            assert ended.code == 0, f"killed: {how}\n{todo}\n{ended}"
            if sitting:
                return
            shutil.rmtree(job["output"])  # it was over before it was hit: once more
            continue
        met[how] += 1
        met["kills"] += 1
        met["again"] += sitting > 0
        sitting += 1
        todo = going_on(worker, begun, met)


@pytest.mark.parametrize("count", [8, pytest.param(500, marks=pytest.mark.long)])
def test_killed_at_any_moment_every_training_ends_with_the_weights_of_the_uninterrupted_one(
    worker: Worker, tmp_path: Path, rng: random.Random, proof: Callable[[str], None], count: int
) -> None:
    """In the short size, every optimizer, schedule and averaging is met; in the long one, every combination."""
    references: list[Reference] = []
    different = len(combinations())
    needed = different if count > 100 else max(map(len, (OPTIMIZERS, SCHEDULES, AVERAGES)))
    met: Counter[str] = Counter()
    for number in itertools.cycle(range(different)):
        if len(references) <= number:
            references.append(uninterrupted(worker, training(number, tmp_path / "whole" / "run")))
            shutil.rmtree(tmp_path / "whole")
        output = tmp_path / "run"
        endure(worker, training(number, output), rng, references[number], met)
        assert outcome(output) == references[number].outcome, training(number, output)
        shutil.rmtree(output)
        if met["kills"] >= count and len(references) >= needed:
            break
    assert met["inside a save"] > met["at a random moment"] > 0 or count < 100
    assert any("no better" in reference.outcome["reason"] for reference in references) or count < 100
    if count > 100:
        proof(
            f"kill -9: {met['kills']} kills ({met['at a random moment']} at random moments, {met['inside a save']} "
            f"inside saves and other writes; {met['again']} of them while resuming, {met['before there was a run']} "
            f"before there was a run, {met['before there was a configuration']} before it was whole) of {different} "
            "different trainings, every run ended with the hash of the uninterrupted one"
        )


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=pytest.mark.long)])
def test_killed_at_any_moment_a_training_by_the_clock_is_repeated_from_its_record(
    worker: Worker, tmp_path: Path, rng: random.Random, proof: Callable[[str], None], count: int
) -> None:
    met: Counter[str] = Counter()
    for number in itertools.count():
        output, again = tmp_path / f"run-{number}", tmp_path / f"again-{number}"
        job = training(number, output)
        length = dict.fromkeys(LENGTHS[1] | LENGTHS[2]) | {"recipe.budget": 0.5}
        job["options"]["settings"] |= length
        endure(worker, job, rng, Reference({}, 0.6, 300), met)
        expected = outcome(output)
        repeat = job | {"output": str(again), "options": {"replay": str(output)}}
        if number % 3 == 2:
            endure(worker, repeat, rng, Reference({}, 0.6, 300), met)
        else:
            ended = worker.run(repeat)
            assert ended.code == 0, str(ended)
        assert outcome(again) == expected, job
        if met["kills"] >= count:
            break
    if count > 10:
        proof(
            f"kill -9 by the clock: {met['kills']} kills ({met['again']} of them while resuming) of {number + 1} "
            "trainings with a budget, every one repeated from its record to the same hash"
        )


# dropout before batch norm, an average that needs new statistics, a last round that is shorter than the others
DELICATE: Job = {
    "call": "train",
    "network": "noisy",
    "options": {
        "averaging": "swa",
        "batch_size": 40,
        "threads": 1,
        "precision": "fp32",
        "settings": {"recipe.updates": 17, "recipe.validate_every": 5},
    },
}


def test_killed_while_its_model_is_written_a_training_writes_the_same_model(worker: Worker, tmp_path: Path) -> None:
    job = DELICATE | {"output": str(tmp_path / "run")}
    reference = uninterrupted(worker, job)
    for call in range(reference.calls - 55, reference.calls, 9):
        shutil.rmtree(tmp_path / "run")
        assert worker.run(job, at=call).code == -signal.SIGKILL
        ended = worker.run(resuming(job))
        assert ended.code == 0, str(ended)
        assert outcome(tmp_path / "run") == reference.outcome, f"killed at call {call} of {reference.calls}"


def test_a_repetition_that_is_killed_as_it_begins_stays_a_repetition(worker: Worker, tmp_path: Path) -> None:
    output, again = tmp_path / "run", tmp_path / "again"
    job = training(0, output)
    job["options"]["settings"] = {"recipe.budget": 0.3}
    ended = worker.run(job)
    assert ended.code == 0, str(ended)
    expected = outcome(output)
    repeat = job | {"output": str(again), "options": {"replay": str(output)}}
    for call in range(10, 58, 8):  # from its first files to its first saved state
        assert worker.run(repeat, at=call).code == -signal.SIGKILL
        ended = worker.run(going_on(worker, repeat, Counter()))
        assert ended.code == 0, str(ended)
        assert outcome(again) == expected, f"killed at call {call}"
        shutil.rmtree(again)


# --- SIGTERM and Ctrl-C


@dataclass(frozen=True)
class Stopped:
    """How a process answered a signal: its end, and the seconds that it took; None where no signal was sent."""

    ended: Ended
    took: float | None


def stopped(worker: Worker, job: Job, number: signal.Signals, note: Path, **blow: Any) -> Stopped:
    """Run a job that sends itself a signal."""
    note.unlink(missing_ok=True)
    ended = worker.run(job, number=int(number), note=str(note), **blow)
    return Stopped(ended, ended.at - float(note.read_text()) if note.exists() else None)


def stopped_at_random(
    worker: Worker, job: Job, number: signal.Signals, rng: random.Random, reference: Reference
) -> Stopped:
    """Run a job that gets a signal at a random moment, or in a validation, in batch norm's statistics, or in a save."""
    kind = rng.choice(["moment", "file", "logits", "statistics"])
    if kind == "moment":
        child = worker.start(job)
        time.sleep(rng.uniform(0, reference.seconds))
        sent = child.send(number)
        ended = child.wait()
        return Stopped(ended, ended.at - sent)
    at = rng.randrange(reference.calls if kind == "file" else 4)
    return stopped(worker, job, number, Path(job["output"]).with_name("note"), kind=kind, at=at)


def commands(number: int, output: Path) -> Job:
    """Return a training on the command line."""
    options = ["--epochs", "2", "--threads", "1", "--precision", "fp32", "--seed", str(number)]
    more = ["--checkpoint-every", "0.001s"]
    return {"argv": ["train", "digits", "-o", str(output), *options, *more], "more": more, "output": str(output)}


@pytest.mark.parametrize(
    ("number", "count"),
    [
        (signal.SIGTERM, 3),
        (signal.SIGINT, 1),
        pytest.param(signal.SIGTERM, 50, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 50, marks=pytest.mark.long),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_signal_at_any_moment_saves_and_names_the_command_that_resumes(
    worker: Worker, tmp_path: Path, rng: random.Random, proof: Callable[[str], None], number: signal.Signals, count: int
) -> None:
    met: Counter[str] = Counter()
    slowest = 0.0
    references: dict[int, Reference] = {}
    output = tmp_path / "run"
    for i in itertools.count():
        kind = i % min(count, 16)
        make = commands if kind % 4 == 0 else training
        if kind not in references:
            references[kind] = uninterrupted(worker, make(kind, output))
            shutil.rmtree(output)
        job = make(kind, output)
        reply = stopped_at_random(worker, job, number, rng, references[kind])
        text = f"{job}\n{reply}"
        if reply.ended.code == 128 + number and "--resume" in reply.ended.log:
            assert reply.ended.log.splitlines()[-1].startswith("eyesight: error: interrupted after step "), text
            assert reply.ended.log.splitlines()[-1].endswith(f"go on with: eyesight train --resume {output}"), text
            assert eyesight.open_run(output).about()["reason"] == f"signal {number}"
            assert reply.took is not None
            slowest = max(slowest, reply.took)
            met["saved"] += 1
        elif (output / "run.json").exists():
            assert eyesight.open_run(output).status == "complete", text  # only the model was left to be written
            assert reply.ended.code in (0, -number, 128 + number), text  # or not even that: it was on its way out
            met["complete"] += 1
        else:
            assert reply.ended.code in (-number, 128 + number), text
        ended = worker.run(going_on(worker, job, met))
        assert ended.code == 0, f"{text}\n{ended}"
        assert outcome(output) == references[kind].outcome, text
        shutil.rmtree(output)
        if met["saved"] >= count:
            break
    assert slowest < PROMPT
    if count > 10:
        proof(
            f"{number.name}: {met['saved']} times at a random moment, in validation or in a save: exit code "
            f"{128 + number}, the slowest {slowest:.2f} s after the signal, every run resumed to the same hash"
        )


@pytest.mark.parametrize(
    ("kind", "at"), [("forward", 9), ("statistics", 0), ("logits", 3), ("metrics", 1), ("metrics", 3)]
)
def test_a_signal_at_the_end_of_an_epoch_changes_nothing(worker: Worker, tmp_path: Path, kind: str, at: int) -> None:
    job = DELICATE | {"output": str(tmp_path / "run")}
    expected = uninterrupted(worker, job).outcome
    shutil.rmtree(tmp_path / "run")
    reply = stopped(worker, job, signal.SIGTERM, tmp_path / "note", kind=kind, at=at)
    assert reply.ended.code == 143, str(reply.ended)
    ended = worker.run(resuming(job))
    assert ended.code == 0, str(ended)
    assert outcome(tmp_path / "run") == expected


@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_a_second_ctrl_c_ends_at_once_in_the_middle_of_a_long_step(worker: Worker, tmp_path: Path, kind: str) -> None:
    note = tmp_path / "note"
    options = {"epochs": 1, "batch_size": 120, "threads": 1, "precision": "fp32"}
    job = {"call": "train", "output": str(tmp_path / "run"), "network": "slow", "arguments": [3.0], "options": options}
    child = worker.start(job, kind=kind, at=0, number=int(signal.SIGINT), note=str(note))
    assert child.lasts_until(note.exists)
    time.sleep(0.3)
    sent = child.send(signal.SIGINT)
    ended = child.wait()
    assert ended.code in (130, -signal.SIGINT), str(ended)  # what a shell calls 130 in either case
    assert ended.at - sent < 1.0
    ended = worker.run(going_on(worker, job | {"arguments": [0.0]}, Counter()))
    assert ended.code == 0, str(ended)
    outcome(tmp_path / "run")


@pytest.mark.parametrize(("kind", "averaging"), [("logits", "none"), ("statistics", "ema")])
def test_a_signal_is_answered_soon_where_validation_takes_long(
    worker: Worker, tmp_path: Path, kind: str, averaging: str
) -> None:
    options = {"epochs": 1, "batch_size": 64, "threads": 1, "precision": "fp32", "averaging": averaging}
    job = {"call": "train", "output": str(tmp_path / "run"), "options": options, "pictures": 3000}
    job |= {"network": "ponderous", "arguments": [0.005], "saving": 60}
    reply = stopped(worker, job, signal.SIGTERM, tmp_path / "note", kind=kind, at=0)
    assert reply.ended.code == 143, str(reply.ended)
    assert reply.took is not None
    assert reply.took < PROMPT
