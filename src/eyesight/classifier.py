"""A trained network with everything needed to use it, in one file.

In: a network, what it expects of pictures, class names. Out: probabilities for pictures of any kind, and one
`.safetensors` file that holds it all. Every prediction of the project goes through `Classifier.logits`. It does not
know how the network was trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import FormatError, PictureError, UsageError
from .formats import Upgrade, read_tensors, upgrade, write_tensors
from .metrics import softmax
from .models.layers import Chain
from .models.network import NetworkSpec
from .pictures.preprocess import Pixels, Preprocessing, adapt, plain_memory, read_picture
from .pictures.sources import picture_files
from .pictures.views import Views, views_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .models.prepared import Prepared

MODEL_FORMAT: Final = "eyesight-model"
MODEL_VERSION: Final = 2

_MAX_LAYERS = 4096  # more than any network has; building what a file claims beyond that would only take time
_BATCH = 256  # pictures at a time: large enough for full speed on two cores, small enough for little memory

Logits = npt.NDArray[np.float32]


class Predictor(Protocol):
    """Anything that turns stored pictures into logits; a classifier here, an exported file elsewhere."""

    classes: tuple[str, ...]

    def logits(self, pictures: Pixels) -> Logits:
        """Return float32 logits (N, K) for uint8 pictures (N, H, W, C) of the stored size."""


class InferenceSpec(BaseModel):
    """Everything between a picture and its probabilities that is not the network.

    Attributes:
        preprocessing: how a picture becomes numbers.
        views: which views of a picture the network is asked about; its logits for them are averaged.
        temperature: logits are divided by it before the softmax; 1 until calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preprocessing: Preprocessing
    views: Views = "one"
    temperature: Annotated[float, Field(gt=0)] = 1.0


class OpaqueSpec(BaseModel):
    """A user's own module: its weights are in the file, its code is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["opaque"] = "opaque"
    version: Literal[1] = 1
    name: str


class Training(BaseModel):
    """Where the weights came from.

    Attributes:
        data: the dataset's name.
        fingerprint: of the dataset.
        epoch: after which epoch the weights were taken.
        weights: whether they are the best on the validation pictures, or the last.
        seed: of the run.
        averaging: how the weights were averaged over updates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    fingerprint: str
    epoch: int
    weights: Literal["best", "last"]
    seed: int
    averaging: str = "none"


