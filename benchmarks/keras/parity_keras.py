"""The five tutorial networks on Keras in float64: a first step in detail, and the weights after many.

The Keras half of `parity.py`, which starts it with the Python of Keras' own environment (see README.md):

    python parity_keras.py REQUEST.npz ANSWER.npz

The request holds the tutorial's name, first weights in Keras' layout (`weight/0`, `weight/1`, … in the order of
`model.get_weights()`), whether Adam's constants are left as Keras rounds them (`rounded`), and batches: uint8 pictures
(steps, N, H, W, C) and labels (steps, N). The answer holds `logits` and `loss` of the first batch, `gradient/…`, and
the weights after one (`one/…`) and after all updates (`all/…`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no remarks on the build; before the import, which reads it

import numpy as np
import tensorflow as tf

import keras
from keras import layers


def three_convolutions(shape: tuple[int, ...], padding: str, head: list[keras.Layer], *, pools: int) -> keras.Model:
    """Return conv 32, 64, 64 (3x3, ReLU), the first `pools` of them followed by max pooling, and a head."""
    body: list[keras.Layer] = []
    for number, filters in enumerate((32, 64, 64)):
        body.append(layers.Conv2D(filters, 3, padding=padding, activation="relu"))
        if number < pools:
            body.append(layers.MaxPooling2D(2))
    return keras.Sequential([keras.Input(shape), *body, layers.Flatten(), *head])


def t1() -> keras.Model:
    head = [layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
    model = three_convolutions((28, 28, 1), "valid", head, pools=3)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def with_logits(shape: tuple[int, ...], padding: str) -> keras.Model:
    head = [layers.Dense(64, activation="relu"), layers.Dense(10)]
    model = three_convolutions(shape, padding, head, pools=2)
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def t4() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPool2D(2, 2, "same"),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPool2D(2, 2, "same"),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def t5() -> keras.Model:
    widths = (1024, 512, 256, 128, 64)
    hidden = [layers.Dense(width, activation="tanh") for width in widths]
    model = keras.Sequential([keras.Input((3072,)), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(optimizer="RMSprop", loss="categorical_crossentropy")
    return model


MODELS = {
    "T1": t1,
    "T2": lambda: with_logits((32, 32, 3), "valid"),
    "T3": lambda: with_logits((28, 28, 1), "same"),
    "T4": t4,
    "T5": t5,
}


def prepared(name: str, pictures: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (steps, N, …) and labels as the tutorial feeds them."""
    if name == "T4":
        pictures = np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2), (0, 0)))
    if name == "T5":
        flat = pictures.reshape(*pictures.shape[:2], -1)
        return flat / 255 - 0.5, np.eye(10)[labels]
    return pictures / 255, labels


def main() -> None:
    request = np.load(sys.argv[1], allow_pickle=False)
    name = str(request["name"])
    keras.backend.set_floatx("float64")
    model = MODELS[name]()
    if not request["rounded"] and name != "T5":
        for constant in ("beta_1", "beta_2"):  # Keras would make float32 numbers of them on the way to float64
            setattr(model.optimizer, constant, np.float64(getattr(model.optimizer, constant)))
    model.set_weights([request[f"weight/{i}"] for i in range(len(model.weights))])
    pictures, labels = prepared(name, request["pictures"], request["labels"])
    before_softmax = keras.Model(model.inputs[0], model.layers[-2].output)
    kernel, bias = model.layers[-1].get_weights()
    answer = {"logits": before_softmax(pictures[0]).numpy() @ kernel + bias}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(y=labels[0], y_pred=model(pictures[0], training=True))
    answer["loss"] = loss.numpy()
    for i, gradient in enumerate(tape.gradient(loss, model.trainable_weights)):
        answer[f"gradient/{i}"] = gradient.numpy()
    for step, (x, y) in enumerate(zip(pictures, labels, strict=True), start=1):
        model.train_on_batch(x, y)
        if step in (1, len(pictures)):
            stage = "one" if step == 1 else "all"
            answer |= {f"{stage}/{i}": weight for i, weight in enumerate(model.get_weights())}
    np.savez(Path(sys.argv[2]), **answer)


if __name__ == "__main__":
    main()
