"""What stays the same throughout one training: prepared once, before the first update.

In: a dataset, a configuration, perhaps a user's module. Out: `Job` and a fresh `TrainState`. All checks that can be
made before training are made here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..classifier import Classifier, InferenceSpec, Training
from ..data.augment import Augmentation
from ..data.dataset import UNCHOSEN, Dataset
from ..device import Precision, choose_device, choose_precision, input_dtype, keep_freed_memory, set_first_threads
from ..environment import describe_environment
from ..errors import UsageError
from ..metrics import class_weights
from ..models import network_spec
from ..models.dense import with_dense
from ..models.regularise import regularise
from ..models.torch_network import Network, channels_last, check_user_module
from ..pictures.preprocess import Preprocessing, adapt, pixel_statistics
from .batches import Batches, stream
from .optim import optimizers
from .optim.averaging import AVERAGES
from .optim.schedules import SCHEDULES
from .plan.recipe import Config, Recipe
from .resolution import check_resolution
from .state import TrainState

Identity = Mapping[str, Any]

_FIRST_PIXELS = 2_000_000  # of training pictures: enough for the statistics of patches
_STATISTICS_MEMORY = 8 << 20  # bytes of pictures looked at together
_VERSIONS = ("eyesight", "torch", "numpy")  # what the arithmetic and the draws depend on


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        data: what is learned.
        config: how; `auto` choices already made.
        preprocessing: of the pictures, saved with the model.
        batches: the training pictures in order.
        schedule: factor on the learning rate for a progress from 0 to 1.
        device, precision: where and how the network computes.
        smallest_part: pictures that the network needs at least at once: two with batch normalisation.
        available_threads: of the CPU, that torch had before the training asked for some.
    """

    data: Dataset
    config: Config
    preprocessing: Preprocessing
    batches: Batches
    schedule: Callable[[float], float]
    device: torch.device
    precision: Precision
    smallest_part: int
    available_threads: int

    @property
    def recipe(self) -> Recipe:
        """The training part of the configuration."""
        return self.config.recipe

    @cached_property
    def identity(self) -> Identity:
        """What a saved state of this job belongs to, as plain data."""
        environment = describe_environment()
        prints = self.data.split_fingerprints
        return {
            "config": self.config.model_dump(mode="json"),
            "data": {
                "classes": list(self.data.classes),
                "splits": {
                    name: {"pictures": len(split), "fingerprint": prints[name]}
                    for name, split in self.data.splits().items()
                },
            },
            "versions": {
                "python": environment["python"],
                **{name: environment["packages"][name] for name in _VERSIONS},
            },
            "processor": environment["processor"],
        }

    @cached_property
    def class_weights(self) -> torch.Tensor | None:
        """What an example of each class counts: float32 (K,); None where all count the same."""
        if not self.recipe.balance:
            return None
        weights = class_weights(self.data.train.labels, len(self.data.classes))
        return torch.from_numpy(weights).to(self.device, torch.float32)

    @property
    def total_steps(self) -> int | None:
        """Updates in the whole training; None where a budget of time decides."""
        if self.recipe.epochs is not None:
            return self.recipe.epochs * self.batches.steps_per_epoch
        return self.recipe.updates

    @property
    def steps_per_round(self) -> int:
        """Updates between two looks at the validation pictures: an epoch, unless the recipe says otherwise."""
        return self.recipe.validate_every or self.batches.steps_per_epoch

    @property
    def keeps_best(self) -> bool:
        """Whether the best weights by validation become the model, rather than the last.

        Where a network is tuned, its last weights are compared with the probe, and nothing else is chosen.
        """
        if self.data.validation is None or self.recipe.method == "tune":
            return False
        return self.recipe.keep == "best" or (self.recipe.keep == "auto" and self.data.protocol not in UNCHOSEN)

    def classifier(self, network: nn.Module, *, training: Training | None = None) -> Classifier:
        """Return a classifier around the network as it is; the network is put into evaluation mode.

        With `training` it is one to keep, which looks at all views; without, one to see how training goes.
        """
        inference = InferenceSpec(preprocessing=self.preprocessing, views=self.recipe.views if training else "one")
        return Classifier(network, inference, self.data.classes, training=training, device=str(self.device))


