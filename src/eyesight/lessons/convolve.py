"""Kernels over a photo: what comes out, what it does to the brightness, and how to show it.

In: a picture file (or none: the one that comes with scikit-learn) and kernels as text. Out: a sheet of pictures as
PNG, the raw numbers as .npy, and a `Convolved` that says what was done. It draws nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import UsageError
from ..formats import atomic_path
from ..pictures.decode import decode
from ..pictures.preprocess import Pixels
from .convolution import Numbers, Padding, by, correlate, output_shape
from .kernels import Kernel, make_names_unique, parse_kernel

Scale = Literal["auto", "clip", "min-max"]

DEFAULT_KERNEL = "edge"
_DEFAULT_PHOTO = "china.jpg"
_DEFAULT_CORNER = (20, 5)  # row and column: the pagoda stands in the middle
_TUTORIAL_SIZE = (302, 403)  # of the tutorial's photo, on which 3×3 shows well
_MOST_KERNELS = 64  # on one sheet
_ROUNDING = 1e-6  # of results, far below one grey level
_NOTHING = 1e-5  # of the largest result: a 0 as it comes out of sums of fractions
_SHOWN_SIDE = 1000  # pixels; the sheet shows fewer, so that larger results are made smaller before


@dataclass(frozen=True)
class Photo:
    """A decoded photo: uint8 (H, W, C), C = 1 or 3."""

    name: str
    pixels: Pixels

    @property
    def shape(self) -> tuple[int, int]:
        """Return H and W."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class Result:
    """What one kernel made of the photo.

    Attributes:
        kernel: the kernel.
        shape: H' and W'.
        minimum, maximum, mean: of the raw numbers.
        black, white: the numbers shown as black and as white.
        picture: what is shown: uint8 (h, w, C), made smaller where it was large.
        file: the raw numbers, where asked for.
    """

    kernel: Kernel
    shape: tuple[int, int]
    minimum: float
    maximum: float
    mean: float
    black: float
    white: float
    picture: Pixels
    file: Path | None

    @property
    def numbers(self) -> tuple[str, str, str]:
        """Smallest, largest and mean result, in words."""
        beside = max(-self.minimum, self.maximum)
        return (
            number(self.minimum, beside=beside),
            number(self.maximum, beside=beside),
            number(self.mean, beside=beside),
        )

    @property
    def shown(self) -> str:
        """How the numbers became grey levels, in words."""
        if (self.black, self.white) != (0, 255):
            return f"shown scaled: {self.numbers[0]} black, {self.numbers[1]} white"
        below, above = self.minimum < -_ROUNDING, self.maximum > 255 + _ROUNDING
        if below or above:
            return "below 0 shown black" * below + ", " * (below and above) + "above 255 shown white" * above
        return "shown as it is: 0 black, 255 white"

    def to_json(self) -> dict[str, Any]:
        """Return everything but the picture."""
        kernel, shown = self.kernel, ("minimum", "maximum", "mean", "black", "white")
        about = {"name": kernel.name, "values": kernel.values.tolist(), "sum": kernel.sum}
        about |= {"brightness": brightness(kernel), "parameters": kernel.parameters, "output": list(self.shape)}
        return about | {name: getattr(self, name) for name in shown} | {"npy": self.file and str(self.file)}


@dataclass(frozen=True)
class Convolved:
    """A photo, what each kernel made of it, and where the sheet lies."""

    photo: Photo
    padding: Padding
    stride: int
    results: Sequence[Result]
    hint: str | None
    sheet: Path

    def to_json(self) -> dict[str, Any]:
        """Return what was done, for programs."""
        size = dict(zip(("height", "width", "channels"), self.photo.pixels.shape, strict=True))
        kernels = [result.to_json() for result in self.results]
        return {"photo": self.photo.name, **size, "padding": self.padding, "stride": self.stride} | {
            "kernels": kernels,
            "hint": self.hint,
            "sheet": str(self.sheet),
        }


