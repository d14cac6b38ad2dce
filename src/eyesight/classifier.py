"""A trained network with everything needed to use it, in one file.

In: a network, what it expects of pictures, class names. Out: probabilities for pictures of any kind, and one
`.safetensors` file that holds it all. Every prediction of the project goes through `Classifier.logits`: on a CPU by the
engine, without torch; on a GPU, and for a user's own module, by torch. It does not know how the network was trained.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import FormatError, UsageError
from .formats import Arrays, Upgrade, check_path, read_tensors, upgrade, write_tensors
from .models.layers import Combinator
from .models.network import NetworkSpec, NetworkWeights
from .pictures.preprocess import Pixels, Preprocessing, adapt, plain_memory
from .pictures.views import Views, views_of
from .predictor import Logits, PicturePredictor

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from .engine.features import Features
    from .engine.session import Session
    from .models.torch_network import Watch

MODEL_FORMAT: Final = "eyesight-model"
MODEL_VERSION: Final = 2

_MAX_LAYERS = 4096  # more than any network has; building what a file claims beyond that would only take time
_HELD = 32  # bytes that torch holds in a network for each byte of a stored picture, about


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


class Classifier(PicturePredictor):
    """A network, its `InferenceSpec` and its class names.

    Attributes:
        inference: what lies between a picture and its probabilities.
        classes: (K,) names.
        training: where the weights came from, if known.
        device: where it computes: "cpu", "cuda", …
        threads: of the CPU, that compute; None for as many as this process may use.
        checksum: SHA-256 of the file it was loaded from or saved to, else None.
    """

    def __init__(
        self,
        network: nn.Module | NetworkWeights,
        inference: InferenceSpec,
        classes: Sequence[str],
        *,
        training: Training | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.device, self.threads = str(device), threads
        self.inference = inference
        self.classes = tuple(classes)
        self.training = training
        self.checksum: str | None = None
        self._stored: NetworkWeights | None = None
        self._module: nn.Module | None = None
        self._engine: tuple[Session, Watch | None, InferenceSpec] | None = None
        if isinstance(network, NetworkWeights):
            self._stored = network
        else:
            self.network = network

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_engine": None}  # it can be made again, and does not fit in a pickle

    @property
    def network(self) -> nn.Module:
        """The torch module that maps (N, C, H, W) to logits (N, K); in evaluation mode, on `device`."""
        if self._module is None:
            from .models.torch_network import build_network

            assert self._stored is not None  # it has the one or the other
            self._module, self._stored = build_network(self._stored).to(self.device).eval(), None
        return self._module

    @network.setter
    def network(self, network: nn.Module) -> None:
        self._module, self._stored, self._engine = network.to(self.device).eval(), None, None

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the pixels that the network takes."""
        return self.inference.preprocessing

    @property
    def spec(self) -> NetworkSpec | OpaqueSpec:
        """The network as data; opaque for a user's own module."""
        if self._stored is not None:
            return self._stored.spec
        spec = getattr(self.network, "spec", None)
        return spec if isinstance(spec, NetworkSpec) else OpaqueSpec(name=class_path(self.network))

    def logits(self, pictures: Pixels) -> Logits:
        """Return float32 logits (N, K), divided by the temperature.

        On a CPU a network of ours becomes an ONNX graph at the first call, and again after a part of it was replaced or
        torch has counted a change of its weights; changes through `parameter.data` are not counted.

        Args:
            pictures: uint8 (N, H, W, C) of the stored size.
        """
        self.check_pictures(pictures)
        session = self._session()
        return session.run(pictures) if session else self._torch_logits(pictures)

    def _session(self) -> Session | None:
        """Return the engine at work on the network as it is now; None where torch computes."""
        inference = self.inference
        if self._engine is not None:
            session, watch, made_for = self._engine
            same = made_for is inference and session.threads == self.threads
            if same and (watch is None or watch.unchanged(self.network)):
                return session
        weights, watch = self._stored, None
        if weights is None:
            if self.device != "cpu" or isinstance(self.spec, OpaqueSpec):
                return None
            from .models.torch_network import Watch, network_weights

            weights, watch = network_weights(self.network), Watch(self.network)
            if weights is None:
                return None
        from .engine.graph import bytes_per_picture
        from .engine.session import Session

        held = bytes_per_picture(weights.spec, inference.views)
        self._engine = Session(self._graph(weights), bytes_per_picture=held, threads=self.threads), watch, inference
        return self._engine[0]

    def _graph(self, weights: NetworkWeights) -> onnx.ModelProto:
        from .engine.graph import build_graph

        return build_graph(
            weights.spec,
            weights.arrays,
            self.inference.preprocessing,
            views=self.inference.views,
            temperature=self.inference.temperature,
        )

    def graph(self) -> onnx.ModelProto:
        """Return what computes the logits on a CPU as ONNX: `pictures` uint8 (N, H, W, C) to `logits` float32 (N, K).

        Raises:
            UsageError: it is a user's own module, or a part of it was replaced.
        """
        return self._graph(self.weights())

    def features(self) -> Features:
        """Return the network as it is now without its last dense layer, to make features (N, F) of stored pictures.

        >>> classifier.features().of(pictures)  # doctest: +SKIP

        Raises:
            UsageError: it is a user's own module, or a part of it was replaced.
        """
        from .engine.features import Features

        return Features(self.weights(), self.inference.preprocessing, threads=self.threads)

    def weights(self) -> NetworkWeights:
        """Return the network as it is now, as data.

        Raises:
            UsageError: it is a user's own module, or a part of it was replaced.
        """
        weights = self._stored
        if weights is None:
            from .models.torch_network import network_weights

            weights = network_weights(self.network)
        if weights is None:
            raise UsageError(f"{self.spec.name}: its layers are not known, only its own code knows them")
        return weights

    def _torch_logits(self, pictures: Pixels) -> Logits:
        """Return the logits that torch computes."""
        import torch

        from . import device as _  # noqa: F401 # which looks after torch's threads where a process is forked

        preprocessing = self.inference.preprocessing
        out = np.empty((len(pictures), len(self.classes)), np.float32)
        opaque, size = isinstance(self.spec, OpaqueSpec), self.pictures_at_once(_HELD)
        with torch.inference_mode():
            for start in range(0, len(pictures), size):
                # a copy, as torch takes neither read-only nor reversed views, and computes in another order with the
                # stride that `picture[None]` has
                batch = torch.from_numpy(_padded(np.array(pictures[start : start + size], order="C")))
                images = adapt(batch.to(self.device), preprocessing, torch.float32)
                # a user's module may call `view`, which needs plain memory; ours are fastest in channels_last
                result = torch.zeros((), device=self.device)
                for weight, view in views_of(images, self.inference.views):
                    result = result + weight * self.network(plain_memory(view) if opaque else view).float()
                if result.shape != (len(batch), len(self.classes)):
                    expected, received = (len(batch), len(self.classes)), tuple(result.shape)
                    raise UsageError(f"{self.spec.name}: expected logits of shape {expected}; received: {received}")
                logits = (result / self.inference.temperature).cpu().numpy()
                out[start : start + size] = logits[: len(pictures) - start]
        return out

    def save(self, path: str | Path) -> str:
        """Write the classifier to one `.safetensors` file, atomically; return the file's checksum."""
        check_path(path, "path")
        description = ModelDescription(
            format=MODEL_FORMAT,
            version=MODEL_VERSION,
            network=self.spec,
            classes=self.classes,
            inference=self.inference,
            training=self.training,
        )
        self.checksum = write_tensors(Path(path), self._arrays(), description.model_dump(mode="json"))
        return self.checksum

    def _arrays(self) -> Arrays:
        if self._stored is not None:
            return self._stored.arrays
        from .models.torch_network import to_arrays

        return to_arrays(self.network)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        module: nn.Module | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> Classifier:
        """Read a classifier from its file. Nothing in the file is ever executed.

        Args:
            path: the `.safetensors` file.
            module: for a network of the user's own: an instance of the same class, which is copied.
            device: where it computes.
            threads: of the CPU, that compute; None for as many as this process may use.

        Raises:
            FormatError: not a model file, cut off, altered, newer, or not consistent with itself.
            UsageError: the file holds a user's own network, and no `module` or one that does not fit was given.
        """
        check_path(path, "path")
        path = Path(path)
        arrays, description, checksum = read_tensors(path)
        description = upgrade(description, path, name=MODEL_FORMAT, version=MODEL_VERSION, upgrades=_UPGRADES)
        parsed = parse_description(description, path)
        network: nn.Module | NetworkWeights
        if isinstance(parsed.network, NetworkSpec):
            network = NetworkWeights(parsed.network, arrays)
            network.check(str(path), size=path.stat().st_size)
        else:
            network = _filled_module(parsed, arrays, path, module)
        classifier = cls(
            network, parsed.inference, parsed.classes, training=parsed.training, device=device, threads=threads
        )
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
        message = first["msg"].partition(" of the expected tags")[0]  # a list of all layer types would be no line
        raise FormatError(f"{path}: wrong entry in its description: {place}: {message}") from None
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


