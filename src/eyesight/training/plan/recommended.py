"""The recipe that goes with a network and a dataset, where the user names no other.

In: a network's name, a dataset, and how long the training is. Out: entries of the recipe. The networks of the tutorials
have none of their own: for them the recipe's defaults hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...data.dataset import Dataset
from .planner import USUAL_SEEN, batch_size

_LARGE = 32  # pixels; smaller pictures are mostly centred already, and moving them only slows learning


def recommended(model: str, data: Dataset, *, epochs: int | None = None) -> dict[str, Any]:
    """Return the recipe of a network for a dataset; nothing where the defaults serve.

    Args:
        model: the network's name.
        data: gives the size of the pictures, and whether their mirror images are of the same class.
        epochs: how often the training pictures will come; None where nobody knows, which means batches of the usual
            size.
    """
    if not model.startswith("whitened-"):
        return {}
    side, pictures = min(data.shape[:2]), len(data.train)
    seen = USUAL_SEEN if epochs is None else epochs * pictures
    recipe: dict[str, Any] = {
        "optimizer": "muon",
        "lr": 0.2,
        "momentum": 0.6,
        "schedule": "linear",
        "batch_size": batch_size(seen, pictures),
        "label_smoothing": 0.1,
        "shift": side // 16 if side >= _LARGE else 0,
    }
    if data.mirrored:
        recipe |= {"flip": True, "views": "mirror"}
    return recipe


def completed(recipe: Mapping[str, Any], recommendation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's entries of a recipe with the recommended ones where the user said nothing.

    Another optimizer than the recommended one needs another rate, so it comes without; where pictures are not
    mirrored in training, they are not in prediction.

    >>> completed({"optimizer": "adam"}, {"optimizer": "muon", "lr": 0.2, "shift": 2})
    {'shift': 2, 'optimizer': 'adam'}
    """
    own = {key: value for key, value in recipe.items() if value is not None}
    left = dict(recommendation)
    if own.get("optimizer", left.get("optimizer")) != left.get("optimizer"):
        left = {key: value for key, value in left.items() if key not in ("optimizer", "lr", "momentum", "schedule")}
    if own.get("flip", left.get("flip")) is False:
        left.pop("views", None)
    return left | dict(recipe)