class ModelDescription(BaseModel):
    """What a model file says of itself, beside its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["eyesight-model"]
    version: Literal[2]
    network: Annotated[NetworkSpec | OpaqueSpec, Field(discriminator="type")]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    inference: InferenceSpec
    training: Training | None = None


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one picture.

    Attributes:
        source: file name, or the picture's place in the list.
        top: (class name, probability), most probable first.
    """

    source: str
    top: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.top[0][0]

    @property
    def probability(self) -> float:
        """The probability of `label`."""
        return self.top[0][1]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: source, label, probability, and the top classes in order."""
        top = [{"label": name, "probability": value} for name, value in self.top]
        return {"source": self.source, "label": self.label, "probability": self.probability, "top": top}


class PredictionList(list[Prediction]):
    """Predictions for several pictures; a table in a notebook."""

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(p.source)}</td>"
            + "".join(f"<td>{escape(name)}</td><td>{value:.1%}</td>" for name, value in p.top)
            + "</tr>"
            for p in self
        )
        return f"<table>{rows}</table>"


class Classifier:
    """A network, its `InferenceSpec` and its class names.

    Attributes:
        network: maps (N, C, H, W) to logits (N, K); in evaluation mode, on `device`.
        inference: what lies between a picture and its probabilities.
        classes: (K,) names.
        training: where the weights came from, if known.
        checksum: SHA-256 of the file it was loaded from or saved to, else None.
    """

    def __init__(
        self,
        network: nn.Module,
        inference: InferenceSpec,
        classes: Sequence[str],
        *,
        training: Training | None = None,
        device: str = "cpu",
    ) -> None:
        import torch

        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.inference = inference
        self.classes = tuple(classes)
        self.training = training
        self.checksum: str | None = None
        self._prepared: dict[torch.dtype, Prepared] = {}

    def __getstate__(self) -> dict[str, Any]:
        # what has been prepared can be made again, and does not fit in a pickle
        return self.__dict__ | {"_prepared": {}}

    @property
    def spec(self) -> NetworkSpec | OpaqueSpec:
        """The network as data; opaque for a user's own module."""
        spec = getattr(self.network, "spec", None)
        return spec if isinstance(spec, NetworkSpec) else OpaqueSpec(name=class_path(self.network))

    def logits(self, pictures: Pixels) -> Logits:
        """Return float32 logits (N, K), divided by the temperature.

        On a CPU a network of ours is prepared for it at the first call, and again after a part of it was replaced or
        torch has counted a change of its weights; changes through `parameter.data` are not counted.

        Args:
            pictures: uint8 (N, H, W, C) of the stored size.
        """
        import torch

        preprocessing = self.inference.preprocessing
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != preprocessing.shape:
            raise UsageError(
                f"pictures: expected uint8 of shape (N, {', '.join(map(str, preprocessing.shape))}); "
                f"received: {pictures.dtype} of shape {pictures.shape}"
            )
        out = np.empty((len(pictures), len(self.classes)), np.float32)
        opaque, network = isinstance(self.spec, OpaqueSpec), self._fastest()
        with torch.inference_mode():
            for start in range(0, len(pictures), _BATCH):
                # a copy, as torch takes neither read-only nor reversed views, and computes in another order with the
                # stride that `picture[None]` has
                batch = torch.from_numpy(np.array(pictures[start : start + _BATCH], order="C"))
                images = adapt(batch.to(self.device), preprocessing, torch.float32)
                # a user's module may call `view`, which needs plain memory; ours are fastest in channels_last
                result = torch.zeros((), device=self.device)
                for weight, view in views_of(images, self.inference.views):
                    result = result + weight * network(plain_memory(view) if opaque else view).float()
                if result.shape != (len(batch), len(self.classes)):
                    expected, received = (len(batch), len(self.classes)), tuple(result.shape)
                    raise UsageError(f"{self.spec.name}: expected logits of shape {expected}; received: {received}")
                out[start : start + _BATCH] = (result / self.inference.temperature).cpu().numpy()
        return out

    def _fastest(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the network prepared for prediction, at autocast's precision; as it is where it cannot be prepared."""
        import torch

        from .models.prepared import Prepared, can_prepare

        kind = self.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        if not can_prepare(self.network, dtype):
            return self.network
        prepared = self._prepared.get(dtype)
        if prepared is None or not prepared.still_is(self.network):
            prepared = self._prepared[dtype] = Prepared(self.network, dtype)
        return prepared

    def probabilities(self, pictures: Pixels) -> npt.NDArray[np.float64]:
        """Return probabilities (N, K); see `logits`."""
        return softmax(self.logits(pictures))

    def predict(
        self,
        inputs: Any,
        *,
        top: int = 5,
        on_error: Callable[[PictureError], None] | None = None,
    ) -> PredictionList:
        """Classify pictures of any size and kind.

        Args:
            inputs: a file, folder or pattern; a Pillow image; an array (H, W) or (H, W, C) of uint8; or a list of
                these.
            top: how many classes to give for each picture.
            on_error: called with the error of every picture that cannot be read, which is then left out; without
                it the first such error is raised.

        Returns:
            One `Prediction` for each readable picture, in order.

        Raises:
            PictureError: a picture cannot be read and `on_error` is not given.
            UsageError: `top` below 1, or an input of another type.
        """
        if top < 1:
            raise UsageError(f"top: expected 1 or more; received: {top}")
        results = PredictionList()
        for chunk in _chunks(named_pictures(inputs), _BATCH):
            names, pictures = [], []
            for name, picture in chunk:
                try:
                    pictures.append(read_picture(picture, self.inference.preprocessing))
                    names.append(name)
                except PictureError as error:
                    if on_error is None:
                        raise
                    on_error(error)
            if pictures:
                results += self._named(names, self.probabilities(np.stack(pictures)), top)
        return results

    def _named(self, names: list[str], probabilities: npt.NDArray[np.float64], top: int) -> Iterable[Prediction]:
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for name, row, best in zip(names, probabilities, order, strict=True):
            yield Prediction(name, tuple((self.classes[k], float(row[k])) for k in best))

    def save(self, path: str | Path) -> str:
        """Write the classifier to one `.safetensors` file, atomically; return the file's checksum."""
        from .models.torch_network import to_arrays

        description = ModelDescription(
            format=MODEL_FORMAT,
            version=MODEL_VERSION,
            network=self.spec,
            classes=self.classes,
            inference=self.inference,
            training=self.training,
        )
        self.checksum = write_tensors(Path(path), to_arrays(self.network), description.model_dump(mode="json"))
        return self.checksum

    @classmethod
    def load(cls, path: str | Path, *, module: nn.Module | None = None, device: str = "cpu") -> Classifier:
        """Read a classifier from its file. Nothing in the file is ever executed.

        Args:
            path: the `.safetensors` file.
            module: for a network of the user's own: an instance of the same class, which is copied.
            device: where to put the network.

        Raises:
            FormatError: not a model file, cut off, altered, newer, or not consistent with itself.
            UsageError: the file holds a user's own network, and no `module` or one that does not fit was given.
        """
        path = Path(path)
        arrays, description, checksum = read_tensors(path)
        description = upgrade(description, path, name=MODEL_FORMAT, version=MODEL_VERSION, upgrades=_UPGRADES)
        network = _network(parsed := parse_description(description, path), path, module)
        from .models.torch_network import check_finite, load_arrays

        load_arrays(network, arrays, path)
        # a user's own module may hold infinities on purpose, as in a mask
        if isinstance(parsed.network, NetworkSpec) and not check_finite(network):
            raise FormatError(f"{path}: its weights should be finite numbers, and some are not")
        classifier = cls(network, parsed.inference, parsed.classes, training=parsed.training, device=device)
        classifier.checksum = checksum
        return classifier

    def __repr__(self) -> str:
        height, width, channels = self.inference.preprocessing.shape
        return f"Classifier({self.spec.name!r}: {width}x{height}x{channels} → {len(self.classes)} classes)"


def parse_description(description: dict[str, Any], path: Path) -> ModelDescription:
    """Return the checked description of a model file, or say what is wrong with it."""
    try:
        parsed = ModelDescription.model_validate(description)
        network = parsed.network
        height, width, channels = parsed.inference.preprocessing.shape
        if isinstance(network, NetworkSpec):
            if (count := _count(network.whole)) > _MAX_LAYERS:
                raise FormatError(
                    f"{path}: its network should have at most {_MAX_LAYERS:,} layers; received: {count:,}"
                )
            network.whole.output_shape(network.input)  # check_size would look long for a size that fits
            network.check_size()
            if network.input != (channels, height, width) or network.classes != len(parsed.classes):
                raise FormatError(f"{path}: its network, picture size and class names do not fit together")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][:8]))  # of deep trees, the beginning
        raise FormatError(f"{path}: wrong entry in its description: {place}: {first['msg']}") from None
    except (UsageError, RecursionError) as error:
        raise FormatError(f"{path}: its network does not hold together: {error}") from None
    return parsed


