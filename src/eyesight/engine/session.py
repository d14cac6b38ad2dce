"""A graph at work: ONNX Runtime on the CPU, in bounded memory.

In: an ONNX model and uint8 pictures. Out: what it gives of each, such as logits. It does not know what the graph
computes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..environment import available_cores
from ..pictures.preprocess import Pixels

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_MOST_BYTES: Final = 64 << 20  # of numbers between the layers, for the pictures computed at once
_MOST_PICTURES: Final = 128  # more leave the cache, and are slower

# Sessions of a process that has forked: in the child their threads are gone, and ending them would wait for ever.
_left_behind: list[object] = []


class Session:
    """A graph that is ready to run.

    Args:
        model: `pictures` uint8 (N, H, W, C) to float32 (N, width), such as logits: its first output.
        bytes_per_picture: about how much the graph holds of one picture at a time.
        threads: that compute; None for as many as the process may use.

    A child process that was forked off makes its own threads at its first call. Several threads may call at once.
    """

    def __init__(self, model: onnx.ModelProto, *, bytes_per_picture: int, threads: int | None = None) -> None:
        self.batch_size = max(1, min(_MOST_PICTURES, _MOST_BYTES // max(1, bytes_per_picture)))
        self.threads = threads
        output = model.graph.output[0]
        self.width = output.type.tensor_type.shape.dim[1].dim_value
        self._output = output.name
        self._model = model.SerializeToString()
        self._session = self._start()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}  # it does not fit in a pickle

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._session = self._start()

    def _start(self) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads or available_cores()
        options.inter_op_num_threads = 1
        # threads that spin while they wait slow down everything else on the machine, torch in this process too
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # it raises what goes wrong; what else it says is no news to a user
        self._process = os.getpid()
        return onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])

    def run(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        """Return what the graph gives, float32 (N, width), for uint8 pictures (N, H, W, C), a batch at a time."""
        if self._process != os.getpid():
            _left_behind.append(self._session)
            self._session = self._start()
        if len(pictures) <= self.batch_size and len(pictures):
            return self._compute(pictures)
        parts = [self._compute(pictures[i : i + self.batch_size]) for i in range(0, len(pictures), self.batch_size)]
        return np.concatenate([np.empty((0, self.width), np.float32), *parts])

    def _compute(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32]
        (found,) = self._session.run([self._output], {"pictures": np.ascontiguousarray(pictures)})
        return found
