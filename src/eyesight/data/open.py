"""The one door to data: what a user, a configuration or an earlier run names becomes a `Dataset`.

In: a name, a pair of arrays, a dataset, or what a configuration says of its data. Out: a `Dataset`, split. Only here is
asked which kind of thing it is. It does not know where the files of a named dataset lie, nor how they are read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import UsageError
from . import catalog
from .dataset import Dataset, from_arrays

Validation = float | Literal["test"]


class DataConfig(BaseModel):
    """What a configuration says of its data: which, and how it is split."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = "digits"
    kind: Literal["catalog", "arrays"] = "catalog"
    # a tenth is enough to choose between epochs (±1.3 % at 5,000 pictures) and leaves nearly all to learn from
    validation: Annotated[float, Field(ge=0, le=0.5)] | Literal["test"] = 0.1
    # apart from the run's seed, so that runs are compared on the same split
    split_seed: Annotated[int, Field(ge=0)] = 0
    sample: Annotated[int, Field(ge=1)] | None = None  # so many of the training pictures, validation and all; else all


def open_data(
    named: str | tuple[Any, Any],
    *,
    data_dir: str | Path | None = None,
    validation: Validation = 0.1,
    split_seed: int = 0,
    sample: int | None = None,
    test: tuple[Any, Any] | None = None,
    classes: list[str] | None = None,
) -> Dataset:
    """Open what a user names, and split it. See `eyesight.load_data`."""
    if isinstance(named, str):
        if test is not None or classes is not None:
            raise UsageError(f"only for arrays; {named} has its own", field="test, classes")
        return catalog.load(named, data_dir=data_dir, validation=validation, seed=split_seed, sample=sample)
    arrays = from_arrays(named, test=test, classes=classes, validation=0)
    if sample is not None:
        arrays = arrays.with_sample(sample, seed=split_seed)
    return arrays.with_validation(validation, seed=split_seed)


def open_wanted(
    named: str | Dataset | tuple[Any, Any] | None,
    wanted: DataConfig,
    *,
    data_dir: str | Path | None = None,
    validation: Validation | None = None,
) -> Dataset:
    """Open what a training is asked to learn from.

    Args:
        named: what the user names; None for what the configuration does.
        wanted: the configuration's entries.
        data_dir: folder with the files of named datasets.
        validation: how a `Dataset` is split anew; None to leave it as it is.
    """
    if isinstance(named, Dataset):
        return named if validation is None else named.with_validation(validation, seed=named.split_seed)
    if named is None and wanted.kind == "arrays":
        raise UsageError("the configuration was made for arrays; pass them", field="data.name")
    return open_data(
        wanted.name if named is None else named,
        data_dir=data_dir,
        validation=wanted.validation,
        split_seed=wanted.split_seed,
        sample=wanted.sample,
    )


def open_again(wanted: DataConfig, *, source: Path, data_dir: str | Path | None, folder: str | None) -> Dataset:
    """Open what an earlier run or study learned from.

    Args:
        wanted: the entries of its configuration.
        source: its own folder, for messages.
        data_dir: folder with the dataset's files; $EYESIGHT_DATA, or where they were, if not given.
        folder: where they were.

    Raises:
        DataNotFoundError: the files are no longer where they were.
        UsageError: it was trained on arrays, which only the Python that trained it has.
    """
    if wanted.kind == "arrays":
        raise UsageError(f"{source}: was trained on arrays, which only Python can pass: data=eyesight.from_arrays(…)")
    if not data_dir and not os.environ.get("EYESIGHT_DATA") and folder and Path(folder).is_dir():
        data_dir = folder
    return open_wanted(None, wanted, data_dir=data_dir)
