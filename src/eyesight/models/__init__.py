"""Networks by name, as trees of layers that a file can hold and a program can walk."""

from __future__ import annotations

from pydantic import ValidationError

from ..errors import UsageError
from ..registry import Registry
from .network import NetworkSpec

_WHITENED_SIDES = 8, 96  # pixels of the shorter side: what the whitened networks are made for
PHOTO_NETWORKS = (  # smaller pictures leave them single places; resnet20 and the small- ones are their forms for those
    "alexnet", "vgg16", "resnet18", "resnet34", "resnet50", "mobilenet-v2",
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2",
)  # fmt: skip

NETWORKS = Registry(
    "network",
    {
        "lenet5": "eyesight.models.families.tutorial:lenet5",
        "small-cnn": "eyesight.models.families.tutorial:small_cnn",
        "small-cnn-same": "eyesight.models.families.tutorial:small_cnn_same",
        "small-cnn-3pool": "eyesight.models.families.tutorial:small_cnn_3pool",
        "small-cnn-1pool": "eyesight.models.families.tutorial:small_cnn_1pool",
        "mlp": "eyesight.models.families.tutorial:mlp",
        "whitened-16-32-32": "eyesight.models.families.whitened:whitened_16_32_32",
        "whitened-32-64-64": "eyesight.models.families.whitened:whitened_32_64_64",
        "whitened-32-64-64-s2": "eyesight.models.families.whitened:whitened_32_64_64_s2",
        "whitened-64-128-128": "eyesight.models.families.whitened:whitened_64_128_128",
        "whitened-64-256-256": "eyesight.models.families.whitened:whitened_64_256_256",
        "whitened-128-384-384": "eyesight.models.families.whitened:whitened_128_384_384",
        "efficientnet-lite0": "eyesight.models.families.efficientnet_lite:efficientnet_lite0",
        "efficientnet-lite1": "eyesight.models.families.efficientnet_lite:efficientnet_lite1",
        "efficientnet-lite2": "eyesight.models.families.efficientnet_lite:efficientnet_lite2",
        "alexnet": "eyesight.models.families.alexnet:alexnet",
        "vgg16": "eyesight.models.families.vgg:vgg16",
        "resnet18": "eyesight.models.families.resnet:resnet18",
        "resnet34": "eyesight.models.families.resnet:resnet34",
        "resnet50": "eyesight.models.families.resnet:resnet50",
        "resnet20": "eyesight.models.families.resnet:resnet20",
        "mobilenet-v2": "eyesight.models.families.mobilenet_v2:mobilenet_v2",
        "small-alexnet": "eyesight.models.families.alexnet:small_alexnet",
        "small-vgg": "eyesight.models.families.vgg:small_vgg",
        "small-mobilenet-v2": "eyesight.models.families.mobilenet_v2:small_mobilenet_v2",
    },
    group="eyesight.models",
)


def network_spec(name: str, *, shape: tuple[int, int, int], classes: int) -> NetworkSpec:
    """Describe the network of a given name for pictures of a given size.

    Args:
        name: one of `NETWORKS`.
        shape: (H, W, C) of the pictures.
        classes: number of classes, K.

    Raises:
        UnknownNameError: no network of that name.
        UsageError: the pictures are too small for it, or the sizes are not sizes.
    """
    make = NETWORKS.load(name)
    if len(shape) != 3:
        raise UsageError(f"{name}: expected pictures of (height, width, channels); received: {shape}")
    height, width, channels = shape
    try:
        spec: NetworkSpec = make((channels, height, width), classes)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].replace("Input should", "a size should")
        raise UsageError(f"{name}: cannot take pictures of {shape} and {classes} classes: {reason}") from None
    spec.check_size()
    return spec


def usual_input(name: str) -> tuple[tuple[int, int, int], int]:
    """Return the pictures (H, W, C) and the number of classes that a network is best known with."""
    if name in PHOTO_NETWORKS:
        return (224, 224, 3), 1000
    return ((28, 28, 1) if name == "lenet5" else (32, 32, 3)), 10


def default_network(shape: tuple[int, int, int]) -> str:
    """Return the network for pictures of this size (H, W, C) when none is named."""
    smallest, largest = _WHITENED_SIDES
    return "whitened-32-64-64" if smallest <= min(shape[:2]) <= largest else plain_network(shape)


def plain_network(shape: tuple[int, int, int]) -> str:
    """Return the network of convolutions, pooling and dense layers alone for pictures of this size (H, W, C).

    Below 16 pixels a second pooling layer would leave next to nothing to look at, so such pictures get one.
    """
    return "small-cnn-1pool" if min(shape[:2]) < 16 else "small-cnn-same"
