"""Tables that name pictures and their classes: CSV, TSV and JSON lines.

In: a file. Out: a `Listing`. The columns are recognised by their names, or named by the user. A picture is looked for
where the table says, beside the table, in a folder beside it, and by its name alone; with and without its suffix.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ..errors import DataError, UsageError
from .listing import SPLIT_NAMES, Listing, Photo, SplitName, as_text, clean_label, count, some, suffix_of, walk

_IMAGE = (
    "image file_name filename file image_path file_path filepath path image_name image_file image_filename img "
    "img_path img_name picture photo image_id img_id id name"
).split()
_LABEL = (
    "label labels class class_name classname category category_name target breed species variety diagnosis dx y tag "
    "class_id category_id label_name"
).split()
_PROSE = frozenset(("text", "caption", "description", "prompt"))  # of two columns the second, and no class
_SPLIT, _GROUP = ("split", "subset", "partition"), ("group", "group_id")
_LARGEST = 1 << 30  # bytes of a table
_LONGEST_NAME = 4096  # letters; the system's own limit

Row = Mapping[str, str]


@dataclass(frozen=True)
class Columns:
    """What the user calls the columns of a table; None for those to be recognised."""

    image: str | None = None
    label: str | None = None
    group: str | None = None


def list_table(
    path: Path, columns: Columns, *, split: SplitName = "", prefix: str = "", inside: bool = False
) -> Listing:
    """Return the labelled pictures that a table names.

    Args:
        path: the table.
        columns: what its columns are called.
        split: of all its pictures, where it has no column for it.
        prefix: of the ids: the folder that the table lies in, below the one that the user named.
        inside: whether only pictures beside the table and below it may be named.

    Raises:
        UsageError: no column with pictures, or none with classes.
        DataError: not a table, or one that cannot be read.
    """
    names, rows = _read(path)
    image, label = _find_columns(path, names, columns)
    others = {
        "split": next((name for name in names if _plain(name) in _SPLIT and name not in (image, label)), None),
        "group": columns.group
        if columns.group in names
        else next((name for name in names if _plain(name) in _GROUP and name not in (image, label)), None),
    }
    entries = _Entries(path, split, prefix, Finder(path.parent, inside=inside))
    for row in rows:
        entries.add(row.get(image, ""), row.get(label, ""), *(row.get(other or "", "") for other in others.values()))
    return entries.listing()


@dataclass
class _Entries:
    """The rows of a table, as they are read."""

    table: Path
    split: SplitName
    prefix: str
    finder: Finder
    photos: dict[str, Photo] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    spaced: set[str] = field(default_factory=set)
    contradicted: dict[str, list[str]] = field(default_factory=dict)
    repeated: int = 0

    def add(self, image: str, label: str, split: str, group: str) -> None:
        """Add one row."""
        if not image.strip():
            self.missing.append("(no name)")
            return
        found = self.finder.find(image.strip())
        if found is None:
            self.missing.append(as_text(image.strip()))
            return
        id_ = as_text(found[0] if found[0].startswith(os.sep) or not self.prefix else f"{self.prefix}/{found[0]}")
        if not (clean := clean_label(label)):
            self.unlabelled.append(id_)
            return
        if label != label.strip():
            self.spaced.add(label)
        name = self._split_name(split)
        before = self.photos.get(id_)
        if before is not None and (before.label, before.split) == (clean, name):
            self.repeated += 1
        elif before is not None:
            was, now = (before.label, clean) if before.label != clean else (before.split, name)
            self.contradicted.setdefault(id_, [was]).append(now)
        else:
            self.photos[id_] = Photo(id_, found[1], clean, name, group.strip() or None)

    def listing(self) -> Listing:
        """Return what the rows say, and what is wrong with them."""
        table, listing = as_text(self.table.name), Listing()
        listing.photos = [photo for id_, photo in self.photos.items() if id_ not in self.contradicted]
        if self.missing:
            rows = count(len(self.missing), "row names", "rows name")
            listing.problems.append(f"{table}: {rows} a picture that is not there: {some(self.missing)}")
        if self.unlabelled:
            listing.problems.append(
                f"{table}: {count(len(self.unlabelled), 'row has', 'rows have')} no label: {some(self.unlabelled)}"
            )
        if self.contradicted:
            told = (f"{id_} ({' and '.join(map(repr, labels))})" for id_, labels in self.contradicted.items())
            listing.problems.append(f"{table}: the same picture with two labels or splits; left out: {some(told)}")
        if self.spaced:
            names = some(map(repr, sorted(self.spaced)))
            listing.notes.append(f"{table}: labels are taken without the spaces around them: {names}")
        if self.repeated:
            listing.notes.append(f"{table}: {count(self.repeated, 'row is', 'rows are')} there twice, and count once")
        return listing

    def _split_name(self, text: str) -> SplitName:
        if not text.strip():
            return self.split
        name = SPLIT_NAMES.get(text.strip().casefold())
        if name is None:
            raise DataError(f"{self.table}: expected train, val or test as a split; received: {text.strip()!r}")
        return name


class Finder:
    """Finds the pictures that a table names.

    Args:
        folder: that the table lies in.
        inside: whether pictures outside of it are refused.
    """

    def __init__(self, folder: Path, *, inside: bool) -> None:
        self.folder, self.inside = folder, inside

    def find(self, name: str) -> tuple[str, str] | None:
        """Return a picture's id (its path below the folder) and its path; None where there is none, or several."""
        if "\0" in name or len(name) > _LONGEST_NAME:
            return None
        name = name.replace("\\", "/")
        path = os.path.normpath(self.folder / name)
        below = os.path.relpath(path, self.folder)
        outside = below.startswith("..")
        try:
            if Path(path).is_file() and not (outside and self.inside):
                return (path if outside else below), path
        except OSError:  # a name that is too long
            return None
        wanted = clean_label("/".join(part for part in name.split("/") if part not in ("", ".", "..")))
        found = self._places.get(wanted) or self._places.get(wanted.rpartition("/")[2])
        return None if not found else (found, str(self.folder / found))

    @cached_property
    def _places(self) -> dict[str, str]:
        """Every name that a picture can be called by, and its path below the folder; "" where several are.

        A longer name goes before a shorter one: `a.jpg` is the one beside the table, if there is one.
        """
        pictures = walk(self.folder).pictures
        names = dict[str, str]()
        for part in (0, 1, -1):  # the whole path; without the first folder; the last part alone
            for without_suffix in (False, True):
                level = dict[str, str]()
                for path in pictures:
                    key = path if not part else path.partition("/")[2] if part == 1 else path.rpartition("/")[2]
                    key = clean_label(as_text(key[: len(key) - len(suffix_of(key))] if without_suffix else key))
                    level[key] = path if level.get(key, path) == path else ""
                for key, path in level.items():
                    if key:
                        names.setdefault(key, path)
        return names


