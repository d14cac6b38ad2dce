"""The lessons by name, in reading order.

In: a topic's name. Out: its line in the list, and its function. Nothing is loaded before a lesson is asked for.
"""

from __future__ import annotations

from ..registry import Registry

LESSONS = Registry(
    "lesson",
    {
        "picture": "eyesight.lessons.pictures:picture",
        "parameters": "eyesight.lessons.pictures:parameters",
        "convolution": "eyesight.lessons.step_by_step:convolution",
        "output-size": "eyesight.lessons.step_by_step:output_size",
        "relu": "eyesight.lessons.outputs:relu",
        "pooling": "eyesight.lessons.pooling:pooling",
        "shift": "eyesight.lessons.pooling:shift",
        "flatten": "eyesight.lessons.outputs:flatten",
        "softmax": "eyesight.lessons.outputs:softmax",
        "channels": "eyesight.lessons.channels:channels",
        "layers": "eyesight.lessons.layers:layers",
    },
)

LINES = {
    "picture": "a picture is numbers: grey from 0 to 255, colour as three matrices",
    "parameters": "what a dense and a convolutional layer need for a picture, counted",
    "convolution": "a kernel slides over a picture: the feature map, cell by cell",
    "output-size": "how large the feature map is: kernel, padding, stride",
    "relu": "what is below zero becomes zero",
    "pooling": "max and average pooling, cell by cell",
    "shift": "pooling makes small movements matter less: a picture moves",
    "flatten": "from feature maps to a row of numbers",
    "softmax": "logits become probabilities, and argmax the answer",
    "channels": 'the whole way with numbers, from three channels to "dog" or "no dog"',
    "layers": "what the layers of a trained network learn: filters, feature maps, shapes",
}
