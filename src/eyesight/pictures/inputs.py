"""Pictures as Python has them: paths, bytes, open files, arrays, Pillow images, and lists of these.

In: what a user passes. Out: names, and what `decode` takes. It does not open any of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UsageError
from .decode import is_file, name_of
from .sources import picture_files


def named_pictures(inputs: Any) -> Iterable[tuple[str, Any]]:
    """Yield (name, something `decode` takes) for everything in `inputs`; see `Classifier.predict`."""
    if isinstance(inputs, str | os.PathLike):
        for path in picture_files([os.fsdecode(inputs)]):
            yield str(path), path
    elif isinstance(inputs, Image.Image) or is_file(inputs):
        yield name_of(inputs), inputs
    elif isinstance(inputs, np.ndarray):
        fits = inputs.ndim == 2 or (inputs.ndim == 3 and inputs.shape[2] in (1, 3, 4))
        if inputs.dtype != np.uint8 or not fits or not inputs.size:
            raise UsageError(
                f"inputs: expected a uint8 array (H, W) or (H, W, C), or a list of them; "
                f"received: {inputs.dtype} of shape {inputs.shape}"
            )
        yield "array", Image.fromarray(inputs[..., 0] if inputs.ndim == 3 and inputs.shape[2] == 1 else inputs)
    elif (
        isinstance(inputs, Iterable) and not isinstance(inputs, Mapping) and getattr(inputs, "ndim", None) != 0
    ):  # torch numbers claim to be iterable
        for i, item in enumerate(inputs):
            for name, picture in named_pictures(item):
                yield (name if isinstance(item, str | os.PathLike) else f"{name} {i}"), picture
    else:
        raise UsageError(f"inputs: expected pictures or file names; received: {type(inputs).__name__}")
