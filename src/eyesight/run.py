"""The folder of one training run: its paths, its state, its lock. Only this file knows the names in it.

In: a path. Out: reading and writing of what a run holds. It does not train, judge or predict, and knows what the
configuration and the checkpoints contain only as plain data.

    run.json            format, version, status, what was trained on what, when
    config.yaml         everything that repeats the run
    environment.json    versions, device, threads, precision, dataset fingerprint, timings
    metrics.jsonl       a line for every epoch
    clock.jsonl         of a training by the clock: its progress before each update
    threads.jsonl       of a training that chose its CPU threads: every choice, before the update it was made for
    events.jsonl        a line for everything that happened
    model.safetensors   the classifier; last.safetensors beside it where the best weights are not the last, and where a
                        network was tuned but its probe is kept
    checkpoints/        the state of the training, the last two
    figures/            PNG files: curves and predictions of the training, and those of every evaluation
    evaluation/         one folder for each split and model: predictions, report
    out-of-fold.safetensors  of a probe: what each training picture was taken for by a layer that had not seen it
    overfitting.json    right answers on training pictures and on others, with the kept weights
    tutorial/           of a run of `eyesight tutorial`: the figures that the tutorial draws
    export/             what `eyesight export` made of the classifier, where it was not told another place
"""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

from . import locks
from .errors import FormatError, RunError
from .formats import (
    append_line,
    is_temporary,
    json_bytes,
    read_json,
    remove_temporaries,
    upgrade,
    write_bytes,
    write_json,
)

RUN_FORMAT, RUN_VERSION = "eyesight-run", 1
CONFIG_FORMAT: Final = "eyesight-config"
CONFIG_VERSION: Final = 1

REPORT_FORMAT, REPORT_VERSION = "eyesight-report", 1
PREDICTIONS_FILE, REPORT_FILE = "predictions.safetensors", "report.json"  # in an evaluation's folder

_METRICS = {"epoch", "step", "loss", "accuracy", "seconds"}  # what every line of metrics.jsonl has

Status = Literal["running", "complete", "interrupted", "failed"]


