"""A user's own module as a graph: what torch's exporter makes of it, brought into the form of our own graphs.

In: a classifier whose network only its own code knows. Out: an ONNX model from `pictures` to `logits`, not yet proven.
It is traced with one picture: what the module decides from the numbers in it is lost, which the certificate notices.
"""

from __future__ import annotations

import copy
import io
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from ..classifier import Classifier
from ..errors import UsageError
from ..pictures.preprocess import plain_memory
from .onnx_file import INPUT, LOGITS
from .quantize import plain_model

if TYPE_CHECKING:
    import onnx
    import torch

_OPSET: Final = 18


def opaque_graph(classifier: Classifier) -> onnx.ModelProto:
    """Return the graph of a user's own module, with normalisation and temperature inside.

    Raises:
        UsageError: torch cannot export it, or it is asked about several views.
    """
    import onnx
    import torch

    if (views := classifier.inference.views) != "one":
        raise UsageError(f"{classifier.spec.name}: can be exported with views 'one' only; received: {views!r}")
    buffer = io.BytesIO()
    example = torch.zeros((1, *classifier.preprocessing.shape), dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's age; it needs no further package
            torch.onnx.export(
                _whole(classifier), (example,), buffer,  # type: ignore[arg-type] # the older exporter takes one
                dynamo=False, opset_version=_OPSET,
                input_names=[INPUT], output_names=[LOGITS],
            )  # fmt: skip
    except Exception as error:  # whatever a user's code and torch's exporter raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{classifier.spec.name}: torch cannot export it ({reason})") from None
    return _for_any_number(plain_model(_folded(onnx.ModelProto.FromString(buffer.getvalue()))))


def _whole(classifier: Classifier) -> torch.nn.Module:
    """Return a module from stored pictures to logits, in memory and order as `Classifier.logits` has them."""
    import torch

    preprocessing, temperature = classifier.preprocessing, classifier.inference.temperature
    mean = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    std = torch.tensor(preprocessing.std).view(1, -1, 1, 1)

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(classifier.network).cpu().eval()

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            images = pictures.permute(0, 3, 1, 2).to(torch.float32) * (1 / (255 * std)) - mean / std
            return self.network(plain_memory(images)) / temperature  # type: ignore[no-any-return]

    return Whole().eval()


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Turn nodes that give a constant into constants, as our files have them."""
    from onnx import numpy_helper

    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            value = numpy_helper.to_array(node.attribute[0].t)
            model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        else:
            model.graph.node.append(node)
    for node in model.graph.node:  # torch calls them /conv/Conv_output_0
        for names in (node.input, node.output):
            names[:] = [name.replace("::", ".") for name in names]
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("::", ".")
    return model


def _for_any_number(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let a graph that was traced with one picture take any number of them."""
    from onnx import numpy_helper

    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes and (sides := numpy_helper.to_array(tensor)).size and sides[0] == 1:
            changed = np.concatenate([[0], sides[1:]]).astype(np.int64)  # as many as come in
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    return model