def _read(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Return the names of a table's columns, and its rows."""
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f"{path}: expected a table of at most {_LARGEST >> 30} GB")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if "\0" in text:
        raise DataError(f"{path}: not a table of text")
    return _read_json_lines(path, text) if path.suffix.lower() == ".jsonl" else _read_csv(path, text)


def _read_json_lines(path: Path, text: str) -> tuple[list[str], Iterator[Row]]:
    rows, names = list[Row](), dict[str, None]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: expected one JSON object a line")
        rows.append({key: "" if value is None else str(value) for key, value in row.items()})
        names |= dict.fromkeys(row)
    return list(names), iter(rows)


def _read_csv(path: Path, text: str) -> tuple[list[str], Iterator[Row]]:
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    comma = max(",;\t|", key=first.count)
    try:
        table = [row for row in csv.reader(lines, delimiter=comma, strict=False) if any(row)]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV table ({error})") from None
    if not table:
        raise DataError(f"{path}: is empty; expected a line with the names of the columns")
    names = [name.strip() for name in table[0]]
    return names, (dict(zip(names, row, strict=False)) for row in table[1:])


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _find_columns(path: Path, names: Sequence[str], columns: Columns) -> tuple[str, str]:
    """Return the names of the columns with pictures and with classes."""
    asked = replace(columns, group=None)
    for field_name, name in (("data.image_column", asked.image), ("data.label_column", asked.label)):
        if name is not None and name not in names:
            raise UsageError(f"{path} has no column {name!r}; it has: {some(map(repr, names))}", field=field_name)
    image = asked.image or _first(names, _IMAGE, but=asked.label)
    label = asked.label or _first(names, _LABEL, but=image)
    if len(names) == 2 and (image is None) != (label is None) and not {_plain(name) for name in names} & _PROSE:
        image = image or next(name for name in names if name != label)
        label = label or next(name for name in names if name != image)
    for what, found, example in (("pictures", image, "image"), ("classes", label, "label")):
        if found is None:
            raise UsageError(
                f"{path}: no column with {what} such as {example!r} among {some(map(repr, names))}; "
                f"name it with --{example}-column",
            )
    assert image is not None
    assert label is not None
    return image, label


def _first(names: Sequence[str], known: Sequence[str], *, but: str | None) -> str | None:
    """Return the column that stands first among the known names."""
    plain = {_plain(name): name for name in reversed(names) if name != but}
    return next((plain[name] for name in known if name in plain), None)
