"""Kernels: by name, written as numbers, or in a file.

In: text. Out: a `Kernel`: a name and its numbers in float64. It knows no pictures.
"""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError, UnknownNameError, UsageError
from .convolution import Numbers, by

LARGEST_SIDE = 999  # of a kernel made by name or read: as large, on a 100-megapixel photo, as 11×11 on 302×403
LARGEST_NUMBER = 1e9  # in size; far above any filter, and far below where sums would overflow
_LARGEST_FILE = 32 << 20  # bytes; 999×999 numbers written out in full

_ONE_NUMBER = r"(?=.*\d)[-+−\d./e]+|[-+−]?(nan|inf|infinity)"

# As a network applies them: not turned round.
_FIXED: dict[str, tuple[str, str]] = {
    "identity": ("0 0 0; 0 1 0; 0 0 0", "the picture itself"),
    "sharpen": ("0 -1 0; -1 5 -1; 0 -1 0", "the picture with its edges added"),
    "emboss": ("-2 -1 0; -1 1 1; 0 1 2", "light from the top left, as on a relief"),
    "sobel-x": ("-1 0 1; -2 0 2; -1 0 1", "upright edges that get brighter to the right"),
    "sobel-y": ("-1 -2 -1; 0 0 0; 1 2 1", "level edges that get brighter downwards"),
    "laplacian": ("0 1 0; 1 -4 1; 0 1 0", "the curvature of the brightness"),
}
SIZED = {  # made in any odd size: blur7
    "edge": "what differs from its neighbours",
    "blur": "the mean of the window",
    "gaussian": "a mean in which near pixels count more",
    "random": "what an untrained layer starts from",
}


@dataclass(frozen=True)
class Kernel:
    """The weights (h, w) of one filter, and what it is called."""

    name: str
    values: Numbers
    about: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Return h and w."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def sum(self) -> float:
        """The sum of the weights: what a surface of one brightness is multiplied by."""
        total, size = float(self.values.sum()), float(np.abs(self.values).sum())
        near = round(total)  # 49 times 1/49 is not quite 1
        return float(near) if abs(total - near) <= 1e-12 * size else total

    @property
    def parameters(self) -> int:
        """Weights and one bias, as a Conv2D layer counts them."""
        return self.values.size + 1


