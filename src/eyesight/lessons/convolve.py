"""Kernels over a photo: what comes out, what it does to the brightness, and how to show it.

In: a picture file (or none: the one that comes with scikit-learn) and kernels as text. Out: a `Convolved` that says
what was done; a sheet of pictures as PNG and the raw numbers as .npy, where asked for. It draws nothing itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import UsageError
from ..formats import atomic_path
from ..pictures.decode import PictureSource, decode
from ..pictures.preprocess import Pixels
from ..report.drawing import save, signed_colors
from .convolution import Numbers, Padding, correlate, output_shape
from .convolve_words import TUTORIAL_SIZE, brightness, describe, larger_kernel_hint, number
from .kernels import Kernel, make_names_unique, parse_kernel

Shown = Literal["clip", "min-max", "signed"]
Scale = Literal["auto", Shown]

_DEFAULT_PHOTO = "china.jpg"
_DEFAULT_CORNER = (20, 5)  # row and column: the pagoda stands in the middle
_MOST_KERNELS = 64  # on one sheet
_ROUNDING = 1e-6  # of results, far below one grey level
_SAMPLE = 1_000_000  # numbers that tell how large they are
_ROWS = 256  # worked on at a time, as the raw numbers of a large photo may fill most of the memory
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
        scale: how the numbers became colours.
        black, white: the numbers shown as black and as white; of the scale "signed", as full blue and full orange.
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
    scale: Shown
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
        low, high = number(self.black), number(self.white)
        if self.scale == "signed":
            return f"shown signed: 0 white, above it orange, below it blue, from ±{high} in full"
        if self.scale == "min-max":
            return f"shown scaled: {self.numbers[0]} black, {self.numbers[1]} white"
        below, above = self.minimum < self.black - _ROUNDING, self.maximum > self.white + _ROUNDING
        if below or above:
            return f"below {low} shown black" * below + ", " * (below and above) + f"above {high} shown white" * above
        return f"shown {'as it is: ' * (self.white == 255)}{low} black, {high} white"

    def to_json(self) -> dict[str, Any]:
        """Return everything but the picture."""
        kernel, shown = self.kernel, ("minimum", "maximum", "mean", "scale", "black", "white")
        about = {"name": kernel.name, "values": kernel.values.tolist(), "sum": kernel.sum}
        about |= {"brightness": brightness(kernel), "parameters": kernel.parameters, "output": list(self.shape)}
        return about | {name: getattr(self, name) for name in shown} | {"npy": self.file and str(self.file)}


@dataclass(frozen=True)
class Convolved:
    """A photo and what each kernel made of it; in a notebook it shows itself.

    Attributes:
        photo: what the kernels slid over.
        padding, stride: how.
        results: one for each kernel, with its picture.
        hint: what size of kernel suits a photo as large as this; None where it does.
        sheet: the PNG that was written, where one was asked for.
    """

    photo: Photo
    padding: Padding
    stride: int
    results: Sequence[Result]
    hint: str | None
    sheet: Path | None

    @property
    def text(self) -> str:
        """What `eyesight convolve` prints."""
        return describe(self)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from ..report.drawing import html_image, png
        from .convolve_figure import draw

        return html_image(png(draw(self)))

    def to_json(self) -> dict[str, Any]:
        """Return what was done, for programs."""
        size = dict(zip(("height", "width", "channels"), self.photo.pixels.shape, strict=True))
        kernels = [result.to_json() for result in self.results]
        return {"photo": self.photo.name, **size, "padding": self.padding, "stride": self.stride} | {
            "kernels": kernels,
            "hint": self.hint,
            "sheet": self.sheet and str(self.sheet),
        }


def convolve(
    photo: PictureSource | None = None,
    kernels: Sequence[str] = ("edge",),
    *,
    color: bool = False,
    padding: Padding = "valid",
    stride: int = 1,
    seed: int = 0,
    scale: Scale = "auto",
    sheet: Path | None = None,
    npy: Path | None = None,
) -> Convolved:
    """Slide each kernel over a photo; write a sheet of the results where one is asked for.

    Args:
        photo: a picture file, or what else `decode` takes; None takes scikit-learn's photo of a pagoda, cut to 302×403.
        kernels: names, files or numbers, as `parse_kernel` takes them.
        color: each of the three channels by itself; otherwise the photo is made grey.
        padding, stride: as for `correlate`.
        seed: of random kernels.
        scale: `clip` shows 0 as black and 255 as white; `min-max` the smallest and largest number, as matplotlib's
            imshow does; `signed`, of grey photos, 0 white, what is above it orange and what is below it blue. `auto`
            clips where the kernel's sum is 0 or 1. Of large kernels of the sum 0, whose results are larger than those
            of 3×3, clipping shows a number above 255 as white.
        sheet: PNG to write, in place of an older one.
        npy: file for the raw numbers, float64 (H', W') or (H', W', 3); with several kernels NAME is added to each.

    Raises:
        UsageError: a kernel that does not fit, an output that would replace an input, or signed colour.
        PictureError: not a picture.
        DataError: a kernel's file cannot be used.
    """
    from .convolve_figure import draw

    parsed = _parse_all(kernels, seed)
    files = _output_files(parsed, sheet, npy)
    _keep_inputs([photo, *kernels], files if sheet is None else [sheet, *files])
    if scale == "signed" and color:
        raise UsageError("signed: shows one number for each pixel, so only for grey photos", field="scale")
    picture = load_photo(photo, color=color)
    for kernel in parsed:
        output_shape(picture.shape, kernel.shape, padding=padding, stride=stride, name=f"kernel {kernel.name!r}")
    results = [_apply(picture, kernel, padding, stride, scale, file) for kernel, file in zip_longest(parsed, files)]
    done = Convolved(picture, padding, stride, results, larger_kernel_hint(picture.shape, parsed), sheet)
    if sheet is not None:
        save(draw(done), sheet)
    return done


def _parse_all(texts: Sequence[str], seed: int) -> list[Kernel]:
    if not 1 <= len(texts) <= _MOST_KERNELS:
        raise UsageError(f"expected 1 to {_MOST_KERNELS} kernels; received: {len(texts)}", field="kernel")
    kernels: list[Kernel] = []
    for text in texts:
        draws = sum(kernel.name.startswith("random") for kernel in kernels)  # a second random one is another one
        kernels.append(parse_kernel(text, seed=seed, draw=draws))
    return make_names_unique(kernels)


def _output_files(kernels: Sequence[Kernel], sheet: Path | None, npy: Path | None) -> list[Path]:
    """Return the .npy file of each kernel, or none."""
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"expected a name that ends in .png; received: {str(sheet)!r}", field="output")
    if npy is None:
        return []
    if npy.suffix.lower() != ".npy":
        raise UsageError(f"expected a name that ends in .npy; received: {str(npy)!r}", field="npy")
    return [npy] if len(kernels) == 1 else [npy.with_name(f"{npy.stem}-{k.name}{npy.suffix}") for k in kernels]


def _keep_inputs(inputs: Sequence[PictureSource | None], outputs: Sequence[Path]) -> None:
    """Refuse to replace the photo or a kernel's file."""
    named = [os.fspath(item) for item in inputs if isinstance(item, str | os.PathLike)]
    kept = {Path(name).resolve() for name in named if name and "\0" not in name}
    for output in outputs:
        if output.resolve() in kept:
            raise UsageError(f"{output}: is read, so that it cannot be written as well; choose another name")


