"""The studies by name: what each of them varies, and on which pictures.

In: a name and a dataset. Out: a `Definition`. Small enough by default for a few minutes on two cores; `full` is the
real thing. It trains nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..data.dataset import Dataset
from ..errors import UnknownNameError, UsageError
from ..models import NETWORKS, PHOTO_NETWORKS, network_spec, plain_network
from ..training.plan.entries import set_values
from ..training.plan.recipe import LENGTHS, Recipe
from ..training.plan.resolve import read_request
from .definition import MOST_SEEDS, Arm, Definition

_FEW, _SOME = 200, 2000  # training pictures so few that networks learn them by heart: of small datasets, of others
_SMALL_DATA = 10_000
_MOST_FLOPS = 100e6  # forward; a network of more would take longer than all others of a study together
_PHOTO_SIDE = 64  # pixels; of smaller pictures, networks for photos leave single places, where small ones see more
_ROUNDS = 20  # validations in one training of the regularization study: of its length, patience waits a tenth


@dataclass(frozen=True)
class Parts:
    """What a study is made of, beside its seeds; see `Definition`."""

    arms: tuple[Arm, ...]
    recipe: dict[str, Any]
    model: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A study by name.

    Attributes:
        about: what it shows, in a few words.
        datasets: what it takes by default, and in full.
        minutes: about how long that takes on two cores; in full, an estimate from measured speeds.
        seeds: how many by default and in full. With 3 Student's factor is 4.3, with 5 it is 2.8: where differences are
            small, more seeds are worth more than longer trainings.
        make: given the whole dataset, whether in full, and the recipe that the user's settings alone make.
        fixed: entries of the configuration that it sets itself, beside those that its arms vary.
    """

    about: str
    datasets: tuple[str, str]
    minutes: tuple[float, float]
    seeds: tuple[int, int]
    make: Callable[[Dataset, bool, Recipe], Parts]
    fixed: frozenset[str] = frozenset()


def kind(name: str) -> Kind:
    """Return one kind of study; an unknown name is refused with the nearest one."""
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES)
    return STUDIES[name]


def define(
    name: str, data: Dataset, *, full: bool = False, seeds: int | None = None, settings: Mapping[str, Any] | None = None
) -> Definition:
    """Return the definition of a study on a dataset.

    Args:
        name: of the study.
        data: the whole dataset.
        full: the real thing.
        seeds: how many; as many as the study usually has, where not given.
        settings: dotted keys of the configuration for all runs, and values.

    Raises:
        UnknownNameError, UsageError: no such study, or something that cannot be.
    """
    found, settings = kind(name), dict(settings or {})
    seeds = found.seeds[full] if seeds is None else seeds
    if not 1 <= seeds <= MOST_SEEDS:
        raise UsageError(f"expected 1 to {MOST_SEEDS}; received: {seeds}", field="seeds")
    parts = found.make(data, full, read_request(changes=settings).config.recipe)
    varied = {key for arm in parts.arms for key in arm.settings}
    lengths = {f"recipe.{length}" for length in LENGTHS}
    if lengths & varied:
        varied |= lengths
    for key in settings:
        if key in varied | found.fixed | {"seed", "data.name", "data.kind"}:
            raise UsageError(f"the study {name} sets it itself", field=key)
    recipe = parts.recipe
    if lengths & settings.keys():
        recipe = {key: value for key, value in recipe.items() if key not in LENGTHS}
    drawn = {} if data.sample is None else {"sample": data.sample}  # the user has drawn already
    base = {
        "data": {
            **{key: value for key, value in data.config_entries.items() if key != "sample"}, "validation": 0.0,
            **parts.data, **drawn,
        },
        "model": {"name": parts.model} if parts.model else {},
        "recipe": {"keep": "last", **recipe},
    }  # fmt: skip
    config = set_values(base, settings)
    if config["data"]["validation"] == "test":
        raise UsageError("a study looks at the test set once for each run, at its end", field="data.validation")
    return Definition(
        study=name,
        full=full,
        config=config,
        arms=parts.arms,
        baseline=parts.baseline,
        left_out=parts.left_out,
        seeds=tuple(range(seeds)),
    )


def _whole(data: Dataset) -> int:
    """Return how many pictures there are to train with."""
    return len(data.train) + len(data.validation or ())


def _some(data: Dataset, full: bool, *, of_small: int | None = None) -> int | None:
    """Return how many training pictures to take for a quick study, `of_small` of a small dataset; None for all."""
    count = of_small if _whole(data) < _SMALL_DATA else _SOME
    return None if full or count is None or _whole(data) <= count else count


def _convolutional(data: Dataset) -> str:
    """Return the network of the CIFAR-10 quick start, or one that fits smaller pictures."""
    smallest = network_spec("small-cnn", shape=(32, 32, data.shape[2]), classes=len(data.classes)).min_size()
    return "small-cnn" if min(data.shape[:2]) >= smallest else plain_network(data.shape)


