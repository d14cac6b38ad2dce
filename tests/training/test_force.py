"""Going on although something has changed: other versions may be forced, other data or configuration may not."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import eyesight
from eyesight.cli import main
from eyesight.errors import InterruptedRun, RunError, UsageError
from eyesight.formats import read_tensors, write_tensors
from eyesight.training.events import EpochEnded, Event, Started, Warned

OPTIONS = {"model": "small-cnn-1pool", "epochs": 4, "threads": 1, "precision": "fp32", "progress": False}


def stop_in_the_third_epoch(event: Event) -> None:
    if isinstance(event, EpochEnded) and event.row["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def stopped(bars_data: eyesight.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after two of four epochs; copy it before going on with it."""
    output = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(InterruptedRun):
        eyesight.train(bars_data, output=output, listeners=[stop_in_the_third_epoch], **OPTIONS)
    return output


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


@pytest.fixture(scope="module")
def whole(bars_data: eyesight.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return eyesight.train(bars_data, output=tmp_path_factory.mktemp("whole") / "run", **OPTIONS).path


def edit(run: Path, old: str, new: str) -> None:
    text = (run / "config.yaml").read_text()
    assert old in text
    (run / "config.yaml").write_text(text.replace(old, new))


def change_identity(run: Path, **changes: object) -> None:
    """Write the newest state anew, as if it had been saved under something else."""
    path = max((run / "checkpoints").glob("step-*"))
    arrays, description, _ = read_tensors(path)
    description["identity"] |= changes
    write_tensors(path, arrays, description)


def forced(run: Path, data: eyesight.Dataset, **options: object) -> tuple[eyesight.Run, list[str]]:
    heard: list[Event] = []
    result = eyesight.resume(run, data=data, force=True, progress=False, listeners=[heard.append], **options)
    return result, [event.message for event in heard if isinstance(event, Warned)]


OTHER = {"python": "3.11.7", "eyesight": eyesight.__version__, "torch": "1.0.0", "numpy": np.__version__}


def test_another_version_is_refused_and_named(run: Path, bars_data: eyesight.Dataset) -> None:
    change_identity(run, versions=OTHER)
    with pytest.raises(RunError, match=r"version of torch was 1\.0\.0 and is .* or add --force to go on all the same"):
        eyesight.resume(run, data=bars_data, progress=False)


def test_another_version_that_is_forced_goes_on_with_all_that_was_saved_and_the_run_remembers(
    run: Path, whole: Path, bars_data: eyesight.Dataset
) -> None:
    change_identity(run, versions=OTHER)
    result, told = forced(run, bars_data)
    assert result.status == "complete"
    assert any(text.startswith("--force: version of torch was 1.0.0 and is ") for text in told)
    assert told[-1] == "--force: the weights will be those of an uninterrupted run only about"
    assert result.model_file.read_bytes() == (whole / "model.safetensors").read_bytes()  # truly the same ones
    assert [text.partition(" was ")[0] for text in result.about()["forced"]][-1] == "version of torch"
    assert any("the run went on with --force after changes: version of " in note for note in notes(result, bars_data))
    with pytest.raises(RunError, match="went on with --force after changes, and so cannot be repeated"):
        eyesight.train(bars_data, replay=run, output=run.parent / "again")


def notes(run: eyesight.Run, data: eyesight.Dataset) -> tuple[str, ...]:
    return run.evaluate(data=data).report.notes


def test_the_same_change_forced_twice_is_noted_once(run: Path, bars_data: eyesight.Dataset) -> None:
    change_identity(run, versions=OTHER)

    def stop(event: Event) -> None:
        if isinstance(event, Started):
            os._exit(1)

    if (child := os.fork()) == 0:
        eyesight.resume(run, data=bars_data, force=True, progress=False, listeners=[stop])
    os.waitpid(child, 0)
    result, _ = forced(run, bars_data)
    assert len(set(result.about()["forced"])) == len(result.about()["forced"]) > 0


@pytest.mark.parametrize("force", [False, True])
def test_every_changed_setting_is_named_and_nothing_is_touched(
    run: Path, bars_data: eyesight.Dataset, force: bool
) -> None:
    edit(run, "lr: 0.001", "lr: 0.01")
    edit(run, "epochs: 4", "epochs: 5")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    expected = r"recipe\.epochs was 4 and is 5; recipe\.lr was 0\.001 and is 0\.01; put it back, or start a new run"
    with pytest.raises(RunError, match=expected):
        eyesight.resume(run, data=bars_data, progress=False, force=force)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("force", [False, True])
def test_other_pictures_are_refused_whatever_is_forced(run: Path, bars_data: eyesight.Dataset, force: bool) -> None:
    with pytest.raises(RunError, match=r"train has 270 pictures as before, but they .* or start a new run"):
        eyesight.resume(run, data=bars_data.with_validation(0.1, seed=5), progress=False, force=force)


def test_an_entry_that_the_older_version_did_not_know_is_no_change(
    run: Path, whole: Path, bars_data: eyesight.Dataset
) -> None:
    path = max((run / "checkpoints").glob("step-*"))
    config = read_tensors(path)[1]["identity"]["config"]
    del config["recipe"]["views"]
    change_identity(run, config=config)
    assert eyesight.resume(run, data=bars_data, progress=False).status == "complete"


def test_a_state_of_the_first_version_is_refused_for_what_it_does_not_say(
    run: Path, bars_data: eyesight.Dataset
) -> None:
    path = max((run / "checkpoints").glob("step-*"))
    arrays, description, _ = read_tensors(path)
    del (
        arrays["clock"],
        description["identity"],
        description["state"]["averaged"],
        description["state"]["best_averaged"],
    )
    write_tensors(path, arrays, description | {"version": 1, "config": "0" * 64, "data": "0" * 64})
    with pytest.raises(RunError, match="what it was saved of was not recorded then"):
        eyesight.resume(run, data=bars_data, progress=False)
    result, _ = forced(run, bars_data)
    assert [row["epoch"] for row in result.metrics()] == [1, 2, 3, 4]


def test_an_unchanged_run_loses_nothing_by_force(run: Path, whole: Path, bars_data: eyesight.Dataset) -> None:
    result, told = forced(run, bars_data)
    assert told == []
    assert result.model_file.read_bytes() == (whole / "model.safetensors").read_bytes()
    assert "forced" not in result.about()


def test_another_processor_is_told_but_not_refused(run: Path, whole: Path, bars_data: eyesight.Dataset) -> None:
    change_identity(run, processor="Abacus 3000")
    heard: list[Event] = []
    result = eyesight.resume(run, data=bars_data, progress=False, listeners=[heard.append])
    warned = [event.message for event in heard if isinstance(event, Warned)]
    assert len(warned) == 1
    assert warned[0].startswith("the processor was Abacus 3000 and is ")
    assert result.model_file.read_bytes() == (whole / "model.safetensors").read_bytes()


def test_other_first_weights_of_this_machine_are_told_when_a_run_is_repeated(
    whole: Path, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    environment = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps(environment | {"first_weights": "0" * 64}))
    heard: list[Event] = []
    eyesight.train(bars_data, replay=copy, output=tmp_path / "again", progress=False, listeners=[heard.append])
    warned = [event.message for event in heard if isinstance(event, Warned)]
    assert warned == ["this machine computes other first weights: it will not repeat bit for bit"]


def test_force_is_only_for_resuming(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--force"]) == 2
    assert capsys.readouterr().err == "eyesight: error: --force: only with --resume\n"


def test_stopped_before_anything_was_saved_it_does_not_start_over_as_something_else(
    run: Path, whole: Path, bars_data: eyesight.Dataset
) -> None:
    shutil.rmtree(run / "checkpoints")
    edit(run, "lr: 0.001", "lr: 0.01")
    for force in (False, True):
        with pytest.raises(RunError, match=r"recipe\.lr was 0\.001 and is 0\.01"):
            eyesight.resume(run, data=bars_data, progress=False, force=force)
    edit(run, "lr: 0.01", "lr: 0.001")
    with pytest.raises(RunError, match=r"train has 270 pictures as before, but they"):
        eyesight.resume(run, data=bars_data.with_validation(0.1, seed=5), progress=False)
    result = eyesight.resume(run, data=bars_data, progress=False)
    assert result.model_file.read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_state_that_lacks_a_part_is_told_and_the_one_before_it_used(
    run: Path, whole: Path, bars_data: eyesight.Dataset
) -> None:
    path = max((run / "checkpoints").glob("step-*"))
    arrays, description, _ = read_tensors(path)
    write_tensors(path, arrays, {key: value for key, value in description.items() if key != "state"})
    heard: list[Event] = []
    result = eyesight.resume(run, data=bars_data, progress=False, listeners=[heard.append])
    assert any(isinstance(event, Warned) and "not a whole state of a training" in event.message for event in heard)
    assert result.model_file.read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize("missing", ["sums", "network/head.dense1.weight"])
def test_a_state_without_a_tensor_is_one_line(run: Path, bars_data: eyesight.Dataset, missing: str) -> None:
    path = max((run / "checkpoints").glob("step-*"))
    arrays, description, _ = read_tensors(path)
    del arrays[missing]
    write_tensors(path, arrays, description)
    with pytest.raises(eyesight.EyesightError, match=path.name):
        eyesight.resume(run, data=bars_data, progress=False)


def stop_in_validation(
    data: eyesight.Dataset, output: Path, monkeypatch: pytest.MonkeyPatch, **options: object
) -> None:
    """Train until a signal comes with the last update of the first epoch, so that its validation is not begun."""
    from eyesight.training import loop

    plain, calls = loop.train_step, []

    def counted(*args: object) -> None:
        plain(*args)
        calls.append(1)
        if len(calls) == 5:  # 270 pictures at 64
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop, "train_step", counted)
    with pytest.raises(InterruptedRun):
        eyesight.train(data, output=output, **{**OPTIONS, **options})
    monkeypatch.undo()
    assert eyesight.open_run(output).metrics() == []


def test_stopped_again_before_its_epoch_was_judged_a_run_still_ends_the_same(
    whole: Path, bars_data: eyesight.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in_validation(bars_data, tmp_path / "run", monkeypatch)

    def stop(event: Event) -> None:
        if isinstance(event, Started):
            os.kill(os.getpid(), signal.SIGTERM)

    for _ in range(2):
        with pytest.raises(InterruptedRun) as caught:
            eyesight.resume(tmp_path / "run", data=bars_data, progress=False, listeners=[stop])
        assert caught.value.exit_code == 143
    result = eyesight.resume(tmp_path / "run", data=bars_data, progress=False)
    assert [row["epoch"] for row in result.metrics()] == [1, 2, 3, 4]
    assert result.model_file.read_bytes() == (whole / "model.safetensors").read_bytes()


def test_where_no_state_can_be_read_it_does_not_start_over_by_itself(run: Path, bars_data: eyesight.Dataset) -> None:
    states = sorted((run / "checkpoints").glob("step-*"))
    for path in states:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match=rf"none of its {len(states)} saved states can be read .* --force to start over"):
        eyesight.resume(run, data=bars_data, progress=False)
    assert sorted((run / "checkpoints").glob("step-*")) == states
    result, told = forced(run, bars_data)
    assert any("no state can be read; starting over" in text for text in told)
    assert len(result.metrics()) == 4


def test_a_state_of_a_newer_eyesight_is_not_passed_over(run: Path, bars_data: eyesight.Dataset) -> None:
    path = max((run / "checkpoints").glob("step-*"))
    arrays, description, _ = read_tensors(path)
    write_tensors(path, arrays, description | {"version": 99})
    with pytest.raises(eyesight.EyesightError, match="update eyesight"):
        eyesight.resume(run, data=bars_data, progress=False)
    assert path.is_file()


def test_a_run_that_failed_before_anything_was_saved_says_why(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    with pytest.raises(eyesight.EyesightError, match="no longer a number"):
        eyesight.train(bars_data, output=tmp_path / "run", **{**OPTIONS, "lr": 1e12})
    heard: list[Event] = []
    with pytest.raises(eyesight.EyesightError, match="no longer a number"):
        eyesight.resume(tmp_path / "run", data=bars_data, progress=False, listeners=[heard.append])
    told = [event.message for event in heard if isinstance(event, Warned)]
    assert len(told) == 1
    assert "stopped before anything was saved (the loss is no longer a number" in told[0]


def test_a_run_that_is_removed_while_it_trains_does_not_come_back_in_parts(
    bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    def remove(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.row["epoch"] == 2:
            shutil.rmtree(tmp_path / "run")
            (tmp_path / "run").mkdir()  # as appending to a file in it would

    with pytest.raises(RunError, match="was removed while it was training"):
        eyesight.train(
            bars_data, output=tmp_path / "run", listeners=[remove], checkpoint_every=0.001, **{**OPTIONS, "epochs": 50}
        )
    assert not (tmp_path / "run" / "checkpoints").exists()


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = torch.nn.Linear(432, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(x.flatten(1)))


class Other(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.sin(x.flatten(1)))


def test_another_class_of_the_same_shapes_is_refused(bars_data: eyesight.Dataset, tmp_path: Path, run: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(InterruptedRun):
        eyesight.train(
            bars_data, output=tmp_path / "net", listeners=[stop_in_the_third_epoch], **{**OPTIONS, "model": Net()}
        )
    with pytest.raises(UsageError, match=r"was trained with .*Net; received: .*Other"):
        eyesight.resume(tmp_path / "net", data=bars_data, model=Other(), progress=False)
    with pytest.raises(UsageError, match="pass an instance as model="):
        eyesight.resume(tmp_path / "net", data=bars_data, progress=False)
    with pytest.raises(UsageError, match=r"was trained with small-cnn-1pool; received: .*Net"):
        eyesight.resume(run, data=bars_data, model=Net(), progress=False)
    complete = eyesight.resume(tmp_path / "net", data=bars_data, model=Net(), progress=False)
    assert eyesight.resume(complete.path, progress=False).status == "complete"  # nothing to do, so nothing is needed
    with pytest.raises(RunError, match="your module begins with other weights"):
        eyesight.train(bars_data, replay=complete, model=Net(), output=tmp_path / "again", progress=False)
    torch.manual_seed(0)
    again = eyesight.train(bars_data, replay=complete, model=Net(), output=tmp_path / "again", progress=False)
    assert again.model_file.read_bytes() == complete.model_file.read_bytes()
