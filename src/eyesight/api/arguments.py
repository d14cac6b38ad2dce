"""Arguments of another type than was meant, told before Python or a library trips over them.

In: an argument and its name. Out: nothing, or `UsageError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..data.dataset import Dataset
from ..errors import UsageError


def check_dataset(data: object) -> None:
    """Refuse what is not a dataset, such as a pair of arrays."""
    if not isinstance(data, Dataset):
        raise UsageError(f"expected a Dataset, as eyesight.from_arrays gives; received: {_kind(data)}", field="data")


def check_module(model: object) -> None:
    """Refuse what is neither a network nor None, such as a class in place of its instance."""
    from torch import nn

    if isinstance(model, type) and issubclass(model, nn.Module):
        raise UsageError(f"expected an instance; received: the class {model.__name__}, without ()", field="model")
    if model is not None and not isinstance(model, nn.Module):
        raise UsageError(
            f"expected a network's name or an nn.Module of your own; received: {_kind(model)}", field="model"
        )


def check_watching(listeners: Sequence[Callable[[Any], None]], checkpoint_every: float | None) -> None:
    """Refuse listeners that cannot be called, and a time between saved states that is none."""
    if not isinstance(listeners, Sequence) or not all(callable(listener) for listener in listeners):
        raise UsageError(f"expected a list of functions; received: {_kind(listeners)}", field="listeners")
    if not isinstance(checkpoint_every, int | float | None):
        raise UsageError(f"expected seconds; received: {_kind(checkpoint_every)}", field="checkpoint_every")


def check_settings(settings: object) -> None:
    """Refuse settings that are not keys with values."""
    if not isinstance(settings, Mapping | None):
        raise UsageError(f"expected a mapping of keys and values; received: {_kind(settings)}", field="settings")


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
