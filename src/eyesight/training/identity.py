"""What a saved state belongs to: configuration, data and versions; and what is lost where one of them has changed.

In: the job at hand, and what a saved state belongs to. Out: the differences; and a state loaded in spite of them, with
what that loses, in words. It does not read or write files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import FormatError, RunError
from ..models.torch_network import to_arrays
from .batches import steps_per_epoch
from .checkpoint import Checkpoint
from .job import Identity, Job
from .state import Best, TrainState


def differences(was: Identity, now: Identity) -> list[str]:
    """Return what differs, each as one phrase: "recipe.lr was 0.001 and is 0.01". The processor is not counted."""
    found = list(_data_differences(was.get("data", {}), now["data"]))
    for part, prefix in (("config", ""), ("versions", "version of ")):
        before, after = dict(_flat(was.get(part, {}))), dict(_flat(now[part]))
        for key in [*after, *(key for key in before if key not in after)]:
            old, new = before.get(key, "not recorded"), after.get(key, "gone")
            if old != new:
                found.append(f"{prefix}{key} was {_shown(old)} and is {_shown(new)}")
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values of nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _data_differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    splits, new_splits = was.get("splits", {}), now["splits"]
    for name in [*new_splits, *(name for name in splits if name not in new_splits)]:
        old, new = splits.get(name), new_splits.get(name)
        if old == new:
            continue
        if old is None or new is None or old["pictures"] != new["pictures"]:
            yield f"{name} had {_count(old)} and has {_count(new)}"
        else:
            yield f"{name} has {_count(new)} as before, but they or their labels are others"
    if was.get("classes", now["classes"]) != now["classes"]:
        yield f"classes were {_shown(was['classes'])} and are {_shown(now['classes'])}"


def _count(split: Mapping[str, Any] | None) -> str:
    return "no pictures" if split is None else f"{split['pictures']:,} pictures"


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if isinstance(value, float):
        text = f"{value:g}"
    return text if len(text) <= 60 else text[:59] + "…"


def first_weights(state: TrainState) -> str:
    """Return the SHA-256 of the weights that a training begins with; those of a user's module are the user's."""
    digest = hashlib.sha256()
    for array in to_arrays(state.network).values():
        digest.update(array.tobytes())
    return digest.hexdigest()


def load_changed(state: TrainState, found: Checkpoint, job: Job) -> list[str]:
    """Load as much of a state as still fits its changed surroundings.

    Returns:
        What is lost, a sentence each.

    Raises:
        RunError: not even the weights fit.
    """
    was, now = found.identity, job.identity
    arrays, facts = dict(found.arrays), dict(found.facts)
    lost = ["the weights will no longer be those of an uninterrupted run"]
    before = was.get("config", {}).get("recipe", {})
    recipe = job.recipe

    def changed(key: str) -> bool:
        return bool(before) and before[key] != getattr(recipe, key)

    if changed("optimizer"):
        arrays = {name: array for name, array in arrays.items() if not name.startswith("optimizer/")}
        lost.append("the optimizer's memory is lost: another optimizer starts without one")
    if changed("averaging"):
        arrays = {name: array for name, array in arrays.items() if not name.startswith("average/")}
        facts["averaged"] = 0
        if before["averaging"] != "none":
            lost.append("the average of the weights so far is lost")
    try:
        state.load(arrays, facts, str(found.path))
    except FormatError as error:
        raise RunError(f"{error}; --force cannot go on with it: start a new run") from None
    old_splits, new_splits = (part.get("data", {}).get("splits", {}) for part in (was, now))
    if old_splits and old_splits.get("validation") != new_splits.get("validation"):
        state.best = Best()
        state.history = [{**row, "superseded": True} for row in state.history]
        lost.append("the best weights so far are lost: they were chosen on other validation pictures")
    elif job.keeps_best and not state.best.epoch:  # they were not kept until now
        state.history = [{**row, "superseded": True} for row in state.history]
    if old_splits and old_splits != new_splits:
        lost.append("the evaluation can flatter: pictures it will be judged on may have been learned from before")
    if old_splits and before:
        per_epoch = steps_per_epoch(old_splits["train"]["pictures"], before["batch_size"])
        steps = before.get("validate_every") or per_epoch
        if steps != job.steps_per_round:
            if state.step % steps:
                lost.append("the position within the epoch is lost: it begins anew")
            _to_start_of_epoch(state, steps, job.steps_per_round)
    if recipe.budget is not None:  # one value for every update, also those that were counted otherwise
        if before.get("budget"):  # shares of the old budget
            state.clock = [min(1.0, value * before["budget"] / recipe.budget) for value in state.clock]
        state.clock = (state.clock + state.clock[-1:] * state.step or [0.0] * state.step)[: state.step]
    return lost


def _to_start_of_epoch(state: TrainState, old_steps: int, new_steps: int) -> None:
    """Count updates as if all epochs had had `new_steps`; an epoch that is not over, or not judged, does not count."""
    state.step = sum(row["step"] % old_steps == 0 for row in state.history) * new_steps
    state.history = [{**row, "step": row["epoch"] * new_steps} for row in state.history]
    state.sums.zero_()
