"""A tutorial on Keras from its first to its last epoch or update: test accuracy and time.

    python whole_tutorial.py T1|T2|T3|T4 DATA_DIR [--seed N] [--orders keras|new] [--epochs N] [--limit N]

Run it with the Python of Keras' own environment (see README.md). T1 to T3 look at the test pictures after every epoch,
T4 at 500 of them after every fifth update, as the tutorials do, and the seconds include that; loading does not count.

Prints a line of JSON. Its `repeats` tells whether both of two epochs had the pictures in one order: after
`keras.utils.set_random_seed`, as with --seed, Keras' own shuffling repeats it. `--orders new` draws another order
for every epoch from the seed instead.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no remarks on the build; before the import, which reads it

import numpy as np
from parity_keras import MODELS
from tutorial_epoch import BATCH, Part, load_cifar10, load_fashion_mnist, read_idx, scaled

import keras

T4_UPDATES, T4_BATCH, T4_EVERY, T4_SAMPLE = 300, 100, 5, 500
PATIENCE = 2  # of T1, in epochs
EPOCHS = {"T1": 25, "T2": 10, "T3": 10}


def load_mnist(folder: Path) -> tuple[Part, Part]:
    """Return the training and the test part, padded to 32 x 32."""

    def part(name: str) -> Part:
        pictures = read_idx(folder / "mnist" / f"{name}-images-idx3-ubyte.gz")
        padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2)))[..., None]
        return scaled(padded), read_idx(folder / "mnist" / f"{name}-labels-idx1-ubyte.gz")

    return part("train"), part("t10k")


LOAD = {"T1": load_fashion_mnist, "T2": load_cifar10, "T3": load_fashion_mnist, "T4": load_mnist}


class NewOrders(keras.utils.PyDataset):
    """Batches of the training pictures in an order that is drawn anew for every epoch."""

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int) -> None:
        super().__init__()
        self.x, self.y, self.rng = x, y, np.random.default_rng(seed)
        self.order = self.rng.permutation(len(x))

    def __len__(self) -> int:
        return math.ceil(len(self.x) / BATCH)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        ids = self.order[index * BATCH : (index + 1) * BATCH]
        return self.x[ids], self.y[ids]

    def on_epoch_end(self) -> None:
        """Draw the next order."""
        self.order = self.rng.permutation(len(self.x))


def repeats(seed: int | None) -> bool:
    """Tell whether `fit` takes numbered examples in the same order in both of two epochs."""
    if seed is not None:
        keras.utils.set_random_seed(seed)
    seen: list[float] = []
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    def note(numbers: keras.KerasTensor, answers: keras.KerasTensor) -> keras.KerasTensor:
        seen.extend(numbers.numpy().ravel().tolist())
        return keras.ops.mean(answers)

    model.compile(optimizer="sgd", loss=note, run_eagerly=True)
    numbers = np.arange(100, dtype="float32")[:, None]
    model.fit(numbers, numbers, epochs=2, verbose=0)
    return seen[:100] == seen[100:200]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tutorial", choices=LOAD)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--seed", type=int, help="without it every run differs, as in the tutorials")
    parser.add_argument("--orders", choices=("keras", "new"), default="keras")
    parser.add_argument("--epochs", type=int, help="another number than the tutorial's")
    parser.add_argument("--limit", type=int, help="training pictures to use, to try the script out")
    arguments = parser.parse_args()
    name, seed = arguments.tutorial, arguments.seed
    if arguments.orders == "new" and (seed is None or name == "T4"):
        parser.error("--orders new: needs a seed, and a tutorial with epochs")
    if arguments.epochs is not None and name == "T4":
        parser.error("--epochs: T4 counts updates")
    (x, y), (x_test, y_test) = LOAD[name](arguments.data_dir)
    x, y = x[: arguments.limit], y[: arguments.limit]
    result = {"tutorial": name, "seed": seed, "orders": arguments.orders, "keras": keras.__version__}
    if arguments.orders == "keras":
        result["repeats"] = repeats(seed)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = MODELS[name]()
    model.compile(optimizer=model.optimizer, loss=model.loss, metrics=["accuracy"])
    started = time.perf_counter()
    if name == "T4":
        for update in range(1, T4_UPDATES + 1):
            ids = np.random.choice(len(x), T4_BATCH)
            model.train_on_batch(x[ids], y[ids])
            if update % T4_EVERY == 0:
                ids = np.random.choice(len(x_test), T4_SAMPLE)
                model.evaluate(x_test[ids], y_test[ids], verbose=0)
    else:
        stop = [keras.callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE)] if name == "T1" else []
        given = {"x": NewOrders(x, y, seed)} if arguments.orders == "new" else {"x": x, "y": y, "batch_size": BATCH}
        epochs = arguments.epochs or EPOCHS[name]
        history = model.fit(**given, epochs=epochs, validation_data=(x_test, y_test), callbacks=stop, verbose=0)
        result["val_accuracy"] = [round(value, 4) for value in history.history["val_accuracy"]]
    seconds = time.perf_counter() - started
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(json.dumps(result | {"accuracy": round(float(accuracy), 4), "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
