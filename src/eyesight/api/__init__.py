"""What `import eyesight` offers: the steps of the project, put together.

In: names, arrays, paths. Out: `Dataset`, `Run`, `Classifier`, `Evaluation`, `Summary`. The command line calls these
and prints.
"""

from __future__ import annotations

from ..data.dataset import Dataset, from_arrays
from ..evaluation.evaluate import Evaluation
from ..models import network_spec
from ..models.summary import Summary, summarise
from .datasets import check_data, download, load_data
from .exporting import Export, export_model
from .features import Embedding, embed
from .runs import Run, load_classifier, load_model, open_run
from .studies import study, tutorial
from .training import resume, train

__all__ = [
    "Dataset",
    "Embedding",
    "Evaluation",
    "Export",
    "Run",
    "check_data",
    "download",
    "embed",
    "export_model",
    "from_arrays",
    "load_classifier",
    "load_data",
    "load_model",
    "open_run",
    "resume",
    "study",
    "summary",
    "train",
    "tutorial",
]


def summary(model: str, *, input: tuple[int, int, int], classes: int) -> Summary:
    """Return the layer table of a network.

    Args:
        model: a network's name.
        input: (H, W, C) of the pictures.
        classes: number of classes.

    >>> summary("lenet5", input=(32, 32, 1), classes=10).parameters
    61706
    """
    return summarise(network_spec(model, shape=input, classes=classes))