def convolve(
    photo: str | Path | None = None,
    kernels: Sequence[str] = (DEFAULT_KERNEL,),
    *,
    color: bool = False,
    padding: Padding = "valid",
    stride: int = 1,
    seed: int = 0,
    scale: Scale = "auto",
    sheet: Path = Path("convolve.png"),
    npy: Path | None = None,
) -> Convolved:
    """Slide each kernel over a photo and write a sheet of the results.

    Args:
        photo: a picture file; None takes scikit-learn's photo of a pagoda, cut to 302×403.
        kernels: names, files or numbers, as `parse_kernel` takes them.
        color: each of the three channels by itself; otherwise the photo is made grey.
        padding, stride: as for `correlate`.
        seed: of random kernels.
        scale: `clip` shows 0 as black and 255 as white, `min-max` the smallest and largest number; `auto` clips where
            the kernel's sum is 0 or 1.
        sheet: PNG to write, in place of an older one.
        npy: file for the raw numbers, float64 (H', W') or (H', W', 3); with several kernels NAME is added to each.

    Raises:
        UsageError: a kernel that does not fit, or an output that would replace an input.
        PictureError: not a picture.
        DataError: a kernel's file cannot be used.
    """
    from ..report.drawing import save
    from .convolve_figure import draw

    parsed = _parse_all(kernels, seed)
    files = _output_files(parsed, sheet, npy)
    _keep_inputs([photo, *kernels], [sheet, *files])
    picture = load_photo(photo, color=color)
    for kernel in parsed:
        output_shape(picture.shape, kernel.shape, padding=padding, stride=stride, name=f"kernel {kernel.name!r}")
    results = [_apply(picture, kernel, padding, stride, scale, file) for kernel, file in zip_longest(parsed, files)]
    done = Convolved(picture, padding, stride, results, larger_kernel_hint(picture.shape, parsed), sheet)
    save(draw(done), sheet)
    return done


def _parse_all(texts: Sequence[str], seed: int) -> list[Kernel]:
    if not 1 <= len(texts) <= _MOST_KERNELS:
        raise UsageError(f"--kernel: expected 1 to {_MOST_KERNELS} kernels; received: {len(texts)}")
    kernels: list[Kernel] = []
    for text in texts:
        draws = sum(kernel.name.startswith("random") for kernel in kernels)  # a second random one is another one
        kernels.append(parse_kernel(text, seed=seed, draw=draws))
    return make_names_unique(kernels)


def _output_files(kernels: Sequence[Kernel], sheet: Path, npy: Path | None) -> list[Path]:
    """Return the .npy file of each kernel, or none."""
    if sheet.suffix.lower() != ".png":
        raise UsageError(f"--output: expected a name that ends in .png; received: {str(sheet)!r}")
    if npy is None:
        return []
    if npy.suffix.lower() != ".npy":
        raise UsageError(f"--npy: expected a name that ends in .npy; received: {str(npy)!r}")
    return [npy] if len(kernels) == 1 else [npy.with_name(f"{npy.stem}-{k.name}{npy.suffix}") for k in kernels]


def _keep_inputs(inputs: Sequence[str | Path | None], outputs: Sequence[Path]) -> None:
    """Refuse to replace the photo or a kernel's file."""
    kept = {Path(item).resolve() for item in inputs if item and "\0" not in str(item)}
    for output in outputs:
        if output.resolve() in kept:
            raise UsageError(f"{output}: is read, so that it cannot be written as well; choose another name")


def load_photo(source: str | Path | None, *, color: bool) -> Photo:
    """Decode a photo; None takes the middle of scikit-learn's photo of a pagoda, as large as the tutorial's photo."""
    channels = 3 if color else 1
    if source is None:
        data = resources.files("sklearn.datasets.images").joinpath(_DEFAULT_PHOTO).read_bytes()
        (top, left), (height, width) = _DEFAULT_CORNER, _TUTORIAL_SIZE
        part = decode(data, channels=channels).crop((left, top, left + width, top + height))
        return Photo(_DEFAULT_PHOTO, np.asarray(part, np.uint8).reshape(height, width, channels))
    if not str(source):  # a shell variable that is not set
        raise UsageError("photo: expected a picture file; received an empty name")
    picture = decode(source, channels=channels)
    return Photo(Path(source).name, np.asarray(picture, np.uint8).reshape(picture.height, picture.width, channels))


