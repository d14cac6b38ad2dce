"""Datasets as a user asks for them, and how a notebook shows them.

In: names, arrays. Out: `Dataset`.
"""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..data import catalog
from ..data.dataset import Dataset, from_arrays
from ..errors import UsageError
from ..evaluation import figures
from ..report.drawing import png

if TYPE_CHECKING:
    from ..training.plan.recipe import DataConfig


def load_data(
    data: str | tuple[Any, Any],
    *,
    data_dir: str | Path | None = None,
    validation: float | Literal["test"] = 0.1,
    split_seed: int = 0,
    test: tuple[Any, Any] | None = None,
    classes: list[str] | None = None,
) -> Dataset:
    """Load a dataset by name, or make one of arrays.

    Args:
        data: "digits", "mnist", "fashion-mnist", "cifar10", "cifar100"; or a pair (pictures, labels), see
            `eyesight.from_arrays`.
        data_dir: folder with the files of named datasets; $EYESIGHT_DATA where not given.
        validation: share of the training pictures to hold out for choices, or "test".
        split_seed: of the draw of those.
        test, classes: only with arrays: pictures and labels to judge on, and class names.

    Raises:
        UnknownNameError, DataNotFoundError, DataError, UsageError: see `catalog.load` and `from_arrays`.
    """
    if not isinstance(data, str):
        arrays = from_arrays(data, test=test, classes=classes, validation=0)
        return arrays.with_validation(validation, seed=split_seed)
    if test is not None or classes is not None:
        raise UsageError(f"test, classes: only for arrays; {data} has its own")
    return catalog.load(data, data_dir=data_dir, validation=validation, seed=split_seed)


def load_wanted(wanted: DataConfig, data_dir: str | Path | None) -> Dataset:
    """Return the named dataset that a configuration describes."""
    return catalog.load(
        wanted.name, data_dir=data_dir, validation=wanted.validation, seed=wanted.split_seed, sample=wanted.sample
    )


def _dataset_html(data: Dataset) -> str:
    """Return a dataset's sizes and a picture of its classes, for notebooks."""
    return f"<p>{escape(repr(data))}</p>" + image(png(figures.class_grid(data, data.train)))


# Drawing lies to the right of data in the order of imports, so this method is bound here, where both are known.
Dataset._repr_html_ = _dataset_html  # type: ignore[attr-defined]


def image(data: bytes) -> str:
    """Return the bytes of a PNG as HTML."""
    return f'<img style="max-width:100%" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
