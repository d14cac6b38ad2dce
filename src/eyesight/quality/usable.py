"""The table of what to use, after a check.

In: a `Check` of photos. Out: a CSV with the columns image, label, split and group, which `train` takes. It moves and
changes no picture.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..errors import UsageError
from ..formats import write_bytes
from .check import Check
from .collection import Photos


def write_usable(check: Check, path: Path) -> int:
    """Write which pictures are to be used, and return how many.

    Pictures below the folder of the table are named from there, others by their whole path.

    Raises:
        UsageError: pictures that are no files of their own.
    """
    collection = check.collection
    if not isinstance(collection, Photos):
        raise UsageError(
            f"only for photos; the pictures of {collection.name} are no files of their own", field="output"
        )
    folder = path.absolute().parent
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("image", "label", "split", "group"))
    used = 0
    for i, item in enumerate(collection.items):
        if i in check.left_out:
            continue
        place = Path(item.path).absolute()
        name = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)
        group = f"group-{check.groups[i]}" if check.groups[i] >= 0 else ""
        table.writerow((name, item.label, item.split if collection.split else "", group))
        used += 1
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))
    return used
