"""A network's layers as the parts of a diagram.

In: a `NetworkSpec`. Out: `Part`s, each a layer with what follows it number by number, `Joint`s where two ways are added
up, and `Row`s, each a stage or as many equal blocks as follow each other. It knows no size on paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..elementwise import Activation, BatchNorm, Dropout, Scale
from ..layer import Layer, Shape
from ..layers import Chain, Combinator, Conv, Linear, Pad, Residual, Whitening
from ..network import NetworkSpec

ELEMENTWISE = (Activation, BatchNorm, Dropout, Scale)


@dataclass(frozen=True)
class Part:
    """A layer, with activation, normalisation and dropout after it.

    Attributes:
        layer: itself.
        after: the layers that follow it and leave the shape as it is.
        paths: of all of these in the network.
        given, out: shapes that go in and come out.
        times: how many equal ones follow each other.
    """

    layer: Layer
    after: tuple[Layer, ...]
    paths: tuple[str, ...]
    given: Shape
    out: Shape
    times: int = 1

    @property
    def title(self) -> str:
        """What it is: "conv 3×3"."""
        many = f"{self.times} × " if self.times > 1 else ""
        return many + name_layer(self.layer, self.given)

    @property
    def detail(self) -> str:
        """How many channels come out, and what is not usual."""
        layer, words = self.layer, []
        if isinstance(layer, Conv | Whitening):
            words.append(f"{self.out[0]:,} channels")
            if layer.stride > 1:
                words.append(f"stride {layer.stride}")
        return ", ".join(words)

    @property
    def parameters(self) -> int:
        """Of all of them; after the first, each gets what the one before gives."""
        follow = sum(layer.parameters(self.out) for layer in self.after)
        first, others = self.layer.parameters(self.given), self.times - 1
        return first + (others * self.layer.parameters(self.out) if others else 0) + self.times * follow

    @property
    def follow(self) -> str:
        """What comes after it, in words."""
        return ", ".join(layer.describe() for layer in self.after)


@dataclass(frozen=True)
class Joint:
    """Two ways whose results are added up; an empty shortcut is what came in."""

    branch: tuple[Item, ...]
    shortcut: tuple[Item, ...]
    paths: tuple[str, ...]


Item = Part | Joint


@dataclass(frozen=True)
class Row:
    """A stage of a network, or a block as often as it is repeated.

    Attributes:
        name: of the stage.
        blocks: of the blocks in it, "" for a whole stage.
        items: of the stage, or of one block.
        times: how many equal blocks.
        given, out: shapes that go in and come out.
        parameters: of all of them.
        paths: of all layers.
    """

    name: str
    blocks: str
    items: tuple[Item, ...]
    times: int
    given: Shape
    out: Shape
    parameters: int
    paths: tuple[str, ...]


def name_layer(layer: Layer, given: Shape) -> str:
    """Return a layer's kind and window: "depthwise 3×3", "dense 64"."""
    if isinstance(layer, Conv):
        kind = "depthwise" if layer.groups == given[0] > 1 else f"conv in {layer.groups} groups" * (layer.groups > 1)
        return f"{kind or 'conv'} {layer.kernel}×{layer.kernel}"
    if isinstance(layer, Linear):
        return f"dense {layer.out:,}"
    if isinstance(layer, Whitening):
        return f"whitening {layer.kernel}×{layer.kernel}"
    # a description says "2x2"; `same` of a pooling shows in the sizes
    text = layer.describe() if isinstance(layer, Pad) else layer.describe().replace(" same", "")
    return "×".join(text.rsplit("x", 1)) if "pool" in text and text.rsplit("x", 1)[-1][:1].isdigit() else text


