"""What the rest of the project knows of data: named splits of labelled pictures.

In: decoded pictures (from `catalog` or a user's arrays). Out: `Dataset` and `Split`, whose `gather` hands out uint8
batches. It does not know where pictures came from or what is done with them.

Letters: N pictures, H height, W width, C channels (1 or 3), K classes.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import DataError, UsageError
from .arrays import checked_labels, checked_pictures, class_names

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

# holdout: validation pictures are taken out of the training set; test-as-validation: the tutorials' way, where the
# test set is looked at every epoch; no-validation: none are used; given: the data comes with its own;
# given-unused: those are looked at, and nothing is chosen on them
DataProtocol = Literal["holdout", "test-as-validation", "no-validation", "given", "given-unused"]
UNCHOSEN = ("test-as-validation", "given-unused")  # nothing may be chosen on their validation pictures

_CACHED = 1 << 19  # bytes: copies of so many stay in a processor's cache

_NAMED = 10  # classes, at most, in a message
_MOST_UNNAMED = 100_000  # classes; labels above are ids of something else, or 2³² - 1 for "none"


class Store(Protocol):
    """Where pictures lie: anything that can hand out rows of them."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""

    def gather(self, rows: Ints) -> Pixels:
        """Return the pictures in these rows, as a new array (N, H, W, C)."""

    def source(self, row: int) -> str:
        """Say where the picture in this row came from: a file, or a place in one."""

    def key(self, row: int) -> str:
        """Return what the picture in this row is known by, however the data is split."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth value; the fingerprint compares contents
class ArrayStore:
    """Pictures in memory: uint8 (N, H, W, C), with the files they came from as (first row, file name)."""

    pictures: Pixels
    files: tuple[tuple[int, str], ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        return self.pictures.shape[1], self.pictures.shape[2], self.pictures.shape[3]

    def gather(self, rows: Ints) -> Pixels:
        """Return the pictures in these rows, as a new array (N, H, W, C)."""
        return self.pictures.take(rows, axis=0)

    def source(self, row: int) -> str:
        """Return "file[place in the file]"."""
        start, name = next(entry for entry in reversed(self.files) if entry[0] <= row)
        return f"{name}[{row - start}]"

    def key(self, row: int) -> str:
        """Return the number of the row."""
        return str(row)


def pictures_within(memory: int, shape: tuple[int, int, int]) -> int:
    """Return how many pictures of this shape fit into so many bytes: a power of two, at least one.

    Powers of two, so that a larger budget's batches divide into whole smaller ones.

    >>> [pictures_within(1 << 20, shape) for shape in ((28, 28, 1), (32, 32, 3), (224, 224, 3), (4000, 3000, 3))]
    [1024, 256, 4, 1]
    """
    return 1 << max((memory // math.prod(shape)).bit_length() - 1, 0)


@dataclass(frozen=True, eq=False)
class Split:
    """Some pictures of a store, with their labels.

    Attributes:
        name: train, validation or test.
        store: where the pictures lie.
        rows: (N,) which of the store's pictures belong to this split.
        labels: (N,) class numbers.
        origin: the part of the dataset that the store holds; with the store's key it makes an example's stable id. ""
            where the key alone does.
        groups: (N,) optional: pictures of one group (a patient, a burst of photos) belong on one side of a split.
    """

    name: str
    store: Store
    rows: Ints
    labels: Ints
    origin: str
    groups: Ints | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, ids: Ints | Sequence[int]) -> Pixels:
        """Return the pictures at positions `ids` of this split: uint8 (len(ids), H, W, C)."""
        return self.store.gather(self.rows[ids])

    def batches(self, *, memory: int) -> Iterator[Pixels]:
        """Yield all pictures in order, as many at a time as fit into so many bytes; see `pictures_within`."""
        size = pictures_within(memory, self.store.shape)
        for start in range(0, len(self), size):
            yield self.gather(np.arange(start, min(start + size, len(self))))

    @property
    def example_ids(self) -> list[str]:
        """Ids that stay the same however the data is split, for example "train/17"; of photos, their paths."""
        prefix = f"{self.origin}/" if self.origin else ""
        return [f"{prefix}{self.store.key(int(row))}" for row in self.rows]

    def source(self, i: int) -> str:
        """Say which file (and which place in it) example `i` came from."""
        return self.store.source(int(self.rows[i]))

    def label_counts(self, classes: int) -> Ints:
        """Return how many pictures each of the classes has: (K,)."""
        return np.bincount(self.labels, minlength=classes).astype(np.int64)

    def select(self, positions: Ints, *, name: str) -> Split:
        """Return a split of the pictures at `positions`; the pictures themselves are not copied."""
        groups = None if self.groups is None else self.groups[positions]
        return replace(self, name=name, rows=self.rows[positions], labels=self.labels[positions], groups=groups)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures, split for training and judging.

    Attributes:
        name: the name it was asked for by, or "arrays".
        classes: (K,) the class names.
        train: what the network learns from.
        validation: what choices are made on; None where there are none.
        test: what the result is judged on; None where there is none.
        protocol: where the validation pictures come from.
        kind: `catalog` when the name alone brings it back, `folder` for a user's photos, `arrays` when it lives only
            in this process.
        validation_share, split_seed: what `with_validation` was asked for last.
        sample: how many of the training pictures `with_sample` left; None for all.
        folder: the data folder it was found in, if any.
        mirrored: whether the mirror image of a picture is known to be one of the same class.
        resize: how pictures of another size are brought to this one.
        notes: what a person should know of the data before anything is learned from it.
        left_out: files that are no pictures, by their ids, with the reason of each.
        entries: of a configuration, that bring it back, beside how it is split.
        given: validation pictures that come with the data.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    protocol: DataProtocol = "no-validation"
    kind: Literal["catalog", "arrays", "folder"] = "catalog"
    validation_share: float | Literal["test"] = 0
    split_seed: int = 0
    folder: str | None = None
    sample: int | None = None
    mirrored: bool = False
    resize: Literal["crop", "pad", "stretch"] = "crop"
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict, repr=False)
    entries: Mapping[str, Any] = field(default_factory=dict, repr=False)
    given: Split | None = field(default=None, repr=False)
    _whole_train: Split | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for split in self.splits().values():
            if len(split) and not 0 <= split.labels.min() <= split.labels.max() < len(self.classes):
                raise DataError(
                    f"{self.name}: labels of the {split.name} split should be from 0 to {len(self.classes) - 1}; "
                    f"received: {split.labels.min()} to {split.labels.max()}"
                )
        if not len(self.train):
            raise DataError(f"{self.name}: no training pictures")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        return self.train.store.shape

    def splits(self) -> dict[str, Split]:
        """Return the splits that exist, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in found.items() if split is not None}

    def split(self, name: str) -> Split:
        """Return one split by name.

        Raises:
            UsageError: this dataset has no such split.
        """
        splits = self.splits()
        if name not in splits:
            raise UsageError(f"{self.name} has no split {name!r}; it has: {', '.join(splits)}")
        return splits[name]

    def with_validation(self, validation: float | Literal["test"], *, seed: int = 0) -> Dataset:
        """Return this dataset with its validation pictures chosen anew.

        Args:
            validation: a share of the training pictures (0 for none), held out stratified by class; or "test" to
                validate on the test set in every epoch, as the tutorials do. Where the data comes with validation
                pictures, those are taken for any share; with 0 they are looked at, and nothing is chosen on them.
            seed: of the draw. It belongs to the data, not to the training run, so that runs stay comparable.

        Raises:
            UsageError: a share outside 0 … 0.5, "test" where there is no test set, or a negative seed.
        """
        from .split import hold_out

        if seed < 0:
            raise UsageError(f"expected 0 or more; received: {seed}", field="seed")
        whole = self._whole_train or self.train
        held_out: Split | None = None
        train = whole
        protocol: DataProtocol = "no-validation"
        if validation == "test":
            if self.test is None:
                raise UsageError(f"{self.name} has no test set to validate on", field="validation")
            held_out, protocol = self.test, "test-as-validation"
        elif not isinstance(validation, int | float) or not 0 <= validation <= 0.5:
            raise UsageError(f'expected a share from 0 to 0.5, or "test"; received: {validation!r}', field="validation")
        elif self.given is not None:
            held_out, protocol = self.given, "given" if validation > 0 else "given-unused"
        elif validation > 0:
            train, held_out = hold_out(whole, validation, seed=seed, name="validation")
            protocol = "holdout"
        return replace(
            self,
            train=train,
            validation=held_out,
            protocol=protocol,
            validation_share=validation,
            split_seed=seed,
            _whole_train=whole,
        )

    def with_sample(self, count: int, *, seed: int = 0) -> Dataset:
        """Return this dataset with only `count` of its training pictures, the same share of every class.

        The validation pictures are then chosen anew among those, as they were before; the test set stays whole.

        Args:
            count: of pictures to learn from and to validate on, together.
            seed: of the draw.

        Raises:
            UsageError: there are not so many.
        """
        from .split import draw

        whole = self._whole_train or self.train
        if not 1 <= count <= len(whole):
            raise UsageError(
                f"{self.name} has {len(whole):,} training pictures; received: {count}", field="data.sample"
            )
        few = replace(self, _whole_train=draw(whole, count, seed=seed), sample=count)
        return few.with_validation(self.validation_share, seed=self.split_seed)

    @property
    def config_entries(self) -> dict[str, Any]:
        """The entries of a configuration that bring this dataset back, split as it is."""
        return {
            "name": self.name,
            "kind": self.kind,
            "validation": self.validation_share,
            "split_seed": self.split_seed,
            "sample": self.sample,
            **self.entries,
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hexadecimal digits) of every picture, label, class name and split: what a run was trained on."""
        digest = hashlib.sha256(repr((self.classes, self.shape, self.protocol)).encode())
        for name, split in self.splits().items():
            digest.update(f"{name}:{split.origin}".encode())
            digest.update(split.rows.tobytes())
            digest.update(split.labels.tobytes())
            digest.update(self.split_fingerprints[name].encode())
        return digest.hexdigest()

    @cached_property
    def split_fingerprints(self) -> dict[str, str]:
        """SHA-256 of the pictures and labels of each split, by its name."""
        return {name: split_fingerprint(split) for name, split in self.splits().items()}

    def __repr__(self) -> str:
        height, width, channels = self.shape
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits().items())
        notes = f"; see its {len(self.notes)} notes" if len(self.notes) > 1 else "; see its note" if self.notes else ""
        return f"Dataset({self.name!r}: {sizes}; {width}x{height}x{channels}; {len(self.classes)} classes{notes})"


def split_fingerprint(split: Split) -> str:
    """SHA-256 of a split's pictures and labels, in order."""
    digest = hashlib.sha256(split.labels.tobytes())
    for batch in split.batches(memory=_CACHED):
        digest.update(batch.data)
    return digest.hexdigest()


