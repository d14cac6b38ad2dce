"""Trainings that are killed, interrupted or damaged go on to the weights they would have had anyway."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.cli import main
from eyesight.errors import InterruptedRun, RunError, UsageError
from eyesight.formats import read_tensors

OPTIONS = ("--epochs", "40", "--threads", "1", "--precision", "fp32", "--seed", "7")
STEPS = 40 * 21


def start(output: Path, *options: str, every: str = "0.05s") -> subprocess.Popen[str]:
    code = "import sys; from eyesight.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "train", *OPTIONS, "-o", str(output), "--checkpoint-every", every, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: object, process: subprocess.Popen[str], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def stopped(output: Path, how: signal.Signals, *, after: float = 0.0) -> tuple[int, str]:
    """Start a training, send it a signal a while after its first checkpoint, and return exit code and stderr."""
    process = start(output)
    try:
        wait_for(lambda: any((output / "checkpoints").glob("step-*")), process)
        time.sleep(after)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, errors


def tensors(run: Path) -> dict[str, np.ndarray]:
    return read_tensors(run / "model.safetensors")[0]


def rows(run: Path) -> list[dict[str, float]]:
    return [{**row, "seconds": 0.0} for row in eyesight.open_run(run).metrics()]


def assert_same(run: Path, whole: Path) -> None:
    found, expected = tensors(run), tensors(whole)
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert rows(run) == rows(whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing interrupts."""
    output = tmp_path_factory.mktemp("whole") / "run"
    assert main(["train", *OPTIONS, "-o", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that a signal stopped; copy it before going on with it."""
    output = tmp_path_factory.mktemp("interrupted") / "run"
    code, errors = stopped(output, signal.SIGTERM, after=0.1)
    assert code == 143, errors
    return output


@pytest.fixture
def copy(interrupted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(interrupted, tmp_path / "copy"))


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    code, _ = stopped(output, signal.SIGKILL, after=random.uniform(0, 0.3))
    assert code == -signal.SIGKILL
    run = eyesight.open_run(output)
    assert run.status == "interrupted"
    assert not run.model_file.exists()
    assert main(["train", "--resume", str(output)]) == 0
    assert "going on at step" in capsys.readouterr().err
    assert_same(output, whole)


def test_ctrl_c_saves_says_how_to_go_on_and_exits_130(whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    code, errors = stopped(output, signal.SIGINT)
    assert code == 130
    last = errors.splitlines()[-1]
    assert last.startswith("eyesight: error: interrupted after step ")
    assert last.endswith(f"go on with: eyesight train --resume {output}")
    run = eyesight.open_run(output)
    assert run.status == "interrupted"
    assert run.about()["reason"] == "signal 2"
    newest = max((output / "checkpoints").iterdir())
    assert f"after step {int(newest.stem.removeprefix('step-'))} of {STEPS}" in last
    eyesight.resume(output, progress=False)
    assert_same(output, whole)


def test_sigterm_saves_too_and_exits_143(interrupted: Path) -> None:
    """The exit code is checked where the run is made."""
    assert eyesight.open_run(interrupted).about()["reason"] == "signal 15"
    assert 0 < len(rows(interrupted)) < 40


def test_killed_before_anything_was_saved_it_starts_over_and_says_so(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    process = start(output, every="1h")
    wait_for((output / "config.yaml").exists, process)
    process.kill()
    process.communicate()
    for saved in (output / "checkpoints").glob("*"):  # saved at the end of the first epoch, on a fast machine
        saved.unlink()
    assert main(["train", "--resume", str(output)]) == 0
    assert "stopped before anything was saved; starting over" in capsys.readouterr().err
    assert_same(output, whole)


def test_a_complete_run_is_left_as_it_is_and_said_to_be(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert main(["train", "--resume", str(whole)]) == 0
    assert "is complete already; nothing to do" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_a_damaged_newest_state_is_told_and_the_one_before_it_used(
    whole: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older, newest = sorted((copy / "checkpoints").iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    assert main(["train", "--resume", str(copy)]) == 0
    errors = capsys.readouterr().err
    assert f"warning: {newest}: damaged" in errors
    assert f"going on at step {int(older.stem.removeprefix('step-')):,}" in errors
    assert_same(copy, whole)


def test_a_changed_configuration_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = copy / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.2", "lr: 0.3"))
    assert main(["train", "--resume", str(copy)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "because recipe.lr was 0.2 and is 0.3; put it back, or start a new run" in errors[0]
    assert eyesight.open_run(copy).status == "interrupted"


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        (["--epochs", "3"], "--epochs"),
        (["--seed", "0"], "--seed"),
        (["digits"], "DATA"),
        (["--set", "recipe.lr=1"], "--set"),
        (["--overwrite"], "--overwrite"),
        (["-o", "x"], "--output"),
        (["-b", "1"], "--batch-size"),
    ],
)
def test_resume_takes_no_option_that_would_change_the_run(
    copy: Path, capsys: pytest.CaptureFixture[str], extra: list[str], name: str
) -> None:
    assert main(["train", "--resume", str(copy), *extra]) == 2
    expected = f"eyesight: error: --resume: goes on with what the run was started with; received: {name}\n"
    assert capsys.readouterr().err == expected


def test_two_trainers_cannot_share_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    process = start(output)
    try:
        wait_for(lambda: any((output / "checkpoints").glob("step-*")), process)
        assert eyesight.open_run(output).status == "running"
        assert main(["train", "--resume", str(output)]) == 1
        assert main(["train", "--epochs", "1", "-o", str(output), "--overwrite"]) == 1
        assert process.poll() is None, "it ended before it could be disturbed"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    errors = capsys.readouterr().err.splitlines()
    assert errors == [f"eyesight: error: {output}: another process is using this run"] * 2


def interrupt_arrays(data: eyesight.Dataset, output: Path) -> None:
    def stop(event: object) -> None:
        if type(event).__name__ == "EpochEnded":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun) as caught:
        eyesight.train(data, output=output, epochs=3, threads=1, progress=False, listeners=[stop])
    assert caught.value.exit_code == 130
    assert len(eyesight.open_run(output).metrics()) == 1


def test_other_data_than_it_was_started_with_is_refused(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    interrupt_arrays(bars_data, tmp_path / "run")
    pictures, labels = bars_data.train.gather(np.arange(270)), bars_data.train.labels.copy()
    labels[0] = (labels[0] + 1) % 3
    with pytest.raises(RunError, match=r"train had 270 pictures and has 243 pictures; .* has no pict"):
        eyesight.resume(tmp_path / "run", data=eyesight.from_arrays((pictures, labels)), progress=False)
    with pytest.raises(RunError, match=r"train has 270 pictures as before, but they or their labels are"):
        eyesight.resume(tmp_path / "run", data=bars_data.with_validation(0.1, seed=1), progress=False)
    assert eyesight.resume(tmp_path / "run", data=bars_data, progress=False).status == "complete"


def test_a_run_on_arrays_asks_for_them(
    bars_data: eyesight.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_arrays(bars_data, tmp_path / "run")
    with pytest.raises(UsageError, match=r"was trained on arrays, .*data=eyesight\.from_arrays"):
        eyesight.resume(tmp_path / "run", progress=False)
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
    assert "was trained on arrays" in capsys.readouterr().err


def test_the_signal_handlers_of_the_caller_come_back(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupt_arrays(bars_data, tmp_path / "run")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
