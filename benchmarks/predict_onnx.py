"""The bare side of prediction_speed.py: a tree of layers as a plain ONNX graph in ONNX Runtime, without eyesight.

    python predict_onnx.py WEIGHTS.npz spinning|quiet

Its optimisations are on. `quiet` threads wait without spinning, as eyesight's do; spinning ones are its default.
WEIGHTS.npz holds the tree as JSON (`tree`), mean and deviation of the pixels, and the weights by path (`weight/PATH`).
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from answers import answer_all

BATCH = 250


class Graph:
    """Nodes one after the other, and the constants that they take."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights, self.nodes, self.constants = weights, [], []
        self.last = "pictures"

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant; return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: object) -> None:
        """Add a node that takes the last one's output."""
        output = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *inputs], [output], **attributes))
        self.last = output

    def layer(self, path: str, layer: dict) -> None:
        """Add a layer of the tree."""

        def own(*names: str) -> list[str]:
            keys = [f"{path}.{name}" for name in names]
            return [self.constant(key, self.weights[key]) for key in keys if key in self.weights]

        match layer["type"]:
            case "chain":
                for name, child in layer["layers"]:
                    self.layer(f"{path}.{name}" if path else name, child)
            case "conv":
                pads = [layer["kernel"] // 2] * 4 if layer["padding"] == "same" else [0] * 4
                self.add("Conv", *own("weight", "bias"), pads=pads)
            case "whitening":
                self.add("Conv", *own("weight", "bias"), strides=[layer["stride"]] * 2)
            case "batch-norm":
                mean = self.weights[f"{path}.running_mean"]
                scale = own("weight") or [self.constant(f"{path}.ones", np.ones_like(mean))]
                self.add(
                    "BatchNormalization", *scale, *own("bias", "running_mean", "running_var"), epsilon=layer["eps"]
                )
            case "activation":
                self.add({"relu": "Relu", "gelu": "Gelu"}[layer["function"]])
            case "max-pool":
                self.add("MaxPool", kernel_shape=[layer["size"]] * 2, strides=[layer["size"]] * 2)
            case "global-max-pool":
                self.add("GlobalMaxPool")
                self.add("Flatten")
            case "flatten":
                self.add("Flatten")
            case "linear":
                self.add("Gemm", *own("weight", "bias"), transB=1)
            case "scale":
                self.add("Mul", self.constant(f"{path}.factor", np.float32(layer["factor"])))
            case kind:
                raise SystemExit(f"{path}: no such layer here: {kind}")


def main() -> None:
    """Make the graph, then answer."""
    file = np.load(sys.argv[1], allow_pickle=False)
    tree = json.loads(str(file["tree"]))
    graph = Graph({key.removeprefix("weight/"): file[key] for key in file if key.startswith("weight/")})
    graph.layer("features", tree["features"])
    graph.layer("head", tree["head"])
    pictures = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [None, *tree["input"]])
    logits = helper.make_tensor_value_info(graph.last, TensorProto.FLOAT, [None, tree["classes"]])
    made = helper.make_graph(graph.nodes, tree["name"], [pictures], [logits], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    if sys.argv[2] == "quiet":
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    mean, std = np.float32(file["mean"]), np.float32(file["std"])

    def run(pixels: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(pixels), BATCH):
            batch = pixels[start : start + BATCH].transpose(0, 3, 1, 2).astype(np.float32, order="C")
            parts.append(session.run(None, {"pictures": (batch / 255 - mean) / std})[0])
        return np.concatenate(parts)

    answer_all(run, versions={"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__})


if __name__ == "__main__":
    main()