def _regularization(data: Dataset, full: bool, recipe: Recipe) -> Parts:
    """Vary how a network is kept from learning the training pictures by heart.

    The rate is constant: with one that falls, early stopping would be held against trainings at another rate.
    """
    share = 0.1 if full else 0.2  # of few pictures a tenth is too few to stop by
    updates = recipe.updates or (10 * math.ceil(_whole(data) * (1 - share) / recipe.batch_size) if full else 400)
    augmentation = {"recipe.shift": max(1, min(data.shape[:2]) // 8)}  # of 32 pixels 4, as is usual for CIFAR-10
    if data.mirrored:
        augmentation = {"recipe.flip": True, **augmentation}
    # lr × decay × updates = 1: over the whole training, weights without a gradient would shrink to 1/e
    decay = float(f"{1 / (recipe.lr * updates):.2g}")
    stopping = {"monitor": "val_loss", "patience": _ROUNDS // 10}
    return Parts(
        arms=(
            Arm(name="none", label="none", settings={}),
            Arm(name="dropout", label="dropout", settings={"model.dropout": 0.3}),  # 0.5 is for layers wider than 64
            Arm(name="weight-decay", label="weight decay", settings={"recipe.weight_decay": decay}),
            Arm(name="batch-norm", label="batch normalisation", settings={"model.batch_norm": True}),
            Arm(name="augmentation", label="augmentation", settings=augmentation),
            Arm(name="label-smoothing", label="label smoothing", settings={"recipe.label_smoothing": 0.1}),
            Arm(
                name="early-stopping",
                label="early stopping",
                settings={"recipe.early_stopping": stopping, "recipe.keep": "best"},
            ),
        ),
        recipe={
            "updates": updates,
            "optimizer": "adamw",  # Adam where there is no weight decay
            "schedule": "constant",
            "validate_every": max(1, updates // _ROUNDS),
        },
        model=_convolutional(data),
        data={"sample": _some(data, full, of_small=_FEW), "validation": share},
        baseline="none",
    )


def _dense_vs_conv(data: Dataset, full: bool, _: Recipe) -> Parts:
    """Vary the kind of network: the dense one of the last tutorial, the convolutional one of the second."""
    names = ("mlp", _convolutional(data))
    return Parts(
        arms=tuple(Arm(name=name, label=name, settings={"model.name": name}) for name in names),
        recipe={"epochs": 10 if full else 20},
        data={"sample": _some(data, full)},
        baseline="mlp",
    )


def _architectures(data: Dataset, full: bool, _: Recipe) -> Parts:
    """Vary the network: all that are registered, made for such pictures, and not too large for equal epochs."""
    arms, left_out = [], {}
    for name in NETWORKS:
        if name in PHOTO_NETWORKS and min(data.shape[:2]) < _PHOTO_SIDE:
            left_out[name] = f"{', '.join(PHOTO_NETWORKS)} are made for photos; their small forms take their place"
            continue
        try:
            flops = network_spec(name, shape=data.shape, classes=len(data.classes)).flops()
        except UsageError as error:
            left_out[name] = str(error)
            continue
        if flops > _MOST_FLOPS:
            left_out[name] = f"{name} takes {flops / 1e6:,.0f} MFLOP a picture, more than {_MOST_FLOPS / 1e6:,.0f}"
        else:
            arms.append(Arm(name=re.sub(r"[^\w.-]", "_", name), label=name, settings={"model.name": name}))
    return Parts(
        arms=tuple(arms),
        recipe={"epochs": 5 if full else 10},
        data={"sample": _some(data, full)},
        left_out=left_out,
    )


def _dense_layers(data: Dataset, full: bool, _: Recipe) -> Parts:
    """Vary the hidden dense layers of a convolutional network, as the CIFAR-10 quick start suggests."""
    choices: list[list[int]] = [[], [32], [64], [256], [256, 64]]
    return Parts(
        arms=tuple(
            Arm(
                name="-".join(map(str, ("dense", *widths))) if widths else "none",
                label=f"dense {', '.join(map(str, widths))}" if widths else "no hidden layer",
                settings={"model.dense": widths},
            )
            for widths in choices
        ),
        recipe={"epochs": 10},
        model=_convolutional(data),
        data={"sample": _some(data, full)},
    )


def _epochs(data: Dataset, full: bool, _: Recipe) -> Parts:
    """Vary how long the training is. Each length is a training of its own, as the rate falls to zero with each."""
    lengths = [2**power for power in range(6 if full else 7)]
    return Parts(
        arms=tuple(
            Arm(name=f"epochs-{length}", label=f"{length}", settings={"recipe.epochs": length}) for length in lengths
        ),
        recipe={},
        model=_convolutional(data),
        data={"sample": _some(data, full)},
    )


STUDIES = {
    "regularization": Kind(
        "one network with and without each of six techniques",
        ("digits", "cifar10"), (1, 35), (5, 3), _regularization,
        fixed=frozenset({"recipe.epochs", "recipe.budget"}),  # equal updates for all
    ),
    "dense-vs-conv": Kind(
        "a dense network against a convolutional one",
        ("digits", "cifar10"), (1, 12), (3, 3), _dense_vs_conv,
    ),
    "architectures": Kind(
        "all networks: parameters, operations, time, accuracy",
        ("digits", "cifar10"), (1, 60), (3, 3), _architectures,
    ),
    "dense-layers": Kind(
        "one convolutional network with other dense layers",
        ("digits", "cifar10"), (1, 25), (3, 3), _dense_layers,
    ),
    "epochs": Kind(
        "accuracy against the length of the training",
        ("digits", "cifar10"), (1, 30), (3, 3), _epochs,
    ),
}  # fmt: skip
