"""The networks of tutorials T2 (CIFAR-10) and T3 (Fashion-MNIST) on eyesight: an epoch's time, and the final accuracy.

The eyesight half of `epoch_vs_keras.py`, which starts it in a process of its own:

    python eyesight_epoch.py T2|T3 DATA_DIR [--limit N]

It loads the data, trains on a few batches to warm up and prints {"ready": true, …}. Then it answers each line of JSON
on stdin with one on stdout, and ends when stdin does; the same protocol as `keras/tutorial_epoch.py`:

    {"do": "epoch"}                              {"seconds": …}: one epoch at batch 32, without validation
    {"do": "accuracy", "seed": 0, "epochs": 10}  {"accuracy": …, "seconds": …}: trained anew with validation on the
                                                 test set, as the tutorials do; accuracy there after the last epoch

What is timed is `eyesight.train` itself, from its event `Started` to its event `EpochEnded`: all updates, the losses
fetched and checked, the files of the run written. Loading and preparing the data is left out, as on the other side.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import eyesight
from eyesight.training.events import EpochEnded, Event, Started

BATCH = 32
WARM_UP_BATCHES = 10
TUTORIALS = {"T2": ("cifar10", "small-cnn"), "T3": ("fashion-mnist", "small-cnn-same")}
# Keras' defaults, as the tutorials have them
RECIPE: dict[str, Any] = {
    "batch_size": BATCH,
    "optimizer": "adam",
    "lr": 1e-3,
    "schedule": "constant",
    "normalize": "unit",
}


class EpochClock:
    """A listener that times the last epoch and remembers how training began."""

    seconds = 0.0
    started: Started

    def __call__(self, event: Event) -> None:
        """Start or stop."""
        if isinstance(event, Started):
            self.started, self._begun = event, time.perf_counter()
        elif isinstance(event, EpochEnded):
            self.seconds = time.perf_counter() - self._begun


def load(name: str, folder: Path, limit: int | None) -> eyesight.Dataset:
    """Return the dataset with all its training pictures in the training split, or the first `limit` of them."""
    data = eyesight.load_data(name, data_dir=folder, validation=0.0)
    return data if limit is None or limit >= len(data.train) else first(data, limit)


def first(data: eyesight.Dataset, count: int) -> eyesight.Dataset:
    """Return a dataset of the first training pictures, and all test pictures."""
    assert data.test is not None
    train, test = (
        (split.gather(ids), split.labels[ids])
        for split, ids in ((data.train, np.arange(count)), (data.test, np.arange(len(data.test))))
    )
    return eyesight.from_arrays(train, test=test, classes=data.classes, validation=0.0)


def train(data: eyesight.Dataset, model: str, *, epochs: int = 1, seed: int = 0) -> tuple[EpochClock, dict[str, Any]]:
    """Train with the tutorials' recipe; return the clock and the last row of the run's metrics."""
    clock = EpochClock()
    with tempfile.TemporaryDirectory() as folder:
        run = eyesight.train(
            data,
            model=model,
            output=Path(folder) / "run",
            seed=seed,
            progress=False,
            listeners=[clock],
            epochs=epochs,
            **RECIPE,
        )
        return clock, run.metrics()[-1]


def main() -> None:
    """Get ready, then answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tutorial", choices=TUTORIALS)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--limit", type=int, help="training pictures to use, to try the script out")
    arguments = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    name, model = TUTORIALS[arguments.tutorial]
    data = load(name, arguments.data_dir, arguments.limit)
    count = len(data.train)
    clock, _ = train(first(data, min(count, BATCH * WARM_UP_BATCHES + count % BATCH)), model)
    parameters = eyesight.summary(model, input=data.shape, classes=len(data.classes)).parameters
    how = {"device": clock.started.device, "precision": clock.started.precision, "threads": torch.get_num_threads()}
    versions = {"eyesight": eyesight.__version__, "torch": torch.__version__, "numpy": np.__version__}
    answer(ready=True, parameters=parameters, pictures=count, versions=versions, **how)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "epoch":
            clock, _ = train(data, model)
            answer(seconds=clock.seconds)
        else:
            judged = data.with_validation("test")
            clock, row = train(judged, model, epochs=request["epochs"], seed=request["seed"])
            answer(accuracy=row["val_accuracy"], seconds=row["seconds"])


if __name__ == "__main__":
    main()
