"""All training pictures in the memory of a GPU, where batches are gathered, mirrored and moved.

In: a split and a device; then positions, and what was drawn for them. Out: uint8 pictures and labels on the device, to
the bit those that the host would have made. For an update nothing but positions goes to the device.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from ..data.augment import Changes
from ..data.dataset import Split

_SHARE = 0.25  # of the memory that is free; the rest is for the network and what it computes
_AT_ONCE = 16 << 20  # bytes copied to the device together

Ints = npt.NDArray[np.int64]


class Resident:
    """The pictures of a split on a device.

    Args:
        split: the pictures.
        device: where they go.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.pictures = torch.empty((len(split), *split.store.shape), dtype=torch.uint8, device=device)  # (N, H, W, C)
        filled = 0
        for pictures in split.batches(memory=_AT_ONCE):
            self.pictures[filled : filled + len(pictures)].copy_(torch.from_numpy(pictures))
            filled += len(pictures)
        self.labels = torch.from_numpy(split.labels).to(device)

    @classmethod
    def where_it_fits(cls, split: Split, device: torch.device) -> Resident | None:
        """Return the pictures on a GPU that has the memory; None for the CPU and where they are too many."""
        if device.type != "cuda":
            return None
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, for what comes
        if len(split) * math.prod(split.store.shape) > _SHARE * (free + kept):
            return None
        try:
            return cls(split, device)
        except torch.OutOfMemoryError:  # somebody else was faster
            return None

    def take(self, ids: Ints, changes: Changes) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pictures (n, H, W, C) at these positions with their changes, and their labels (n,)."""
        _, height, width, _ = self.pictures.shape
        chosen = self._send(ids)
        if changes.flips is None and changes.shifts is None:
            return self.pictures[chosen], self.labels[chosen]
        rows, columns = map(self._send, changes.places(height, width))
        return self.pictures[chosen[:, None, None], rows[:, :, None], columns[:, None, :]], self.labels[chosen]

    def _send(self, values: Ints) -> torch.Tensor:
        return torch.from_numpy(values).to(self.pictures.device, non_blocking=True)
