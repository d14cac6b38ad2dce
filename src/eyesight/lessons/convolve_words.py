"""What is said of kernels over a photo: brightness, numbers, a hint, and the lines that the program prints.

In: kernels, numbers, a `Convolved`. Out: words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..report.terminal import align_columns
from .convolution import by
from .kernels import SIZED, Kernel

if TYPE_CHECKING:
    from .convolve import Convolved

TUTORIAL_SIZE = (302, 403)  # of the tutorial's photo, on which 3×3 shows well
_NOTHING = 1e-5  # of the largest result: a 0 as it comes out of sums of fractions


def describe(done: Convolved) -> str:
    """Return what each kernel did, and where the results are, in lines of 80 columns."""
    kind = "color" if done.photo.pixels.shape[2] == 3 else "grey"
    rows = [
        (r.kernel.name, by(r.kernel.shape), by(r.shape), f"{r.kernel.parameters:,}", number(r.kernel.sum),
         f"{brightness(r.kernel)}; from {r.numbers[0]} to {r.numbers[1]}; {r.shown}")
        for r in done.results
    ]  # fmt: skip
    columns = ("kernel", "size", "result", "parameters", "sum", "what comes out")
    lines = [
        f"{done.photo.name}, {by(done.photo.shape)}, {kind}; padding {done.padding}, stride {done.stride}",
        *align_columns(columns, rows, numbers=("parameters", "sum"), width=80),
        *(f"numbers: {result.file}" for result in done.results if result.file),
    ]
    if done.hint:
        lines.append(f"hint: {done.hint}")
    return "\n".join([*lines, f"sheet: {done.sheet}"] if done.sheet else lines)


def brightness(kernel: Kernel) -> str:
    """Say what a kernel does to the brightness of a surface: multiplies it by its sum."""
    total = kernel.sum
    if not kernel.values.any():
        return "all black"
    if total == 0:
        return "0 except at edges"
    if total < 0:
        return f"light and dark change places, times {number(-total)}"
    return "keeps the brightness" if total == 1 else f"{number(total)} times as bright"


def larger_kernel_hint(photo: tuple[int, int], kernels: Sequence[Kernel]) -> str | None:
    """Say what size does on a large photo what 3×3 does on the tutorial's; None where the kernels are large enough.

    >>> from eyesight.lessons.kernels import parse_kernel
    >>> hint = larger_kernel_hint((3000, 4000), [parse_kernel("edge")])
    >>> hint[:56], hint[-30:]
    ('3×3 is small for 3000×4000: it takes 29×29 to cover the ', 'try edge29, or a smaller photo')
    """
    side = 3 * math.sqrt(math.prod(photo) / math.prod(TUTORIAL_SIZE))
    smallest = min((kernel.shape for kernel in kernels), key=math.prod)
    if math.sqrt(math.prod(smallest)) > side / 2:
        return None
    size = 2 * round((side - 1) / 2) + 1
    larger = " or ".join(f"{name}{size}" for name in _sized_like(kernels))
    return (
        f"{by(smallest)} is small for {by(photo)}: it takes {size}×{size} to cover the same share of this photo "
        f"as 3×3 does of {by(TUTORIAL_SIZE)}; try {larger}, or a smaller photo"
    )


def _sized_like(kernels: Sequence[Kernel]) -> list[str]:
    """Return names of kernels that come in any size: those asked for; edges for other edges, blurs for the rest."""
    names = {kernel.name.rstrip("0123456789") for kernel in kernels}
    if same := [name for name in SIZED if name in names]:
        return same
    return ["edge"] if all(kernel.sum == 0 for kernel in kernels) else ["blur", "gaussian"]


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
