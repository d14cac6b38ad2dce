"""The lessons by name, in reading order.

In: a topic's name. Out: its line in the list, and its function. Nothing is loaded before a lesson is asked for.
"""

from __future__ import annotations

from ..errors import UnknownNameError, nearest_name
from ..registry import Registry

_TOPICS = {
    "picture": ("pictures:picture", "a picture is numbers: grey from 0 to 255, colour as three matrices"),
    "parameters": ("pictures:parameters", "what a dense and a convolutional layer need for a picture, counted"),
    "convolution": ("step_by_step:convolution", "a kernel slides over a picture: the feature map, cell by cell"),
    "output-size": ("step_by_step:output_size", "how large the feature map is: kernel, padding, stride"),
    "padding": ("padding:padding", "what stands around a picture, and what that does to its edges"),
    "relu": ("outputs:relu", "what is below zero becomes zero"),
    "pooling": ("pooling:pooling", "max and average pooling, cell by cell"),
    "shift": ("pooling:shift", "pooling makes small movements matter less: a picture moves"),
    "flatten": ("outputs:flatten", "from feature maps to a row of numbers"),
    "batch": ("batch:batch", "the fourth dimension: several pictures at once"),
    "softmax": ("outputs:softmax", "logits become probabilities, and argmax the answer"),
    "channels": ("channels:channels", 'the whole way with numbers, from three channels to "dog" or "no dog"'),
    "network": ("network:network", "a whole network as a picture: its layers, sizes and parameters"),
    "architectures": ("architectures:architectures", "what LeNet, AlexNet, VGG, ResNet and their heirs brought"),
    "dropout": ("dropout:dropout", "learning by heart, and neurons left out against it"),
    "filters": ("filters:filters", "the first filters before and after training"),
    "position": ("position:position", "an object moved, turned, cropped, with noise: what is it taken for?"),
    "layers": ("layers:layers", "what the layers of a trained network learn: filters, feature maps, shapes"),
}
SYNONYMS = {
    "activation": "relu",
    "alexnet": "architectures",
    "architecture": "architectures",
    "argmax": "softmax",
    "average-pooling": "pooling",
    "cnn": "network",
    "colour": "picture",
    "convolve": "convolution",
    "crop": "position",
    "dense": "parameters",
    "diagram": "network",
    "dimensions": "batch",
    "efficientnet": "architectures",
    "edges": "padding",
    "feature-maps": "layers",
    "features": "layers",
    "grey": "picture",
    "invariance": "position",
    "kernel": "convolution",
    "learning": "filters",
    "lenet": "architectures",
    "logits": "softmax",
    "max-pooling": "pooling",
    "minibatch": "batch",
    "mobilenet": "architectures",
    "noise": "position",
    "overfitting": "dropout",
    "pixels": "picture",
    "probabilities": "softmax",
    "regularisation": "dropout",
    "regularization": "dropout",
    "residual": "architectures",
    "resnet": "architectures",
    "rgb": "channels",
    "rotation": "position",
    "same": "padding",
    "shape": "output-size",
    "size": "output-size",
    "stride": "output-size",
    "translation": "shift",
    "valid": "padding",
    "vgg": "architectures",
    "visualization": "layers",
    "weights": "filters",
    "zero-padding": "padding",
}
LESSONS = Registry("lesson", {name: f"eyesight.lessons.{target}" for name, (target, _) in _TOPICS.items()})
LINES = {name: line for name, (_, line) in _TOPICS.items()}


def find_topic(name: str, *others: str) -> str:
    """Return the topic of a name or of one of its synonyms; an unknown one is refused with the nearest.

    Args:
        name: what was asked for.
        others: what could have been asked for too.
    """
    topic = SYNONYMS.get(name, name)
    if topic not in LESSONS:
        names = [*LESSONS, *others]
        raise UnknownNameError("lesson", name, [*names, *SYNONYMS] if nearest_name(name, SYNONYMS) else names)
    return topic
