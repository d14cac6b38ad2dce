"""What a network makes of pictures before its last layer: the features that other tasks can learn from.

In: a network with its weights, uint8 pictures. Out: features (N, F), computed by ONNX Runtime in bounded memory. It
does not know what the features are for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..models.network import NetworkWeights
from ..pictures.preprocess import Pixels, Preprocessing
from .graph import build_feature_graph, bytes_per_picture
from .session import Session


class Features:
    """A network without its last dense layer, ready to run.

    Args:
        network: whose features they are.
        preprocessing: what it expects of pictures.
        threads: that compute; None for as many as the process may use.

    Attributes:
        width: number of features of a picture, F.
    """

    def __init__(self, network: NetworkWeights, preprocessing: Preprocessing, *, threads: int | None = None) -> None:
        graph = build_feature_graph(network.spec, network.arrays, preprocessing)
        self._session = Session(graph, bytes_per_picture=bytes_per_picture(network.spec, "one"), threads=threads)
        self.width = self._session.width

    def of(self, pictures: Pixels) -> npt.NDArray[np.float32]:
        """Return the features float32 (N, F) of pictures uint8 (N, H, W, C) of the stored size, a batch at a time."""
        return self._session.run(pictures)
