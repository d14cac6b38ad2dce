"""The Keras side of ../prediction_speed.py: `predict` of the CIFAR-10 tutorial's network.

python predict_keras.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no remarks on the build; before the import, which reads it
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tensorflow as tf
from parity_keras import MODELS

import keras
from answers import answer_all


def main() -> None:
    """Build, then answer."""
    model = MODELS["T2"]()
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    answer_all(
        lambda pictures: model.predict(pictures.astype(np.float32) / 255, batch_size=500, verbose=0), versions=versions
    )


if __name__ == "__main__":
    main()
