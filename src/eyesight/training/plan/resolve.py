"""The one entrance of a configuration: what was asked for, and what the data, the time and the machine add to it.

In: the entries of a file, a preset, a run or a study, and the arguments that go before them; then the dataset. Out: a
`Config` with nothing left open, which repeats the run, and what was planned where a budget decided. Flags, Python,
presets, replays and studies come through here. It knows neither folders nor how training works.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...backbones import BACKBONES, DEFAULT_BACKBONE
from ...data.dataset import UNCHOSEN, Dataset
from ...data.photos import LARGE
from ...device import choose_device, choose_precision, is_forked, keep_freed_memory, threads, torch_defaults
from ...errors import UsageError, concerns, naming
from ...models import default_network, plain_network
from ..events import Planned
from .entries import set_values
from .planner import CANDIDATES, USUAL_SEEN, batch_size, plan
from .recipe import FOLDS_ARE_FOR, LENGTHS, PROBE_FIELDS, Config, Machine, ModelConfig, parse_config
from .speed import fastest_speed, machine_speed

_DECIDING = 0.2  # of few photos: on a tenth of them, one more right answer would decide
_SHARE_OF_SIDE, _SIDES = 6 / 7, 16  # see `Recipe.side`; sides are multiples of 16 pixels
_FEW = 2_000  # photos; of fewer, those held out would be missed in training, and tell little
_MEASURED = 0.01  # of the time that is left: so long the machine's speed is measured
_LARGE = 32  # pixels; smaller pictures are mostly centred already, and moving them only slows learning


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        entries: as they were asked for, nested.
        config: the same, checked, with the defaults for what nobody asked for.
    """

    entries: Mapping[str, Any]
    config: Config


def read_request(
    base: Mapping[str, Any] | None = None, changes: Mapping[str, Any] | None = None, *, source: str = ""
) -> Request:
    """Return what was asked for, after checking it.

    Args:
        base: entries of a file, a preset, a run or a study.
        changes: dotted keys and values that go before them.
        source: the file that `base` came from, for messages.

    Raises:
        UsageError: with the field that cannot be, or the file where it is wrong.
    """
    changes = dict(changes or {})
    lengths = [f"recipe.{name}" for name in LENGTHS]
    if any(changes.get(name) is not None for name in lengths):  # the one asked for replaces the one of the base
        changes = dict.fromkeys(lengths) | changes
    try:
        entries = set_values(base or {}, changes)
        return Request(entries, parse_config(entries))
    except UsageError as error:
        if source and not any(concerns(error.field or "", key) for key in changes):
            raise UsageError(f"{source}: {error}") from None
        raise


def choose_backbone(request: Request, *, own_module: bool = False) -> str | None:
    """Return the pretrained network whose features photos get, if they are of a size for it; None where none does.

    One is chosen where nothing is asked for that only training by gradient has.

    Raises:
        UsageError: a probe of a network that is not pretrained.
    """
    config, asked = request.config, request.entries
    recipe = {name for name, value in asked.get("recipe", {}).items() if value is not None}
    if config.recipe.method == "tune":
        name = DEFAULT_BACKBONE if config.model.name == "auto" else config.model.name
        if own_module or name not in BACKBONES:
            raise UsageError(
                f"tunes a pretrained network: {', '.join(BACKBONES)}; {name} is trained from scratch, without it",
                field="tune",
            )
        return name
    if config.recipe.method == "probe":
        name = DEFAULT_BACKBONE if config.model.name == "auto" else config.model.name
        if config.recipe.folds is not None and (own_module or name not in BACKBONES):
            raise UsageError(f"{FOLDS_ARE_FOR}; received: the network {name}", field="recipe.folds")
        if own_module or name not in BACKBONES:
            expected = f"a probe is of a pretrained network: {', '.join(BACKBONES)}"
            raise UsageError(f"{expected}; received: {name}", field="model.name")
        if config.machine.device not in ("auto", "cpu"):
            raise UsageError(f"a probe computes on the cpu; received: {config.machine.device}", field="machine.device")
        return name
    model = config.model != ModelConfig() or own_module
    pictures = asked.get("data", {}).get("img_size") is not None
    elsewhere = config.machine.device not in ("auto", "cpu") or config.machine.precision == "bf16"
    return None if model or recipe - {*PROBE_FIELDS, "balance"} or pictures or elsewhere else DEFAULT_BACKBONE


