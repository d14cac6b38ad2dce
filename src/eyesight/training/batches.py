"""The training pictures in the order of a seed, a batch at a time.

In: a split and a seed. Out: `batch(step)`, normalised and on the device. The order of an epoch is a permutation that
depends on seed and epoch alone, so any batch can be asked for at any time, in any process.
"""

from __future__ import annotations

import math
import zlib
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch

from ..data.augment import NO_AUGMENTATION, Augmentation, Changes
from ..data.augment_photos import PhotoAugmentation, PhotoChanges
from ..data.dataset import Split
from ..pictures.preprocess import Preprocessing, adapt, plain_memory
from .resident import Resident


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return the random generator of one purpose at one moment: a function of its arguments alone.

    A purpose's name is part of the seed: renaming one changes every run that draws for it, and breaks resuming.

    >>> bool(stream(0, "order", 3).integers(100) == stream(0, "order", 3).integers(100))
    True
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *numbers])


def step_seed(seed: int, step: int) -> int:
    """Return the seed of torch's own generator for one update: a function of the run's seed and the step."""
    return (seed * 0x9E3779B97F4A7C15 + step) % (1 << 63)


def steps_per_epoch(pictures: int, batch_size: int) -> int:
    """Return the number of batches in an epoch.

    A picture that would be alone in the last batch goes with the one before: alone, it has no batch statistics.

    >>> [steps_per_epoch(pictures, 50) for pictures in (1, 50, 51, 52, 100, 101)]
    [1, 1, 1, 2, 2, 2]
    """
    alone = pictures % batch_size == 1 and pictures > batch_size > 1
    return math.ceil(pictures / batch_size) - alone


class Batches:
    """Batches of a split.

    Args:
        split: the training pictures.
        preprocessing: how they are normalised.
        batch_size: pictures for one update; the last batch of an epoch has what is left, or one picture more.
        seed: of the order.
        device, dtype: where batches go, and as what.
        contiguous: hand out plain NCHW memory instead of channels_last, for a user's module that calls `view`.
        replacement: draw every batch from all pictures anew, with replacement.
        augmentation: how the pictures are changed at random.
    """

    def __init__(
        self,
        split: Split,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
        contiguous: bool = False,
        replacement: bool = False,
        augmentation: Augmentation | PhotoAugmentation = NO_AUGMENTATION,
    ) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.dtype = dtype
        self.contiguous = contiguous
        self.replacement = replacement
        self.augmentation = augmentation
        self.steps_per_epoch = steps_per_epoch(len(split), batch_size)
        self.order = lru_cache(maxsize=1)(self._order)
        self.changes = lru_cache(maxsize=1)(self._changes)

    @cached_property
    def resident(self) -> Resident | None:
        """The split's pictures on the device; None where they come from the host."""
        if isinstance(self.augmentation, PhotoAugmentation):
            return None
        return Resident.where_it_fits(self.split, self.device)

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        return stream(self.seed, "order", epoch).permutation(len(self.split))

    def _changes(self, epoch: int) -> Changes | PhotoChanges:
        """Return how the pictures in the places of an epoch's order are changed."""
        return self.augmentation.draw(stream(self.seed, "augmentation", epoch), len(self.split))

    def ids(self, step: int) -> npt.NDArray[np.int64]:
        """Return which pictures update `step` learns from, counted from 0 over all epochs."""
        if self.replacement:
            return stream(self.seed, "sample", step).integers(len(self.split), size=self.batch_size)
        epoch, places = self._place(step)
        return self.order(epoch)[places]

    def _place(self, step: int) -> tuple[int, slice]:
        """Return the epoch of an update, and the places of its pictures in the epoch's order."""
        epoch, index = divmod(step, self.steps_per_epoch)
        last = index == self.steps_per_epoch - 1
        return epoch, slice(index * self.batch_size, None if last else (index + 1) * self.batch_size)

    def _changes_at(self, step: int) -> Changes | PhotoChanges:
        """Return how the pictures of an update are changed; shuffled, this depends on no batch size."""
        if self.replacement:
            return self.augmentation.draw(stream(self.seed, "augmentation", step), self.batch_size)
        epoch, places = self._place(step)
        return self.changes(epoch).at(places)

    def batch(self, step: int, *, most: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pictures (N, C, H, W) and labels (N,) of update `step`, counted from 0 over all epochs.

        With `most`, only so many of them.
        """
        ids, changes = self.ids(step), self._changes_at(step)
        if most is not None:
            ids, changes = ids[:most], changes.at(slice(most))
        if self.resident is not None and isinstance(changes, Changes):
            pictures, labels = self.resident.take(ids, changes)
        else:
            gathered = changes.apply(self.split.gather(ids))
            pictures = torch.from_numpy(gathered).to(self.device, non_blocking=True)
            labels = torch.from_numpy(self.split.labels[ids]).to(self.device, non_blocking=True)
        images = adapt(pictures, self.preprocessing, self.dtype)
        return plain_memory(images) if self.contiguous else images, labels