def parse_kernel(text: str, *, seed: int = 0, draw: int = 0) -> Kernel:
    """Return the kernel that a text means: a name such as `edge` or `blur7`, a file, or numbers.

    Args:
        text: numbers are written row by row: "1 0 -1; 2 0 -2; 1 0 -1"; fractions such as 1/9 are fine.
        seed: of a random kernel.
        draw: which of several random kernels of that seed.

    Raises:
        UsageError: an unknown name, an even size, or numbers that make no kernel.
        DataError: a file that is missing or holds no kernel.

    >>> parse_kernel("1/4 1/4; 1/4 1/4").values
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    name = text.strip().lower()
    if re.fullmatch(f"({'|'.join([*_FIXED, *SIZED])})[0-9]*", name):
        return _named(name, seed, draw)
    if name and os.path.exists(text):  # noqa: PTH110 # Path's raises where a name is too long
        return read_kernel(Path(text))
    if not name or re.search(r"[\s,;\[\]]", name) or re.fullmatch(_ONE_NUMBER, name):
        return Kernel("numbers", parse_numbers(text, source="kernel"))
    if Path(text).suffix or "/" in text:
        raise DataError(f"{text}: no such file")
    raise UnknownNameError("kernel", text, [*_FIXED, *SIZED, "blur7", "gaussian7"])


def all_kernels(*, seed: int = 0) -> list[Kernel]:
    """Return every kernel that has a name, in its smallest useful size."""
    return [parse_kernel(name, seed=seed) for name in (*_FIXED, *SIZED)]


def _named(name: str, seed: int, draw: int) -> Kernel:
    base = name.rstrip("0123456789")
    if base in _FIXED:
        if name != base:
            raise UsageError(f"kernel {name!r}: {base} is 3×3 and takes no size; {', '.join(SIZED)} do")
        numbers, about = _FIXED[base]
        return Kernel(base, parse_numbers(numbers, source=base), about)
    digits = name.removeprefix(base) or "3"
    size = int(digits) if len(digits) < 9 else 0  # int() refuses thousands of digits by an error of its own
    if not size % 2 or not 1 <= size <= LARGEST_SIDE:
        expected = f"an odd size, so that it has a middle, from 1 to {LARGEST_SIDE}"
        raise UsageError(f"kernel {name!r}: expected {expected}; received: {digits[:40]}")
    about, called = SIZED[base], f"{base}{size}"
    if base == "edge":
        return Kernel("edge" if size == 3 else called, _edge(size), about)
    if base == "blur":
        return Kernel(called, np.full((size, size), 1 / size**2), about)
    if base == "gaussian":
        return Kernel(called, _gaussian(size), about)
    # Glorot-uniform, where Keras' Conv2D with one input and one output channel starts
    values = np.random.default_rng((seed, draw)).uniform(-1, 1, (size, size)) * np.sqrt(3) / size
    return Kernel("random" if size == 3 else called, values, about)


def _edge(size: int) -> Numbers:
    """Return −1 everywhere and in the middle what brings the sum to 0: 8 for a side of 3, 24 for 5."""
    values = np.full((size, size), -1.0)
    values[size // 2, size // 2] = size**2 - 1
    return values


def _gaussian(size: int) -> Numbers:
    """Return a bell curve (size, size) of sum 1.

    Its standard deviation grows by 0.15 with each pixel of size; size 3 is the well-known 1 2 1; 2 4 2; 1 2 1 over 16.
    """
    deviation = 0.15 * (size - 3) + 1 / np.sqrt(2 * np.log(2))
    bell = np.exp(-0.5 * ((np.arange(size) - size // 2) / deviation) ** 2)
    return np.asarray(np.outer(bell, bell) / bell.sum() ** 2)


def parse_numbers(text: str, *, source: str) -> Numbers:
    """Return the matrix that a text spells: cells parted by spaces or commas, rows by semicolons or lines.

    Where there are several lines, they are the rows and a semicolon parts cells. Python's and NumPy's brackets, and
    what follows a #, are passed over.

    Args:
        text: for example "1 0 -1; 2 0 -2; 1 0 -1" or "[[1, 0], [0, 1]]".
        source: the argument or file, for messages.

    Raises:
        UsageError: nothing there, rows of different length, or a cell that is not a finite number of at most 1e9.

    >>> parse_numbers("[[1, 0, −1], [0.5, 1/2, 0]]", source="kernel")
    array([[ 1. ,  0. , -1. ],
           [ 0.5,  0.5,  0. ]])
    """
    text = text.replace("−", "-").replace("\r", "\n")  # the minus of printed pages, old line ends
    text = re.sub(r"\]\s*,?\s*\[", ";", re.sub(r"#.*", "", text)).strip().strip("[]")
    lines = [line.strip().rstrip(";").strip() for line in text.splitlines() if line.strip().rstrip(";").strip()]
    if len(lines) == 1:
        lines = [line.strip() for line in lines[0].split(";")]
    cells = [re.split(r"\s*[,;]\s*|\s+", line) for line in lines]
    if not any(map(any, cells)):
        raise UsageError("expected rows of numbers such as '1 0 -1; 2 0 -2; 1 0 -1'; received nothing", field=source)
    if odd := next((i for i, row in enumerate(cells) if len(row) != len(cells[0])), None):
        received = f"{len(cells[0])} numbers in row 1, {len(cells[odd])} in row {odd + 1}"
        raise UsageError(f"expected rows of equal length; received: {received}", field=source)
    _check_side((len(cells), len(cells[0])), source)
    return np.array([[_read_cell(cell, source) for cell in row] for row in cells])


def _check_side(shape: tuple[int, ...], source: str) -> None:
    if max(shape) > LARGEST_SIDE:
        expected = f"a kernel of at most {LARGEST_SIDE}×{LARGEST_SIDE}"
        raise UsageError(f"expected {expected}; received: {by(shape)}", field=source)


def _read_cell(cell: str, source: str) -> float:
    """Return what a cell says: a decimal number or a fraction."""
    numerator, slash, below = cell.partition("/")
    try:
        value = float(numerator) / float(below) if slash else float(cell)
    except (ValueError, ZeroDivisionError):
        value = np.nan
    if not abs(value) <= LARGEST_NUMBER:
        raise UsageError(f"expected finite numbers of at most 1e9 in size; received: {cell[:40]!r}", field=source)
    return value


def read_kernel(path: Path) -> Kernel:
    """Read a kernel from a text or CSV file, or a NumPy array from a .npy file.

    Raises:
        DataError: it cannot be read or holds no kernel.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > _LARGEST_FILE:
        raise DataError(f"{path}: expected a kernel; received a file of more than {_LARGEST_FILE >> 20} MB")
    try:
        if data.startswith(b"\x93NUMPY"):
            values = _array(data, str(path))
        else:
            values = parse_numbers(data.decode("utf-8-sig"), source=str(path))
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected a kernel as text, CSV or .npy; received something else") from None
    except UsageError as error:
        raise DataError(str(error)) from None
    return Kernel(path.stem, values)


def _array(data: bytes, source: str) -> Numbers:
    """Return the matrix of a .npy file; never unpickles."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # on damaged files NumPy raises nearly anything
        raise DataError(f"{source}: not a .npy file that holds numbers ({error})") from None
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        received = f"{array.dtype} of shape {array.shape}"
        raise DataError(f"{source}: expected real numbers with height and width; received: {received}")
    with np.errstate(over="ignore"):  # a number too large for float64 is too large anyway
        values: Numbers = array.astype(np.float64)
    _check_side(values.shape, source)
    if not (np.abs(values) <= LARGEST_NUMBER).all():
        raise DataError(f"{source}: expected finite numbers of at most 1e9 in size")
    return values


def denominator(values: Numbers) -> int | None:
    """Return the smallest number that makes all elements whole, as people write a blur: 1/49; None where there is none.

    >>> denominator(np.full((7, 7), 1 / 49)), denominator(np.array([[0.3, 0.7071]]))
    (49, None)
    """
    smallest = np.abs(values[values != 0]).min(initial=1.0)
    for candidate in (1, round(1 / smallest)) if smallest > 1e-6 else (1,):
        if np.allclose(values * candidate, np.rint(values * candidate), rtol=0, atol=1e-9):
            return candidate
    return None


def spell(values: Numbers) -> str:
    """Return the numbers as `parse_numbers` takes them; those that are no fractions with four digits.

    >>> spell(np.full((2, 2), 0.25))
    '1/4 1/4; 1/4 1/4'
    """
    parts = denominator(values)

    def write(value: float) -> str:
        if parts is None:
            return f"{value:.4g}"
        return str(round(value)) if parts == 1 or value == 0 else f"{round(value * parts)}/{parts}"

    return "; ".join(" ".join(map(write, row)) for row in values.tolist())


def make_names_unique(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Return the kernels, a second one of a name called NAME-2, since names tell files apart."""
    result: dict[str, Kernel] = {}
    for kernel in kernels:
        names = (f"{kernel.name}-{count}" if count > 1 else kernel.name for count in itertools.count(1))
        name = next(name for name in names if name not in result)
        result[name] = replace(kernel, name=name)
    return list(result.values())
