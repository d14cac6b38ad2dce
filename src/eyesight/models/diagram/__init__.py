"""A picture of any network that is a tree of layers.

In: a `NetworkSpec`. Out: a `Drawing`: stacks of feature maps for a short chain of layers, as in the paper of LeNet, and
else a row for each stage or run of equal blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...report.vector import Drawing
from ..network import NetworkSpec
from .maps import draw_maps
from .parts import Part, parts
from .rows import draw_rows

_WIDEST = 17.0  # inches; wider ones get rows


def diagram(spec: NetworkSpec, *, classes: Sequence[str] = ()) -> Drawing:
    """Draw a network.

    Args:
        spec: the network.
        classes: their names, for the last layer; shown where there are few.

    >>> from eyesight.models import network_spec
    >>> diagram(network_spec("lenet5", shape=(28, 28, 1), classes=10)).title
    'lenet5: 28×28×1 → 10 classes, 61,706 parameters'
    """
    items = parts(spec.whole, spec.input)
    chain = [item for item in items if isinstance(item, Part)]
    if len(chain) == len(items):
        drawing = draw_maps(spec, chain, classes)
        if drawing.width <= _WIDEST:
            return drawing
    return draw_rows(spec)