def _name_filter(description: dict[str, Any]) -> dict[str, Any]:
    """Upgrade a description of version 1, when there was one way of scaling pictures and it was not named."""
    try:
        inference = description["inference"]
        preprocessing = {**inference["preprocessing"], "resample": "bilinear"}
    except (KeyError, TypeError):  # damaged, which `parse_description` will say
        return description
    return description | {"inference": {**inference, "preprocessing": preprocessing}}


_UPGRADES: Final[dict[int, Upgrade]] = {1: _name_filter}


def _count(chain: Chain) -> int:
    """Return the number of layers in a tree, chains not counted."""
    return sum(_count(layer) if isinstance(layer, Chain) else 1 for _, layer in chain.layers)


def _network(parsed: ModelDescription, path: Path, module: nn.Module | None) -> nn.Module:
    """Return the network a description stands for, its weights not yet loaded."""
    import torch

    from .models.torch_network import channels_last, check_user_module

    spec = parsed.network
    if isinstance(spec, NetworkSpec):
        needed = 4 * spec.parameters()  # counted before torch sees any of it
        if needed > path.stat().st_size:
            raise FormatError(f"{path}: describes a network of {needed:,} bytes, more than the whole file")
        try:
            with torch.device("meta"):
                network = spec.build()
        except (UsageError, RecursionError) as error:
            raise FormatError(f"{path}: its network does not hold together: {error}") from None
        return channels_last(network.to_empty(device="cpu"))
    if module is None:
        raise UsageError(
            f"{path}: its network is {spec.name}, not eyesight's; load it from Python, with an instance as module="
        )
    module = copy.deepcopy(module)
    check_user_module(module, shape=parsed.inference.preprocessing.shape, classes=len(parsed.classes))
    return module


def class_path(module: nn.Module) -> str:
    """Return "package.module.Class" of a module."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def named_pictures(inputs: Any) -> Iterable[tuple[str, Any]]:
    """Yield (name, something `decode` takes) for everything in `inputs`; see `Classifier.predict`."""
    from PIL import Image

    if isinstance(inputs, str | Path):
        for path in picture_files([inputs]):
            yield str(path), path
    elif isinstance(inputs, Image.Image | bytes):
        yield "picture", inputs
    elif isinstance(inputs, np.ndarray):
        fits = inputs.ndim == 2 or (inputs.ndim == 3 and inputs.shape[2] in (1, 3, 4))
        if inputs.dtype != np.uint8 or not fits or not inputs.size:
            raise UsageError(
                f"inputs: expected a uint8 array (H, W) or (H, W, C), or a list of them; "
                f"received: {inputs.dtype} of shape {inputs.shape}"
            )
        yield "array", Image.fromarray(inputs[..., 0] if inputs.ndim == 3 and inputs.shape[2] == 1 else inputs)
    elif isinstance(inputs, Iterable) and getattr(inputs, "ndim", None) != 0:  # torch numbers claim to be iterable
        for i, item in enumerate(inputs):
            for name, picture in named_pictures(item):
                yield (name if isinstance(item, str | Path) else f"{name} {i}"), picture
    else:
        raise UsageError(f"inputs: expected pictures or file names; received: {type(inputs).__name__}")


def _chunks(items: Iterable[tuple[str, Any]], size: int) -> Iterable[list[tuple[str, Any]]]:
    chunk: list[tuple[str, Any]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
