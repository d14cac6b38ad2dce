"""What a study is: a configuration, the ways in which it is varied, and seeds. Plain data, so that a file holds it.

In: values. Out: `Definition`, which gives the configuration of every run. It knows neither results nor files.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..training.plan.entries import describe_changes
from ..training.plan.recipe import Config
from ..training.plan.resolve import read_request

MOST_SEEDS = 100


class Data(BaseModel):
    """A part of what `study.json` holds: no other keys, no changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Arm(Data):
    """One way of training.

    Attributes:
        name: a word, of which the names of its runs are made.
        label: for tables and figures.
        settings: dotted keys of the configuration, and their values.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    label: str
    settings: dict[str, Any]


class Definition(Data):
    """A whole study.

    Attributes:
        study: its name.
        full: the large size.
        config: what is the same in all runs: `data`, `model`, `recipe`, `machine`, as in config.yaml.
        arms: what differs.
        baseline: the arm that the others are held against; None for the one that turns out best.
        left_out: what could have been an arm, and why it is none.
        seeds: every arm is trained once with each.
    """

    study: str
    full: bool
    config: dict[str, Any]
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    baseline: str | None = None
    left_out: dict[str, str] = {}
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=MOST_SEEDS)]

    def config_of(self, arm: Arm, seed: int) -> Config:
        """Return the configuration of one run.

        Raises:
            UsageError: naming the entry that cannot be.
        """
        return read_request(self.config, arm.settings | {"seed": seed}).config

    def plan(self) -> list[tuple[Arm, int]]:
        """Return all runs in order: all arms with the first seed, then all with the next.

        So what is there of an interrupted study compares, and what else the machine does meets all arms alike.
        """
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def arm(self, name: str) -> Arm:
        """Return one arm."""
        return next(arm for arm in self.arms if arm.name == name)


def differences(was: Definition, now: Definition) -> list[str]:
    """Return what differs, each as one phrase: "recipe.updates was 600 and is 20"."""
    return describe_changes(_by_name(was), _by_name(now))


def _by_name(definition: Definition) -> dict[str, Any]:
    """Return the definition with its arms by name, and the configuration's entries as they are known elsewhere."""
    values: dict[str, Any] = definition.model_dump(mode="json")
    config: dict[str, Any] = values.pop("config")
    del values["arms"]
    return values | config | {"arms": {arm.name: arm.settings for arm in definition.arms}}
