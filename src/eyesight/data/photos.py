"""A user's own photos as a `Dataset`: listed, read, checked, and put into splits.

In: a folder, a table or an archive, and how it is to be read. Out: a `Dataset` whose notes say what is odd about it.
Files that are no pictures are left out and named; nothing is replaced or moved.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ..errors import DataError, DataNotFoundError, UsageError
from ..pictures.decode import size_of
from ..pictures.sources import natural
from .archive import is_archive, unpack
from .cache import Decoded, Progress, cache_folder, decode_all
from .dataset import Dataset, Ints, Split
from .decoder import KINDS, Resize
from .folder import list_folder
from .listing import Listing, Photo, count, is_table, some, suffix_of
from .near import join_copies
from .photo_store import PhotoStore
from .shards import Known
from .table import Columns, list_table

LARGE = 48  # pixels: photos of so many a side and more show enough to a network that knows larger ones
_USUAL_SIDE = 64  # pixels: what a small network learns from scratch in minutes
_MEASURED = 64  # pictures whose size is looked at
_UNEVEN = 3  # times as many pictures in the largest class as in the smallest
_SUFFIXES = {
    "PNG": (".png",), "JPEG": (".jpg", ".jpeg", ".jfif"), "GIF": (".gif",), "BMP": (".bmp",), "WEBP": (".webp",),
}  # fmt: skip


class PhotoOptions(BaseModel):
    """How a user's own photos are read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # of the square that is kept of every picture; 64, or the pictures' own size where that is less
    img_size: Annotated[int, Field(ge=8, le=1024)] | None = None
    resize: Resize = "crop"  # cut the middle, add black borders, or stretch
    group_by: str | None = None  # "folder", a column, or a pattern: what stays on one side of a split
    strict: bool = False  # refuse what would be left out
    # hold every file and every decoded picture against its checksum; no part of a configuration
    verify: bool = Field(default=False, exclude=True)
    image_column: str | None = None
    label_column: str | None = None


def load_photos(
    path: Path, options: PhotoOptions, *, large: int | None = None, progress: Progress | None = None
) -> Dataset:
    """Read a user's photos; the validation pictures are not chosen yet where they do not come with them.

    Args:
        path: a folder, a table, or an archive.
        options: how.
        large: the side at which pictures are kept where the options say none, and most have at least `LARGE` pixels a
            side.
        progress: called while pictures are decoded.

    Raises:
        DataNotFoundError: nothing is there.
        DataError: no layout that is known, fewer than two classes, or, with `strict`, anything that is left out.
        UsageError: a column or a pattern that does not fit.
    """
    listing = list_photos(path, options)
    _check_strict(path, listing.problems, options)
    check_classes(path, listing, listing.photos)
    photos = list(_grouped(listing.photos, options.group_by))
    side = options.img_size or _usual_side([photo.path for photo in photos], large)
    paths, verify = [photo.path for photo in photos], options.verify
    read = decode_all(path, paths, side=side, resize=options.resize, verify=verify, progress=progress)
    left_out = {photo.id: read.reasons[photo.path] for photo in photos if photo.path in read.reasons}
    bad = [f"{name}: {reason}" for name, reason in left_out.items()]
    if bad:
        of = f"{len(photos) - len(bad):,} of {count(len(photos), 'picture')} read"
        listing.problems.append(f"{of}; left out: {some(bad, separator='; ')}")
        _check_strict(path, listing.problems, options)
    good = [photo for photo in photos if photo.path not in read.reasons]
    check_classes(path, listing, good)
    notes = [*listing.problems, *listing.notes, *read.notes, *_findings(good, read.known, photos)]
    data = _assemble(path, options.model_copy(update={"img_size": side}), good, read)
    if data.given is None:  # some may be held out
        train, near = join_copies(data.train)
        data = replace(data, train=train)
        ids = train.example_ids
        if near:
            named = some((" = ".join(ids[i] for i in members[:3]) for members in near), separator="; ")
            notes.append(f"near copies, kept on one side of a split ({count(len(near), 'picture')}): {named}")
    return replace(data, notes=tuple(notes), left_out=left_out)


def list_photos(path: Path, options: PhotoOptions) -> Listing:
    """Return what lies at a path, whatever it is."""
    columns = Columns(options.image_column, options.label_column, options.group_by)
    if path.is_dir():
        return list_folder(path, columns)
    if not path.exists():
        raise DataNotFoundError(f"{path}: no such folder or file")
    if not path.is_file():
        raise DataError(f"{path}: expected a folder, a table or an archive")
    if is_archive(path):
        unpacked = unpack(path, cache_folder() / "archives")
        listing = list_folder(unpacked.folder, columns, inside=True)
        listing.notes[:0] = unpacked.notes
        return listing
    if is_table(path.name):
        listing = list_table(path, columns)
        listing.photos.sort(key=lambda photo: photo.id)
        return listing
    raise DataError(f"{path}: expected a folder, a table (.csv, .tsv, .jsonl) or an archive (.zip, .tar, .tar.gz)")