def _apply(photo: Photo, kernel: Kernel, padding: Padding, stride: int, scale: Scale, file: Path | None) -> Result:
    """Slide one kernel over the photo and keep only what is shown: the raw numbers of a large photo are large."""
    pixels = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    raw = correlate(pixels, kernel.values, padding=padding, stride=stride)
    if file is not None:
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, raw)
    low, high, mean = float(raw.min()), float(raw.max()), float(raw.mean())
    clipped = scale == "clip" or (scale == "auto" and kernel.sum in (0, 1)) or low == high
    black, white = (0.0, 255.0) if clipped else (low, high)
    picture = shrink(grey_levels(np.atleast_3d(raw), black, white))
    return Result(kernel, (raw.shape[0], raw.shape[1]), low, high, mean, black, white, picture, file)


def grey_levels(raw: Numbers, black: float, white: float) -> Pixels:
    """Return numbers (H', W', C) as uint8: `black` as 0, `white` as 255, what lies outside cut off."""
    levels = np.empty(raw.shape, np.uint8)
    for row in range(0, len(raw), 256):  # in parts, as the raw numbers may fill most of the memory
        part = (raw[row : row + 256] - black) / (white - black)
        levels[row : row + 256] = np.rint(255 * part).clip(0, 255)
    return levels


def shrink(picture: Pixels) -> Pixels:
    """Return a picture (H, W, C) with at most 1,000 pixels a side: each the mean of those it stands for."""
    from PIL import Image

    height, width, channels = picture.shape
    factor = -(-max(height, width) // _SHOWN_SIDE)
    if factor == 1:
        return picture
    image = Image.fromarray(picture[..., 0] if channels == 1 else picture).reduce(factor)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def brightness(kernel: Kernel) -> str:
    """Say what a kernel does to the brightness of a surface: multiplies it by its sum."""
    total = kernel.sum
    if not kernel.values.any():
        return "all black"
    if total == 0:
        return "dark except at edges"
    if total < 0:
        return f"light and dark change places, times {number(-total)}"
    return "keeps the brightness" if total == 1 else f"{number(total)} times as bright"


def larger_kernel_hint(photo: tuple[int, int], kernels: Sequence[Kernel]) -> str | None:
    """Say what size does on a large photo what 3×3 does on the tutorial's; None where the kernels are large enough.

    >>> from eyesight.lessons.kernels import parse_kernel
    >>> larger_kernel_hint((3000, 4000), [parse_kernel("edge")])[:55]
    '3×3 is small for 3000×4000: it takes 29×29 to cover the'
    """
    side = 3 * math.sqrt(math.prod(photo) / math.prod(_TUTORIAL_SIZE))
    smallest = min((kernel.shape for kernel in kernels), key=math.prod)
    if math.sqrt(math.prod(smallest)) > side / 2:
        return None
    size = 2 * round((side - 1) / 2) + 1
    return (
        f"{by(smallest)} is small for {by(photo)}: it takes {size}×{size} to cover the same share of this photo "
        f"as 3×3 does of {by(_TUTORIAL_SIZE)}; try blur{size} or gaussian{size}, or a smaller photo"
    )


def number(value: float, *, beside: float = 0) -> str:
    """Return a number as people write it: to four digits, more where it is large.

    Args:
        value: the number.
        beside: the size of the numbers it stands among: what is nothing beside them is 0.

    >>> number(-1020), number(0.040816), number(-1.6e-13, beside=255)
    ('-1,020', '0.04082', '0')
    """
    if abs(value) <= _NOTHING * abs(beside):
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
