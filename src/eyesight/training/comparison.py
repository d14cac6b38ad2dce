"""The loop of a tuning, at whose end the better of the probe and the tuned network is kept.

In: what any loop has, and the probe. Out: the run, complete, with the classifier that is better on the validation
pictures; of equal ones the probe.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calibration import fit_temperature
from ..classifier import Classifier, InferenceSpec, Training
from ..data.dataset import Split
from ..formats import Arrays
from ..metrics import class_scores, confusion_matrix, cross_entropy, mean_defined
from ..models.network import NetworkWeights
from ..models.torch_network import to_arrays
from ..pictures.views import Views, number_of_views
from ..predictor import Logits
from .events import Compared
from .loop import Loop
from .probe import Probe
from .validation import check

# How far from the probe to the tuned weights a network is looked for at the end. Half of the way is often better than
# the whole, as what was learned from few photos is in part of those alone. Source: Wortsman et al., "Robust fine-tuning
# of zero-shot models", CVPR 2022.
_SHARES = (0.5, 1.0)
_JUDGED = 256  # pictures at a time; a signal waits for no more than these


class TuningLoop(Loop):
    """The loop, at whose end the better of the probe and the tuned network is kept.

    Args:
        probe: what the network began as.
    """

    def __init__(self, *args: Any, probe: Probe, **options: Any) -> None:
        super().__init__(*args, **options)
        self.probe = probe

    @property
    def views(self) -> Views:
        """Which views of a picture the tuned network looks at: the mirror image too, where it has learned from both."""
        return "mirror" if self.job.recipe.flip else self.probe.views

    def reserve(self) -> float:
        """Return how many seconds judging and saving will take at the end."""
        validation = self.job.data.validation
        assert validation is not None  # what decides; `resolve` has seen to it
        timed = self.state.validating
        judging = timed if timed is not None else self.estimated(len(validation)) / 3
        return self.state.saving + (1 + len(_SHARES) * number_of_views(self.views)) * judging

    def keep_good_weights(self) -> str:
        """Leave the probe's classifier where it is."""
        return f"the probe is kept in {self.run.model_file}"

    def write_weights_so_far(self) -> str:
        """Leave the probe's classifier where it is: the weights so far have not been compared with it."""
        return f"until then the probe is in {self.run.model_file}"

    def write_models(self) -> None:
        """Judge the network as it will predict, and write it in place of the probe, or beside it."""
        validation, epoch = self.job.data.validation, self.state.history[-1]["epoch"]
        assert validation is not None
        assert self.probe.judged is not None
        share, tuned, logits = self._best()
        tuned.inference = tuned.inference.model_copy(update={"temperature": fit_temperature(logits, validation.labels)})
        figures = {
            name: {"accuracy": self._score(given), "loss": float(cross_entropy(given, validation.labels).mean())}
            for name, given in (("probe", self.probe.judged), ("tuned", logits))
        }
        better = figures["tuned"]["accuracy"] > figures["probe"]["accuracy"]
        kept, balanced = "tuned" if better else "probe", self.job.recipe.balance
        checksum = tuned.save(self.run.model_file if better else self.run.last_model_file)
        if better:
            self.run.update(kept_epoch=epoch, model_checksum=checksum)
        about = {"kept": kept, "share": share, "n": len(validation), "balanced": balanced, **figures}
        self.run.update(tuning=self.run.about().get("tuning", {}) | about)
        self.emit(Compared(figures["probe"]["accuracy"], figures["tuned"]["accuracy"], len(validation), kept, balanced))

    def _best(self) -> tuple[float, Classifier, Logits]:
        """Return how far from the probe to the last weights the best ones lie, the classifier, and what it says."""
        job, last = self.job, to_arrays(self.state.network)
        epoch = self.state.history[-1]["epoch"]
        training = Training(
            data=job.data.name, fingerprint=job.data.fingerprint, epoch=epoch, weights="last", seed=job.config.seed
        )
        inference = InferenceSpec(preprocessing=job.preprocessing, views=self.views)
        assert job.data.validation is not None
        found = []
        for share in _SHARES:
            weights = NetworkWeights(self.probe.weights.spec, between(self.probe.weights.arrays, last, share))
            classifier = Classifier(weights, inference, job.data.classes, training=training, device=str(job.device))
            found.append((share, classifier, self._judge(classifier, job.data.validation)))
        return max(found, key=lambda each: self._score(each[2]))  # of equal ones the first

    def _score(self, logits: Logits) -> float:
        validation = self.job.data.validation
        assert validation is not None
        return score(logits, validation, len(self.job.data.classes), balanced=self.job.recipe.balance)

    def _judge(self, classifier: Classifier, split: Split) -> Logits:
        """Return the logits of a split's pictures (N, K)."""
        parts = []
        for begin in range(0, len(split), _JUDGED):
            check(self.control)
            parts.append(classifier.logits(split.gather(np.arange(begin, min(begin + _JUDGED, len(split))))))
        return np.concatenate(parts)


def between(first: Arrays, last: Arrays, share: float) -> Arrays:
    """Return the weights that lie a share of the way from the first to the last.

    >>> between({"w": np.array([1.0, 2.0])}, {"w": np.array([3.0, 2.0])}, 0.5)["w"].tolist()
    [2.0, 2.0]
    """
    moved = {name: last[name] - value for name, value in first.items() if value.dtype.kind == "f"}
    return {
        name: (value + np.asarray(share, value.dtype) * moved[name]) if name in moved else value
        for name, value in first.items()
    }


def score(logits: Logits, split: Split, classes: int, *, balanced: bool = False) -> float:
    """Return the accuracy of logits (N, K) on a split; the mean over its classes where it is to be balanced."""
    predicted = logits.argmax(axis=1)
    if not balanced:
        return float((predicted == split.labels).mean())
    return mean_defined(class_scores(confusion_matrix(split.labels, predicted, classes)).recall)