def _check_strict(path: Path, problems: Sequence[str], options: PhotoOptions) -> None:
    if options.strict and problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataError(f"{path}: {problems[0]}{more}; refused, as --strict asks")


def check_classes(path: Path, listing: Listing, photos: Sequence[Photo]) -> None:
    """Refuse photos of fewer than two classes, and classes that cannot be learned."""
    train = {photo.label for photo in photos if photo.split in ("", "train")}
    if unknown := sorted({photo.label for photo in photos} - train, key=natural):
        where = sorted({photo.split for photo in photos if photo.label in unknown})
        few = "class" if len(unknown) == 1 else "classes"
        raise DataError(
            f"{path}: the {few} {some(map(repr, unknown))} in {' and '.join(where)} "
            f"{'has' if len(unknown) == 1 else 'have'} no pictures in train"
        )
    if len(train) > 1:
        return
    found = "no classes" if not train else f"one class, {next(iter(train))!r}"
    if not photos:
        loose = f" ({count(listing.loose, 'picture lies', 'pictures lie')} in no class folder)" if listing.loose else ""
        found = f"no labelled pictures{loose}"
        found += f" ({listing.problems[0]})" if listing.problems else ""
    name = path.name or str(path)
    raise DataError(
        f"{path}: expected two classes or more; found {found}. Looked for {name}/CLASS/*.jpg, "
        f"{name}/train/CLASS/*.jpg with val/ and test/ beside train/, a CSV with the columns image and label, "
        "and metadata.csv beside the pictures"
    )


def _grouped(photos: Sequence[Photo], by: str | None) -> Iterator[Photo]:
    """Yield the photos with the group that the user asks for; a column of a table has been read already."""
    if by is None or any(photo.group is not None for photo in photos):
        yield from photos
        return
    if by == "folder":
        yield from (replace(photo, group=photo.id.rpartition("/")[0]) for photo in photos)
        return
    try:
        pattern = re.compile(by)
    except re.error as error:
        raise UsageError(
            f"expected folder, a column or a pattern; {by!r} is none: {error}", field="data.group_by"
        ) from None
    matches = [pattern.search(photo.id) for photo in photos]
    if not any(matches):
        raise UsageError(f"{by!r} is no column, and as a pattern matches no picture", field="data.group_by")
    for photo, match in zip(photos, matches, strict=True):
        yield photo if match is None else replace(photo, group=match[1] if pattern.groups else match[0])


