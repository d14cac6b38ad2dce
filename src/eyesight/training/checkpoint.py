"""The state of a training on disk.

In: a `TrainState` and the folder. Out: one checksummed file for each saved moment, the newest two kept; loading takes
the newest that is whole. Written to a temporary file, synced, read back and compared, then renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FormatError, NewerFileError
from ..formats import Arrays, read_tensors, upgrade, write_tensors
from .state import TrainState

CHECKPOINT_FORMAT, CHECKPOINT_VERSION = "eyesight-checkpoint", 2

_KEPT = 2  # should the newest turn out damaged, the one before it is still there


@dataclass(frozen=True)
class Checkpoint:
    """A state as it was read: its file, tensors, plain data, and what it belongs to."""

    path: Path
    arrays: Arrays
    facts: dict[str, Any]
    identity: dict[str, Any]


def save(state: TrainState, folder: Path, *, identity: Mapping[str, Any]) -> Path:
    """Write the state; older files than the last two go.

    Args:
        state: what to save.
        folder: of the checkpoints.
        identity: what the state belongs to, so that it is never continued as something else; see `identity`.
    """
    path = folder / f"step-{state.step:09d}.safetensors"
    description = {
        "format": CHECKPOINT_FORMAT,
        "version": CHECKPOINT_VERSION,
        "identity": identity,
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
    """Return the newest whole checkpoint, or None, and what was wrong with any newer ones.

    Raises:
        OSError: one that cannot be read now, but may be whole.
        NewerFileError: one that a newer eyesight has written.
    """
    problems: list[str] = []
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        path.open("rb").close()
        try:
            return _read(path), problems
        except NewerFileError:
            raise
        except FormatError as error:
            problems.append(str(error))
    return None, problems


def _read(path: Path) -> Checkpoint:
    arrays, description, _ = read_tensors(path)
    description = upgrade(
        description, path, name=CHECKPOINT_FORMAT, version=CHECKPOINT_VERSION, upgrades={1: _from_version_1}
    )
    state, identity = description.get("state"), description.get("identity")
    if not isinstance(state, dict) or not isinstance(identity, dict):
        raise FormatError(f"{path}: not a whole state of a training (it lacks its facts)")
    return Checkpoint(path, arrays, state, identity)


def _from_version_1(old: dict[str, Any]) -> dict[str, Any]:
    """Version 1 held hashes in place of the identity, and knew neither averages nor clocks."""
    unknown = {"averaged": 0, "best_averaged": False, "validating": None, "saving": 0.0}
    return {"format": old["format"], "identity": {}, "state": unknown | old["state"]}
