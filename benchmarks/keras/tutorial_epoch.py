"""Tutorials T2 (CIFAR-10) and T3 (Fashion-MNIST, same padding) on Keras: an epoch's time, and the final accuracy.

The Keras half of `../epoch_vs_keras.py`, which starts it with the Python of Keras' own environment (see README.md):

    python tutorial_epoch.py T2|T3 DATA_DIR [--limit N]

It loads the data, builds the network, fits a few batches to warm up and prints {"ready": true, …}. Then it answers
each line of JSON on stdin with one on stdout, and ends when stdin does:

    {"do": "epoch"}                              {"seconds": …}: one epoch at batch 32, without validation
    {"do": "accuracy", "seed": 0, "epochs": 10}  {"accuracy": …, "seconds": …}: trained anew with validation on the
                                                 test set, as the tutorials do; accuracy there after the last epoch

The seconds of an epoch begin where its first batch is asked for: loading, scaling and copying the data are left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no remarks on the build; before the import, which reads it

import numpy as np
import tensorflow as tf

import keras
from keras import layers

BATCH = 32
WARM_UP_BATCHES = 10

Pictures = np.ndarray  # float32 (N, H, W, C), 0 to 1
Labels = np.ndarray  # uint8 (N,)
Part = tuple[Pictures, Labels]


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of bytes: two zeros, type, rank, a big-endian size for each axis, values."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_fashion_mnist(folder: Path) -> tuple[Part, Part]:
    """Return the training and the test part."""
    place = folder / "fashion-mnist"
    train, test = (
        (
            scaled(read_idx(place / f"{part}-images-idx3-ubyte.gz")[..., None]),
            read_idx(place / f"{part}-labels-idx1-ubyte.gz"),
        )
        for part in ("train", "t10k")
    )
    return train, test


def load_cifar10(folder: Path) -> tuple[Part, Part]:
    """Return the training and the test part; a record is a label and 3 × 32 × 32 bytes, channels first."""
    found = {}
    with tarfile.open(folder / "cifar-10" / "cifar-10-binary.tar.gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".bin") else None
            if content:
                found[Path(member.name).name] = np.frombuffer(content.read(), np.uint8).reshape(-1, 3073)
    train = np.concatenate([found[f"data_batch_{i}.bin"] for i in range(1, 6)])
    return cifar_part(train), cifar_part(found["test_batch.bin"])


def cifar_part(records: np.ndarray) -> Part:
    """Split records into pictures and labels."""
    return scaled(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), records[:, 0]


def scaled(pictures: np.ndarray) -> Pictures:
    """Return pixels / 255, already in the float32 that Keras would turn the tutorials' float64 into."""
    return np.ascontiguousarray(pictures / 255, np.float32)


TUTORIALS = {
    "T2": (load_cifar10, (32, 32, 3), "valid"),
    "T3": (load_fashion_mnist, (28, 28, 1), "same"),
}


def build(shape: tuple[int, int, int], padding: str) -> keras.Model:
    """Return the tutorials' network, compiled."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 3, padding=padding, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding=padding, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding=padding, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


class EpochClock(keras.callbacks.Callback):
    """Times the last epoch, without what `fit` does before it."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' names
        """Start."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Stop."""
        self.seconds = time.perf_counter() - self._started


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

    load, shape, padding = TUTORIALS[arguments.tutorial]
    (x, y), test = load(arguments.data_dir)
    x, y = x[: arguments.limit], y[: arguments.limit]
    model = build(shape, padding)
    few = BATCH * WARM_UP_BATCHES + len(x) % BATCH  # the epoch's last batch may have a size of its own
    model.fit(x[:few], y[:few], batch_size=BATCH, verbose=0)
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "numpy": np.__version__}
    answer(ready=True, parameters=model.count_params(), pictures=len(x), versions=versions)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "epoch":
            clock = EpochClock()
            model.fit(x, y, batch_size=BATCH, epochs=1, callbacks=[clock], verbose=0)
            answer(seconds=clock.seconds)
        else:
            keras.utils.set_random_seed(request["seed"])
            fresh = build(shape, padding)
            started = time.perf_counter()
            history = fresh.fit(x, y, batch_size=BATCH, epochs=request["epochs"], validation_data=test, verbose=0)
            seconds = time.perf_counter() - started
            answer(accuracy=float(history.history["val_accuracy"][-1]), seconds=seconds)


if __name__ == "__main__":
    main()
