"""Makes trainings that are to be killed, each a process of its own that starts at once.

In: jobs as lines of JSON on stdin, see `work`. Out: for every job a line with the number of its process; once the
tester has answered with an empty line, another with its exit code and when it ended. `test_kills.py` starts it.

It loads torch and eyesight once and then forks a process for every job. That is safe as long as it has a single
thread, which it checks: nothing has been computed in parallel, so no lock and no pool of threads can be torn in two.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # read when torch is loaded

import numpy as np
import torch
from torch import nn

import eyesight
from eyesight.classifier import Classifier
from eyesight.cli import main
from eyesight.cli.app import explain
from eyesight.data import catalog
from eyesight.run import RunFolder
from eyesight.training import loop
from eyesight.training.job import prepare
from eyesight.training.optim.optimizers import OPTIMIZERS
from eyesight.training.plan.recipe import parse_config

_PATIENCE = 300  # seconds; a process that hangs ends then, and is found out by its exit code
_CALLS = ("mkdir", "open", "write", "fsync", "posix_fadvise", "ftruncate", "replace", "unlink", "close")


def tiny_data(count: int) -> eyesight.Dataset:
    """Pictures of 6x6, of three kinds that differ in where they are bright; two fifths of them are for validation."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pictures = rng.integers(0, 160, (count, 6, 6, 1), dtype=np.uint8)
    for kind in range(3):
        pictures[labels == kind, 2 * kind : 2 * kind + 2] += 60
    return eyesight.from_arrays((pictures, labels), validation=0.4)


