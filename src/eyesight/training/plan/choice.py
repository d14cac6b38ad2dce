"""What a training gets where the user leaves it open: the network, and the recipe that goes with it.

In: the entries that were asked for, the dataset, the time that is left. Out: the whole configuration, and what was
planned where a budget decided. `recommended` and `planner` say what is good; this puts it together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ...data.dataset import Dataset
from ...device import choose_device, choose_precision, keep_freed_memory, threads
from ...models import default_network, plain_network
from ..events import Planned
from .planner import CANDIDATES, plan
from .recipe import Config, parse_config, set_values
from .recommended import completed, recommended
from .speed import fastest_speed, machine_speed

_MEASURED = 0.01  # of the time that is left: so long the machine's speed is measured


def chosen(values: Mapping[str, Any], config: Config, data: Dataset, *, spent: float) -> tuple[Config, Planned | None]:
    """Return the configuration with the network and the recipe filled in.

    Args:
        values: the entries that were asked for.
        config: what they are as they stand.
        data: what is trained on.
        spent: seconds of the budget, if there is one, that are gone already.
    """
    name = _network(config, data) if config.model.name == "auto" else config.model.name
    planned = _planned(name, values, config, data, spent)
    if planned:
        name = planned.network
    recommendation = recommended(name, data, epochs=config.recipe.epochs) | (planned.recipe if planned else {})
    if recommendation:
        recipe = completed(values.get("recipe", {}), recommendation)
        config = parse_config(set_values(values, {"recipe": recipe}))
    return config.model_copy(update={"model": config.model.model_copy(update={"name": name})}), planned


def _network(config: Config, data: Dataset) -> str:
    """Return the network that fits the pictures and what was asked of it."""
    model = config.model
    one = min(len(data.train), config.recipe.batch_size) == 1  # too few for batch normalisation
    plain = one or model.dense is not None or model.batch_norm
    return plain_network(data.shape) if plain else default_network(data.shape)


def _planned(name: str, values: Mapping[str, Any], config: Config, data: Dataset, spent: float) -> Planned | None:
    """Return what the time decides, if there is a budget: the network where none is named, and the batches."""
    named, asked, budget = config.model.name != "auto", values.get("recipe", {}), config.recipe.budget
    if budget is None or name not in {candidate.name for candidate in CANDIDATES}:
        return None
    if named and asked.get("batch_size") is not None:
        return None
    left, started = budget - spent, time.perf_counter()
    keep_freed_memory()
    with threads(config.machine.threads):
        device = choose_device(config.machine.device)
        precision = choose_precision(config.machine.precision, device)
        measure = machine_speed if isinstance(config.machine.threads, int) else fastest_speed
        speed = measure(device, precision, seconds=_MEASURED * max(left, 0.0))
    found = plan(
        seconds=left - (time.perf_counter() - started),
        speed=speed,
        shape=data.shape,
        classes=len(data.classes),
        pictures=len(data.train),
        model=name if named else None,
        smaller_first=bool(config.recipe.resolution) if "resolution" in asked else None,
    )
    epochs = found.seen / len(data.train)
    return Planned(found.model, found.recipe, epochs, speed.convolutions, speed.elementwise, speed.share)
