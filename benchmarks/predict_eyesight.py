"""The eyesight side of prediction_speed.py: logits from `Classifier.logits`.

python predict_eyesight.py MODEL.safetensors
"""

from __future__ import annotations

import sys

import onnxruntime

from answers import answer_all
from eyesight.classifier import Classifier


def main() -> None:
    """Load, then answer."""
    answer_all(Classifier.load(sys.argv[1]).logits, versions={"onnxruntime": onnxruntime.__version__})


if __name__ == "__main__":
    main()