def parts(chain: Chain, shape: Shape, prefix: str = "") -> tuple[Item, ...]:
    """Return the parts of a chain in order, chains within it included; equal ones that follow each other are one.

    Args:
        chain: layers.
        shape: that reaches them.
        prefix: of their paths.
    """
    found: list[Item] = []
    for name, layer, given in chain.inputs(shape):
        path = f"{prefix}{name}"
        if isinstance(layer, Residual):
            found.append(_joint(layer, given, path))
        elif isinstance(layer, Chain):
            found += parts(layer, given, f"{path}.")
        elif isinstance(layer, ELEMENTWISE) and found and isinstance(last := found[-1], Part):
            found[-1] = replace(last, after=(*last.after, layer), paths=(*last.paths, path))
        else:
            found.append(Part(layer, (), (path,), given, layer.output_shape(given)))
    return tuple(_merge(found))


def _joint(layer: Residual, given: Shape, path: str) -> Joint:
    branch = parts(layer.branch, given, f"{path}.branch.")
    shortcut = parts(layer.shortcut, given, f"{path}.shortcut.")
    return Joint(branch, shortcut, (f"{path}.sum",))


def _merge(items: Sequence[Item]) -> list[Item]:
    """Put equal layers that follow each other into one part, where the picture's size stays."""
    merged: list[Item] = []
    for item in items:
        last = merged[-1] if merged else None
        if (
            isinstance(item, Part)
            and isinstance(last, Part)
            and isinstance(item.layer, Conv)
            and (item.layer, item.after, item.out) == (last.layer, last.after, last.out)
        ):
            merged[-1] = replace(last, paths=last.paths + item.paths, times=last.times + 1)
        else:
            merged.append(item)
    return merged


def all_paths(items: Sequence[Item]) -> tuple[str, ...]:
    """Return the paths of all layers in these items."""
    found: list[str] = []
    for item in items:
        if isinstance(item, Joint):
            found += all_paths(item.branch) + all_paths(item.shortcut)
        found += item.paths
    return tuple(found)


def rows(spec: NetworkSpec) -> tuple[Row, ...]:
    """Return a network as rows: a stage each, or one for each run of equal blocks in it; then the head."""
    found: list[Row] = []
    for loose, children in groupby(
        spec.features.inputs(spec.input), key=lambda child: not isinstance(child[1], Combinator)
    ):
        stages = list(children)
        if loose:
            layers = Chain(layers=tuple((name, layer) for name, layer, _ in stages))  # type: ignore[misc]
            found.append(_row("features", "", [("", layers)], stages[0][2], "features."))
            continue
        for name, stage, shape in stages:
            found += _stage(name, stage, shape)
    return (*found, _row("head", "", [("", spec.head)], spec.features.output_shape(spec.input), "head."))


def _stage(name: str, stage: Layer, shape: Shape) -> list[Row]:
    prefix = f"features.{name}."
    if isinstance(stage, Residual):
        whole = Chain(layers=((name, stage),))
        return [_row(name, "", [("", whole)], shape, "features.")]
    assert isinstance(stage, Chain)
    blocks = stage.inputs(shape)
    if len(blocks) < 2 or not all(isinstance(block, Combinator) for _, block, _ in blocks):
        return [_row(name, "", [("", stage)], shape, prefix)]
    found = []
    for _, run in groupby(blocks, key=lambda block: block[1]):
        equal = list(run)
        names = equal[0][0] if len(equal) == 1 else f"{equal[0][0]} – {equal[-1][0]}"
        found.append(_row(name, names, [(block, layer) for block, layer, _ in equal], equal[0][2], prefix))
    return found


def _row(name: str, blocks: str, layers: Sequence[tuple[str, Layer]], given: Shape, prefix: str) -> Row:
    """Return the row of equal layers that follow each other."""
    items: tuple[Item, ...] = ()
    paths: list[str] = []
    parameters, shape = 0, given
    for own, layer in layers:
        if isinstance(layer, Residual):
            now: tuple[Item, ...] = (_joint(layer, shape, f"{prefix}{own}"),)
        else:
            assert isinstance(layer, Chain)
            now = parts(layer, shape, f"{prefix}{own}." if own else prefix)
        items = items or now
        paths += all_paths(now)
        parameters += layer.parameters(shape)
        shape = layer.output_shape(shape)
    return Row(name, blocks, items, len(layers), given, shape, parameters, tuple(paths))
