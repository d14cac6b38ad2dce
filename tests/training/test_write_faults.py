"""Disks that are full, failing or read-only, and clocks that jump: told in one line, and nothing saved is lost.

Faults are put into the calls of the system that a real training makes; limits, full disks and read-only folders are
real ones.
"""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import eyesight
from eyesight.cli import main
from eyesight.cli.app import explain
from eyesight.errors import EyesightError, RunError
from eyesight.formats import is_temporary, read_tensors
from eyesight.run import RunFolder
from eyesight.training import checkpoint
from eyesight.training.events import CheckpointSaved, EpochEnded

ERRORS = ("ENOSPC", "EIO", "EACCES")
FAULTS = {
    "mkdir": ERRORS,
    "open": ERRORS,
    "write": (*ERRORS, "short", "short, then ENOSPC", "full from here on"),
    "fsync": ERRORS,
    "replace": ERRORS,
    "unlink": ERRORS,
}
TRAINING = {"model": "small-cnn-1pool", "epochs": 3, "batch_size": 90, "seed": 5, "threads": 1, "precision": "fp32"}


class Faults:
    """Notes the calls of the system that touch files in a folder, and makes one of them fail.

    Args:
        folder: where files count.
        at: number of the call that fails, from 0; None for none.
        fault: what happens to it.
    """

    def __init__(self, folder: Path, *, at: int | None = None, fault: str = "") -> None:
        self.folder, self.at, self.fault = str(folder), at, fault
        self.calls: list[tuple[str, str]] = []
        self.checkpoints: list[str] = []  # that were put in their place
        self.files: dict[int, str] = {}
        self.struck, self.full = False, False

    @contextmanager
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
        self.real = {name: getattr(os, name) for name in (*FAULTS, "close")}
        with monkeypatch.context() as patch:
            for name in self.real:
                patch.setattr(os, name, getattr(self, name))
            yield self

    def strikes(self, call: str, path: str) -> bool:
        """Count a call; raise the fault if it is this one's turn, or tell that it should be short."""
        if not path.startswith(self.folder):
            return False
        self.calls.append((call, path))
        if self.full and call == "write":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if len(self.calls) - 1 != self.at:
            return False
        self.struck = True
        if self.fault.startswith("short"):
            return True
        self.full = self.fault.startswith("full")
        number = errno.ENOSPC if self.full else getattr(errno, self.fault)
        raise OSError(number, os.strerror(number), path)

    def mkdir(self, path, *more, **named):
        self.strikes("mkdir", str(path))
        self.real["mkdir"](path, *more, **named)

    def open(self, path, flags, *more, **named):
        self.strikes("open", str(path))
        handle = self.real["open"](path, flags, *more, **named)
        self.files[handle] = str(path)
        return handle

    def write(self, handle, data):
        if self.strikes("write", self.files.get(handle, "")):
            self.full = self.fault != "short"
            return self.real["write"](handle, bytes(data)[: len(data) // 2 or 1])
        return self.real["write"](handle, data)

    def fsync(self, handle):
        self.strikes("fsync", self.files.get(handle, ""))
        self.real["fsync"](handle)

    def replace(self, old, new):
        self.strikes("replace", str(new))
        self.real["replace"](old, new)
        if Path(new).name.startswith("step-"):
            self.checkpoints.append(Path(new).name)

    def unlink(self, path, *more, **named):
        self.strikes("unlink", str(path))
        self.real["unlink"](path, *more, **named)

    def close(self, handle):
        self.files.pop(handle, None)
        self.real["close"](handle)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def train(data: eyesight.Dataset, output: Path, **more) -> eyesight.Run:
    return eyesight.train(data, output=output, checkpoint_every=0.001, progress=False, **TRAINING, **more)


def result(run: Path) -> object:
    """What a training came to, less the time it took: the model file with its checksum, the epochs, what was kept."""
    opened = eyesight.open_run(run)
    about = opened.about()
    assert about["status"] == "complete"
    assert read_tensors(opened.model_file)[2] == about["model_checksum"]
    for line in (run / "events.jsonl").read_text().splitlines():
        json.loads(line)
    rows = [{**row, "seconds": 0} for row in opened.metrics()]
    return opened.model_file.read_bytes(), rows, about["kept_epoch"], about["steps"]


def assert_nothing_lost(run: Path, saved: list[str]) -> None:
    """All files are whole, no temporary one is left, and the newest state is the last that was saved."""
    assert [path for path in run.rglob("*") if is_temporary(path)] == []
    for path in run.rglob("*.safetensors"):
        read_tensors(path)
    for path in run.rglob("*.json"):
        json.loads(path.read_bytes())
    found, problems = checkpoint.newest(run / "checkpoints")
    assert problems == []
    assert (found.path.name if found else None) == (saved[-1] if saved else None)


def go_on(data: eyesight.Dataset, run: Path) -> str:
    """Bring a run that a fault ended to its end, as a user would; return how."""
    if (run / "run.json").exists() and eyesight.open_run(run).status == "complete":
        return "complete"
    try:
        eyesight.resume(run, data=data, progress=False)
    except EyesightError:
        if all((run / name).exists() for name in ("run.json", "config.yaml", "environment.json")):
            raise
        train(data, run, overwrite=True)  # nothing had begun
        return "started"
    return "resumed"


@pytest.fixture(scope="module")
def whole(bars_data: eyesight.Dataset, tmp_path_factory: pytest.TempPathFactory) -> object:
    """What the training comes to that nothing disturbs."""
    return result(train(bars_data, tmp_path_factory.mktemp("whole") / "run").path)


@pytest.mark.parametrize("places", ["states", pytest.param("all", marks=pytest.mark.long)])
def test_a_fault_in_any_call_of_the_system_is_told_and_nothing_saved_is_lost(
    places, bars_data, whole, tmp_path, monkeypatch, proof
):
    with Faults(tmp_path / "counted").installed(monkeypatch) as counted:
        train(bars_data, tmp_path / "counted")
    calls = counted.calls
    cases = [(at, fault) for at, (call, _) in enumerate(calls) for fault in FAULTS[call]]
    if places == "states":  # one fault of each kind
        random.Random(4).shuffle(cases)
        cases = [(at, fault) for at, fault in cases if "/checkpoints" in calls[at][1]]
        cases = list({(calls[at][0], fault): (at, fault) for at, fault in cases}.values())
    told = harmless = resumed = 0
    for at, fault in cases:
        run = tmp_path / "run"
        with Faults(run, at=at, fault=fault).installed(monkeypatch) as faults:
            try:
                train(bars_data, run)
            except (OSError, EyesightError) as error:
                line, code = explain(error)
                assert (code, fault == "short") == (1, False), (at, fault, line)
                assert line.startswith(f"{run}"), (at, fault, line)
                told += 1
            else:
                # of a folder that is there already, it does not matter whether it could be made
                assert fault == "short" or not faults.struck or faults.calls[at][0] == "mkdir", (at, fault)
                assert result(run) == whole, (at, fault)
                harmless += 1
        assert_nothing_lost(run, faults.checkpoints)
        resumed += go_on(bars_data, run) == "resumed"
        assert result(run) == whole, (at, fault)
        shutil.rmtree(run)
    assert told
    if places == "all":
        proof(
            f"faults in writing: {len(cases)} put into the {len(calls)} calls of a training's saves; {told} "
            f"told with the file's name, {harmless} did no harm; {resumed} resumed to the same bits"
        )


# -- what killed processes leave -------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from eyesight.formats import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half of it")
    os.kill(os.getpid(), 9)
"""


def killed_while_writing(path: Path) -> None:
    found = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert found.returncode == -9
    assert any(is_temporary(left) for left in path.parent.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next_that_holds_the_run(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    killed_while_writing(run.path / "run.json")
    killed_while_writing(run.checkpoints_folder / "step-000000001.safetensors")
    assert RunFolder.open(run.path).status == "interrupted"  # looking is not holding
    assert any(is_temporary(left) for left in run.path.iterdir())
    with run.lock():
        assert contents(run.path).keys() == {"run.json", "lock"}


def test_a_run_whose_making_was_killed_can_be_made_again(tmp_path):
    killed_while_writing(tmp_path / "run" / "run.json")
    assert RunFolder.create(tmp_path / "run", {}).status == "interrupted"
    assert contents(tmp_path / "run").keys() == {"run.json", "lock"}
    killed_while_writing(tmp_path / "other" / "mine.txt")
    with pytest.raises(RunError, match="exists and is not a run"):
        RunFolder.create(tmp_path / "other", {})


# -- real limits -----------------------------------------------------------------------------------------------------

OPTIONS = ["--model", "small-cnn-1pool", "--epochs", "4", "--optimizer", "sgd", "--set", "recipe.keep=last",
           "--threads", "1", "--precision", "fp32"]  # fmt: skip


def stop_after(count: int) -> Callable[[object], None]:
    """A listener that ends the training after so many epochs, when its state is saved."""
    epochs = []

    def listen(event: object) -> None:
        if isinstance(event, EpochEnded):
            epochs.append(event)
        if isinstance(event, CheckpointSaved) and len(epochs) == count:
            raise KeyboardInterrupt

    return listen


@pytest.fixture(scope="module")
def digits_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model of the training with `OPTIONS` that nothing disturbs."""
    run = tmp_path_factory.mktemp("digits") / "run"
    assert main(["train", *OPTIONS, "-o", str(run)]) == 0
    return (run / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, stopped after two epochs; copy it before going on with it."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(KeyboardInterrupt):
        eyesight.train(
            "digits", model="small-cnn-1pool", epochs=4, optimizer="sgd", keep="last", threads=1, precision="fp32",
            output=run, progress=False, checkpoint_every=0.001, listeners=[stop_after(2)],
        )  # fmt: skip
    return run


@pytest.fixture
def stopped(stopped_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped_run, tmp_path / "run"))


def test_a_limit_on_the_size_of_files_is_told_and_the_older_states_stay(
    stopped: Path, digits_model: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(stopped / "checkpoints")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # Python ignores the signal that comes with it
    try:
        assert main(["train", "--resume", str(stopped), "--checkpoint-every", "0.001s"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"eyesight: error: {stopped}/checkpoints/step-")
    assert line.endswith("file too large")
    assert contents(stopped / "checkpoints") == before
    assert eyesight.open_run(stopped).status == "failed"
    assert main(["train", "--resume", str(stopped)]) == 0
    assert (stopped / "model.safetensors").read_bytes() == digits_model


def able_to_mount() -> list[str]:
    """Return the command that gives a process mounts of its own, or skip."""
    tried = []
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if shutil.which("unshare") is None:
            tried.append("there is no unshare")
            break
        mount = [*command, "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
        found = subprocess.run(mount, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return command
        tried.append(found.stderr.strip())
    pytest.skip(f"nothing can be mounted here: {'; '.join(tried)}")


PRELUDE = """
import contextlib, io, json, sys
from pathlib import Path
from eyesight.cli import main

def call(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return code, out.getvalue(), err.getvalue()

folder = Path(sys.argv[1])
"""


def in_child(prefix: list[str], code: str, folder: Path) -> dict[str, object]:
    """Run Python behind a command and return the JSON it prints last."""
    command = [*prefix, sys.executable, "-c", PRELUDE + code, str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 0, found.stderr
    return dict(json.loads(found.stdout.splitlines()[-1]))


FILL = """
ballast = folder / "ballast"
ballast.write_bytes(bytes(1_300_000))
run = folder / "run"
options = json.loads((folder.parent / "options").read_text())
first = call("train", *options, "-o", str(run), "--checkpoint-every", "0.001s")
status = json.loads(call("runs", str(folder), "--json")[1])[0]["status"]
left = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
from eyesight.run import RunFolder
from eyesight.training import checkpoint
found, problems = checkpoint.newest(run / "checkpoints")
ballast.unlink()
second = call("train", "--resume", str(run))
(folder.parent / "model").write_bytes((run / "model.safetensors").read_bytes())
print(json.dumps(dict(first=first, status=status, left=left, problems=problems, second=second, newest=found.path.name)))
"""


def test_a_full_disk_is_told_and_with_room_made_it_goes_on_to_the_same_model(tmp_path, digits_model):
    """Room for two states, and not for the third before the first can go."""
    prefix = [*able_to_mount(), "sh", "-c", f'mount -t tmpfs -o size=3m none "{tmp_path}/disk" && exec "$@"', "sh"]
    (tmp_path / "disk").mkdir()
    (tmp_path / "options").write_text(json.dumps(OPTIONS))
    found = in_child(prefix, FILL, tmp_path / "disk")
    code, _, errors = found["first"]
    assert code == 1
    line = errors.splitlines()[-1]
    assert line.startswith(f"eyesight: error: {tmp_path}/disk/run/checkpoints/step-")
    assert line.endswith(".safetensors: no space left on the disk")
    _, newest = states = [name for name in found["left"] if name.startswith("checkpoints/")]
    assert (found["status"], found["problems"], found["newest"]) == ("failed", [], Path(newest).name)
    others = ["config.yaml", "environment.json", "events.jsonl", "lock", "metrics.jsonl", "run.json"]
    assert found["left"] == [*states, *others]
    assert found["second"][0] == 0, found["second"]
    assert f"going on at step {int(Path(newest).stem.removeprefix('step-'))}" in found["second"][2]
    assert (tmp_path / "model").read_bytes() == digits_model


# -- folders that can only be read -----------------------------------------------------------------------------------

USE = """
stopped, complete, picture = (str(folder / name) for name in ("stopped", "complete", "picture.png"))
print(json.dumps(dict(
    resume=call("train", "--resume", stopped),
    again=call("train", "--resume", complete),
    overwrite=call("train", "--epochs", "1", "--overwrite", "-o", complete),
    evaluate=call("evaluate", complete),
    predict=call("predict", complete, picture, "--json"),
    runs=call("runs", str(folder), "--json"),
)))
"""


def without_privileges() -> list[str]:
    """Return the command that takes away the right of root to write anywhere; other users need none."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and there is no setpriv to take that right away")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"]


@pytest.mark.parametrize("how", ["mounted", pytest.param("permissions", marks=pytest.mark.long)])
def test_a_run_that_can_only_be_read_predicts_and_is_listed_and_says_why_not_more(how, stopped, digits_run, tmp_path):
    from PIL import Image

    folder = tmp_path / "runs"
    folder.mkdir()
    stopped.rename(folder / "stopped")
    shutil.copytree(digits_run.path, folder / "complete")
    Image.new("L", (8, 8)).save(folder / "picture.png")
    if how == "mounted":
        script = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" && exec "$@"'
        prefix, reason = [*able_to_mount(), "sh", "-c", script, "sh"], "read-only file system"
    else:
        prefix, reason = without_privileges(), "permission denied"
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    before = contents(folder)
    if how == "permissions":
        for path in (*folders, *(path for path in folder.rglob("*") if path.is_file())):
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        found = in_child(prefix, USE, folder)
    finally:
        for path in folders:
            path.chmod(0o755)
    assert contents(folder) == before
    for name, path in (("resume", "stopped/lock"), ("overwrite", "complete/lock"), ("evaluate", "complete/")):
        code, out, errors = found[name]
        assert (code, out, errors.count("\n")) == (1, "", 1), (name, errors)
        assert errors.startswith(f"eyesight: error: {folder}/{path}"), errors
        assert errors.endswith(f": {reason}\n")
    assert (found["again"][0], found["predict"][0], found["runs"][0]) == (0, 0, 0)
    assert json.loads(found["predict"][1])[0]["label"]
    statuses = {Path(row["run"]).name: row["status"] for row in json.loads(found["runs"][1])}
    assert statuses == {"stopped": "interrupted", "complete": "complete"}


# -- clocks ----------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_by_years_changes_nothing(bars_data, whole, tmp_path, monkeypatch, capsys):
    real, rng, year = time.time, random.Random(3), 365.25 * 86400
    monkeypatch.setattr(time, "time", lambda: real() + rng.uniform(-40, 40) * year)
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(bars_data, run, listeners=[stop_after(2)])
    older, newest = sorted((run / "checkpoints").iterdir())
    os.utime(older, (real() + 50 * year,) * 2)
    os.utime(newest, (0, 0))
    for path in run.iterdir():
        os.utime(path, (real() + rng.choice([-1, 1]) * 10 * year,) * 2)
    assert checkpoint.newest(run / "checkpoints")[0].path == newest
    eyesight.resume(run, data=bars_data, progress=False)
    assert result(run) == whole
    os.utime(run / "run.json", (real() + 60 * year,) * 2)
    opened = eyesight.open_run(run, data=bars_data)
    assert opened.evaluate().accuracy > 0.5
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    durations = [event["seconds"] for event in events if "seconds" in event] + [opened.about()["seconds"]]
    durations += [row["seconds"] for row in opened.metrics()]
    assert min(durations) >= 0
    assert main(["runs", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert str(run) in listed
    assert "complete" in listed
    assert " -" not in listed
