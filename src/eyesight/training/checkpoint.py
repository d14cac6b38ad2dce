"""The state of a training on disk.

In: a `TrainState` and the folder. Out: one checksummed file for each saved moment, the newest two kept; loading takes
the newest that is whole. Written to a temporary file, synced, read back and compared, then renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FormatError
from ..formats import Arrays, read_tensors, upgrade, write_tensors
from .state import TrainState

CHECKPOINT_FORMAT, CHECKPOINT_VERSION = "eyesight-checkpoint", 1

_KEPT = 2  # should the newest turn out damaged, the one before it is still there


@dataclass(frozen=True)
class Checkpoint:
    """A state as it was read: its file, tensors, plain data, and the run it belongs to."""

    path: Path
    arrays: Arrays
    facts: dict[str, Any]
    config: str
    data: str


def save(state: TrainState, folder: Path, *, config: str, data: str) -> Path:
    """Write the state; older files than the last two go.

    Args:
        state: what to save.
        folder: of the checkpoints.
        config: hash of the configuration, so that a state is never continued under another one.
        data: fingerprint of the dataset, likewise.
    """
    path = folder / f"step-{state.step:09d}.safetensors"
    description = {
        "format": CHECKPOINT_FORMAT,
        "version": CHECKPOINT_VERSION,
        "config": config,
        "data": data,
        "state": state.facts(),
    }
    write_tensors(path, state.arrays(), description)
    others = sorted(folder.glob("step-*.safetensors"))
    others.remove(path)
    later = [other for other in others if other > path]  # what a resume passed over as damaged
    earlier = [other for other in others if other < path]
    for old in later + earlier[: len(earlier) + 1 - _KEPT]:
        old.unlink()
    return path


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint, or None, and what was wrong with any newer ones."""
    problems: list[str] = []
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            return _read(path), problems
        except FormatError as error:
            problems.append(str(error))
    return None, problems


def _read(path: Path) -> Checkpoint:
    arrays, description, _ = read_tensors(path)
    description = upgrade(description, path, name=CHECKPOINT_FORMAT, version=CHECKPOINT_VERSION, upgrades={})
    return Checkpoint(path, arrays, description["state"], description["config"], description["data"])
