"""What lies in a folder of photos, before any of them is opened.

In: a folder. Out: the pictures in it and below it, and what else lies there; `Photo` and `Listing`, which every layout
comes down to. It opens no file and knows no layout.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from ..pictures.sources import PICTURE_LIKE

SplitName = Literal["", "train", "validation", "test"]

SPLIT_NAMES: Final[dict[str, SplitName]] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
LEFT_BEHIND = frozenset(("__MACOSX", "@eaDir", "Thumbs.db", "thumbs.db", "desktop.ini"))

_DEEPEST = 40  # folders in folders
_NAMED = 5  # of many, in a message


@dataclass(frozen=True)
class Photo:
    """One labelled picture, as a layout names it.

    Attributes:
        id: its path below the folder, which stays when others come or go.
        path: where it lies.
        label: the name of its class.
        split: train, validation or test; "" where the layout does not say.
        group: of pictures that belong on one side of a split; None for one of its own.
    """

    id: str
    path: str
    label: str
    split: SplitName = ""
    group: str | None = None


@dataclass
class Listing:
    """What a layout holds.

    Attributes:
        photos: in the order of their ids.
        notes: what a person should know of it.
        problems: what was asked for and is not there; `--strict` refuses it.
        loose: pictures that no class could be found for.
    """

    photos: list[Photo] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    loose: int = 0


@dataclass
class Tree:
    """What lies below a folder, as paths relative to it.

    Attributes:
        pictures: what is called like a picture.
        tables: CSV and JSON-lines files.
        folders: all of them.
        others: files of other kinds.
        hidden: dot-files, and what systems leave behind.
        shut: folders that may not be entered, with the reason.
    """

    pictures: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: int = 0
    shut: list[str] = field(default_factory=list)


def walk(root: Path) -> Tree:
    """Return what lies in a folder and below it; links are followed, and none in a circle."""
    tree = Tree()
    _walk(str(root), "", (), tree)
    for names in (tree.pictures, tree.tables, tree.folders, tree.others):
        names.sort()
    return tree


def _walk(folder: str, below: str, above: tuple[tuple[int, int], ...], tree: Tree) -> None:
    """Add what lies in one folder; `above` are the folders that it lies in."""
    try:
        about = Path(folder).stat()
        here = (about.st_dev, about.st_ino)
        if here in above or len(above) > _DEEPEST:
            return
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        tree.shut.append(f"{below or folder}: {(error.strerror or str(error)).lower()}")
        return
    if below:
        tree.folders.append(below)
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.name.startswith(".") or entry.name in LEFT_BEHIND:
            tree.hidden += 1
        elif _is_folder(entry):
            _walk(entry.path, name, (*above, here), tree)
        else:
            suffix = suffix_of(entry.name)
            kind = tree.pictures if suffix in PICTURE_LIKE else tree.tables if suffix in TABLE_SUFFIXES else tree.others
            kind.append(name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def suffix_of(name: str) -> str:
    """Return what a file's name ends with, in small letters: ".jpg"; "" for nothing. Much faster than a `Path`."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem else ""


def is_picture(name: str) -> bool:
    """Tell by its name whether a file is a picture."""
    return suffix_of(name) in PICTURE_LIKE


def is_table(name: str) -> bool:
    """Tell by its name whether a file is a table."""
    return suffix_of(name) in TABLE_SUFFIXES


def as_text(name: str) -> str:
    """Return a file's name as text that can be written anywhere; bytes that are no text become escapes."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def clean_label(label: str) -> str:
    """Return a class name without spaces around it, its letters in one form (a Mac writes é as two)."""
    return label.strip() if label.isascii() else unicodedata.normalize("NFC", label).strip()


def some(names: Sequence[str] | Iterable[str], *, separator: str = ", ") -> str:
    """Return the first of many names, and how many more there are.

    >>> some(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    return separator.join(listed[:_NAMED]) + more


def count(number: int, thing: str, plural: str = "") -> str:
    """Return a number of things in words.

    >>> count(1, "picture"), count(2000, "picture")
    ('1 picture', '2,000 pictures')
    """
    return f"{number:,} {thing if number == 1 else plural or thing + 's'}"


def describe_rest(tree: Tree) -> Iterator[str]:
    """Say what else lies in a folder."""
    if tree.others:
        yield f"passed over {count(len(tree.others), 'file')} that no picture is called like: {some(tree.others)}"
    if tree.hidden:
        yield f"passed over {count(tree.hidden, 'hidden file or folder', 'hidden files and folders')}"
