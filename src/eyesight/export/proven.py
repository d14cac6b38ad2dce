"""A file that answers as the classifier does, before it is written.

In: bytes and the proof. Out: `Proven`, which any format's export hands to who writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .parity import Certificate
from .quantize import Quantized


@dataclass(frozen=True)
class Proven:
    """A file, and the proof of it.

    Attributes:
        data: its bytes.
        certificate: how its answers compare with the classifier's.
        quantized: of int8, what it costs and gains.
    """

    data: bytes
    certificate: Certificate
    quantized: Quantized | None = None
