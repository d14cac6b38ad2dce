"""Answers for any number of pictures, as a user asks for them.

In: a model, files and folders, a file to write. Out: the file, and `Written`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..bulk.partial import check_free
from ..bulk.predict import Written
from ..bulk.predict import predict_files as write
from ..bulk.rows import check_kind
from ..errors import UsageError
from ..formats import check_path
from .runs import load_model


def predict_files(
    model: str | Path,
    pictures: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | Path,
    *,
    top: int = 1,
    probabilities: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int, int], None] | None = None,
) -> Written:
    """Write what a classifier says of any number of pictures to a file, in bounded memory.

    The file has a row for every picture: `path`, `label`, `probability` and `error`, which is empty unless the picture
    cannot be read. It appears when it is whole; until then its rows lie in a file beside it, with `.partial` at the
    end of its name. Interrupted, even by a power cut, the same call goes on.

    Args:
        model: a run's folder, a model file, an exported .onnx file, or a pretrained network's name.
        pictures: files, folders, patterns.
        output: the file: .csv, .jsonl or .parquet.
        top: so many classes for each picture; the second is in `label_2` and `probability_2`.
        probabilities: also the probability of every class, each in a column.
        overwrite: replace a file that exists, and one that was begun with another model, other columns or pictures.
        progress: called with the number of pictures done, of how many, and how many an earlier call had done.

    Raises:
        UsageError: another kind of file, or nothing that is named.
        RunError: the file exists, or was begun with something else.
        InterruptedRun: Ctrl-C or SIGTERM; what was done is kept.
    """
    check_path(output, "output")
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise UsageError(f"expected a whole number, 1 or more; received: {top!r}", field="top")
    check_kind(Path(output))
    check_free(Path(output), overwrite=overwrite)  # before a model is read
    given = [pictures] if isinstance(pictures, str | os.PathLike) else list(pictures)
    predictor = load_model(model)
    return write(
        predictor,
        [os.fsdecode(item) for item in given],
        Path(output),
        model=predictor.checksum or str(model),
        top=top,
        probabilities=probabilities,
        overwrite=overwrite,
        progress=progress,
    )
