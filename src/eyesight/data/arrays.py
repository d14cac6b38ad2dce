"""A user's arrays: pictures, labels and class names in the forms people have them, or a word on what to write.

In: whatever was passed. Out: uint8 pictures (N, H, W, C), int64 labels (N,), names in order. It knows no dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, UsageError

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def checked_pictures(given: Any, argument: str) -> Pixels:
    """Return pictures as uint8 (N, H, W, C), or say what is wrong with them."""
    pictures = _as_array(given, argument, "pictures")
    if pictures.dtype == object and pictures.ndim:  # a ragged list that NumPy was told to take
        _refuse_sizes(list(given), argument)
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3) or 0 in pictures.shape:
        hint = " (channels come last here)" if pictures.ndim == 4 and pictures.shape[1] in (1, 3) else ""
        raise DataError(
            f"{argument}: expected pictures of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3); "
            f"received: {tuple(np.shape(given))}{hint}"
        )
    low, high = pictures.min(), pictures.max()
    if np.issubdtype(pictures.dtype, np.floating):
        if not (low >= 0 and high <= 1):
            hint = " (divide by 255)" if low >= 0 and 1 < high <= 255 else ""
            raise DataError(f"{argument}: expected float pictures from 0 to 1; received: {low:.4g} to {high:.4g}{hint}")
        pictures = np.round(pictures * 255).astype(np.uint8)
    elif np.issubdtype(pictures.dtype, np.integer) and 0 <= low <= high <= 255:
        pictures = pictures.astype(np.uint8, copy=False)
    elif pictures.dtype != np.uint8:
        within = f" from {low} to {high}" if np.issubdtype(pictures.dtype, np.integer) else ""
        raise DataError(
            f"{argument}: expected pictures of whole numbers from 0 to 255, or floats from 0 to 1; "
            f"received: {pictures.dtype}{within}"
        )
    return np.ascontiguousarray(pictures)


def checked_labels(given: Any, count: int, argument: str) -> Ints:
    """Return labels as int64 (N,), or say what is wrong with them; one-hot labels (N, K) become numbers."""
    labels = _as_array(given, argument, "labels")
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.ndim == 2 and len(labels) == count and labels.dtype.kind in "biuf":
        labels = _from_one_hot(labels, argument)
    if labels.shape != (count,):
        raise DataError(
            f"{argument}: expected {count} whole-number labels, one for each picture; "
            f"received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.dtype.kind == "b":  # false is class 0, true is class 1
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.trunc(labels)):  # as spreadsheets hold numbers
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        what = "names" if labels.dtype.kind in "OUST" else str(labels.dtype)
        hint = "; names, labels = numpy.unique(labels, return_inverse=True) numbers them, then pass classes=names"
        raise DataError(
            f"{argument}: expected labels that are whole numbers from 0; "
            f"received: {what}, such as {labels[0]!s:.40}{hint if what == 'names' else ''}"
        )
    labels = labels.astype(np.int64)
    if labels.min() < 0:
        raise DataError(f"{argument}: expected labels from 0; received: {labels.min()}")
    return labels


def class_names(classes: Sequence[str] | Mapping[int, str] | Mapping[str, int]) -> tuple[str, ...]:
    """Return class names in the order of their numbers.

    >>> class_names({"cat": 1, "ant": 0}), class_names({1: "cat", 0: "ant"})
    (('ant', 'cat'), ('ant', 'cat'))

    Raises:
        UsageError: they have no order, or are not names that differ.
    """
    if isinstance(classes, Mapping):
        classes = _in_order(classes)
    elif isinstance(classes, str | bytes | set | frozenset) or not isinstance(classes, Iterable):
        kind = type(classes).__name__
        raise UsageError(f"expected a list of names, in the order of their numbers; received: {kind}", field="classes")
    names = []
    for name in classes:
        if not isinstance(name, str | int | np.integer) or isinstance(name, bool) or not str(name).strip():
            raise UsageError(f"expected a name for each class; received: {name!r} among them", field="classes")
        names.append(str(name))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"expected names that differ; received: {twice!r} twice", field="classes")
    return tuple(names)


def _in_order(classes: Mapping[Any, Any]) -> list[Any]:
    """Return the names of a mapping from numbers to names, or from names to numbers."""
    keys, values = list(classes), list(classes.values())
    for numbers, names in ((keys, values), (values, keys)):
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers)
        if whole and all(isinstance(name, str) for name in names):
            if sorted(numbers) != list(range(len(numbers))):
                found = ", ".join(map(str, sorted(numbers)[:10]))
                raise UsageError(f"expected the numbers 0 to {len(numbers) - 1}; received: {found}", field="classes")
            return [name for _, name in sorted(zip(numbers, names, strict=True))]
    raise UsageError("expected a list of names, or a mapping of numbers and names", field="classes")


def _as_array(given: Any, argument: str, what: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors on a GPU or with gradients
        if what == "pictures" and isinstance(given, list | tuple):
            _refuse_sizes(given, argument)
        raise DataError(f"{argument}: expected arrays of pictures and labels ({error})") from None


def _refuse_sizes(pictures: Sequence[Any], argument: str) -> None:
    """Say that pictures differ in size, and what to do, where that is what is wrong with them."""
    try:
        shapes = sorted({tuple(np.shape(picture)) for picture in pictures})
    except (ValueError, TypeError, RuntimeError):
        return
    if len(shapes) > 1 and all(len(shape) in (2, 3) for shape in shapes):
        shown = ", ".join(map(str, shapes[:3])) + (", …" if len(shapes) > 3 else "")
        raise DataError(
            f"{argument}: expected pictures of one size; received: {len(shapes)} shapes, {shown}; scale them first, "
            "such as [numpy.asarray(PIL.Image.fromarray(x).convert('RGB').resize((64, 64))) for x in pictures]"
        )


def _from_one_hot(labels: npt.NDArray[Any], argument: str) -> Ints:
    """Return the numbers of classes of one-hot labels (N, K)."""
    one = labels == 1
    if not (one.sum(axis=1) == 1).all() or not ((labels == 0) | one).all():
        raise DataError(
            f"{argument}: expected one class for each picture; received: labels of shape {labels.shape} that are not "
            "one-hot (labels.argmax(axis=1) takes the largest)"
        )
    numbers: Ints = one.argmax(axis=1).astype(np.int64)
    return numbers
