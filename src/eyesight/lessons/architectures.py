"""The lesson on the well-known architectures: what each of them brought, with its block and its size.

In: the registered networks. Out: a `Lesson`. Every number of a network is counted in its tree.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..models import network_spec, usual_input
from ..models.diagram.blocks import block_drawing
from ..models.diagram.lines import items_line
from ..models.diagram.parts import Item, parts
from ..models.layers import Chain
from ..models.network import NetworkSpec
from ..report.document import Card, Diagram, Lesson, Only, Table, Words, card, line
from .network import amount

_ENLARGED = 1.3  # of the blocks, beside the larger text of a sheet


@dataclass(frozen=True)
class _Architecture:
    """One of them.

    Attributes:
        title, year: as it is known, and when it was published.
        name: in the registry; the first of `sizes` where it comes in several.
        block: path of what is drawn of it.
        about: the block, in words.
        ideas: what it brought, a sentence or two each.
        small: the form for pictures of about 32 pixels, "" where it is one itself.
        source: paper.
    """

    title: str
    year: int
    name: str
    block: str
    about: str
    ideas: tuple[str, ...]
    small: str
    source: str


_ALL = (
    _Architecture(
        "LeNet-5", 1998, "lenet5", "features.stage1", "A stage: convolution, activation, pooling.",
        (
            "It brought the convolutional network as it is still built: convolutions and pooling in turn, then dense "
            "layers, all of it learned from pictures, nothing designed by hand. It read the digits on cheques.",
            "Here it has ReLU and max pooling in place of tanh and averages, as in the tutorial.",
        ),
        "", "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86, 1998.",
    ),
    _Architecture(
        "AlexNet", 2012, "alexnet", "features.stage1", "The first stage: large filters, large steps.",
        (
            "It brought size. With sixty million parameters, trained on two GPUs, it won the ImageNet contest of 2012: "
            "in 15.3 % of the pictures none of its five guesses was right, against 26.2 % for the second.",
            "ReLU made that training fast enough; dropout and changed copies of the pictures kept it from learning "
            "them by heart. Its pooling windows overlap.",
        ),
        "small-alexnet", "Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural "
        "networks. NIPS 2012. The form without two halves: Krizhevsky, One weird trick, 2014.",
    ),
    _Architecture(
        "VGG-16", 2014, "vgg16", "features.stage3", "The third stage: small filters, one after the other.",
        (
            "It brought depth from one simple part: 3×3 convolutions only. Three in a row see 7×7 pixels, as one 7×7 "
            "convolution does, with 27 weights in place of 49 for each pair of channels, and three activations.",
            "The price: most of its parameters lie in the first dense layer, and it computes much.",
        ),
        "small-vgg", "Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition. "
        "ICLR 2015, arXiv 2014.",
    ),
    _Architecture(
        "ResNet-50", 2015, "resnet50", "features.stage1.block2",
        "A block: 1×1 narrows, 3×3 looks around, 1×1 widens; what came in is added.",
        (
            "It brought the shortcut. Plain networks became worse beyond some depth, on the training pictures too. "
            "Where each block only learns what to add to what came in, deeper ones became better, up to 152 layers.",
            "Batch normalisation after every convolution, and one mean for each channel in place of large dense "
            "layers. It won the ImageNet contest of 2015.",
        ),
        "resnet20", "He, Zhang, Ren, Sun: Deep residual learning for image recognition. CVPR 2016, arXiv 2015.",
    ),
    _Architecture(
        "MobileNetV2", 2018, "mobilenet-v2", "features.stage3.block2",
        "A block: 1×1 widens six times, each channel is convolved alone, 1×1 narrows.",
        (
            "It brought networks for telephones. A 3×3 convolution of 192 channels to 192 has 331,776 weights; one "
            "for each channel alone has 1,728, and 1×1 convolutions mix the channels.",
            "The block is a ResNet's turned round: wide inside, narrow outside, where the shortcut is. What is narrow "
            "has no activation after it, as that would lose what does not fit.",
        ),
        "small-mobilenet-v2", "Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear "
        "bottlenecks. CVPR 2018.",
    ),
    _Architecture(
        "EfficientNet-Lite0", 2020, "efficientnet-lite0", "features.stage3.block2",
        "A block: as in MobileNetV2, here with 5×5 windows.",
        (
            "EfficientNet (2019) brought a rule for size. The first network was found by a search; the others have "
            "more channels, more layers and larger pictures at once, in fixed proportion, which gains more than any of "
            "these alone.",
            "The Lite forms leave out what small machines compute slowly: squeeze-and-excitation, and swish, for which "
            "they have ReLU6.",
        ),
        "small-mobilenet-v2", "Tan, Le: EfficientNet: rethinking model scaling for convolutional neural networks. "
        "ICML 2019. Lite: Liu, TensorFlow blog, 2020.",
    ),
)  # fmt: skip


def architectures() -> Lesson:
    """Show the architectures in order of their years, with their numbers and blocks."""
    specs = {entry.name: _spec(entry.name) for entry in _ALL}
    return Lesson(
        "architectures",
        "What each architecture brought",
        (
            Words(
                "Twenty years of networks for pictures, each of which kept what the one before had found and changed "
                "one thing. Parameters are what is learned and stored; multiply-adds are the work for one picture."
            ),
            Table(
                ("network", "year", "pictures", "classes", "parameters", "multiply-adds"),
                tuple(_numbers(entry, specs[entry.name]) for entry in _ALL),
            ),
            line(*(_card(entry, specs[entry.name]) for entry in _ALL)),
            Words(_compare(specs), "result"),
            Words(
                "The small forms train on a laptop, side by side: eyesight study architectures cifar10. "
                "A whole network as a picture: eyesight lesson network --model resnet50."
            ),
        ),
    )


def _spec(name: str) -> NetworkSpec:
    shape, classes = usual_input(name)
    return network_spec(name, shape=shape, classes=classes)


def _numbers(entry: _Architecture, spec: NetworkSpec) -> tuple[str, ...]:
    channels, height, width = spec.input
    size = f"{height}×{width}×{channels}"
    return (
        entry.title, f"{entry.year}", size, f"{spec.classes:,}", f"{spec.parameters():,}", amount(spec.multiply_adds()),
    )  # fmt: skip


def _card(entry: _Architecture, spec: NetworkSpec) -> Card:
    items = _find(spec, entry.block)
    blocks = [Words(text) for text in entry.ideas]
    small = []
    if entry.small:
        form = network_spec(entry.small, shape=(32, 32, 3), classes=10)
        count = f"{form.parameters():,} parameters and {amount(form.multiply_adds())} multiply-adds"
        small.append(Words(f"For pictures of 32×32 there is {entry.small}, with {count}."))
    return card(
        f"{entry.year}: {entry.title}",
        *blocks,
        Only("sheet", Words(entry.about)),
        Diagram(block_drawing(items, entry.about), (entry.about, f"   {items_line(items)}"), scale=_ENLARGED),
        *small,
        Words(f"Source: {entry.source}"),
    )


def _find(spec: NetworkSpec, path: str) -> tuple[Item, ...]:
    """Return the parts at a path in a network."""
    chain, shape, prefix = spec.whole, tuple(spec.input), ""
    for name in path.split("."):
        layer, shape = next((layer, given) for own, layer, given in chain.inputs(shape) if own == name)
        prefix += f"{name}."
        chain = layer if isinstance(layer, Chain) else Chain.model_construct(layers=((name, layer),))
    return parts(chain, shape, prefix)


def _compare(specs: dict[str, NetworkSpec]) -> str:
    """Say in one sentence how far sizes have come down."""
    large, late = specs["vgg16"], specs["mobilenet-v2"]
    fewer, less = large.parameters() / late.parameters(), large.multiply_adds() / late.multiply_adds()
    return f"MobileNetV2 has {fewer:.0f} times fewer parameters than VGG-16, and computes {less:.0f} times less."
