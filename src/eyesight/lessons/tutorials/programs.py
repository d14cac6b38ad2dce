"""The five tutorials as whole configurations, and for each our own for the same data and no more time.

In: a name. Out: a `Tutorial`: configurations as plain data, and what the tutorial, Keras and this project reached. It
does not run them: `eyesight tutorial NAME` does.

The figures stand in measured.json beside this file: those of Keras with their origin, ours as benchmarks/tutorials.py
measured them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import UnknownNameError, UsageError
from ...training.plan.measured import Spread, read_figures

if TYPE_CHECKING:
    from ...training.plan.recipe import Config

Values = dict[str, Any]

FIGURES_FILE = "measured.json"


@dataclass(frozen=True)
class Measured:
    """What one tutorial reached on the test set, where it has been measured.

    Attributes:
        published: what the tutorial itself says.
        keras: its own program on Keras.
        eyesight: the same with eyesight.
        ours: our configuration for the same data.
    """

    published: str
    keras: Spread | None
    eyesight: Spread | None
    ours: Spread | None


@dataclass(frozen=True)
class Tutorial:
    """A tutorial as a configuration.

    Attributes:
        name: on the command line.
        title: of the tutorial.
        layers: of its network, in a line; a dense layer for the ten classes comes last.
        parameters: of its network.
        config: everything that repeats the tutorial, as in a config.yaml.
        ours: a better configuration for the same data, in no more time.
        why: entry of `ours`, and why it differs.
    """

    name: str
    title: str
    layers: str
    parameters: int
    config: Values
    ours: Values
    why: dict[str, str]

    @property
    def command(self) -> str:
        """What runs it."""
        return f"eyesight tutorial {self.name}"

    @property
    def measured(self) -> Measured:
        """What it reached, and in what time."""
        return read_measured()[self.name]

    def configuration(self, *, ours: bool = False, seed: int | None = None) -> Config:
        """Return the checked configuration, with another seed where one is given."""
        from ...training.plan.recipe import parse_config

        values = self.ours if ours else self.config
        return parse_config(values if seed is None else values | {"seed": seed})

    def other_length(self, *, epochs: int | None = None, updates: int | None = None) -> dict[str, int]:
        """Return the setting that makes the tutorial shorter or longer; nothing where none is given.

        Raises:
            UsageError: both are given, or epochs where the tutorial counts updates.
        """
        if epochs is not None and updates is not None:
            raise UsageError(f"--updates: expected this or --epochs; received: --epochs {epochs} --updates {updates}")
        if epochs is not None and "updates" in self.config["recipe"]:
            raise UsageError(f"--epochs: {self.name} draws batches at random and has none; use --updates")
        given = {"recipe.epochs": epochs, "recipe.updates": updates}
        return {key: value for key, value in given.items() if value is not None}


def find(name: str) -> Tutorial:
    """Return the tutorial of a name; an unknown one is refused with the nearest."""
    if name not in TUTORIALS:
        raise UnknownNameError("tutorial", name, TUTORIALS)
    return TUTORIALS[name]


def figures_file() -> Values:
    """Return the contents of measured.json: where figures come from, on which machine, and the figures."""
    return read_figures(__package__, FIGURES_FILE)


@cache
def read_measured() -> dict[str, Measured]:
    """Return what each tutorial reached, by its name."""
    sides = ("keras", "eyesight", "ours")
    return {
        name: Measured(entry["published"], *(Spread(**entry[side]) if entry[side] else None for side in sides))
        for name, entry in figures_file()["tutorials"].items()
    }


def _keras(data: str, model: str, *, validation: str | float = "test", seed: int = 0, **recipe: Any) -> Values:
    """Return a configuration with Keras' defaults where nothing else is said; the last weights are kept."""
    defaults = {"batch_size": 32, "optimizer": "keras-adam", "lr": 1e-3, "schedule": "constant", "normalize": "unit",
                "keep": "last"}  # fmt: skip
    return {
        "data": {"name": data, "validation": validation},
        "model": {"name": model},
        "recipe": defaults | recipe,
        "machine": {"precision": "fp32"},  # as Keras computes
        "seed": seed,
    }


def _ours(
    data: str, model: str, *, dropout: float = 0.0, batch_norm: bool = False, seed: int = 0, **recipe: Any
) -> Values:
    """Return a configuration that trains on all training pictures and looks at no others."""
    return {
        "data": {"name": data, "validation": 0},
        "model": {"name": model, "dropout": dropout, "batch_norm": batch_norm},
        "recipe": {"schedule": "one-cycle", "normalize": "standard", "keep": "last"} | recipe,
        "seed": seed,
    }


