"""What `import eyesight` offers: the steps of the project, put together.

In: names, arrays, paths. Out: `Dataset`, `Run`, `Classifier`, `Evaluation`, `Summary`. The command line calls these
and prints.
"""

from __future__ import annotations

from ..data.dataset import Dataset, from_arrays
from ..evaluation.evaluate import Evaluation
from ..models.summary import Summary
from .datasets import check_data, download, load_data
from .features import Embedding, embed
from .networks import diagram, summary
from .runs import Run, load_classifier, open_run
from .studies import study, tutorial
from .training import resume, train

__all__ = [
    "Dataset",
    "Embedding",
    "Evaluation",
    "Run",
    "Summary",
    "check_data",
    "diagram",
    "download",
    "embed",
    "from_arrays",
    "load_classifier",
    "load_data",
    "open_run",
    "resume",
    "study",
    "summary",
    "train",
    "tutorial",
]