def prepare(data: Dataset, config: Config, module: nn.Module | None = None) -> tuple[Job, TrainState]:
    """Make everything ready for the first update.

    Args:
        data: the dataset.
        config: the configuration, as `plan.resolve` completes it.
        module: the user's own network, which is trained in place; None for one of the registry.

    Raises:
        UsageError: what was asked for does not fit the data or the machine.
    """
    keep_freed_memory()
    available = set_first_threads(config.machine.threads)
    device = choose_device(config.machine.device)
    precision = choose_precision(config.machine.precision, device)
    if config.recipe.keep == "best" and data.validation is None:
        raise UsageError("best weights need validation pictures; received: validation 0", field="recipe.keep")
    if config.recipe.early_stopping and data.validation is None:
        raise UsageError("needs validation pictures; received: validation 0", field="recipe.early_stopping")
    size, parts = config.recipe.batch_size, config.recipe.accumulate
    if parts > size:
        raise UsageError(f"should be at most the batch size, {size}; received: {parts}", field="recipe.accumulate")
    preprocessing = _preprocessing(data, config.recipe)
    network = _network(data, config, preprocessing, module).to(device)
    if module is None:
        network = channels_last(network)
    fewest = len(data.train) if config.recipe.sampling == "shuffled" else config.recipe.batch_size
    smallest_part = 2 if _has_batch_norm(network) else 1
    if min(fewest, config.recipe.batch_size) < smallest_part:
        raise UsageError(
            "batch normalisation needs at least two pictures in every update; received: "
            f"{config.recipe.batch_size} for {len(data.train):,} pictures",
            field="recipe.batch_size",
        )
    batches = Batches(
        data.train,
        preprocessing,
        batch_size=config.recipe.batch_size,
        seed=config.seed,
        device=device,
        dtype=input_dtype(precision) if module is None else torch.float32,
        contiguous=module is not None,
        replacement=config.recipe.sampling == "replacement",
        augmentation=Augmentation(flip=config.recipe.flip, shift=config.recipe.shift),
    )
    schedule = SCHEDULES.load(config.recipe.schedule)
    job = Job(data, config, preprocessing, batches, schedule, device, precision, smallest_part, available)
    optimizer = optimizers.build(network.named_parameters(), config.recipe)
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    return job, TrainState(network, optimizer, sums, average=AVERAGES.load(config.recipe.averaging)())


def _network(data: Dataset, config: Config, preprocessing: Preprocessing, module: nn.Module | None) -> nn.Module:
    """Return the network with its first weights; a user's module keeps those it came with."""
    if module is not None:
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise UsageError(f"{type(module).__name__} has no parameters to train", field="model")
        if any(parameter.is_inference() for parameter in module.parameters()):
            raise UsageError(
                f"{type(module).__name__} was made inside torch.inference_mode(), and is frozen; make it outside",
                field="model",
            )
        if config.recipe.resolution:
            raise UsageError("only for registered networks", field="recipe.resolution")
        check_user_module(module, shape=data.shape, classes=len(data.classes))
        return module
    return first_network(data, config, preprocessing)


def first_network(data: Dataset, config: Config, preprocessing: Preprocessing) -> Network:
    """Return a registered network with the weights that its training begins with; the same for the same seed."""
    spec = network_spec(config.model.name, shape=data.shape, classes=len(data.classes))
    if config.model.dense is not None:
        spec = with_dense(spec, config.model.dense)
    spec = regularise(spec, dropout=config.model.dropout, batch_norm=config.model.batch_norm)
    check_resolution(spec, config.recipe.resolution)
    with torch.device("meta"):
        blank = spec.build()
    network: Network = blank.to_empty(device="cpu")
    seed = int(stream(config.seed, "weights").integers(1 << 63))
    images = None
    if network.needs_images:
        enough = math.ceil(_FIRST_PIXELS / math.prod(data.shape[:2]))
        ids = stream(config.seed, "first pictures").permutation(len(data.train))[:enough]
        images = adapt(torch.from_numpy(data.train.gather(ids)), preprocessing, torch.float32)
    network.initialise(torch.Generator().manual_seed(seed), images)
    return network


def _has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


def _preprocessing(data: Dataset, recipe: Recipe) -> Preprocessing:
    height, width, channels = data.shape
    if recipe.normalize == "standard":
        mean, std = pixel_statistics(data.train.batches(memory=_STATISTICS_MEMORY))
    else:
        mean, std = (0.5 if recipe.normalize == "centered" else 0.0,) * channels, (1.0,) * channels
    return Preprocessing(
        height=height, width=width, channels=1 if channels == 1 else 3, fit=data.resize, mean=mean, std=std
    )