_WHY = {
    "recipe.schedule": "the learning rate rises and then falls to zero, so that the last weights are settled",
    "recipe.lr": "a falling rate may start from a higher one, which learns faster",
    "recipe.optimizer": "Adam as torch has it: no better here, but the project's default",
    "recipe.batch_size": "larger batches use the cores better: more epochs in the same time",
    "recipe.normalize": "pixels with mean 0 and deviation 1 are what the first weights are made for",
    "machine.precision": "bf16 where the processor has it: less time for each update",
    "data.validation": "nothing is chosen on the test set: it is looked at once, at the end",
}
_MIRRORED = {"recipe.flip": "half of the pictures are mirrored: the network sees each in more ways"}
_MOVED = {"recipe.shift": "pictures are moved by a few pixels, for the same reason"}
_DROPPED = {"model.dropout": "no neuron can rely on one other: less overfitting"}
_NORMALISED = {"model.batch_norm": "each layer's outputs get mean 0 and deviation 1: higher learning rates work"}


_FASHION, _CIFAR, _MNIST, _SAME = "fashion-mnist", "cifar10", "mnist", "small-cnn-same"

TUTORIALS = {
    tutorial.name: tutorial
    for tutorial in (
        Tutorial(
            "fashion-early-stopping",
            "Fashion-MNIST with early stopping",
            "conv 32, 64, 64, each with pooling; dense 512",
            94_154,
            _keras(_FASHION, "small-cnn-3pool", epochs=25, early_stopping={"monitor": "val_loss", "patience": 2}),
            _ours(_FASHION, _SAME, epochs=5, batch_size=128, lr=3e-3, flip=True),
            _WHY
            | _MIRRORED
            | {
                "model.name": "padding keeps the borders, and two poolings instead of three keep more detail",
                "recipe.epochs": "a fixed number, so that the learning rate can fall to zero by the end",
                "recipe.early_stopping": "not needed with so few epochs; and it would have to look at other pictures",
            },
        ),
        Tutorial(
            "cifar10-quickstart",
            "CIFAR-10 quick start",
            "conv 32, 64, 64 with two poolings; dense 64",
            122_570,
            _keras(_CIFAR, "small-cnn", epochs=10),
            _ours(_CIFAR, _SAME, batch_norm=True, epochs=8, batch_size=128, lr=5e-3, flip=True, shift=2),
            _WHY
            | _MIRRORED
            | _MOVED
            | _NORMALISED
            | {
                "model.name": "padding keeps the borders of the pictures",
                "recipe.epochs": "batch normalisation takes time, and makes do with fewer",
            },
        ),
        Tutorial(
            "fashion-same-padding",
            "Fashion-MNIST with same padding",
            "conv 32, 64, 64 with two poolings and same padding; dense 64",
            257_162,
            _keras(_FASHION, _SAME, epochs=10),
            _ours(_FASHION, _SAME, dropout=0.3, epochs=14, batch_size=128, lr=3e-3, flip=True, shift=1),
            _WHY | _MIRRORED | _MOVED | _DROPPED | {"recipe.epochs": "more of them fit into the same time"},
        ),
        Tutorial(
            "lenet5-mnist",
            "LeNet-5 on MNIST",
            "conv 6, 16, each with pooling; dense 120, 84",
            61_706,
            _keras(_MNIST, "lenet5", seed=98, updates=300, batch_size=100, sampling="replacement", validate_every=5,
                   validation_sample=500),
            _ours(_MNIST, "lenet5", seed=98, updates=300, batch_size=100, lr=1e-2),
            _WHY
            | {
                "recipe.sampling": "no picture comes twice: 30,000 different ones in 300 updates",
                "recipe.validate_every": "the time for it goes into training",
                "recipe.validation_sample": "as there is no validation",
            },
        ),
        Tutorial(
            "cifar10-dense",
            "CIFAR-10 dense baseline",
            "dense 1024, 512, 256, 128, 64 with tanh",
            3_844_682,
            _keras(_CIFAR, "mlp", validation=0, optimizer="keras-rmsprop", epochs=15, normalize="centered"),
            _ours(_CIFAR, _SAME, dropout=0.1, batch_norm=True, epochs=14, batch_size=128, lr=5e-3,
                  flip=True, shift=2),
            _WHY
            | _MIRRORED
            | _MOVED
            | _DROPPED
            | _NORMALISED
            | {
                "model.name": "a convolutional network: a twelfth of the parameters, and it looks for the same things "
                "everywhere in the picture",
                "recipe.epochs": "as many as fit into the same time",
                "recipe.optimizer": "Adam, which works untuned with convolutional networks",
            },
        ),
    )
}  # fmt: skip