def _count(tree: Combinator) -> int:
    """Return the number of layers in a tree, those that are made of others not counted."""
    return sum(_count(layer) if isinstance(layer, Combinator) else 1 for _, layer in tree.children)


def _filled_module(parsed: ModelDescription, arrays: Arrays, path: Path, module: nn.Module | None) -> nn.Module:
    """Return a copy of a user's module with the weights of a file."""
    from .models.torch_network import check_user_module, load_arrays

    if module is None:
        raise UsageError(
            f"{path}: its network is {parsed.network.name}, not eyesight's; "
            "load it from Python, with an instance as module="
        )
    module = copy.deepcopy(module)
    check_user_module(module, shape=parsed.inference.preprocessing.shape, classes=len(parsed.classes))
    load_arrays(module, arrays, path)  # which may be infinite on purpose, as in a mask
    return module


def class_path(module: nn.Module) -> str:
    """Return "package.module.Class" of a module."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _padded(pictures: Pixels) -> Pixels:
    """Return pictures with the last one repeated up to one of few numbers of them, at most an eighth more.

    For every size of batch torch keeps what it has prepared: 256 sizes of a small network hold 0.5 GB.
    """
    step = 1 << max(0, (len(pictures) - 1).bit_length() - 4)
    more = -len(pictures) % step
    return np.concatenate([pictures, np.repeat(pictures[-1:], more, axis=0)]) if more else pictures