def is_probe(request: Request, data: Dataset, backbone: str | None) -> bool:
    """Tell whether a probe is what a dataset gets: where it is asked for, and where photos are of a size for one."""
    fits = backbone is not None and data.shape[0] == data.shape[1] == BACKBONES[backbone].size
    if request.config.recipe.folds is not None and not fits:
        received = f"{data.name}, {data.shape[1]}x{data.shape[0]} pixels"
        raise UsageError(f"{FOLDS_ARE_FOR}; received: {received}", field="recipe.folds")
    return request.config.recipe.method == "probe" or (fits and data.kind == "folder")


def choose_split(request: Request, data: Dataset) -> Dataset:
    """Return photos for a probe: with few of them, none are held out, as nothing is chosen on those."""
    if request.entries.get("data", {}).get("validation") is not None or data.protocol == "test-as-validation":
        return data
    pictures = len(data.train) + (len(data.validation) if data.protocol == "holdout" and data.validation else 0)
    return data.with_validation(0, seed=data.split_seed) if pictures < _FEW else data


def check_tuned(request: Request, data: Dataset, backbone: str) -> None:
    """Raise `UsageError` unless a pretrained network can be tuned on a dataset."""
    height, width, _ = data.shape
    side = BACKBONES[backbone].size
    if (height, width) != (side, side):
        what = "other pictures are trained on from scratch, without it"
        if request.entries.get("data", {}).get("img_size") is not None:
            what = f"{backbone} looks at {side}x{side} pixels, so leave the size out"
        raise UsageError(
            f"is for photos of {LARGE} pixels a side and more; {what}; received: {data.name}, {width}x{height} pixels",
            field="tune",
        )
    if data.validation is None or data.protocol in UNCHOSEN:
        expected = "needs photos to decide on whether the tuned network is the better one: a share above 0"
        raise UsageError(f"tuning {expected}; received: {data.validation_share}", field="data.validation")


def split_to_tune(request: Request, data: Dataset) -> Dataset:
    """Return photos with some held out: more than usual where they are few, as little can be told on a handful."""
    if request.entries.get("data", {}).get("validation") is not None or data.protocol != "holdout":
        return data
    pictures = len(data.train) + (len(data.validation) if data.validation else 0)
    return data.with_validation(_DECIDING, seed=data.split_seed) if pictures < _FEW else data


def recommend_tuning(backbone: str) -> dict[str, Any]:
    """Return the recipe with which a pretrained network is tuned."""
    return {
        "side": round(_SHARE_OF_SIDE * BACKBONES[backbone].size / _SIDES) * _SIDES,
        "flip": True,
        "batch_size": 32,
        "optimizer": "adamw",
        "lr": 2e-4,
        "weight_decay": 0.02,
        "label_smoothing": 0.1,
        "clip_norm": 5.0,
    }


def resolve_tuning(request: Request, data: Dataset, backbone: str) -> Config:
    """Return the whole configuration of a probe and the tuning after it.

    On a CPU bf16 is only for whoever asks for it: depthwise convolutions are no faster in it.
    """
    machine = choose_machine(request.config.machine)
    if request.config.machine.precision == "auto" and machine.device == "cpu":
        machine = machine.model_copy(update={"precision": "fp32"})
    changes = {
        "data": data.config_entries,
        "model.name": backbone,
        "recipe": fill_in(request.entries.get("recipe", {}), recommend_tuning(backbone)),
        "machine": machine.model_dump(mode="json"),
    }
    return parse_config(set_values(request.entries, changes))


def resolve_probe(request: Request, data: Dataset, backbone: str) -> Config:
    """Return the whole configuration of a probe."""
    changes = {
        "data": data.config_entries,
        "model.name": backbone,
        "recipe.method": "probe",
        "machine": request.config.machine.model_copy(update={"device": "cpu", "precision": "fp32"}).model_dump(
            mode="json"
        ),
    }
    return parse_config(set_values(request.entries, changes))


