"""Folders of photos: which class and which split each picture belongs to, as its path says.

In: a folder. Out: a `Listing`. Layouts: CLASS/*; train/CLASS/* beside val/ and test/; metadata.csv or .jsonl beside the
pictures; a table beside them. It opens tables and no picture.

A class is the folder directly below the folder, or below the folder of the split. Folders in it belong to it.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, UsageError
from .listing import (
    SPLIT_NAMES,
    Listing,
    Photo,
    SplitName,
    Tree,
    as_text,
    clean_label,
    count,
    describe_rest,
    some,
    walk,
)
from .table import Columns, list_table

_METADATA = ("metadata.csv", "metadata.jsonl")


def list_folder(root: Path, columns: Columns, *, inside: bool = False) -> Listing:
    """Return the labelled pictures of a folder, whatever its layout.

    Args:
        root: the folder.
        columns: what the columns of a table in it are called.
        inside: whether a table may only name pictures in the folder.

    Raises:
        DataError: the folder cannot be read, or has no training pictures.
    """
    tree = walk(root)
    if not tree.folders and tree.shut:
        raise DataError(f"{root}: {tree.shut[0].rpartition(': ')[2]}")
    listing = _from_metadata(root, tree, columns, inside=inside)
    if listing is None:
        base = _unwrap(tree)
        tables = [name for name in tree.tables if "/" not in name.removeprefix(base)]
        by_table = tables and (columns.image or columns.label)  # the user names a column
        listing = Listing() if by_table else _from_folders(root, tree, base)
        if tables and not listing.photos:
            listing = _from_tables(root, tables, columns, listing, inside=inside)
    listing.photos.sort(key=lambda photo: photo.id)
    listing.notes[:0] = describe_rest(tree)
    listing.problems += [f"{folder}; left out" for folder in tree.shut]
    return listing


def _from_metadata(root: Path, tree: Tree, columns: Columns, *, inside: bool) -> Listing | None:
    """Return what metadata files beside the pictures say; None where there are none, or they name no classes."""
    found = [name for name in tree.tables if name.rpartition("/")[2] in _METADATA]
    if not found:
        return None
    whole = Listing()
    for name in found:
        folder = name.rpartition("/")[0]
        split = SPLIT_NAMES.get(folder.rpartition("/")[2].casefold(), "")
        try:
            part = list_table(root / name, columns, split=split, prefix=folder, inside=inside)
        except UsageError:
            if len(found) == 1 and _from_folders(root, tree, _unwrap(tree)).photos:
                return None  # the classes are the folders, and the table says other things
            raise
        whole.photos += part.photos
        whole.notes += part.notes
        whole.problems += part.problems
    return whole


def _from_tables(root: Path, tables: list[str], columns: Columns, empty: Listing, *, inside: bool) -> Listing:
    """Return what the first table that names pictures and classes says; `empty` where none does."""
    problem: UsageError | None = None
    for name in sorted(tables, key=lambda name: ("label" not in name.lower(), "train" not in name.lower(), name)):
        try:
            listing = list_table(root / name, columns, prefix=name.rpartition("/")[0], inside=inside)
        except UsageError as error:
            problem = problem or error
            continue
        listing.notes.insert(0, f"classes are taken from {name}")
        return listing
    if problem and not empty.loose:
        raise problem
    return empty


def _unwrap(tree: Tree) -> str:
    """Return the folder that everything lies in, with a slash: archives often hold one that holds all; or ""."""
    base = ""
    while True:
        inside = [name.removeprefix(base) for name in tree.pictures if name.startswith(base)]
        firsts = {name.partition("/")[0] for name in inside}
        first = next(iter(firsts), "")
        deep = bool(inside) and all(name.count("/") >= 2 for name in inside)
        if len(firsts) != 1 or not deep or first.casefold() in SPLIT_NAMES:
            return base
        base += f"{first}/"


def _from_folders(root: Path, tree: Tree, base: str) -> Listing:
    """Return what the names of folders say."""
    listing = Listing()
    folders = [name.removeprefix(base) for name in tree.folders if name.startswith(base)]
    splits = {name: SPLIT_NAMES[name.casefold()] for name in folders if name.casefold() in SPLIT_NAMES}
    plain = [name for name in folders if "/" not in name and name not in splits]
    if "train" not in splits.values():
        if splits and not plain:
            raise DataError(f"{root}: has {' and '.join(f'{name}/' for name in splits)} and no train/")
        splits = {}
    depth = 2 if splits else 1  # of the folder of a class
    filled = set[str]()
    for name in tree.pictures:
        parts = name.removeprefix(base).split("/")
        if splits and parts[0] not in splits:
            continue
        if not name.startswith(base) or len(parts) <= depth:
            listing.loose += 1
            continue
        filled |= {"/".join(parts[:depth]), "/".join(parts[:-1])}
        split: SplitName = splits[parts[0]] if splits else ""
        listing.photos.append(Photo(as_text(name), f"{root}/{name}", clean_label(as_text(parts[depth - 1])), split))
    if listing.photos:
        classes = [name for name in folders if name.count("/") == depth - 1 and (not splits or "/" in name)]
        classes = [name for name in classes if not splits or name.partition("/")[0] in splits]
        _note(listing, classes, filled, depth)
        if splits and plain:
            listing.notes.append(f"passed over {_folders(plain)}: neither train, val nor test")
    return listing


def _note(listing: Listing, classes: list[str], filled: set[str], depth: int) -> None:
    """Note what is odd about the folders of classes; `filled` are those that hold pictures, and those inside."""
    if listing.loose:
        listing.notes.append(f"left out {count(listing.loose, 'picture')} in no class folder")
    if empty := [name for name in classes if name not in filled]:
        listing.notes.append(f"no pictures in the class {'folder' if len(empty) == 1 else 'folders'} {_folders(empty)}")
    if deeper := sorted(name for name in filled if name.count("/") >= depth):
        listing.notes.append(
            f"pictures in {_folders(deeper)} belong to the class {deeper[0].split('/')[depth - 1]!r}"
            if len(deeper) == 1
            else f"pictures in folders inside a class folder belong to that class: {_folders(deeper)}"
        )
    if spaced := [name for name in classes if name.split("/")[-1] != name.split("/")[-1].strip()]:
        listing.notes.append(
            f"class names are taken without the spaces around them: {some(map(repr, map(as_text, spaced)))}"
        )


def _folders(names: list[str]) -> str:
    return some(f"{as_text(name)}/" for name in names)
