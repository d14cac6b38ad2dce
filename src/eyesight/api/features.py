"""Features of photos as a user asks for them: for search, for clustering, for another program.

In: pictures, a pretrained network or a run. Out: `Embedding`, and its files.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..backbones import BACKBONES, DEFAULT_BACKBONE
from ..errors import DataError, UsageError
from ..formats import atomic_path, check_path, write_bytes
from ..pictures.sources import picture_files, readable_name
from .runs import open_run
from .training import check_backbone

SUFFIXES = (".npy", ".parquet")


@dataclass(frozen=True, eq=False)
class Embedding:
    """What a pretrained network makes of pictures.

    Attributes:
        paths: of the pictures that could be read, in order.
        features: float32 (N, F), a row for each.
        reasons: why the others could not be read, by path.
        backbone: the network's name.
        computed: how many were computed, rather than found in the cache.
    """

    paths: tuple[Path, ...]
    features: npt.NDArray[np.float32]
    reasons: dict[Path, str]
    backbone: str
    computed: int

    def save(self, path: str | Path) -> list[Path]:
        """Write the features: to a .npy file, with the paths in a .csv beside it; or both to a .parquet file.

        Returns:
            The files.

        Raises:
            UsageError: another kind of file, or one that needs a package that is not installed.
        """
        path = Path(path)
        check_output(path)
        names = list(map(readable_name, self.paths))
        if path.suffix.lower() == ".parquet":
            with atomic_path(path) as temporary:
                _write_parquet(temporary, names, self.features)
            return [path]
        buffer, table = io.BytesIO(), io.StringIO()
        np.save(buffer, self.features, allow_pickle=False)
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("row", "path"))
        writer.writerows(enumerate(names))
        write_bytes(path, buffer.getvalue())
        write_bytes(path.with_suffix(".csv"), table.getvalue().encode())
        return [path, path.with_suffix(".csv")]


def embed(
    pictures: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    backbone: str | None = None,
    run: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Embedding:
    """Return the features of pictures; those of pictures that were seen before are not computed again.

    Args:
        pictures: files, folders, patterns.
        backbone: a pretrained network's name; efficientnet-lite0 where neither this nor a run is named.
        run: a run of `train` on photos, whose pretrained network is taken, and whose way to read pictures.
        threads: of the CPU, that compute; None for as many as the process may use.
        progress: called with the number of pictures done, and of how many that were not known before.

    Raises:
        UsageError: no such backbone, a run without one, or nothing that is named.
        DataError: none of the pictures can be read.
    """
    from ..training.features import FilePictures, open_backbone
    from ..training.features import embed as compute

    fit: Any = "crop"
    if run is not None:
        if backbone is not None:
            raise UsageError(f"{run} has its own; received: {backbone}", field="backbone")
        backbone, fit = _of_run(run)
    name = backbone or DEFAULT_BACKBONE
    check_backbone(name)
    given = [pictures] if isinstance(pictures, str | os.PathLike) else pictures
    if not isinstance(given, Iterable):
        raise UsageError(f"expected files, folders or patterns; received: {type(given).__name__}", field="pictures")
    given = list(given)
    for item in given:
        check_path(item, "pictures")
    paths = picture_files([os.fsdecode(item) for item in given])
    network = open_backbone(name, fit=fit, threads=threads)
    source = FilePictures(paths, network.preprocessing)
    found = compute(network, source, progress=progress)
    if not found.known.any():
        raise DataError(f"none of {len(paths):,} pictures can be read ({next(iter(source.reasons.items()))[1]})")
    known = tuple(path for path, is_known in zip(paths, found.known, strict=True) if is_known)
    features = found.features if found.known.all() else found.features[found.known]
    return Embedding(known, features, source.reasons, name, found.computed)


def check_output(path: Path) -> None:
    """Raise `UsageError` unless features can be written to a file of this kind."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"expected a file that ends with {' or '.join(SUFFIXES)}; received: {path}", field="output")
    if path.suffix.lower() == ".parquet":
        _parquet()


def _of_run(path: str | Path) -> tuple[str, str]:
    """Return the pretrained network of a run, and how it reads pictures."""
    run = open_run(path)
    name = run.about().get("model")
    if name not in BACKBONES or run.about().get("method") != "probe":
        raise UsageError(f"{path}: has no pretrained network; it was trained with {name}", field="run")
    return name, run.config.data.resize


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "a .parquet file needs a package; install it with: pip install 'eyesight[parquet]'", field="output"
        ) from None
    return parquet


def _write_parquet(path: Path, names: list[str], features: npt.NDArray[np.float32]) -> None:
    parquet = _parquet()
    import pyarrow

    width = features.shape[1]
    rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(features.reshape(-1)), width)
    parquet.write_table(pyarrow.table({"path": names, "features": rows}), path)
