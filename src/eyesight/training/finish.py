"""The last step of a training: the temperature at which a classifier's probabilities tell how often it is right.

In: a job, a classifier that is about to be saved. Out: the classifier with its temperature, fitted on validation
pictures; never on the test set. It changes no weights.
"""

from __future__ import annotations

import numpy as np

from ..calibration import fit_temperature
from ..classifier import Classifier
from ..data.dataset import UNCHOSEN, Split
from ..data.split import draw
from ..pictures.views import number_of_views
from .events import Control
from .job import Job
from .validation import check

_BATCH = 256  # pictures; a signal waits for no more than these
_MOST = 10_000  # pictures; more would not change the second digit of a temperature
_MOST_BY_THE_CLOCK = 2_000  # they take from the time that is left to train


def calibrate(job: Job, classifier: Classifier, control: Control) -> None:
    """Give a classifier the temperature that fits its validation pictures, seen as it will see any other.

    Where there are none, or where they are the test set, the temperature stays 1.

    Raises:
        StopAsked: the control wants to stop; the classifier is as it was.
    """
    split = calibration_pictures(job)
    if split is None:
        return
    logits = []
    for start in range(0, len(split), _BATCH):
        check(control)
        ids = np.arange(start, min(start + _BATCH, len(split)))
        logits.append(classifier.logits(split.gather(ids)))
    temperature = fit_temperature(np.concatenate(logits), split.labels)
    classifier.inference = classifier.inference.model_copy(update={"temperature": temperature})


def calibration_pictures(job: Job) -> Split | None:
    """Return what a temperature is fitted on: all validation pictures, or a fixed draw of many."""
    validation = job.data.validation
    if validation is None or job.data.protocol in UNCHOSEN:
        return None
    return draw(validation, min(len(validation), _most(job)), seed=0)


def calibration_views(job: Job) -> int:
    """Return how many views of pictures the network looks at to fit temperatures, at most: of two sets of weights."""
    if job.data.validation is None or job.data.protocol in UNCHOSEN:
        return 0
    pictures = min(len(job.data.validation), _most(job))
    return pictures * number_of_views(job.recipe.views) * (2 if job.keeps_best else 1)


def _most(job: Job) -> int:
    return _MOST if job.recipe.budget is None else _MOST_BY_THE_CLOCK
