"""Datasets as a user asks for them, and how a notebook shows them.

In: names, arrays. Out: `Dataset`; `Check`, what is wrong with one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from ..backbones import BACKBONES, DEFAULT_BACKBONE
from ..data.cache import Progress
from ..data.dataset import Dataset
from ..data.open import find_photos, kind_of, open_data
from ..data.photos import PhotoOptions
from ..data.published import download_dataset
from ..errors import UsageError, naming
from ..evaluation import figures
from ..report.drawing import html_image, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..quality.check import Check

_ROWS, _EACH, _EPOCHS = 6, 2, 7  # photos in a sheet, at most; of each class; epochs


def load_data(
    data: str | os.PathLike[str] | tuple[Any, Any],
    *,
    data_dir: str | Path | None = None,
    validation: float | Literal["test"] = 0.1,
    split_seed: int = 0,
    test: tuple[Any, Any] | None = None,
    classes: list[str] | None = None,
    img_size: int | None = None,
    resize: Literal["crop", "pad", "stretch"] = "crop",
    group_by: str | None = None,
    strict: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    verify: bool = False,
    progress: bool = False,
) -> Dataset:
    """Load a dataset by name, read a folder of photos, or make a dataset of arrays.

    What is odd about photos stands in the `notes` of the dataset.

    Args:
        data: "digits", "mnist", "fashion-mnist", "cifar10", "cifar100"; a folder of photos, a table or an archive of
            them, see docs/photos.md; or a pair (pictures, labels), see `eyesight.from_arrays`.
        data_dir: folder with the files of named datasets; where not given, $EYESIGHT_DATA, then where `download` puts
            them, then Keras' cache.
        validation: share of the training pictures to hold out for choices, or "test".
        split_seed: of the draw of those.
        test, classes: only with arrays: pictures and labels to judge on, and class names.
        img_size: only with photos, as all that follow: the side of the square that each is kept at, in pixels; 64, or
            their own size where all have the same smaller one.
        resize: how: "crop" cuts the middle, "pad" adds black borders, "stretch" changes the shape.
        group_by: what stays on one side of a split: "folder", a column of the table, or a pattern, of which the first
            group in a picture's path counts.
        strict: refuse photos of which any would be left out.
        image_column, label_column: what a table calls them, where it is not recognised.
        verify: hold every file, and every picture that was decoded before, against its checksum.
        progress: report on stderr while photos are decoded.

    Raises:
        UnknownNameError, DataNotFoundError, DataError, UsageError: see `catalog.load`, `load_photos` and `from_arrays`.
    """
    with naming_options():
        photos = photo_options(
            img_size=img_size,
            resize=resize,
            group_by=group_by,
            strict=strict,
            image_column=image_column,
            label_column=label_column,
            verify=verify,
        )
        return open_data(
            data,
            data_dir=data_dir,
            validation=validation,
            split_seed=split_seed,
            test=test,
            classes=classes,
            photos=photos,
            progress=report_reading() if progress else None,
        )


def download(name: str, *, data_dir: str | Path | None = None, offline: bool = False, progress: bool = True) -> Path:
    """Download a named dataset, unless it is there; what was broken off goes on where it stopped.

    Args:
        name: "mnist", "fashion-mnist", "cifar10" or "cifar100".
        data_dir: folder to put it in; where not given, $EYESIGHT_DATA, else the user's own.
        offline: refuse to download what is missing; EYESIGHT_OFFLINE=1 in the environment does so too.
        progress: show a bar on stderr.

    Returns:
        Where its files lie.

    Raises:
        UnknownNameError, UsageError: no dataset of that name is published.
        DataError: offline, no mirror gave it, or no space.
    """
    if not progress:
        return download_dataset(name, data_dir=data_dir, offline=offline)
    from ..progress import DownloadReport

    report = DownloadReport()
    try:
        return download_dataset(name, data_dir=data_dir, offline=offline, progress=report, say=report.say)
    finally:
        report.close_bar()


def check_data(
    data: str | os.PathLike[str] | Dataset,
    *,
    data_dir: str | Path | None = None,
    backbone: str = "efficientnet-lite0",
    sample: int | None = None,
    group_by: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    progress: bool = False,
) -> Check:
    """Find what is wrong with labelled pictures before anything is trained on them; nothing is moved or changed.

    Args:
        data: a folder of photos, a table or an archive of them; the name of a dataset; or a `Dataset`.
        data_dir: folder with the files of named datasets; $EYESIGHT_DATA where not given.
        backbone: the network whose features tell what a picture shows.
        sample: so many pictures, drawn by chance, have their labels judged; all of a user's photos, 5,000 of others.
        group_by, image_column, label_column: of photos; see `load_data`.
        progress: report on stderr as pictures are looked at.

    Raises:
        UnknownNameError, DataNotFoundError, DataError, UsageError: see `load_data`; a backbone that is not known.
    """
    from ..quality.check import check
    from ..quality.collection import Photos, Stored

    report = report_reading() if progress else None
    with naming_options():
        options = photo_options(group_by=group_by, image_column=image_column, label_column=label_column)
        if isinstance(data, Dataset) or kind_of(data, data_dir) == "catalog":
            dataset = (
                data if isinstance(data, Dataset) else open_data(data, data_dir=data_dir, validation=0, photos=options)
            )
            return check(Stored(dataset), backbone=backbone, sample=sample, progress=report)
        photos = Photos(find_photos(data, data_dir), options)
        return check(photos, backbone=backbone, sample=sample, progress=report)


def draw_augmented(
    data: str | os.PathLike[str],
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    recipe: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> Figure:
    """Draw some photos as they are, and as tuning a pretrained network shows them in its first epochs.

    Args:
        data: a folder of photos, a table or an archive of them.
        data_dir: folder that they may lie in.
        seed: of the changes.
        recipe: entries of the recipe, such as {"crop": 0.5}.
        progress: report on stderr while photos are decoded.
        **options: how photos are read; see `load_data`.

    Raises:
        UsageError: the pictures are too small to be tuned on.
    """
    from ..data.photos import LARGE
    from ..training.plan.recipe import parse_config
    from ..training.plan.resolve import fill_in, recommend_tuning
    from ..training.tuning import augmented, photo_augmentation

    side = BACKBONES[DEFAULT_BACKBONE].size
    entries = fill_in(dict(recipe or {}), recommend_tuning(DEFAULT_BACKBONE)) | {"method": "tune"}
    wanted = parse_config({"recipe": entries, "seed": seed})
    report = report_reading() if progress else None
    with naming_options():
        found = open_data(
            data, data_dir=data_dir, validation=0, photos=photo_options(**options), large=side, progress=report
        )
        if found.kind != "folder" or found.shape[:2] != (side, side):
            raise UsageError(
                f"is for photos of {LARGE} pixels a side and more, at their usual size; "
                f"received: {found.name}, {found.shape[1]}x{found.shape[0]} pixels",
                field="augment",
            )
    ids = [np.flatnonzero(found.train.labels == k)[:_EACH] for k in range(len(found.classes))]
    some = found.train.select(np.concatenate(ids)[:_ROWS], name="train")
    seen = augmented(found, some, photo_augmentation(wanted.recipe, side), seed=seed, epochs=_EPOCHS, progress=report)
    names = [figures.short(found.classes[label]) for label in some.labels.tolist()]
    titles = [f"{name}\nas it is" if k == 0 else f"epoch {k}" for name in names for k in range(_EPOCHS + 1)]
    title = f"{found.name}: photos as tuning changes them"
    return figures.picture_grid(seen, titles, columns=_EPOCHS + 1, title=title)


def photo_options(**options: Any) -> PhotoOptions:
    """Return checked options.

    Raises:
        UsageError: with the argument that cannot be.
    """
    try:
        return PhotoOptions(**options)
    except ValidationError as error:
        problem = error.errors()[0]
        expected = problem["msg"].removeprefix("Input ")
        raise UsageError(f"{expected}; received: {problem['input']!r}", field=str(problem["loc"][0])) from None


def report_reading() -> Progress:
    """Return what reports on stderr while photos are decoded; it is imported with the first of them."""
    report: Progress | None = None

    def tell(done: int, total: int, doing: str) -> None:
        nonlocal report
        if report is None:
            from ..progress import ReadingReport

            report = ReadingReport()
        report(done, total, doing)

    return tell


def naming_options() -> AbstractContextManager[None]:
    """Let errors inside name the argument where they know the entry of a configuration."""
    return naming(lambda field: field.removeprefix("data."))


def _dataset_html(data: Dataset) -> str:
    """Return a dataset's sizes and a picture of its classes, for notebooks."""
    return f"<p>{escape(repr(data))}</p>" + html_image(png(figures.class_grid(data, data.train)))


# Drawing lies to the right of data in the order of imports, so this method is bound here, where both are known.
Dataset._repr_html_ = _dataset_html  # type: ignore[attr-defined]
