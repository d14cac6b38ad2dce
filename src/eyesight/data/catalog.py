"""Datasets by name: which files each one is, where they are looked for, and its class names.

In: a name and the folders to look in, laid out as ours, as Keras' cache or as torchvision's root. Out: a `Dataset`. A
file that a user already has is accepted when it parses and its counts and shapes are right; checksums belong to
downloads. Nothing is unpickled.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import DataError, DataNotFoundError, UnknownNameError
from .binary import read_cifar, read_idx, read_npz
from .dataset import Dataset, Ints, Pixels, Split, whole_split
from .places import data_folders
from .split import hold_out
from .streams import exists, irregular, unreadable

_DIGITS = tuple("0123456789")
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR10_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_CIFAR100_BATCHES = ("train.bin", "test.bin")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man
    maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
    trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()
)


@dataclass(frozen=True)
class Entry:
    """One named dataset.

    Attributes:
        title: what it is, in a few words.
        classes: the class names.
        size: of the pictures, as width x height x channels.
        counts: training and test pictures.
        files: what to put where, for the message when it is not found.
        find: given a data folder, the place of the files in it, or None; a DataError where only some are there.
        read: given that place, the training and test splits.
        mirrored: whether the mirror image of a picture is one of the same class, as with most photos.
        pickled: where Keras and torchvision put their copy that only unpickling would read.
    """

    title: str
    classes: tuple[str, ...]
    size: str
    counts: tuple[int, int]
    files: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path], tuple[Split, Split]]
    mirrored: bool = False
    pickled: tuple[str, ...] = ()


def names() -> list[str]:
    """Return the names of all datasets, the embedded one first."""
    return list(_CATALOG)


def entry(name: str) -> Entry:
    """Return the description of a dataset; an unknown name is refused with the nearest one."""
    if name not in _CATALOG:
        raise UnknownNameError("dataset", name, _CATALOG)
    return _CATALOG[name]


def locate(name: str, folders: Sequence[Path]) -> Path | None:
    """Return where the files of a dataset lie, or None where not all are there; their contents are not looked at."""
    try:
        found = _locate(name, folders)
    except DataError:
        return None
    return found[1] if found else None


def _locate(name: str, folders: Sequence[Path]) -> tuple[Path, Path] | None:
    """Return the first folder with a whole dataset, and where in it; where none has, what is wrong with a part."""
    problem: DataError | None = None
    for folder in folders:
        try:
            if place := entry(name).find(folder):
                return folder, place
        except DataError as error:
            problem = problem or error
        except OSError as error:
            problem = problem or unreadable(Path(error.filename or folder), error)
    if problem:
        raise problem
    return None


def _not_found(name: str, folders: Sequence[Path], data_dir: str | Path | None) -> DataNotFoundError:
    """Return the error for a dataset that is nowhere: the command that gets it, or what to put where."""
    where = f" in {', '.join(map(str, folders))}" if folders else ""
    command = f"eyesight data download {name}" + (f" --data-dir {shlex.quote(str(data_dir))}" if data_dir else "")
    pickled = [folder / path for folder in folders for path in entry(name).pickled if exists(folder / path)]
    why = f" ({pickled[0]} is pickled, and not read: unpickling can run any program)" if pickled else ""
    return DataNotFoundError(
        f"{name}: not found{where}{why}; download it: {command}; or put {entry(name).files} into a folder and name it "
        "with --data-dir or $EYESIGHT_DATA"
    )


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    validation: float | Literal["test"] = 0.1,
    seed: int = 0,
    sample: int | None = None,
) -> Dataset:
    """Load a dataset by name.

    Args:
        name: one of `names()`.
        data_dir: folder to look in; where not given, see `data_folders`. `digits` needs none.
        validation: share of the training pictures held out, or "test"; see `Dataset.with_validation`.
        seed: of that draw.
        sample: take only so many of the training pictures; see `Dataset.with_sample`.

    Raises:
        UnknownNameError: no dataset of that name.
        DataNotFoundError: its files are not there; says how to get them.
        DataError: a file is corrupt or has the wrong counts.
    """
    found = entry(name)
    folder, place = None, Path()
    if name != "digits":
        folders = data_folders(data_dir)
        located = _locate(name, folders)
        if located is None:
            raise _not_found(name, folders, data_dir)
        folder, place = str(located[0].resolve()), located[1]
    train, test = found.read(place)
    data = Dataset(name=name, classes=found.classes, train=train, test=test, folder=folder, mirrored=found.mirrored)
    if sample is not None:
        data = data.with_sample(sample, seed=seed)
    return data.with_validation(validation, seed=seed)


def _idx_files(folder: Path) -> dict[str, Path] | None:
    """Return the four IDX files of a folder by their standard names, gzipped or not; None when it has none of them."""
    found, missing = {}, []
    for stem in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        rank = 3 if stem.endswith("images") else 1
        candidates = [folder / f"{stem}{dot}idx{rank}-ubyte{suffix}" for suffix in ("", ".gz") for dot in ("-", ".")]
        path = next((path for path in candidates if path.is_file()), None) or _first_there(candidates)
        if path is None:
            missing.append(f"{stem}-idx{rank}-ubyte")
        else:
            found[stem] = path
    if found and missing:
        raise DataNotFoundError(f"{folder}: has no {', '.join(missing)} (or .gz)")
    for path in found.values():
        _expect_file(path)
    return found or None


def _first_there(paths: Sequence[Path]) -> Path | None:
    return next((path for path in paths if exists(path)), None)


def _expect_file(path: Path) -> None:
    if problem := irregular(path):
        raise DataError(f"{path}: expected a file; received: {problem}")


def _first_whole(places: Sequence[Path], whole: Callable[[Path], bool]) -> Path | None:
    """Return the first place that has all it should; where none has, what the first that has something lacks."""
    problem: DataError | None = None
    for place in places:
        try:
            if whole(place):
                return place
        except DataError as error:
            problem = problem or error
    if problem:
        raise problem
    return None


def _find_idx(name: str, torchvision: str) -> Callable[[Path], Path | None]:
    """Return a finder for the four files in a folder of that name, or where torchvision or Keras puts them."""

    def whole(place: Path) -> bool:
        if place.suffix != ".npz":
            return _idx_files(place) is not None
        if exists(place):
            _expect_file(place)
        return exists(place)

    def find(folder: Path) -> Path | None:
        places = (folder / name, folder / torchvision / "raw", *([folder] if folder.name == name else []))
        return _first_whole([*places, folder / f"{name}.npz"], whole)

    return find


def _read_idx_dataset(place: Path) -> tuple[Split, Split]:
    if place.suffix == ".npz":
        return _read_npz_dataset(place)
    files = _idx_files(place)
    if files is None:
        raise DataError(f"{place}: the four IDX files are no longer all there")
    splits = []
    for split, stem, count in (("train", "train", 60_000), ("test", "t10k", 10_000)):
        pictures, labels = files[f"{stem}-images"], files[f"{stem}-labels"]
        splits.append(
            _split(
                split,
                read_idx(pictures, shape=(count, 28, 28))[..., None],
                read_idx(labels, shape=(count,)).astype(np.int64),
                classes=10,
                files=((0, str(pictures)),),
                label_file=labels,
            )
        )
    return splits[0], splits[1]


def _read_npz_dataset(path: Path) -> tuple[Split, Split]:
    """Read MNIST as Keras has it."""
    shapes = {"x_train": (60_000, 28, 28), "y_train": (60_000,), "x_test": (10_000, 28, 28), "y_test": (10_000,)}
    arrays = read_npz(path, shapes)
    train, test = (
        _split(
            split,
            arrays[f"x_{split}"][..., None],
            arrays[f"y_{split}"].astype(np.int64),
            classes=10,
            files=((0, f"{path}: x_{split}"),),
            label_file=path,
        )
        for split in ("train", "test")
    )
    return train, test


def _find_cifar(folder_name: str, unpacked: str, archive: str, batches: Sequence[str]) -> Callable[[Path], Path | None]:
    """Return a finder for an unpacked folder with all the batches, or else the archive, gzipped or not."""
    archives = (f"{archive}.tar.gz", f"{archive}.tar")

    def whole(place: Path) -> bool:
        if place.name in archives:
            if exists(place):
                _expect_file(place)
            return exists(place)
        missing = [name for name in batches if not exists(place / name)]
        if missing and len(missing) < len(batches):
            raise DataNotFoundError(f"{place}: has no {', '.join(missing)}")
        for name in batches if not missing else ():
            _expect_file(place / name)
        return not missing

    def find(folder: Path) -> Path | None:
        roots = (folder / folder_name, folder)
        return _first_whole([root / name for root in roots for name in (unpacked, "", *archives)], whole)

    return find


def _read_cifar10(place: Path) -> tuple[Split, Split]:
    train = [(name, 10_000) for name in _CIFAR10_BATCHES[:-1]]
    names = ("batches.meta.txt", _CIFAR10)
    return _read_cifar_dataset(place, train, [(_CIFAR10_BATCHES[-1], 10_000)], classes=10, names=names)


def _read_cifar100(place: Path) -> tuple[Split, Split]:
    train, test = zip(_CIFAR100_BATCHES, (50_000, 10_000), strict=True)
    return _read_cifar_dataset(place, [train], [test], classes=100)


def _read_cifar_dataset(
    place: Path,
    train: list[tuple[str, int]],
    test: list[tuple[str, int]],
    *,
    classes: int,
    names: tuple[str, Sequence[str]] | None = None,
) -> tuple[Split, Split]:
    pictures, labels = read_cifar(place, train + test, label_bytes=1 if classes == 10 else 2, names=names)
    count = sum(n for _, n in train)
    starts = np.cumsum([0, *(n for _, n in train)]).tolist()
    files = tuple((start, f"{place}/{name}") for start, (name, _) in zip(starts, train, strict=False))
    return (
        _split("train", pictures[:count], labels[:count], classes=classes, files=files),
        _split("test", pictures[count:], labels[count:], classes=classes, files=((0, f"{place}/{test[0][0]}"),)),
    )


def _split(
    name: str,
    pictures: Pixels,
    labels: Ints,
    *,
    classes: int,
    files: tuple[tuple[int, str], ...],
    label_file: Path | None = None,
) -> Split:
    split = whole_split(name, pictures, labels, files=files)
    if labels.max() >= classes:
        row = int((labels >= classes).argmax())
        place = f"{label_file}[{row}]" if label_file else split.source(row)
        raise DataError(f"{place}: expected a label from 0 to {classes - 1}; received: {labels[row]}")
    return split


def _read_digits(_: Path) -> tuple[Split, Split]:
    """Read scikit-learn's 1,797 digits; a fifth of them, drawn once and for all, is the test set."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pictures = np.round(images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)  # published values: 0 to 16
    source = ((0, "sklearn.datasets.load_digits"),)
    whole = whole_split("digits", pictures, labels.astype(np.int64), files=source)
    rest, test = hold_out(whole, 0.2, seed=0, name="test")
    return rest.select(np.arange(len(rest)), name="train"), test