def _usual_side(paths: Sequence[str], large: int | None = None) -> int:
    """Return the side at which pictures are kept: their own, where all have the same small one; see `load_photos`."""
    step = max(1, len(paths) // _MEASURED)
    found = [size for path in paths[::step] if Path(path).is_file() and (size := size_of(path))]
    if large is not None and found and sorted(map(min, found))[len(found) // 2] >= LARGE:
        return large
    return side_of(found)


def side_of(found: Sequence[tuple[int, int]]) -> int:
    """Return the side at which pictures of these sizes are kept: their own, where all have the same small one."""
    sizes = set(found)
    largest = max((max(size) for size in sizes), default=_USUAL_SIDE)
    return max(largest, 8) if len(sizes) == 1 and largest <= _USUAL_SIDE else _USUAL_SIDE


def _findings(photos: Sequence[Photo], known: Known, listed: Sequence[Photo]) -> Iterator[str]:
    """Say what is odd about pictures that can be read; `listed` are all that were to be."""
    yield from class_findings(photos, listed)
    yield from _copies(photos, known)
    if leaks := _crossing(photos):
        yield f"{count(len(leaks), 'group is', 'groups are')} on both sides of the given splits: {some(leaks)}"
    grey = int(known.grey.sum())
    if 0 < grey < len(photos):
        yield f"all pictures are kept in colour (3 channels); {grey:,} of {len(photos):,} are grey"
    misnamed = [
        f"{photo.id} ({KINDS[kind]})"
        for photo, kind in zip(photos, known.kinds.tolist(), strict=True)
        if kind and suffix_of(photo.id) not in (*_SUFFIXES[KINDS[kind]], "")
    ]
    if misnamed:
        files = count(len(misnamed), "file is", "files are")
        yield f"{files} of another kind than named, and read all the same: {some(misnamed)}"


def class_findings(photos: Sequence[Photo], listed: Sequence[Photo]) -> Iterator[str]:
    """Say what is odd about the classes."""
    train = Counter(photo.label for photo in photos if photo.split in ("", "train"))
    if lost := sorted({photo.label for photo in listed} - train.keys(), key=natural):
        yield f"no picture can be read of {some(map(repr, lost))}, which is no class then"
    alike = defaultdict[str, list[str]](list)
    for label in sorted(train, key=natural):
        alike[" ".join(label.casefold().split())].append(label)
    if twins := [" and ".join(map(repr, labels)) for labels in alike.values() if len(labels) > 1]:
        yield f"classes whose names differ only in capitals or spaces are kept apart: {some(twins)}"
    if single := sorted((label for label, number in train.items() if number == 1), key=natural):
        many = "classes" if len(single) > 1 else "class"
        yield f"one training picture only in the {many} {some(map(repr, single))}; none can be held out of it"
    for split in ("validation", "test"):
        here = {photo.label for photo in photos if photo.split == split}
        if here and (missing := sorted(train.keys() - here, key=natural)):
            yield f"{split} has no pictures of {some(map(repr, missing))}"
    (most, number), fewest = train.most_common(1)[0], min(train.values())
    if number >= _UNEVEN * fewest:
        share = number / train.total()
        yield (
            f"uneven classes: {share:.0%} of the training pictures are {most!r}, so that always guessing it gives an "
            f"accuracy of {share:.2f}; look at the balanced accuracy, where that gives {1 / len(train):.2f}; "
            "--balance lets every class count as much"
        )


def _copies(photos: Sequence[Photo], known: Known) -> Iterator[str]:
    """Name exact copies: in two classes, in two splits, or only there twice."""
    same = defaultdict[int, list[Photo]](list)
    for i, first in enumerate(_first_copies(known.digests)):
        if first != i:
            same[first] = [*(same[first] or [photos[first]]), photos[i]]
    contradictions, leaks, plain = list[list[Photo]](), list[list[Photo]](), list[list[Photo]]()
    for group in same.values():
        labels, splits = {photo.label for photo in group}, {photo.split for photo in group}
        contradictions += [group] if len(labels) > 1 else []
        leaks += [group] if len(splits) > 1 else []
        plain += [group] if len(labels) == len(splits) == 1 else []
    for groups, said in (
        (contradictions, "the same picture in two classes"),
        (leaks, "the same picture in two splits, so that the result will flatter"),
        (plain, "there more than once, and kept on one side of a split"),
    ):
        if groups:
            named = some((" = ".join(photo.id for photo in group[:3]) for group in groups), separator="; ")
            yield f"{said} ({count(len(groups), 'picture')}): {named}"


def _crossing(photos: Sequence[Photo]) -> list[str]:
    """Return the groups that have pictures in several splits."""
    splits = defaultdict[str, set[str]](set)
    for photo in photos:
        if photo.group is not None:
            splits[photo.group].add(photo.split)
    return sorted(name for name, found in splits.items() if len(found) > 1)


def _assemble(path: Path, options: PhotoOptions, photos: Sequence[Photo], read: Decoded) -> Dataset:
    """Return the dataset: one store, of which each split has a part."""
    classes = tuple(sorted({photo.label for photo in photos}, key=natural))
    numbers = {label: i for i, label in enumerate(classes)}
    store = PhotoStore(
        records=read.records,
        where=read.known.rows,
        channels=1 if read.known.grey.all() else 3,
        ids=tuple(photo.id for photo in photos),
        paths=tuple(photo.path for photo in photos),
        digests=read.known.digests,
    )
    labels = np.array([numbers[photo.label] for photo in photos], np.int64)
    groups = _group_numbers(photos, store.digests)
    whole = Split("train", store, np.arange(len(photos)), labels, origin="", groups=groups)

    def part(name: str, *splits: str) -> Split | None:
        rows = np.flatnonzero([photo.split in splits for photo in photos])
        return whole.select(rows, name=name) if len(rows) else None

    train = part("train", "", "train")
    assert train is not None  # `check_classes` has seen two classes in it
    how = options.model_dump(include=set(PhotoOptions.model_fields))
    return Dataset(
        name=_name(path),
        classes=classes,
        train=train,
        test=part("test", "test"),
        kind="folder",
        folder=str(path.resolve()),
        resize=options.resize,
        entries={"name": str(path.resolve()), **how},
        given=part("validation", "validation"),
    )


def _first_copies(digests: npt.NDArray[np.uint8]) -> list[int]:
    """Return for every file the first one with the same bytes, perhaps itself: (N)."""
    _, firsts, numbers = np.unique(digests.view("V32")[:, 0], return_index=True, return_inverse=True)
    found: list[int] = firsts[numbers].tolist()
    return found


def _group_numbers(photos: Sequence[Photo], digests: npt.NDArray[np.uint8]) -> Ints | None:
    """Return which photos belong together, by what the user says or because they are the same file; None if none do."""
    parents = list(range(len(photos)))

    def top(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    named: dict[str, int] = {}
    for i, (photo, copy) in enumerate(zip(photos, _first_copies(digests), strict=True)):
        if copy != i:
            parents[top(i)] = top(copy)
        if photo.group is not None:
            parents[top(i)] = top(named.setdefault(photo.group, i))
    groups = np.array([top(i) for i in range(len(photos))], np.int64)
    return groups if len(np.unique(groups)) < len(groups) else None


def _name(path: Path) -> str:
    """Return what a run on these photos is called by."""
    name = path.resolve().name
    if path.is_file():
        name = re.sub(r"(\.tar)?\.[^.]+$", "", name)
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "photos"