class RunFolder:
    """Paths and plain reading and writing in one run's folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: str | Path, about: dict[str, Any], *, overwrite: bool = False) -> RunFolder:
        """Make the folder of a new run.

        Args:
            path: where; must not exist, or be empty.
            about: what `runs` lists: data, model, seed.
            overwrite: replace an older run that lies there. Anything else that lies there is never touched.

        Raises:
            RunError: something lies there already.
        """
        run = cls(path)
        run.check_free(overwrite=overwrite)
        run.path.mkdir(parents=True, exist_ok=True)
        with run.lock():  # refuses when somebody trains there
            run.check_free(overwrite=overwrite)  # again: somebody may have been a moment faster
            run._clear()
            created = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            about = {"format": RUN_FORMAT, "version": RUN_VERSION, "status": "running", "created": created, **about}
            write_json(run._run_file, about)
        return run

    @classmethod
    def create_next(cls, folder: str | Path, name: str, about: dict[str, Any]) -> RunFolder:
        """Make the folder of a new run under the first free name: folder/name-1, folder/name-2 and so on."""
        while True:
            path = next_run_path(folder, name)
            try:
                return cls.create(path, about)
            except RunError:
                if not path.exists():
                    raise

    def check_free(self, *, overwrite: bool = False) -> None:
        """Raise `RunError` unless a new run may be made here; see `create`."""
        if not self.path.exists() or (self.path.is_dir() and all(map(self._may_go, self.path.iterdir()))):
            return
        if not self._run_file.is_file():
            raise RunError(f"{self.path}: exists and is not a run; choose another --output")
        try:
            self.about()
        except FormatError as error:  # somebody else's run.json, or a newer program's: not ours to replace
            raise RunError(f"{self.path}: exists, and cannot be replaced ({error}); choose another --output") from None
        if not overwrite:
            raise RunError(f"{self.path}: exists; choose another --output, go on with --resume, or pass --overwrite")

    def _may_go(self, path: Path) -> bool:
        """Tell whether a file is all that an earlier `create` came to, which was killed or met a full disk."""
        return path.name == locks.LOCK_FILE or (is_temporary(path) and path.name.startswith(f".{self._run_file.name}."))

    def _clear(self) -> None:
        """Remove all but the lock, the run file last: what is left of a run can be replaced again."""
        for path in sorted(self.path.iterdir(), key=lambda path: path == self._run_file):
            if path.name == locks.LOCK_FILE:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open an existing run.

        Raises:
            RunError: no such folder, or not a run.
            FormatError: a run of a newer version.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise RunError(f"{path}: {'a file, not a run' if run.path.exists() else 'no such run'}")
        if not run._run_file.is_file():
            raise RunError(f"{path}: not a run (it has no {run._run_file.name})")
        run.about()
        return run

    @property
    def _run_file(self) -> Path:
        return self.path / "run.json"

    @property
    def model_file(self) -> Path:
        """The classifier that the run kept."""
        return self.path / "model.safetensors"

    @property
    def last_model_file(self) -> Path:
        """The classifier with the last weights, where those are not the ones kept."""
        return self.path / "last.safetensors"

    @property
    def clock_file(self) -> Path:
        """The record of a training by the clock: its progress before each update."""
        return self.path / "clock.jsonl"

    @property
    def threads_file(self) -> Path:
        """The record of a training that chose its CPU threads: each choice and the update it was made before."""
        return self.path / "threads.jsonl"

    @property
    def out_of_fold_file(self) -> Path:
        """Predictions of the training pictures in a cross-validation; only a probe makes them."""
        return self.path / "out-of-fold.safetensors"

    @property
    def checkpoints_folder(self) -> Path:
        """Where the states of the training lie."""
        return self.path / "checkpoints"

    @property
    def tutorial_folder(self) -> Path:
        """Where the figures of a tutorial lie."""
        return self.path / "tutorial"

    @property
    def export_folder(self) -> Path:
        """Where exported files lie."""
        return self.path / "export"

    @property
    def figures_folder(self) -> Path:
        """Where the figures of training and evaluations lie."""
        return self.path / "figures"

    @property
    def overfitting_file(self) -> Path:
        """What was measured of training pictures and others, to tell whether the classifier overfits."""
        return self.path / "overfitting.json"

    def evaluation_folder(self, split: str, fingerprint: str) -> Path:
        """Where what was derived from one split lies; `fingerprint` tells models and data apart."""
        return self.path / "evaluation" / f"{split}-{fingerprint[:8]}"

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports of all evaluations as plain data, oldest first; unreadable ones are left out."""
        found = sorted((self.path / "evaluation").glob(f"*/{REPORT_FILE}"), key=lambda path: path.stat().st_mtime)
        reports = []
        for path in found:
            with contextlib.suppress(FormatError):
                report = read_json(path, name=REPORT_FORMAT, version=REPORT_VERSION)
                reports += [report] if {"split", "model", "accuracy"} <= report.keys() else []
        return reports

    def about(self) -> dict[str, Any]:
        """Return what `run.json` says, with the true status: a run whose process died is interrupted."""
        about = read_json(self._run_file, name=RUN_FORMAT, version=RUN_VERSION)
        if about.get("status") not in get_args(Status):
            expected = ", ".join(get_args(Status))
            raise FormatError(
                f"{self._run_file}: status should be one of {expected}; received: {about.get('status')!r}"
            )
        if about["status"] == "running" and not self.is_locked():
            about["status"] = "interrupted"
        return about

    @property
    def status(self) -> Status:
        """How far the run is."""
        status: Status = self.about()["status"]
        return status

    def update(self, **changes: Any) -> None:
        """Change entries of `run.json`."""
        write_json(self._run_file, read_json(self._run_file, name=RUN_FORMAT, version=RUN_VERSION) | changes)

    def write_config(self, config: dict[str, Any]) -> None:
        """Write `config.yaml`."""
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        write_bytes(self.path / "config.yaml", text.encode())

    @property
    def exists(self) -> bool:
        """Whether the run is still there."""
        return self._run_file.is_file()

    @property
    def has_config(self) -> bool:
        """Whether the run got as far as writing its configuration."""
        return (self.path / "config.yaml").is_file()

    def read_config(self) -> dict[str, Any]:
        """Return the contents of `config.yaml`, at the current version."""
        return read_config_file(self.path / "config.yaml")

    def write_environment(self, environment: dict[str, Any]) -> None:
        """Write `environment.json`."""
        write_json(self.path / "environment.json", {"format": "eyesight-environment", "version": 1, **environment})

    def read_environment(self) -> dict[str, Any]:
        """Return the contents of `environment.json`."""
        return read_json(self.path / "environment.json", name="eyesight-environment", version=1)

    def append_event(self, event: dict[str, Any]) -> None:
        """Add a line to `events.jsonl`."""
        append_line(self.path / "events.jsonl", json_bytes(event))

    def write_metrics(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `metrics.jsonl`: a line for every epoch."""
        write_bytes(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row for every epoch; none before the first has ended.

        Raises:
            FormatError: a line that is not JSON or lacks a figure.
        """
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (ValueError, RecursionError):
            raise FormatError(f"{path}: a line is not JSON, or cut off") from None
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict) or not row.keys() >= _METRICS:
                raise FormatError(f"{path}: line {number} should have {', '.join(sorted(_METRICS))}")
        return rows

    def trained_epochs(self, rows: Sequence[dict[str, Any]]) -> list[float] | None:
        """Return the times through the training pictures at every row of `metrics`; None where that is not known.

        Rows are looks at the validation pictures, which need not lie an epoch apart. Runs of older versions do not say
        how many updates an epoch has.
        """
        per_epoch = self.about().get("steps_per_epoch")
        if isinstance(per_epoch, int) and per_epoch > 0:
            return [row["step"] / per_epoch for row in rows]
        recipe = self.read_config().get("recipe", {}) if self.has_config else {}
        return None if recipe.get("validate_every") else [float(row["epoch"]) for row in rows]

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises:
            RunError: another process holds it.
        """
        with locks.hold(self.path, doing="using this run"):
            for folder in (self.path, self.checkpoints_folder):  # which only the holder of the lock writes to
                remove_temporaries(folder)
            yield

    def is_locked(self) -> bool:
        """Tell whether a process holds the run."""
        return locks.is_held(self.path)


def read_config_file(path: Path) -> dict[str, Any]:
    """Return the contents of a configuration file, at the current version.

    Raises:
        FormatError: missing, not YAML, another format, or newer.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # a date that is none is a ValueError
        raise FormatError(f"{path}: not a YAML file") from None
    return upgrade(value, path, name=CONFIG_FORMAT, version=CONFIG_VERSION, upgrades={})


def list_runs(folder: str | Path) -> list[RunFolder]:
    """Return the runs directly in a folder, oldest first; of a folder that is a run itself, that run."""
    found = [RunFolder(path.parent) for pattern in ("run.json", "*/run.json") for path in Path(folder).glob(pattern)]
    return sorted(found, key=lambda run: (run._run_file.stat().st_mtime, run.path.name))


def next_run_path(folder: str | Path, name: str) -> Path:
    """Return a path that does not exist yet: folder/name-1, folder/name-2 and so on."""
    number = 1
    while (path := Path(folder) / f"{name}-{number}").exists():
        number += 1
    return path
