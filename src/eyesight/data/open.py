"""The one door to data: what a user, a configuration or an earlier run names becomes a `Dataset`.

In: a name, a folder of photos, a table or archive of them, a pair of arrays, a dataset, or what a configuration says of
its data. Out: a `Dataset`, split. Only here is asked which kind of thing it is. It does not know where the files of a
named dataset lie, nor how they are read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from ..errors import DataNotFoundError, UnknownNameError, UsageError
from . import catalog
from .cache import Progress
from .dataset import Dataset, from_arrays
from .photos import LARGE, PhotoOptions, load_photos
from .places import data_folders

Validation = float | Literal["test"]
Named = str | os.PathLike[str] | tuple[Any, Any]


class DataConfig(PhotoOptions):
    """What a configuration says of its data: which, and how it is split."""

    name: str = "digits"  # of photos, where they lie
    kind: Literal["catalog", "arrays", "folder"] = "catalog"
    # a tenth is enough to choose between epochs (±1.3 % at 5,000 pictures) and leaves nearly all to learn from
    validation: Annotated[float, Field(ge=0, le=0.5)] | Literal["test"] = 0.1
    # apart from the run's seed, so that runs are compared on the same split
    split_seed: Annotated[int, Field(ge=0)] = 0
    sample: Annotated[int, Field(ge=1)] | None = None  # so many of the training pictures, validation and all; else all

    @model_serializer(mode="wrap")
    def _only_what_matters(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out how photos are read where there are none."""
        entries: dict[str, Any] = handler(self)
        return (
            entries
            if self.kind == "folder"
            else {k: v for k, v in entries.items() if k not in PhotoOptions.model_fields}
        )


def kind_of(named: str | os.PathLike[str], data_dir: str | Path | None = None) -> Literal["catalog", "folder"]:
    """Tell whether a name is that of a dataset or of a place with photos; a dataset's goes first.

    Raises:
        UnknownNameError: neither.
        DataNotFoundError: a path to nothing.
    """
    if isinstance(named, str) and named in catalog.names():
        return "catalog"
    find_photos(named, data_dir)
    return "folder"


def find_photos(named: str | os.PathLike[str], data_dir: str | Path | None = None) -> Path:
    """Return the folder, table or archive that a user names: as a path, or one in the data folder."""
    text = os.fspath(named)
    path = Path(text).expanduser()
    if text and os.path.lexists(path):
        return path
    folders = [] if path.is_absolute() else data_folders(data_dir)
    if found := next((folder / path for folder in folders if text and (folder / path).exists()), None):
        return found
    if not text or (isinstance(named, str) and os.sep not in text and not path.suffix):
        raise UnknownNameError("dataset", text, catalog.names())
    raise DataNotFoundError(f"{text}: no such folder or file")