def load_photo(source: PictureSource | None, *, color: bool) -> Photo:
    """Decode a photo; None takes the middle of scikit-learn's photo of a pagoda, as large as the tutorial's photo."""
    channels = 3 if color else 1
    if source is None:
        data = resources.files("sklearn.datasets.images").joinpath(_DEFAULT_PHOTO).read_bytes()
        (top, left), (height, width) = _DEFAULT_CORNER, TUTORIAL_SIZE
        part = decode(data, channels=channels).crop((left, top, left + width, top + height))
        return Photo(_DEFAULT_PHOTO, np.asarray(part, np.uint8).reshape(height, width, channels))
    if source == "":  # a shell variable that is not set
        raise UsageError("photo: expected a picture file; received an empty name")
    picture = decode(source, channels=channels)
    name = Path(source).name if isinstance(source, str | os.PathLike) else "a picture"
    return Photo(name, np.asarray(picture, np.uint8).reshape(picture.height, picture.width, channels))


def _apply(photo: Photo, kernel: Kernel, padding: Padding, stride: int, scale: Scale, file: Path | None) -> Result:
    """Slide one kernel over the photo and keep only what is shown: the raw numbers of a large photo are large."""
    pixels = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    raw = correlate(pixels, kernel.values, padding=padding, stride=stride)
    if file is not None:
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, raw)
    low, high, mean = float(raw.min()), float(raw.max()), float(raw.mean())
    used = _choose_scale(kernel, scale) if low < high else "clip"
    if used == "signed":
        full = _usual_most(raw)
        black, white, colors = -full, full, _paint(raw, full)
    else:
        black, white = (low, high) if used == "min-max" else (0.0, _white(kernel))
        colors = grey_levels(np.atleast_3d(raw), black, white)
    return Result(kernel, (raw.shape[0], raw.shape[1]), low, high, mean, black, white, used, shrink(colors), file)


def _usual_most(raw: Numbers) -> float:
    """Return the size that one number in a hundred exceeds; those that stand out would leave the others pale."""
    some = np.abs(raw.ravel()[:: max(1, raw.size // _SAMPLE)])
    return float(np.percentile(some, 99)) or float(np.abs(raw).max())


def _paint(raw: Numbers, full: float) -> Pixels:
    """Return numbers (H', W') as signed colours, uint8 (H', W', 3)."""
    colors = np.empty((*raw.shape, 3), np.uint8)
    for row in range(0, len(raw), _ROWS):
        colors[row : row + _ROWS] = np.rint(255 * signed_colors(raw[row : row + _ROWS], full=full))
    return colors


def _choose_scale(kernel: Kernel, scale: Scale) -> Shown:
    if scale == "auto":
        return "clip" if kernel.sum in (0, 1) else "min-max"
    return scale


def _white(kernel: Kernel) -> float:
    """Return what clipping shows as white: 255, and more of a large kernel of the sum 0.

    Its middle weighs more than the 8 of 3×3, so that nearly every pixel would be black or white.
    """
    above = float(kernel.values[kernel.values > 0].sum())
    return 255 * max(1.0, above / 8) if kernel.sum == 0 else 255.0


def grey_levels(raw: Numbers, black: float, white: float) -> Pixels:
    """Return numbers (H', W', C) as uint8: `black` as 0, `white` as 255, what lies outside cut off."""
    levels = np.empty(raw.shape, np.uint8)
    for row in range(0, len(raw), _ROWS):
        part = (raw[row : row + _ROWS] - black) / (white - black)
        levels[row : row + _ROWS] = np.rint(255 * part).clip(0, 255)
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