def from_arrays(
    train: tuple[Any, Any],
    *,
    test: tuple[Any, Any] | None = None,
    classes: Sequence[str] | Mapping[int, str] | Mapping[str, int] | None = None,
    validation: float | Literal["test"] = 0.1,
    name: str = "arrays",
) -> Dataset:
    """Make a dataset of arrays.

    Args:
        train: pictures and labels. Pictures: whole numbers from 0 to 255, or floats from 0 to 1 (stored as 8 bits), of
            shape (N, H, W) or (N, H, W, C) with C 1 or 3. Labels: (N,) or (N, 1) numbers of classes from 0, or one-hot
            (N, K).
        test: the same, for judging.
        classes: K names in the order of their numbers, or a mapping of numbers and names; numbers from "0" where not
            given. Classes without pictures are named in a warning.
        validation: share of the training pictures to hold out, or "test"; see `Dataset.with_validation`.
        name: what to call it.

    Raises:
        DataError: arrays of another shape, type or range, named by the argument.
        UsageError: names without an order, or two that are the same.

    >>> data = from_arrays((np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2), classes=["cat", "dog"])
    >>> data
    Dataset('arrays': 18 train, 2 validation; 8x8x1; 2 classes)
    """
    pictures, labels = _check_pair(train, "train")
    parts = [(pictures, labels)]
    if test is not None:
        parts.append(_check_pair(test, "test"))
        if parts[1][0].shape[1:] != pictures.shape[1:]:
            expected, received = pictures.shape[1:], parts[1][0].shape[1:]
            raise DataError(f"test: expected pictures of shape {expected} as in train; received: {received}")
    count = max(int(part[1].max()) + 1 for part in parts)
    if classes is None and count > _MOST_UNNAMED:
        raise DataError(f"labels: {count:,} classes without names; number them from 0, or pass classes")
    names = class_names(classes) if classes is not None else tuple(map(str, range(count)))
    data = Dataset(
        name=name,
        classes=names,
        train=whole_split("train", pictures, labels),
        test=whole_split("test", *parts[1]) if test is not None else None,
        kind="arrays",
    )
    _warn_of_odd_classes(data)
    return data.with_validation(validation)


