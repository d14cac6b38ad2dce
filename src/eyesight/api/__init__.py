"""What `import eyesight` offers: the steps of the project, put together.

In: names, arrays, paths. Out: `Dataset`, `Run`, `Classifier`, `Evaluation`, `Summary`. The command line calls these
and prints.
"""

from __future__ import annotations

from ..data.dataset import Dataset, from_arrays
from ..evaluation.evaluate import Evaluation
from .bulk import predict_files
from .bundling import Bundle, bundle
from .datasets import check_data, download, load_data
from .exporting import Export, export_model, load_keras_weights
from .features import Embedding, embed
from .lessons import LessonSheet, convolve, lesson
from .networks import diagram, summary
from .runs import Run, load_classifier, load_model, open_run
from .serving import serve
from .studies import study, tutorial
from .training import resume, train

__all__ = [
    "Bundle",
    "Dataset",
    "Embedding",
    "Evaluation",
    "Export",
    "LessonSheet",
    "Run",
    "bundle",
    "check_data",
    "convolve",
    "diagram",
    "download",
    "embed",
    "export_model",
    "from_arrays",
    "lesson",
    "load_classifier",
    "load_data",
    "load_keras_weights",
    "load_model",
    "open_run",
    "predict_files",
    "resume",
    "serve",
    "study",
    "summary",
    "train",
    "tutorial",
]
