"""What a saved state belongs to: configuration, data and versions; and what has changed since.

In: what a job is, and what a saved state belongs to, as plain data. Out: the differences, in words. It does not read or
write files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import UsageError
from ..models.torch_network import to_arrays
from .job import Identity
from .plan.entries import describe_changes, show
from .plan.recipe import parse_config
from .state import TrainState


class Changes(NamedTuple):
    """What differs, each as one phrase: "recipe.lr was 0.001 and is 0.01"; of the processor only whether it does.

    Attributes:
        task: configuration and data. With others it is another training.
        versions: of Python and packages. With others the weights differ by rounding, or by what was changed in them.
    """

    task: list[str]
    versions: list[str]


def find_changes(was: Identity, now: Identity) -> Changes:
    """Return what differs between what a state was saved of and the training at hand."""
    if not was:  # checkpoints of version 1 held hashes that can no longer be computed
        return Changes([], ["what it was saved of was not recorded then"])
    config = describe_changes(_with_defaults(was.get("config", {})), now["config"])
    versions = describe_changes(was.get("versions", {}), now["versions"])
    return Changes([*_describe_data(was.get("data", {}), now["data"]), *config], [f"version of {v}" for v in versions])


def _with_defaults(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration with the entries that an older eyesight did not know yet."""
    try:
        return parse_config(config).model_dump(mode="json")
    except UsageError:  # one that is no longer known
        return config


def _describe_data(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
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
        yield f"classes were {show(was['classes'])} and are {show(now['classes'])}"


def _count(split: Mapping[str, Any] | None) -> str:
    return "no pictures" if split is None else f"{split['pictures']:,} pictures"


def first_weights(state: TrainState) -> str:
    """Return the SHA-256 of the weights that a training begins with; those of a user's module are the user's."""
    digest = hashlib.sha256()
    for array in to_arrays(state.network).values():
        digest.update(array.tobytes())
    return digest.hexdigest()