def _warn_of_odd_classes(data: Dataset) -> None:
    """Warn where there is nothing to tell apart, or classes have no training pictures; the numbers would look good."""
    counts = data.train.label_counts(len(data.classes))
    empty = [name for name, count in zip(data.classes, counts, strict=True) if not count]
    if len(data.classes) - len(empty) == 1:
        only = data.classes[int(counts.argmax())]
        warnings.warn(f"train: all pictures are of one class, {only}: every answer will be right", stacklevel=3)
    elif empty:
        shown = ", ".join(empty[:_NAMED]) + (", …" if len(empty) > _NAMED else "")
        warnings.warn(
            f"train: no pictures of {len(empty)} of {len(data.classes)} classes: {shown}; labels are numbered from 0 "
            "without gaps: numpy.unique(labels, return_inverse=True)[1] numbers them so",
            stacklevel=3,
        )


def whole_split(
    name: str, pictures: Pixels, labels: Ints, *, files: tuple[tuple[int, str], ...] | None = None
) -> Split:
    """Return a split of all the pictures of one part ("train", "test") of a dataset."""
    return Split(name, ArrayStore(pictures, files or ((0, name),)), np.arange(len(labels)), labels, origin=name)


def _check_pair(pair: tuple[Any, Any], argument: str) -> tuple[Pixels, Ints]:
    """Return pictures as uint8 (N, H, W, C) and labels as int64 (N,), or say what is wrong with them."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{argument}: expected a pair (pictures, labels); received: {type(pair).__name__}")
    pictures = checked_pictures(pair[0], argument)
    return pictures, checked_labels(pair[1], len(pictures), argument)