@torch_defaults()
def resolve(
    request: Request, data: Dataset, *, own_module: bool = False, began: float | None = None
) -> tuple[Config, Planned | None]:
    """Return the whole configuration, and what was planned where a budget decided.

    Args:
        request: what was asked for.
        data: what is trained on; gives its split, the network that fits it, and its recipe.
        own_module: whether the network is the user's own, which is taken as it is.
        began: the `time.perf_counter()` from which a budget counts; now, where not given.
    """
    began = time.perf_counter() if began is None else began
    config, planned = request.config, None
    if config.recipe.method != "gradient":  # as in a study, whose networks begin with first weights
        raise UsageError(f"expected gradient here; received: {config.recipe.method}", field="recipe.method")
    if config.model.kind == "module" and not own_module:
        raise UsageError(f"the configuration was made for {config.model.name}; pass an instance", field="model.name")
    machine = choose_machine(config.machine)
    changes: dict[str, Any] = {"data": data.config_entries, "machine": machine.model_dump(mode="json")}
    if not own_module:
        name = choose_network(config, data) if config.model.name == "auto" else config.model.name
        planned = _plan(name, request, machine, data, began)
        name = planned.network if planned else name
        recommended = recommend(name, data, epochs=config.recipe.epochs) | (planned.recipe if planned else {})
        changes["model.name"] = name
        changes["recipe"] = fill_in(request.entries.get("recipe", {}), recommended)
    return parse_config(set_values(request.entries, changes)), planned


def choose_machine(machine: Machine) -> Machine:
    """Return where and how this machine computes what was asked for."""
    with naming("machine.{}".format):
        device = choose_device(machine.device)
        precision = choose_precision(machine.precision, device)
    chosen = {"device": str(device), "precision": precision}
    if is_forked() and machine.threads not in ("auto", 1):
        warnings.warn("this process was forked off one that had used torch, and can only use one thread", stacklevel=2)
        return machine.model_copy(update=chosen | {"threads": 1})
    return machine.model_copy(update=chosen)


def choose_network(config: Config, data: Dataset) -> str:
    """Return the network that fits the pictures and what was asked of it."""
    model = config.model
    one = min(len(data.train), config.recipe.batch_size) == 1  # too few for batch normalisation
    plain = one or model.dense is not None or model.batch_norm
    return plain_network(data.shape) if plain else default_network(data.shape)


def recommend(model: str, data: Dataset, *, epochs: int | None = None) -> dict[str, Any]:
    """Return the recipe of a network for a dataset; nothing where the defaults serve, as with the tutorials' networks.

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
    return recipe | ({"flip": True, "views": "mirror"} if data.mirrored else {})


def fill_in(recipe: Mapping[str, Any], recommended: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's entries of a recipe with the recommended ones where the user said nothing.

    Another optimizer than the recommended one needs another rate, so it comes without; where pictures are not
    mirrored in training, they are not in prediction.

    >>> fill_in({"optimizer": "adam"}, {"optimizer": "muon", "lr": 0.2, "shift": 2})
    {'shift': 2, 'optimizer': 'adam'}
    """
    own = {key: value for key, value in recipe.items() if value is not None}
    left = dict(recommended)
    if own.get("optimizer", left.get("optimizer")) != left.get("optimizer"):
        left = {key: value for key, value in left.items() if key not in ("optimizer", "lr", "momentum", "schedule")}
    if own.get("flip", left.get("flip")) is False:
        left.pop("views", None)
    return left | dict(recipe)


def _plan(name: str, request: Request, machine: Machine, data: Dataset, began: float) -> Planned | None:
    """Return what the time decides, if there is a budget: the network where none is named, and the batches."""
    config, asked = request.config, request.entries.get("recipe", {})
    named, budget = config.model.name != "auto", config.recipe.budget
    if budget is None or name not in {candidate.name for candidate in CANDIDATES}:
        return None
    if named and asked.get("batch_size") is not None:
        return None
    left = budget - (time.perf_counter() - began)
    keep_freed_memory()
    with threads(machine.threads):
        device = torch.device(machine.device)
        precision = choose_precision(machine.precision, device)
        measure = machine_speed if isinstance(machine.threads, int) else fastest_speed
        speed = measure(device, precision, seconds=_MEASURED * max(left, 0.0))
    found = plan(
        seconds=budget - (time.perf_counter() - began),
        speed=speed,
        shape=data.shape,
        classes=len(data.classes),
        pictures=len(data.train),
        model=name if named else None,
        smaller_first=bool(config.recipe.resolution) if "resolution" in asked else None,
    )
    epochs = found.seen / len(data.train)
    return Planned(found.model, found.recipe, epochs, speed.convolutions, speed.elementwise, speed.share)
