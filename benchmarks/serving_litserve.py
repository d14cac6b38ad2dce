"""LitServe with an ONNX file of ours, for comparison; runs in an environment of its own that has litserve.

    PYTHON_WITH_LITSERVE benchmarks/serving_litserve.py MODEL.onnx PORT

It decodes the picture with Pillow, batches as the server of eyesight does, and answers with class and probability.
"""

# ruff: noqa: ANN001, ANN201, D102, ARG002 # the methods are LitServe's

from __future__ import annotations

import sys

import litserve
import numpy as np
import onnxruntime
from PIL import Image


class Classify(litserve.LitAPI):
    """One ONNX graph: pictures uint8 (N, H, W, C) in, probabilities among the outputs."""

    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
        _, self.height, self.width, self.channels = self.session.get_inputs()[0].shape
        self.output = next(o.name for o in self.session.get_outputs() if "prob" in o.name)

    def decode_request(self, request):
        picture = Image.open(request["file"].file).convert("L" if self.channels == 1 else "RGB")
        return np.asarray(picture.resize((self.width, self.height))).reshape(self.height, self.width, self.channels)

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pictures):
        return self.session.run([self.output], {self.session.get_inputs()[0].name: pictures})[0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, row):
        return {"label": int(row.argmax()), "probability": float(row.max())}


if __name__ == "__main__":
    api = Classify(max_batch_size=64, batch_timeout=0.002)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[2]), host="127.0.0.1", generate_client_file=False, log_level="error"
    )
