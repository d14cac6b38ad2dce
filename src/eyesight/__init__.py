"""eyesight: pictures in, a judged and usable image classifier out.

    import eyesight

    data = eyesight.load_data("digits")
    run = eyesight.train(data, epochs=5)
    print(run.evaluate())
    print(run.classifier.predict("seven.png"))

Importing this is cheap; torch is loaded by what needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import Bundle as Bundle
    from .api import Embedding as Embedding
    from .api import Evaluation as Evaluation
    from .api import Export as Export
    from .api import Run as Run
    from .api import bundle as bundle
    from .api import check_data as check_data
    from .api import convolve as convolve
    from .api import diagram as diagram
    from .api import download as download
    from .api import embed as embed
    from .api import export_model as export_model
    from .api import lesson as lesson
    from .api import load_classifier as load_classifier
    from .api import load_data as load_data
    from .api import load_keras_weights as load_keras_weights
    from .api import load_model as load_model
    from .api import open_run as open_run
    from .api import predict_files as predict_files
    from .api import resume as resume
    from .api import serve as serve
    from .api import study as study
    from .api import summary as summary
    from .api import train as train
    from .api import tutorial as tutorial
    from .api.estimator import ImageClassifier as ImageClassifier
    from .api.estimator import PhotoFeatures as PhotoFeatures
    from .classifier import Classifier as Classifier
    from .data.dataset import Dataset as Dataset
    from .data.dataset import Split as Split
    from .data.dataset import from_arrays as from_arrays
    from .errors import EyesightError as EyesightError
    from .evaluation.judge import Report as Report
    from .export.exported import ExportedModel as ExportedModel
    from .predictions import Predictions as Predictions
    from .predictor import Answer as Answer
    from .studies.study import Study as Study

# Dataset and from_arrays come by way of api, which gives datasets their pictures in a notebook.
_HOMES = {
    "Bundle": "api",
    "Classifier": "classifier",
    "Dataset": "api",
    "Embedding": "api",
    "Evaluation": "api",
    "Export": "api",
    "ExportedModel": "export.exported",
    "EyesightError": "errors",
    "Answer": "predictor",
    "ImageClassifier": "api.estimator",
    "PhotoFeatures": "api.estimator",
    "Predictions": "predictions",
    "Report": "evaluation.judge",
    "Run": "api",
    "Split": "data.dataset",
    "Study": "studies.study",
    "bundle": "api",
    "check_data": "api",
    "convolve": "api",
    "diagram": "api",
    "download": "api",
    "embed": "api",
    "export_model": "api",
    "from_arrays": "api",
    "lesson": "api",
    "load_classifier": "api",
    "load_data": "api",
    "load_keras_weights": "api",
    "load_model": "api",
    "open_run": "api",
    "predict_files": "api",
    "resume": "api",
    "serve": "api",
    "study": "api",
    "summary": "api",
    "train": "api",
    "tutorial": "api",
}

__all__ = [  # noqa: PLE0604 - filled from the table above, in its order
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'eyesight' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
