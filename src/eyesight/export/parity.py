"""Whether what leaves the house answers as the classifier does: the parity certificate.

In: the classifier, whatever else answers, pictures. Out: `Certificate`, the largest difference of each, as JSON and as
rows of a table. It does not know what the others are: a file, a page in a browser, a server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ..environment import describe_environment
from ..errors import EyesightError
from ..formats import write_json
from ..pictures.preprocess import Pixels

PARITY_FORMAT, PARITY_VERSION = "eyesight-parity", 1
EXACT: Final = 1e-5  # the largest difference of a probability, of what computes the same graph


class Probabilities(Protocol):
    """Whatever gives probabilities for stored pictures."""

    def probabilities(self, pictures: Pixels) -> npt.NDArray[np.floating]:
        """Return (N, K) for uint8 (N, H, W, C) of the stored size."""


@dataclass(frozen=True)
class Sample:
    """Pictures to compare answers on.

    Attributes:
        pictures: uint8 (N, H, W, C) of the stored size.
        source: where they came from, in words.
        real: whether they are pictures of something, not drawn here.
    """

    pictures: Pixels
    source: str
    real: bool = True


@dataclass(frozen=True)
class Comparison:
    """How the answers of one of the others differ from the classifier's.

    Attributes:
        name: of the other.
        largest: difference of any probability.
        same: pictures with the same most probable class.
        other: pictures with another one, though the classifier's two best are further apart than `tolerance`.
        tolerance: the largest difference allowed; None where it is only stated, as for int8.
    """

    name: str
    largest: float
    same: int
    other: int
    tolerance: float | None

    @property
    def holds(self) -> bool:
        """Whether the answers are the same."""
        return self.tolerance is None or (self.largest <= self.tolerance and not self.other)


@dataclass(frozen=True)
class Certificate:
    """What was compared, on which pictures, where, and how large the differences are.

    Attributes:
        model: checksum of the classifier's file.
        source: where the pictures came from.
        count: of pictures.
        digest: SHA-256 of their pixels.
        comparisons: one for each of the others.
        machine: versions and processor.
        files: SHA-256 of each file it goes with, by name.
    """

    model: str | None
    source: str
    count: int
    digest: str
    comparisons: tuple[Comparison, ...]
    machine: dict[str, Any]
    files: dict[str, str]

    def check(self) -> None:
        """Raise `EyesightError` where one of the others disagrees."""
        for each in self.comparisons:
            if not each.holds:
                raise EyesightError(
                    f"{each.name}: its probabilities differ from the classifier's by up to {each.largest:.1e} "
                    f"(allowed: {each.tolerance:.0e}), and its class on {each.other} of {self.count} pictures; "
                    "nothing was written"
                )

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with its format and version."""
        rows = [asdict(each) | {"holds": each.holds} for each in self.comparisons]
        return {"format": PARITY_FORMAT, "version": PARITY_VERSION, **asdict(self), "comparisons": rows}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return (who, largest difference, same class) for a table."""
        return [(each.name, f"{each.largest:.1e}", f"{each.same:,} of {self.count:,}") for each in self.comparisons]

    def save(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_json(path, self.to_json())


def compare(
    reference: Probabilities,
    others: Mapping[str, Probabilities],
    sample: Sample,
    *,
    tolerances: Mapping[str, float | None] | None = None,
    files: Mapping[str, str] | None = None,
) -> Certificate:
    """Ask all for the same pictures, and compare each with the classifier.

    Args:
        reference: the classifier.
        others: by name.
        sample: the pictures.
        tolerances: the largest difference allowed for each by name, `EXACT` where not given; None to state it only.
        files: SHA-256 of each file that the certificate goes with, by name.
    """
    expected = np.asarray(reference.probabilities(sample.pictures), np.float64)
    allowed = tolerances or {}
    comparisons = tuple(
        _compared(
            name, expected, np.asarray(other.probabilities(sample.pictures), np.float64), allowed.get(name, EXACT)
        )
        for name, other in others.items()
    )
    return Certificate(
        model=getattr(reference, "checksum", None),
        source=sample.source,
        count=len(sample.pictures),
        digest=hashlib.sha256(sample.pictures.tobytes()).hexdigest(),
        comparisons=comparisons,
        machine=_machine(),
        files=dict(files or {}),
    )


def _machine() -> dict[str, Any]:
    import onnxruntime

    about = describe_environment()
    return about | {"packages": about["packages"] | {"onnxruntime": onnxruntime.__version__}}


def _compared(
    name: str, expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64], tolerance: float | None
) -> Comparison:
    """Compare probabilities (N, K); NaN counts as the largest difference there is."""
    if found.shape != expected.shape:
        raise EyesightError(f"{name}: expected probabilities of shape {expected.shape}; received: {found.shape}")
    differences = np.nan_to_num(np.abs(found - expected), nan=1.0)
    same = found.argmax(axis=1) == expected.argmax(axis=1)
    best = np.sort(expected, axis=1)[:, ::-1]
    margin = best[:, 0] - best[:, 1] if best.shape[1] > 1 else np.ones(len(best))
    other = int((~same & (margin > (tolerance or 0.0))).sum())
    return Comparison(name, float(differences.max(initial=0.0)), int(same.sum()), other, tolerance)
