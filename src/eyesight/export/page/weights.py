"""The weights of a page: as few bytes as give the classifier's own answers.

In: products (convolutions and dense layers). Out: text that the page makes the same numbers of, and those numbers
rounded in the same way, so that what the page will answer is known before it is written.

A weight is a whole number of 16, 20 or 24 bits times one scale for each filter, which is nearer to it than a float of
as many bits; or a float of 32 bits. The first byte of every number lies beside the first bytes of the others, which
makes them shorter when they are packed. Letters: O filters, B bits.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ...engine.steps import Product

Bits = Literal[16, 20, 24, 32]
BITS: Final[tuple[Bits, ...]] = (16, 20, 24, 32)

_PIECE = 12 << 20  # bytes of a piece of text; a browser's longest string is 512 MB
_PACKED = 9  # how hard zlib tries


def round_product(product: Product, bits: Bits) -> Product:
    """Return the product with the weights that a page of so many bits holds, and its bias as float32."""
    weight = product.weight.astype(np.float32)
    if bits < 32:
        whole, scale = _whole_numbers(weight, bits)
        weight = (whole.astype(np.float32) * scale[:, None]).reshape(weight.shape)
    return replace(product, weight=weight.astype(np.float64), bias=product.bias.astype(np.float32).astype(np.float64))


def pack_weights(products: Sequence[Product], bits: Bits) -> list[str]:
    """Return the weights of products as pieces of text: packed whole numbers, byte by byte, filter by filter.

    A filter's numbers stand row by row, the channels of a place side by side.
    """
    numbers = np.concatenate([_stored(product, bits) for product in products] or [np.zeros(0, np.uint32)])
    rest: int = bits
    planes: list[npt.NDArray[np.uint8]] = []
    while rest >= 8:
        rest -= 8
        planes.append((numbers >> rest).astype(np.uint8))
    if rest:
        low = (numbers & 15).astype(np.uint8)
        low = np.append(low, np.zeros(len(low) % 2, np.uint8)).reshape(-1, 2)
        planes.append((low[:, 0] << 4 | low[:, 1]).astype(np.uint8))
    return pack(np.concatenate(planes))


def scales_of(product: Product, bits: Bits) -> npt.NDArray[np.float32]:
    """Return the scale of each filter (O,); none for floats."""
    return _whole_numbers(product.weight.astype(np.float32), bits)[1] if bits < 32 else np.zeros(0, np.float32)


def pack(numbers: npt.NDArray[np.generic]) -> list[str]:
    """Return numbers as pieces of text: their bytes packed by zlib, and those as base64."""
    data = zlib.compress(numbers.tobytes(), _PACKED)
    return [base64.b64encode(data[i : i + _PIECE]).decode() for i in range(0, len(data), _PIECE)]


def _stored(product: Product, bits: Bits) -> npt.NDArray[np.uint32]:
    """Return the weights as numbers without sign, in the order of the file."""
    weight = product.weight.astype(np.float32)
    if bits == 32:
        return _by_places(weight).view(np.uint32).ravel()
    whole = _whole_numbers(weight, bits)[0].reshape(weight.shape)
    return (_by_places(whole) + (1 << (bits - 1))).astype(np.uint32).ravel()


def _by_places(weight: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return filters (O, I, k, k) as (O, k, k, I); rows (O, F) as they are."""
    return np.ascontiguousarray(np.moveaxis(weight, 1, -1)) if weight.ndim == 4 else weight


def _whole_numbers(weight: npt.NDArray[np.float32], bits: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return weights as whole numbers (O, …) of so many bits, and the scale of each filter (O,)."""
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    most = (1 << (bits - 1)) - 1
    scale = (np.abs(rows).max(axis=1) / most).astype(np.float32)
    scale[scale == 0] = 1
    whole = np.rint(rows / scale[:, None].astype(np.float64))
    return np.clip(whole, -most, most).astype(np.int32), scale
