"""Weights of a network to and from Keras' `.weights.h5`, for networks that are a chain of layers that Keras has too.

In: a network with its weights, or a file that Keras 3 saved. Out: the file, or the weights. Keras orders numbers
otherwise: filters as (k, k, I, O), dense weights as (F, O), and it flattens rows, columns, channels, where we flatten
channels, rows, columns. It needs h5py, and neither Keras nor torch.

In the file each kind of layer is counted on its own: `layers/conv2d`, `layers/conv2d_1`, `layers/dense`, whatever the
layers are called. So it fits a `Sequential` model with the same layers in the same order; layers without weights, such
as pooling, do not matter.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError, UsageError
from ..formats import Arrays, read_bounded
from ..models.elementwise import BatchNorm, Scale
from ..models.layer import Layer, Shape
from ..models.layers import Conv, Flatten, Linear, Residual, Whitening
from ..models.network import NetworkSpec, NetworkWeights, leaves

if TYPE_CHECKING:
    import h5py

Array = npt.NDArray[np.float32]

_MOST_BYTES = 4 << 30
_NORM = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras' gamma, beta, mean, variance


@dataclass(frozen=True)
class _Variable:
    """One array: its place here, its place in the file, and how it is brought from the one to the other."""

    path: str
    place: str
    shape: Shape  # here
    to_keras: Callable[[Array], Array]
    from_keras: Callable[[Array], Array]


def pack_keras(weights: NetworkWeights) -> bytes:
    """Return the bytes of a `.weights.h5` file that Keras 3 loads.

    Raises:
        UsageError: a network that is no chain of Keras' layers, or h5py is not installed.
    """
    library, buffer = _h5py(), io.BytesIO()
    with library.File(buffer, "w") as file:
        file.create_group("vars")
        for variable in _variables(weights.spec):
            array = variable.to_keras(np.asarray(weights.arrays[variable.path], np.float32))
            file.create_dataset(variable.place, data=np.ascontiguousarray(array))
    return buffer.getvalue()


def unpack_keras(path: Path, spec: NetworkSpec) -> NetworkWeights:
    """Return a network with the weights of a `.weights.h5` file.

    Args:
        path: of a file that Keras 3 saved.
        spec: the network, of the same layers in the same order.

    Raises:
        FormatError: not such a file, or its weights do not fit the network.
        UsageError: a network that is no chain of Keras' layers, or h5py is not installed.
    """
    library, variables = _h5py(), _variables(spec)
    data = read_bounded(path, _MOST_BYTES)
    try:
        with library.File(io.BytesIO(data), "r") as file:
            arrays = {each.path: _read(file, each, path) for each in variables}
            found = set(_places(file.get("layers"), "layers"))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise FormatError(f"{path}: not a .weights.h5 file that Keras 3 saved, or damaged ({reason})") from None
    if more := sorted(found - {each.place for each in variables}):
        raise FormatError(f"{path}: has weights that {spec.name} has not, at {more[0]}")
    arrays |= _counts(spec)
    weights = NetworkWeights(spec, arrays)
    weights.check(str(path), size=max(len(data), 4 * spec.parameters()))
    return weights


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError:
        raise UsageError("Keras' files need a package; install it with: pip install 'eyesight[keras]'") from None
    return h5py  # type: ignore[no-any-return]


def _variables(spec: NetworkSpec) -> list[_Variable]:
    """Return every array of the network in order."""
    found: list[_Variable] = []
    counts: Counter[str] = Counter()
    flattened: Shape | None = None  # (C, H, W) before a flatten, until a dense layer has taken it
    if any(isinstance(layer, Residual) for layer in _inner(spec)):
        raise _no_chain(spec)
    for path, layer, shape in leaves(spec.whole, spec.input):
        if isinstance(layer, Flatten) and len(shape) == 3:
            flattened = shape
        if isinstance(layer, Whitening | Scale) or (isinstance(layer, Conv) and layer.groups > 1):
            raise _no_chain(spec)
        kind = {Conv: "conv2d", Linear: "dense", BatchNorm: "batch_normalization"}.get(type(layer))
        if kind is None:
            continue
        number, counts[kind] = counts[kind], counts[kind] + 1
        group = f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars"
        own = layer.weights(shape)
        for i, name in enumerate(_NORM if isinstance(layer, BatchNorm) else own):
            there, back = _turns(layer, name, flattened)
            found.append(_Variable(f"{path}.{name}", f"{group}/{i}", own[name], there, back))
        flattened = None if isinstance(layer, Linear) else flattened
    return found


def _inner(spec: NetworkSpec) -> Iterator[Any]:
    """Yield every layer, those that are made of others too."""
    waiting: list[Any] = [spec.features, spec.head]
    while waiting:
        layer = waiting.pop()
        yield layer
        waiting += [inner for _, inner in getattr(layer, "layers", ())]


def _no_chain(spec: NetworkSpec) -> UsageError:
    return UsageError(f"{spec.name}: is not a chain of convolutions, batch norms and dense layers as Keras has them")


def _turns(
    layer: Layer, name: str, flattened: Shape | None
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return how an array is brought to Keras' order, and back."""
    if name != "weight" or isinstance(layer, BatchNorm):
        return _same, _same
    if isinstance(layer, Conv):
        return lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1)
    if flattened is None or not isinstance(layer, Linear):
        return np.transpose, np.transpose
    channels, height, width = flattened

    def there(array: Array) -> Array:  # (O, C·H·W) → (H·W·C, O)
        return array.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, len(array))

    def back(array: Array) -> Array:
        return array.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(array.shape[1], -1)

    return there, back


def _same(array: Array) -> Array:
    return array


def _read(file: h5py.File, variable: _Variable, path: Path) -> Array:
    """Return one array, once it is known to lie in this file, and to have the size that the network has."""
    library = _h5py()
    place, group = variable.place.split("/"), file
    for name in place[:-1]:
        group = _inside(group, name, library.Group, path, variable)
    dataset = _inside(group, place[-1], library.Dataset, path, variable)
    expected = variable.to_keras(np.empty(variable.shape, np.float32)).shape
    if dataset.is_virtual or dataset.external or dataset.dtype.kind != "f":
        raise FormatError(f"{path}: {variable.place} should hold numbers of its own")
    if dataset.shape != expected:
        raise FormatError(f"{path}: {variable.place} should have shape {expected}; received: {dataset.shape}")
    return np.ascontiguousarray(variable.from_keras(np.asarray(dataset[()], np.float32)))


def _inside(group: Any, name: str, kind: type, path: Path, variable: _Variable) -> Any:
    """Return what lies in a group under a name, never through a link to elsewhere."""
    link = group.get(name, getlink=True)
    if link is None or type(link).__name__ != "HardLink":
        raise FormatError(f"{path}: has no {variable.place}, which the network needs")
    found = group[name]
    if not isinstance(found, kind):
        raise FormatError(f"{path}: has no {variable.place}, which the network needs")
    return found


def _places(group: Any, prefix: str) -> Iterator[str]:
    """Yield where arrays lie, three groups deep at most."""
    if prefix.count("/") > 3 or not hasattr(group, "keys"):
        return
    for name in group:
        if type(group.get(name, getlink=True)).__name__ == "HardLink":
            inner = group[name]
            if hasattr(inner, "shape"):
                yield f"{prefix}/{name}"
            else:
                yield from _places(inner, f"{prefix}/{name}")


def _counts(spec: NetworkSpec) -> Arrays:
    """Return the numbers that batch norms count their batches with, which Keras has not."""
    return {path: np.array(0, np.int64) for path, shape in spec.weights().items() if not shape}
