"""Entries of a configuration as nested plain data: set by dotted key, read, compared, told.

In: nested mappings. Out: the same with other values, or what differs. It knows no particular entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import UsageError

_LONGEST = 60  # characters of a value in a message
_UNITS = {"s": 1, "m": 60, "h": 3600}


def set_values(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested `values` with dotted keys replaced.

    >>> set_values({"recipe": {"epochs": 10}}, {"recipe.epochs": 3})
    {'recipe': {'epochs': 3}}
    """
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    for key, value in settings.items():
        place = result
        *path, last = key.split(".")
        for part in path:
            inner = place.get(part)
            if not isinstance(inner, Mapping | None):
                raise UsageError(f"should be a mapping; received: {inner!r}", field=".".join(path))
            place[part] = dict(inner or {})
            place = place[part]
        place[last] = value
    return result


def parse_time(text: str) -> float:
    """Return the seconds of a time in words.

    >>> [parse_time(text) for text in ("30s", "2m", "0.5h")]
    [30.0, 120.0, 1800.0]
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"expected a time such as 30s, 2m or 1h; received: {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def compare(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the entries that differ, by dotted key; None stands for one that is not there.

    >>> compare({"recipe": {"lr": 1, "epochs": 2}}, {"recipe": {"lr": 3, "epochs": 2}})
    {'recipe.lr': (1, 3)}
    """
    found: dict[str, tuple[Any, Any]] = {}
    for key in [*now, *(key for key in was if key not in now)]:
        before, after = was.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= compare(before, after, f"{prefix}{key}.")
        elif before != after:
            found[prefix + key] = before, after
    return found


def describe_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs, each as one phrase.

    >>> describe_changes({"recipe": {"lr": 0.001}}, {"recipe": {"lr": 0.01}})
    ['recipe.lr was 0.001 and is 0.01']
    """
    return [f"{key} was {show(before)} and is {show(after)}" for key, (before, after) in compare(was, now).items()]


def show(value: Any) -> str:
    """Return a value as it stands in a message."""
    if value is None:
        return "not set"
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {show(item)}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
