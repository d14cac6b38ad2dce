"""The eyesight side of prediction_speed.py: logits from `Classifier.logits`.

python predict_eyesight.py MODEL.safetensors fp32|bf16
"""

from __future__ import annotations

import sys

import torch

from answers import answer_all
from eyesight.classifier import Classifier
from eyesight.device import autocast


def main() -> None:
    """Load, then answer."""
    path, precision = sys.argv[1:]
    classifier = Classifier.load(path)
    with autocast(torch.device("cpu"), "bf16" if precision == "bf16" else "fp32"):
        answer_all(classifier.logits, versions={"torch": torch.__version__, "threads": torch.get_num_threads()})


if __name__ == "__main__":
    main()
