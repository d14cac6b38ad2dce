"""The named datasets as they are published: their files, checksums and mirrors.

In: a name, and the folder that datasets lie in. Out: its files in their folder there, as the catalog looks for them.
It does not know how a file is downloaded, nor what is in it.

$EYESIGHT_MIRROR names a server that is asked first. It has the files as a data folder has them, as
`mnist/train-images-idx3-ubyte.gz`. $EYESIGHT_OFFLINE=1 forbids every download.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, UsageError
from . import catalog
from .download import Progress, RemoteFile, Say, fetch
from .places import download_folder


@dataclass(frozen=True)
class Publication:
    """Where a dataset is published: its folder here, the mirrors, and the MD5 of each file."""

    folder: str
    mirrors: tuple[str, ...]
    files: Mapping[str, str]


def download_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Path:
    """Download a named dataset, unless it is there already.

    Args:
        name: "mnist", "fashion-mnist", "cifar10" or "cifar100".
        data_dir: folder with the datasets; else $EYESIGHT_DATA, else the user's own. It is made where it is missing.
        offline: refuse to download what is missing; $EYESIGHT_OFFLINE=1 does so too.
        progress: called with every piece that comes.
        say: called with a line where something is worth knowing.

    Returns:
        Where its files lie.

    Raises:
        UnknownNameError, UsageError: no dataset of that name is published.
        DataError: offline, no mirror gave it, or no space.
    """
    catalog.entry(name)
    if name not in _PUBLISHED:
        raise UsageError(f"nothing to download: {name} comes with the program")
    publication, folder = _PUBLISHED[name], download_folder(data_dir)
    target = folder / publication.folder
    if place := _find_whole(name, folder):
        return place
    missing = [file for file in publication.files if not (target / file).exists()]
    if missing and (offline or is_offline()):
        why = "--offline" if offline else "EYESIGHT_OFFLINE"
        raise DataError(f"{name}: {target} has no {', '.join(missing)}, and {why} forbids downloads")
    for file in published_files(name):
        fetch(file, target, progress=progress, say=say)
    return target


def _find_whole(name: str, folder: Path) -> Path | None:
    """Return where the folder has the dataset already, in whatever form, if it can be read from end to end."""
    place = catalog.locate(name, [folder])
    try:
        return place if place and catalog.entry(name).read(place) else None
    except DataError:
        return None  # the checksums tell which file it is


def published_files(name: str) -> list[RemoteFile]:
    """Return the files of a published dataset, each with its mirrors."""
    publication = _PUBLISHED[name]
    own = os.environ.get("EYESIGHT_MIRROR", "").rstrip("/")
    if own and not own.startswith(("http://", "https://")):
        raise UsageError(f"expected the address of a web server; received: {own!r}", field="$EYESIGHT_MIRROR")
    bases = [*([f"{own}/{publication.folder}/"] if own else []), *publication.mirrors]
    return [RemoteFile(file, md5, tuple(base + file for base in bases)) for file, md5 in publication.files.items()]


def is_offline() -> bool:
    """Tell whether $EYESIGHT_OFFLINE forbids downloads."""
    return os.environ.get("EYESIGHT_OFFLINE", "").lower() not in ("", "0", "false", "no")


def _idx_names(*checksums: str) -> dict[str, str]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return {f"{name}-ubyte.gz": md5 for name, md5 in zip(names, checksums, strict=True)}


_KRIZ = ("https://www.cs.toronto.edu/~kriz/",)
_PUBLISHED = {
    "mnist": Publication(
        "mnist",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _idx_names(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion-mnist": Publication(
        "fashion-mnist",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        _idx_names(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "cifar10": Publication("cifar-10", _KRIZ, {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}),
    "cifar100": Publication("cifar-100", _KRIZ, {"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"}),
}
