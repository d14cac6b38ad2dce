"""Datasets as a user asks for them, and how a notebook shows them.

In: names, arrays. Out: `Dataset`.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Literal

from ..data.dataset import Dataset
from ..data.open import open_data
from ..evaluation import figures
from ..report.drawing import html_image, png


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
    return open_data(data, data_dir=data_dir, validation=validation, split_seed=split_seed, test=test, classes=classes)


def _dataset_html(data: Dataset) -> str:
    """Return a dataset's sizes and a picture of its classes, for notebooks."""
    return f"<p>{escape(repr(data))}</p>" + html_image(png(figures.class_grid(data, data.train)))


# Drawing lies to the right of data in the order of imports, so this method is bound here, where both are known.
Dataset._repr_html_ = _dataset_html  # type: ignore[attr-defined]