_CATALOG = {
    "digits": Entry(
        "handwritten digits, embedded", _DIGITS, "8x8x1", (1_438, 359),
        "nothing (it comes with scikit-learn)", lambda _: None, _read_digits,
    ),
    "mnist": Entry(
        "handwritten digits", _DIGITS, "28x28x1", (60_000, 10_000),
        "{train,t10k}-{images-idx3,labels-idx1}-ubyte (or .gz) as mnist/",
        _find_idx("mnist", "MNIST"), _read_idx_dataset,
    ),
    "fashion-mnist": Entry(
        "pieces of clothing", _FASHION, "28x28x1", (60_000, 10_000),
        "{train,t10k}-{images-idx3,labels-idx1}-ubyte (or .gz) as fashion-mnist/",
        _find_idx("fashion-mnist", "FashionMNIST"), _read_idx_dataset,
        mirrored=True,
    ),
    "cifar10": Entry(
        "small photos of ten things", _CIFAR10, "32x32x3", (50_000, 10_000),
        "cifar-10-binary.tar.gz (or its cifar-10-batches-bin/) as cifar-10/",
        _find_cifar("cifar-10", "cifar-10-batches-bin", "cifar-10-binary", _CIFAR10_BATCHES),
        _read_cifar10,
        mirrored=True,
        pickled=("cifar-10-batches-py", "cifar-10-batches-py-target", "cifar-10-python.tar.gz"),
    ),
    "cifar100": Entry(
        "small photos of a hundred things", _CIFAR100, "32x32x3", (50_000, 10_000),
        "cifar-100-binary.tar.gz (or its cifar-100-binary/) as cifar-100/",
        _find_cifar("cifar-100", "cifar-100-binary", "cifar-100-binary", _CIFAR100_BATCHES),
        _read_cifar100,
        mirrored=True,
        pickled=("cifar-100-python", "cifar-100-python-target", "cifar-100-python.tar.gz"),
    ),
}  # fmt: skip
