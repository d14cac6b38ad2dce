"""Smaller pictures early in a training: the same lessons, at a fraction of the operations.

In: a batch and the progress. Out: the batch, shrunk. It knows no schedule but the recipe's.

Source: Howard, "Training Imagenet in 3 hours for $25; and CIFAR10 for $0.26", 2018 (progressive resizing).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..errors import UsageError
from ..models.network import NetworkSpec

Resolution = Sequence[tuple[float, float]]


def shrink(images: torch.Tensor, resolution: Resolution, progress: float) -> torch.Tensor:
    """Return the pictures at the size of this moment.

    Args:
        images: (N, C, H, W).
        resolution: pairs (until, share): before progress `until`, sides are `share` of what they are.
        progress: of the training, from 0 to 1.
    """
    share = next((share for until, share in resolution if progress < until), 1.0)
    if share == 1.0:
        return images
    size = [_side(side, share) for side in images.shape[2:]]
    small = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return small.to(images.dtype).contiguous(memory_format=torch.channels_last)


def check_resolution(spec: NetworkSpec, resolution: Resolution) -> None:
    """Raise `UsageError` unless the network takes the smaller pictures as well, with the same weights."""
    channels, *sides = spec.input
    for _, share in resolution:
        height, width = (_side(side, share) for side in sides)
        try:
            fits = spec.whole.parameters((channels, height, width)) == spec.parameters()
        except UsageError:
            fits = False
        if not fits:
            raise UsageError(f"{spec.name} cannot take pictures of {width}x{height} as well", field="recipe.resolution")


def _side(side: int, share: float) -> int:
    return max(1, round(share * side))
