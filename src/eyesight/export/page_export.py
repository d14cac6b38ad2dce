"""A classifier as a page, proven before it is written.

In: `Origin`, pictures to prove it on. Out: the file's bytes and its certificate. What is compared is the network with
the weights that the page holds, computed by the engine; that a browser computes the same is what the tests prove.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from .origin import Origin
from .page.page import build_page
from .parity import Sample, compare
from .proven import Proven

TOLERANCE: Final = 1e-4  # of a probability in the page


def make_page(
    origin: Origin, sample: Sample, *, name: str, threshold: float | None = None, examples: int = 0
) -> Proven:
    """Return the page of a classifier.

    Args:
        origin: the classifier.
        sample: pictures to prove it on.
        name: of the file, in the certificate.
        threshold: the page says "unsure" where the largest probability is below.
        examples: how many of the pictures the page offers to its readers.

    Raises:
        EyesightError: its weights would answer otherwise than the classifier.
        UsageError: the classifier is a module of the user's own.
    """
    places = np.linspace(0, len(sample.pictures) - 1, min(examples, len(sample.pictures))).astype(np.int64)
    page = build_page(
        origin.classifier,
        sample.pictures,
        title=origin.name,
        threshold=threshold,
        examples=sample.pictures[places],
        notes=(f"Licence: {origin.licences()}.",),
    )
    data = page.html.encode()
    others, tolerances = {"page": page.rounded}, {"page": TOLERANCE}
    files = {name: hashlib.sha256(data).hexdigest()}
    certificate = compare(origin.classifier, others, sample, tolerances=tolerances, files=files)
    certificate.check()
    return Proven(data, certificate)