def open_data(
    named: Named,
    *,
    data_dir: str | Path | None = None,
    validation: Validation = 0.1,
    split_seed: int = 0,
    sample: int | None = None,
    test: tuple[Any, Any] | None = None,
    classes: list[str] | None = None,
    photos: PhotoOptions | None = None,
    large: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open what a user names, and split it. See `eyesight.load_data`; of `large`, see `load_photos`."""
    if not isinstance(named, tuple | list) and (test is not None or classes is not None):
        raise UsageError(f"only for arrays; {named} has its own", field="test, classes")
    if isinstance(named, str | os.PathLike) and kind_of(named, data_dir) == "catalog":
        _refuse_options(photos, str(named))
        return catalog.load(str(named), data_dir=data_dir, validation=validation, seed=split_seed, sample=sample)
    if isinstance(named, str | os.PathLike):
        data = load_photos(find_photos(named, data_dir), photos or PhotoOptions(), large=large, progress=progress)
    else:
        data = from_arrays(named, test=test, classes=classes, validation=0)
        _refuse_options(photos, "arrays")
    if sample is not None:
        data = data.with_sample(sample, seed=split_seed)
    return data.with_validation(validation, seed=split_seed)


def _refuse_options(photos: PhotoOptions | None, name: str) -> None:
    """Refuse options that only photos have, where other data is named."""
    for option, field in PhotoOptions.model_fields.items():
        if photos is not None and (value := getattr(photos, option)) != field.default:
            raise UsageError(f"only for a folder of photos; received: {value!r} for {name}", field=f"data.{option}")


def open_wanted(
    named: Named | Dataset | None,
    wanted: DataConfig,
    *,
    data_dir: str | Path | None = None,
    validation: Validation | None = None,
    large: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Open what a training is asked to learn from.

    Args:
        named: what the user names; None for what the configuration does.
        wanted: the configuration's entries.
        data_dir: folder with the files of named datasets.
        validation: how a `Dataset` is split anew; None to leave it as it is.
        large: the side at which photos are kept where nobody says, and they are large enough; see `load_photos`.
        progress: called while photos are decoded.
    """
    if isinstance(named, Dataset):
        named = named if large is None else _enlarged(named, large, progress)
        return named if validation is None else named.with_validation(validation, seed=named.split_seed)
    if named is None and wanted.kind == "arrays":
        raise UsageError("the configuration was made for arrays; pass them", field="data.name")
    return open_data(
        wanted.name if named is None else named,
        data_dir=data_dir,
        validation=wanted.validation,
        split_seed=wanted.split_seed,
        sample=wanted.sample,
        photos=wanted,
        large=large,
        progress=progress,
    )


def _enlarged(data: Dataset, side: int, progress: Progress | None) -> Dataset:
    """Return a dataset of photos with larger pictures, read anew; any other as it is, and one of small photos."""
    if data.kind != "folder" or data.shape[0] in (side, *range(LARGE)):
        return data
    options = {name: data.entries[name] for name in PhotoOptions.model_fields if name in data.entries}
    found = load_photos(Path(data.entries["name"]), PhotoOptions(**options | {"img_size": side}), progress=progress)
    if data.sample is not None:
        found = found.with_sample(data.sample, seed=data.split_seed)
    return found.with_validation(data.validation_share, seed=data.split_seed)


def open_again(
    wanted: DataConfig,
    *,
    source: Path,
    data_dir: str | Path | None,
    folder: str | None,
    progress: Progress | None = None,
) -> Dataset:
    """Open what an earlier run or study learned from.

    Args:
        wanted: the entries of its configuration.
        source: its own folder, for messages.
        data_dir: folder with the dataset's files; $EYESIGHT_DATA, or where they were, if not given. Of photos, the
            folder, table or archive itself, or the folder that holds it.
        folder: where they were.
        progress: called while photos are decoded.

    Raises:
        DataNotFoundError: the files are no longer where they were.
        UsageError: it was trained on arrays, which only the Python that trained it has.
    """
    if wanted.kind == "arrays":
        raise UsageError(f"{source}: was trained on arrays, which only Python can pass: data=eyesight.from_arrays(…)")
    if wanted.kind == "folder":
        return open_wanted(_photos_again(wanted.name, source, data_dir), wanted, progress=progress)
    if not data_dir and not os.environ.get("EYESIGHT_DATA") and folder and Path(folder).is_dir():
        data_dir = folder
    return open_wanted(None, wanted, data_dir=data_dir)


def _photos_again(name: str, source: Path, data_dir: str | Path | None) -> Path:
    """Return where the photos of an earlier run lie now."""
    was = Path(name)
    if data_dir:
        named = Path(data_dir).expanduser()
        inside = named / was.name
        if not named.exists():
            raise UsageError(f"no such folder: {named}", field="data_dir")
        return inside if inside.exists() and named.name != was.name else named
    if not was.exists():
        raise DataNotFoundError(f"{source}: its photos are no longer at {name}; say where they are with --data-dir")
    return was
