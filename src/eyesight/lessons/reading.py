"""The reader's own numbers, from text or from arrays, and which of them a topic takes.

In: what was given for an option. Out: arrays small enough to be drawn and the other arguments of a lesson, or one line
that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..pictures.size import parse_size
from ..report.document import WIDEST_GRID, Floats
from .convolution import by
from .kernels import LARGEST_NUMBER, parse_kernel, parse_numbers

Given = str | npt.ArrayLike

_LARGEST_KERNEL = 7  # rows and columns; the sum of a cell has as many products as the kernel has numbers
_LARGEST_RATE = 0.99  # of dropout
_MOST = {"stride": 4096, "size": 255, "units": 1 << 20, "filters": 1 << 20}


def read(topic: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a topic's options stand for.

    Args:
        topic: a lesson's name.
        given: options, and text or numbers.

    Raises:
        UsageError: an option that belongs to another topic, or a value that is none.
    """
    readers = _readers()[topic]
    if others := [option for option in given if option not in readers]:
        takes = ", ".join(readers) or "none"
        raise UsageError(f"does not belong to the lesson {topic}, which takes {takes}", field=others[0])
    return {readers[option][0]: readers[option][1](value) for option, value in given.items()}


def options_of(topic: str) -> tuple[str, ...]:
    """Return the options that a topic takes."""
    return tuple(_readers()[topic])


def _readers() -> dict[str, dict[str, tuple[str, Callable[[Any], Any]]]]:
    """Return for each topic its options: the argument that each stands for, and what reads it."""
    picture, one_kernel = {"input": ("picture", matrix)}, {"kernel": ("kernel", kernel)}
    network: dict[str, tuple[str, Callable[[Any], Any]]] = {"model": ("model", Path), "picture": ("picture", Path)}
    stride, size, units, filters = ({name: (name, _whole(name))} for name in _MOST)
    return {
        "picture": {"input": ("planes", planes)},
        "parameters": {"input": ("shape", shape), **units, **filters, **size},
        "convolution": {**picture, **one_kernel, **stride, "padding": ("padding", _padding)},
        "output-size": {"input": ("picture", lambda value: shape(value)[:2]), **size, **stride},
        "relu": {"input": ("values", matrix)},
        "pooling": {**picture, **size, **stride},
        "shift": {**picture, **one_kernel, **size},
        "flatten": {"input": ("planes", planes)},
        "softmax": {"input": ("logits", row)},
        "channels": {
            "input": ("planes", planes),
            "kernel": ("kernels", kernels),
            "weights": ("weights", lambda value: matrix(value, field="weights")),
        },
        "padding": {**picture, **one_kernel},
        "batch": {"input": ("pictures", planes)},
        "dropout": {"input": ("values", row), "rate": ("rate", _rate)},
        "filters": network,
        "position": network,
        "layers": network,
        "network": {"model": ("model", str), "input": ("input", shape)},
        "architectures": {},
    }


def matrix(given: Given, *, field: str = "input") -> Floats:
    """Return (H, W) of an array, or of rows parted by semicolons.

    >>> matrix("1 2; 3 4")
    array([[1., 2.],
           [3., 4.]])
    """
    values = parse_numbers(given, source=field) if isinstance(given, str) else _array(given, (2,), field)
    return _check_side(values, field, WIDEST_GRID)


def kernel(given: Given) -> Floats:
    """Return the kernel (h, w) that a name such as `edge`, a file, numbers or an array mean."""
    values = parse_kernel(given).values if isinstance(given, str) else _array(given, (2,), "kernel")
    return _check_side(values, "kernel", _LARGEST_KERNEL)


def planes(given: Given) -> Floats:
    """Return (C, H, W) of an array, or of matrices parted by |.

    >>> planes("1 2; 3 4 | 5 6; 7 8").shape
    (2, 2, 2)
    """
    parts: list[Any] = given.split("|") if isinstance(given, str) else _parts(given, "input")
    return _stack([matrix(part) for part in parts], "input")


def kernels(given: Given) -> Floats:
    """Return (C, h, w) of an array, or of kernels parted by |; one alone is taken for each of three channels."""
    parts: list[Any] = given.split("|") if isinstance(given, str) else _parts(given, "kernel")
    return _stack([kernel(part) for part in (parts * 3 if len(parts) == 1 else parts)], "kernel")


def row(given: Given) -> Floats:
    """Return (N,) numbers of one row.

    >>> row("2 1 0.1")
    array([2. , 1. , 0.1])
    """
    values = matrix(given if isinstance(given, str) else np.atleast_2d(_array(given, (1, 2), "input")))
    if len(values) > 1:
        raise UsageError(f"expected one row of numbers; received: {len(values)} rows", field="input")
    return values.ravel()


def shape(given: str | tuple[int, ...]) -> tuple[int, int, int]:
    """Return (H, W, C) of three numbers, or of text such as 200x200x3."""
    return parse_size(given if isinstance(given, str) else "x".join(map(str, given)))


def _whole(field: str) -> Callable[[Any], int]:
    """Return what reads a whole number, from 1 to the most that can be shown."""

    def read_number(value: Any) -> int:
        if not isinstance(value, int) or not 1 <= value <= _MOST[field]:
            raise UsageError(f"expected a whole number from 1 to {_MOST[field]:,}; received: {value!r}", field=field)
        return value

    return read_number


def _rate(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= _LARGEST_RATE:
        raise UsageError(f"expected a share from 0 to {_LARGEST_RATE}; received: {value!r}", field="rate")
    return float(value)


def _padding(value: Any) -> str:
    if value not in ("valid", "same"):
        raise UsageError(f"expected valid or same; received: {value!r}", field="padding")
    return str(value)


def _array(given: npt.ArrayLike, dimensions: tuple[int, ...], field: str) -> Floats:
    """Return numbers as an array of one of these numbers of dimensions."""
    wanted = f"expected text or an array of {' or '.join(map(str, dimensions))} dimensions"
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{wanted}; received: {type(given).__name__} of other things", field=field) from None
    if values.ndim not in dimensions or not values.size:
        raise UsageError(f"{wanted}; received: shape {values.shape}", field=field)
    if not (np.abs(values) <= LARGEST_NUMBER).all():
        raise UsageError("expected finite numbers of at most 1e9 in size", field=field)
    return values


def _parts(given: npt.ArrayLike, field: str) -> list[Floats]:
    """Return the matrices of an array (C, H, W), or the one of (H, W)."""
    values = _array(given, (2, 3), field)
    return list(values if values.ndim == 3 else values[None])


def _check_side(values: Floats, field: str, most: int) -> Floats:
    if max(values.shape) > most:
        raise UsageError(f"a lesson can draw at most {most}×{most} numbers; received: {by(values.shape)}", field=field)
    return values


def _stack(matrices: list[Floats], field: str) -> Floats:
    shapes = [values.shape for values in matrices]
    if len(set(shapes)) > 1:
        raise UsageError(f"expected matrices of one shape; received: {', '.join(map(by, shapes))}", field=field)
    return np.stack(matrices)
