"""What is checked: labelled pictures, those too that cannot be read, wherever they come from.

In: the listing of a folder, a table or an archive; or a `Dataset`. Out: items, and a look at each. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.dataset import Dataset
from ..data.duplicates import SIDE
from ..data.photos import PhotoOptions, check_classes, class_findings, list_photos
from ..errors import PictureError
from ..pictures.decode import decode
from ..pictures.preprocess import Pixels, Preprocessing, fit
from ..pictures.sources import natural
from .examine import Facts, examine_file, examine_pixels


@dataclass(frozen=True)
class Item:
    """One labelled picture.

    Attributes:
        id: what it is called, the same however the pictures are split.
        label: name of its class.
        split: train, validation or test.
        group: of pictures that belong on one side of a split; "" for none.
        path: of its file; "" where it has none of its own.
    """

    id: str
    label: str
    split: str
    group: str = ""
    path: str = ""


class Photos:
    """The photos of a folder, a table or an archive.

    Args:
        path: where they lie.
        options: how they are named and grouped.

    Attributes:
        name: of them all.
        items: one for each photo.
        classes: names, in their order.
        problems: what was to be there and is not.
        notes: what else is odd.
        small: whether the pictures are too small to tell a copy that was changed from another picture.
        grey: whether they are small and grey, so that features are made of their pixels.
        split: whether the layout says which split a photo belongs to.

    Raises:
        DataError: nothing to be checked: no layout that is known, or fewer than two classes.
    """

    small = grey = False

    def __init__(self, path: Path, options: PhotoOptions) -> None:
        listing = list_photos(path, options)
        photos = listing.photos
        train = {photo.label for photo in photos if photo.split in ("", "train")}
        if len({photo.label for photo in photos}) < 2 or not train:
            check_classes(path, listing, photos)
        self.name = str(path)
        self.items = [
            Item(photo.id, photo.label, photo.split or "train", photo.group or "", photo.path) for photo in photos
        ]
        self.classes = tuple(sorted({photo.label for photo in photos}, key=natural))
        self.problems = list(listing.problems)
        for label in sorted({photo.label for photo in photos} - train, key=natural):
            self.problems.append(f"the class {label!r} has no pictures in train")
        self.notes = [*listing.notes, *class_findings(photos, photos)]
        self.split = any(photo.split for photo in photos)

    def look(self, i: int, view: Preprocessing | None) -> tuple[Facts, Pixels | None] | str:
        """Return the facts of a photo, and how a network sees it; or the reason why it cannot be read."""
        try:
            return examine_file(self.items[i].path, self.items[i].id, view)
        except PictureError as error:
            return str(error)

    def picture(self, i: int) -> Image.Image:
        """Return a photo, to be shown."""
        return decode(self.items[i].path, channels=3)


class Stored:
    """The pictures of a dataset; it has the attributes of `Photos`.

    Args:
        data: the dataset.
    """

    def __init__(self, data: Dataset) -> None:
        self.name, self.classes = data.name, data.classes
        self.problems, self.notes = list[str](), list(data.notes)
        height, width, channels = data.shape
        self.small = max(height, width) < SIDE
        self.grey = self.small and channels == 1
        self.items, self._places = list[Item](), list[tuple[str, int]]()
        self._splits = data.splits()
        for name, split in self._splits.items():
            for row, (id_, label) in enumerate(zip(split.example_ids, split.labels.tolist(), strict=True)):
                group = "" if split.groups is None else str(split.groups[row])
                self.items.append(Item(id_, data.classes[label], name, group))
                self._places.append((name, row))

    def look(self, i: int, view: Preprocessing | None) -> tuple[Facts, Pixels | None] | str:
        """Return the facts of a picture, and how a network sees it."""
        return examine_pixels(self._pixels(i)), None if view is None else fit(self.picture(i), view)

    def picture(self, i: int) -> Image.Image:
        """Return a picture, to be shown."""
        pixels = self._pixels(i)
        return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")

    def pixels(self, rows: Sequence[int]) -> Pixels:
        """Return pictures, one line of pixels for each."""
        return np.stack([self._pixels(i).reshape(-1) for i in rows])

    def _pixels(self, i: int) -> Pixels:
        name, row = self._places[i]
        picture: Pixels = self._splits[name].gather([row])[0]
        return picture


Collection = Photos | Stored