class Noisy(nn.Sequential):
    """Has what is easily forgotten when going on: dropout draws, batch norm remembers."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 3), nn.Dropout(0.3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 3)
        )


class Slow(nn.Module):
    """Computes for about so many seconds forward, and twice as long backward, however few the pictures."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.wide, self.head = nn.Linear(256, 256), nn.Linear(36, 3)
        started = time.perf_counter()
        for _ in range(50):
            self.wide(torch.zeros(1024, 256))
        self.repeats = max(1, round(seconds * 50 / (time.perf_counter() - started)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = torch.ones(1024, 256) * x.mean()
        for _ in range(self.repeats if self.training else 1):
            wide = self.wide(wide)
        logits: torch.Tensor = self.head(x.flatten(1))
        return logits + wide.mean()


class Ponderous(nn.Module):
    """Takes so many seconds for every picture, except in updates: those would only make the test longer."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36), nn.Linear(36, 3))
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            time.sleep(self.seconds * len(x))
        logits: torch.Tensor = self.layers(x)
        return logits


DATA = tiny_data(200)
NETWORKS: dict[str, Callable[..., nn.Module]] = {"noisy": Noisy, "slow": Slow, "ponderous": Ponderous}


class Blow:
    """Sends this process a signal at one of the calls that it makes.

    Args:
        kind: "file" counts calls of the system on files in `folder`; "forward" counts updates, "backward" their second
            halves, "logits" predictions, "statistics" collections of batch norm's statistics, "metrics" ends of epochs.
        folder: where files count.
        at: number of the call, from 0; None for none, only to count.
        moment: "before" or "after" the call, or in the "middle" of a write, when half of the bytes are there.
        number: of the signal.
        note: file that is told when the signal was sent.
    """

    def __init__(
        self,
        *,
        kind: str,
        folder: str,
        at: int | None,
        moment: str = "before",
        number: int = 9,
        note: str | None = None,
    ) -> None:
        self.kind, self.folder, self.at, self.moment, self.number, self.note = kind, folder, at, moment, number, note
        self.count = 0
        self.files: dict[int, str] = {}

    def install(self) -> None:
        """Watch the calls from now on."""
        places: dict[str, list[tuple[Any, str]]] = {
            "file": [*((os, name) for name in _CALLS), (Path, "read_bytes")],
            "forward": [(loop, "train_step")],
            "backward": [(torch.Tensor, "backward")],
            "logits": [(Classifier, "logits")],
            "statistics": [(loop, "collect_statistics")],
            "metrics": [(RunFolder, "write_metrics")],
        }
        for owner, name in places[self.kind]:
            self._watch(owner, name)

    def _watch(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def watched(first: Any, *more: Any, **named: Any) -> Any:
            if self.kind == "file" and not self._path(first).startswith(self.folder):
                return real(first, *more, **named)
            self.count += 1
            if self.count - 1 != self.at:
                return self._noted(name, first, real(first, *more, **named))
            if self.moment == "before":
                self.strike()
            if self.moment == "middle" and name == "write":
                more = (bytes(more[0])[: len(more[0]) // 2 or 1],)
            result = self._noted(name, first, real(first, *more, **named))
            if self.moment != "before":
                self.strike()
            return result

        setattr(owner, name, watched)

    def _path(self, first: Any) -> str:
        return self.files.get(first, "") if isinstance(first, int) else os.fspath(first)

    def _noted(self, name: str, first: Any, result: Any) -> Any:
        """Remember which file a handle stands for."""
        if name == "open":
            self.files[result] = os.fspath(first)
        elif name == "close":
            self.files.pop(first, None)
        return result

    def strike(self) -> None:
        """Send the signal."""
        if self.note:
            Path(self.note).write_text(repr(time.monotonic()))
        os.kill(os.getpid(), self.number)


def work(job: dict[str, Any]) -> int:
    """Do one job and return an exit code.

    Args:
        job: `argv` for a command line; or else `call` (train or resume), the `output` folder, a `network` of the user
            with its `arguments`, and `options`. `blow`, see there; `counted`: the file for the number of calls;
            `saving`: seconds between saved states, 0 to save after every update.
    """
    blow = Blow(folder=job["output"], **job["blow"])
    blow.install()
    saving = job.get("saving", 0)
    if not saving:
        loop._FLUSH_SECONDS = 0.0
    code = main(job["argv"]) if "argv" in job else call(job, max(saving, 1e-9))
    if "counted" in job:
        Path(job["counted"]).write_text(str(blow.count))
    return code


def call(job: dict[str, Any], saving: float) -> int:
    """Train or go on through the library."""
    data = tiny_data(job["pictures"]) if "pictures" in job else DATA
    torch.manual_seed(3)  # the first weights of a user's own network are the user's
    module = NETWORKS[job["network"]](*job.get("arguments", ())) if job.get("network") else None
    common = {"model": module, "progress": False, "checkpoint_every": saving}
    try:
        if job["call"] == "train":
            common["model"] = module or job["options"].pop("model", None)
            eyesight.train(data, output=job["output"], **common, **job["options"])
        else:
            eyesight.resume(job["output"], data=data, **common)
    except (Exception, KeyboardInterrupt) as error:  # as the program would
        message, code = explain(error)
        if "fault in eyesight" in message:
            traceback.print_exc()
        print(f"eyesight: error: {message}", file=sys.stderr)
        return code
    return 0


def warm_up() -> None:
    """Load what a training loads when it begins, without computing anything that lasts."""
    catalog.load("digits", validation=0.1)
    for optimizer in OPTIMIZERS:
        recipe = {"optimizer": optimizer}
        prepare(
            DATA, parse_config({"format": "eyesight-config", "version": 1, "recipe": recipe, "model": {"name": "mlp"}})
        )


def child(job: dict[str, Any]) -> None:
    """Be the process of one job; does not return."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(_PATIENCE)
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number, handle in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(handle, number)
    code = 70
    try:
        code = work(job)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Answer jobs until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is for the tester
    torch.set_num_threads(1)
    warm_up()
    while line := sys.stdin.readline():
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads != 1:
            raise RuntimeError(f"{threads} threads: not safe to fork")
        pid = os.fork()
        if not pid:
            child(json.loads(line))
        print(json.dumps({"pid": pid}), flush=True)
        sys.stdin.readline()  # until then it may be sent signals: its number stays taken
        _, status, usage = os.wait4(pid, 0)
        ended = {"code": os.waitstatus_to_exitcode(status), "ended": time.monotonic()}
        print(json.dumps(ended | {"cpu": usage.ru_utime + usage.ru_stime}), flush=True)


if __name__ == "__main__":
    serve()
