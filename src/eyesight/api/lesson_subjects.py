"""What the lessons on trained networks look at: the user's own network and picture, or small ones trained now.

In: a topic, and what the user names. Out: the arguments of the topic's function. The trainings take seconds each, in a
temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..classifier import Classifier
from ..data.dataset import Dataset, Split, from_arrays
from ..errors import DataError, InterruptedRun, UsageError
from ..pictures.preprocess import Pixels, read_picture
from .datasets import load_data
from .runs import Run, load_classifier, open_run
from .training import train

if TYPE_CHECKING:
    from ..formats import Arrays
    from ..lessons.dropout import History

ON_NETWORKS = ("dropout", "filters", "position", "layers")  # topics; of these only dropout takes no network
_NETWORK = "small-cnn-1pool"
# Long enough for most filters to leave where they began: their median correlation with it is about 0.5. Weight decay
# takes away what is left of the beginning and has no use.
_LONG: dict[str, Any] = {
    "epochs": 30,
    "optimizer": "adamw",
    "lr": 0.02,
    "batch_size": 32,
    "settings": {"recipe.weight_decay": 0.3},
}
_FEW, _HELD_OUT = 200, 500  # digits: few enough to be learned by heart
_BY_HEART: dict[str, Any] = {"epochs": 40, "batch_size": 20}
_RATE = 0.5
Say = Callable[[str], None]


def subject(
    topic: str,
    *,
    model: str | Path | None = None,
    picture: str | Path | None = None,
    rate: float | None = None,
    say: Say,
) -> dict[str, Any]:
    """Return what a lesson of `ON_NETWORKS` is about, as arguments of its function.

    Args:
        topic: its name.
        model: a run's folder or a model file; trains a small network on the embedded digits where not given.
        picture: to follow through the network; the first test picture where not given.
        rate: of dropout, in the training with it.
        say: called with one line before something takes seconds.

    Raises:
        UsageError: data or first weights that are not to be had; no picture.
    """
    if topic == "dropout":
        return _two_trainings(_RATE if rate is None else rate, say)
    run = open_run(model) if model is not None and Path(model).is_dir() else None
    classifier, first = (load_classifier(model), None) if model is not None else _small_network(say)
    found = {"classifier": classifier, **_pick_picture(classifier, run, picture)}
    if topic == "filters":
        found["first"] = first or _first_weights(run)
    if topic == "position":
        found["others"] = _others(classifier, run)
    return found


@cache
def _small_network(say: Say) -> tuple[Classifier, Arrays]:
    """Train a small network on the embedded digits, once in a process: it, and the weights it began with."""
    say(f"training a small network on the embedded digits for {_LONG['epochs']} epochs; name a model to see yours")
    with _training("digits", **_LONG) as run:
        return run.classifier, _first_weights(run)


@contextmanager
def _training(data: Dataset | str, **settings: Any) -> Iterator[Run]:
    """Train a small network in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield train(data, model=_NETWORK, seed=0, output=Path(folder) / "run", progress=False, **settings)
        except InterruptedRun as error:
            raise InterruptedRun("interrupted", error.exit_code - 128) from None  # there is nothing to resume


def _data(classifier: Classifier, run: Run | None) -> Dataset:
    """Return what a classifier was trained on."""
    if run is not None:
        return run.data()
    return load_data(classifier.training.data if classifier.training else "")


def _pick_picture(classifier: Classifier, run: Run | None, picture: str | Path | None) -> dict[str, Any]:
    """Return the picture to follow, and what it is."""
    if picture is not None:
        return {
            "picture": read_picture(picture, classifier.inference.preprocessing),
            "source": Path(picture).name,
        }
    try:
        split = _unseen(_data(classifier, run))
    except (DataError, UsageError) as error:
        raise UsageError(
            f"name one, as those that it was trained on are not found ({error})", field="picture"
        ) from None
    data, pixels = _data(classifier, run), split.gather(np.arange(1))[0]
    source = f"{split.name} picture 0 of {data.name}, a {data.classes[split.labels[0]]}"
    return {"picture": pixels, "source": source}


def _unseen(data: Dataset) -> Split:
    return data.test or data.validation or data.train


def _others(classifier: Classifier, run: Run | None) -> Split | None:
    """Return pictures to count on; None where what it was trained on is not found."""
    try:
        return _unseen(_data(classifier, run))
    except (DataError, UsageError):
        return None


def _first_weights(run: Run | None) -> Arrays:
    """Return the weights that a run's training began with, computed once more from its configuration."""
    from ..models.torch_network import to_arrays
    from ..training.job import first_network

    if run is None:
        raise UsageError("expected the folder of a run, which tells what it began with", field="model")
    config = run.config
    if config.model.kind != "registry" or config.recipe.method != "gradient":
        raise UsageError(f"{run.path}: did not begin with random filters of eyesight's own", field="model")
    return to_arrays(first_network(run.data(), config, run.classifier.inference.preprocessing))


def _two_trainings(rate: float, say: Say) -> dict[str, Any]:
    """Train one network twice on few digits, without dropout and with it."""
    say(f"training a small network twice on {_FEW} of the embedded digits, without dropout and with it")
    train_split = load_data("digits").train
    pictures, labels = train_split.gather(np.arange(_FEW + _HELD_OUT)), train_split.labels[: _FEW + _HELD_OUT]
    data = from_arrays(
        (pictures[:_FEW], labels[:_FEW]), test=(pictures[_FEW:], labels[_FEW:]), validation="test", name="few digits"
    )
    return {"without": _history(data, 0.0), "with_it": _history(data, rate), "rate": rate}


def _history(data: Dataset, rate: float) -> History:
    from ..lessons.dropout import History

    settings = {"model.dropout": rate, "recipe.schedule": "constant", "recipe.keep": "last"}
    with _training(data, settings=settings, **_BY_HEART) as run:
        rows, classifier = run.metrics(), run.classifier
        train, validation = (np.array([row[name] for row in rows], np.float64) for name in ("loss", "val_loss"))
        held_out = data.test or data.train
        return History(train, validation, (_right(classifier, data.train), _right(classifier, held_out)))


def _right(classifier: Classifier, split: Split) -> float:
    pictures: Pixels = split.gather(np.arange(len(split)))
    return float((classifier.logits(pictures).argmax(axis=1) == split.labels).mean())
