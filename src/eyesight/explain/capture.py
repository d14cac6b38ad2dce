"""What every row of a network's layer table gives for one picture.

In: a classifier and a picture. Out: a `Stage` for each row. It draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..classifier import Classifier
from ..models.elementwise import Activation
from ..models.network import NetworkSpec, leaves
from ..models.summary import LayerRow, summarise
from ..pictures.preprocess import Pixels, adapt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stage:
    """What one row of the layer table gives for the picture: (C, H, W) or (F,), after its activation."""

    row: LayerRow
    values: Floats


def capture(classifier: Classifier, picture: Pixels) -> list[Stage]:
    """Return what every row of the network's layer table gives for one picture (H, W, C)."""
    import torch
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    spec, network = classifier.spec, classifier.network
    assert isinstance(spec, NetworkSpec)
    found: dict[str, torch.Tensor] = {}

    def note(path: str) -> RemovableHandle:
        def hook(_: nn.Module, __: object, output: torch.Tensor) -> None:
            found[path] = output.detach()[0].float().cpu().clone()  # a copy: an activation may work in place

        return network.get_submodule(path).register_forward_hook(hook)

    paths = [(path, layer) for path, layer, _ in leaves(spec.whole, spec.input)]
    hooks = [note(path) for path, _ in paths]
    try:
        with torch.inference_mode():
            batch = torch.from_numpy(np.array(picture[None], order="C")).to(classifier.device)
            network(adapt(batch, classifier.inference.preprocessing, torch.float32))
    finally:
        for hook in hooks:
            hook.remove()
    values: list[Floats] = []
    for path, layer in paths:
        result = found[path].numpy().astype(np.float64)
        if isinstance(layer, Activation) and values:
            values[-1] = result  # the table names an activation with the layer before it
        else:
            values.append(result)
    return [Stage(row, value) for row, value in zip(summarise(spec).rows, values, strict=True)]
