"""The lesson on a whole network: its diagram, what each kind of layer does, and where parameters and work lie.

In: a `NetworkSpec`. Out: a `Lesson`. It needs no weights and no picture.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..models import network_spec, usual_input
from ..models.diagram import diagram
from ..models.diagram.lines import stack_lines
from ..models.diagram.shapes import by
from ..models.elementwise import Activation, BatchNorm, Dropout, Scale
from ..models.layer import Layer, Shape
from ..models.layers import Conv, Flatten, Linear, Pad, Sum, Whitening
from ..models.network import NetworkSpec, leaves
from ..models.pooling import AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from ..report.document import Diagram, Lesson, Only, Table, Words, card

_POOLS = (MaxPool, AdaptiveAveragePool, GlobalAveragePool, GlobalMaxPool)
_KEY = (
    "Blue: what convolutions made. Grey: pooling and padding. Orange: neurons of dense layers, and windows: what lies "
    "in one makes one number of the next map."
)
_KINDS = {  # in the order in which they are explained
    "convolution": "a small window of weights slides over all channels. Each filter makes one feature map, which shows "
    "where in the picture it answers.",
    "depthwise convolution": "each channel has one filter of its own. That takes few weights; 1×1 convolutions before "
    "and after it mix the channels.",
    "whitening": "a convolution whose filters are computed from the training pictures, so that neighbouring pixels no "
    "longer say the same.",
    "padding": "zeros around the picture, so that a window can stand at its edge.",
    "activation": "one function for every number, such as ReLU, which makes zero of what is below zero. Without it, "
    "many layers would be no more than one.",
    "batch normalisation": "each channel is brought to mean 0 and deviation 1, and then learns its own.",
    "pooling": "of each window the largest number or the mean is kept. The maps become smaller, and small movements "
    "matter less.",
    "addition": "what came in is added to what the layers made of it. They learn only what to change, so that a "
    "network can have very many.",
    "flatten": "the maps are laid out as one row of numbers.",
    "dropout": "in training a random share of the numbers is left out, so that none is relied on too much.",
    "scale": "all numbers times a constant.",
    "dense": "every number that comes out hangs on every number that goes in. The last layer gives one number for each "
    "class, the logit; softmax makes probabilities of them.",
}


def network(*, spec: NetworkSpec | None = None, classes: Sequence[str] = ()) -> Lesson:
    """Show a network as a diagram, and say what its layers are for.

    Args:
        spec: the network; LeNet-5 where not given.
        classes: names of its classes, where it has been trained.
    """
    if spec is None:
        shape, count = usual_input("lenet5")
        spec = network_spec("lenet5", shape=shape, classes=count)
    found = [(_kind(layer, shape), layer, shape) for _, layer, shape in leaves(spec.whole, spec.input)]
    kinds = [kind for kind in _KINDS if any(own == kind for own, _, _ in found)]
    convolves = any(kind in kinds for kind in ("convolution", "depthwise convolution"))
    intro = "Read it from the picture on: each step takes what the one before gives, and makes new numbers of it. "
    if convolves:
        intro += (
            "On the way the feature maps become smaller and more: first many places that say little each, such as "
            "edges, in the end few places that say much. The last layers make the answer of that."
        )
    return Lesson(
        "network",
        f"How {spec.name} works, from the picture to {spec.classes:,} {'class' if spec.classes == 1 else 'classes'}",
        (
            Words(intro.strip()),
            Only("sheet", Words(_KEY)),
            Diagram(diagram(spec, classes=classes), stack_lines(spec)),
            card("What each kind of layer does", *(Words(f"{kind.capitalize()}: {_KINDS[kind]}") for kind in kinds)),
            card("Where parameters and work lie", _shares(found, kinds)),
            Words(_total(spec), "result"),
        ),
    )


def _kind(layer: Layer, shape: Shape) -> str:
    """Return what a layer is called in the explanation."""
    if isinstance(layer, Conv):
        return "depthwise convolution" if layer.groups == shape[0] > 1 else "convolution"
    if isinstance(layer, _POOLS):
        return "pooling"
    names: dict[type[Layer], str] = {
        Whitening: "whitening", Pad: "padding", Activation: "activation", BatchNorm: "batch normalisation",
        Sum: "addition", Flatten: "flatten", Dropout: "dropout", Scale: "scale", Linear: "dense",
    }  # fmt: skip
    return names[type(layer)]


def _shares(found: Sequence[tuple[str, Layer, Shape]], kinds: Sequence[str]) -> Table:
    """Count layers, parameters and operations of each kind."""
    rows = []
    parameters, flops = (max(1, sum(values)) for values in zip(*map(_cost, found), strict=True))
    for kind in kinds:
        own = [entry for entry in found if entry[0] == kind]
        weights, work = (sum(values) for values in zip(*map(_cost, own), strict=True))
        rows.append((kind, f"{len(own)}", f"{weights:,}", _share(weights, parameters), _share(work, flops)))
    return Table(("kind", "layers", "parameters", "of all", "of the operations"), tuple(rows))


def _cost(entry: tuple[str, Layer, Shape]) -> tuple[int, int]:
    _, layer, shape = entry
    return layer.parameters(shape), layer.flops(shape)


def _share(part: int, whole: int) -> str:
    """Write a part in per cent.

    >>> _share(1, 3), _share(0, 3), _share(1, 100_000)
    ('33 %', '–', 'below 0.1 %')
    """
    percent = 100 * part / whole
    return "–" if not part else "below 0.1 %" if percent < 0.1 else f"{percent:.{1 if percent < 10 else 0}f} %"


def _total(spec: NetworkSpec) -> str:
    between = by(spec.features.output_shape(spec.input))
    return (
        f"{by(spec.input)} → {between} → {spec.classes:,}: {spec.parameters():,} parameters, "
        f"{amount(spec.multiply_adds())} multiply-adds a picture."
    )


def amount(count: int) -> str:
    """Write a large number in words.

    >>> amount(416_520), amount(4_089_184_256), amount(12), amount(300_774_272)
    ('417 thousand', '4.09 billion', '12', '301 million')
    """
    for size, word in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if count >= size:
            return f"{count / size:.3g} {word}"
    return f"{count}"
