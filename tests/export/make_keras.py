"""Makes keras.weights.h5 and keras.npz with real Keras 3.15.1: `KERAS_BACKEND=torch python make_keras.py`."""

from pathlib import Path

import numpy as np

import keras
from keras import layers

HERE = Path(__file__).parent

network = keras.Sequential([
    keras.Input((9, 8, 3)),
    layers.ZeroPadding2D(((0, 0), (1, 0))),
    layers.Conv2D(3, 3, padding="same", use_bias=False),
    layers.BatchNormalization(epsilon=1e-5),
    layers.ReLU(),
    layers.MaxPooling2D(2),
    layers.Conv2D(4, 2, padding="same", activation="relu"),
    layers.Flatten(),
    layers.Dense(5, activation="tanh"),
    layers.Dense(3),
])  # fmt: skip
rng = np.random.default_rng(1)
for layer in network.layers:
    drawn = [rng.normal(0, 0.5, weight.shape) for weight in layer.weights]
    named = zip(layer.weights, drawn, strict=True)
    layer.set_weights([np.abs(array) + 0.1 if "variance" in weight.path else array for weight, array in named])
network.save_weights(HERE / "keras.weights.h5")
pictures = rng.integers(0, 256, (4, 9, 8, 3), np.uint8)
logits = network.predict(pictures.astype(np.float32) / 255, verbose=0)
np.savez(HERE / "keras.npz", pictures=pictures, logits=logits)
