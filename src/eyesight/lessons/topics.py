"""The lessons by name, in reading order.

In: a topic's name. Out: its line in the list, and its function. Nothing is loaded before a lesson is asked for.
"""

from __future__ import annotations

from ..registry import Registry

_TOPICS = {
    "picture": ("pictures:picture", "a picture is numbers: grey from 0 to 255, colour as three matrices"),
    "parameters": ("pictures:parameters", "what a dense and a convolutional layer need for a picture, counted"),
    "convolution": ("step_by_step:convolution", "a kernel slides over a picture: the feature map, cell by cell"),
    "output-size": ("step_by_step:output_size", "how large the feature map is: kernel, padding, stride"),
    "relu": ("outputs:relu", "what is below zero becomes zero"),
    "pooling": ("pooling:pooling", "max and average pooling, cell by cell"),
    "shift": ("pooling:shift", "pooling makes small movements matter less: a picture moves"),
    "flatten": ("outputs:flatten", "from feature maps to a row of numbers"),
    "softmax": ("outputs:softmax", "logits become probabilities, and argmax the answer"),
    "channels": ("channels:channels", 'the whole way with numbers, from three channels to "dog" or "no dog"'),
    "network": ("network:network", "a whole network as a picture: its layers, sizes and parameters"),
    "architectures": ("architectures:architectures", "what LeNet, AlexNet, VGG, ResNet and their heirs brought"),
    "layers": ("layers:layers", "what the layers of a trained network learn: filters, feature maps, shapes"),
}
LESSONS = Registry("lesson", {name: f"eyesight.lessons.{target}" for name, (target, _) in _TOPICS.items()})
LINES = {name: line for name, (_, line) in _TOPICS.items()}
