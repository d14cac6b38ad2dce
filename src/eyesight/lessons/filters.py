"""The lesson on learning: the filters of the first layer before and after training.

In: a classifier, and the first weights of the same network. Out: a `Lesson`. It does not train.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..errors import UsageError
from ..models.layers import Conv, Linear, Whitening
from ..models.network import NetworkSpec, leaves
from ..pictures.preprocess import Pixels
from ..report.document import Block, Floats, Grid, Lesson, Line, Only, Words, card, line
from .convolution import by, correlate
from .layers import draw_filter, shrink

_SHOWN, _IN_TERMINAL = 6, 3  # filters


def filters(
    *, classifier: Classifier, first: Mapping[str, np.ndarray[Any, Any]], picture: Pixels, source: str
) -> Lesson:
    """Show what training made of the filters that it began with.

    Args:
        classifier: with a network of eyesight's own layers.
        first: weights of the same network before training, by name.
        picture: uint8 (H, W, C) of the stored size.
        source: what the picture is, in words.

    Raises:
        UsageError: a network whose layers only its own code knows.
    """
    before, after, path = _weights(classifier, first)
    alike = correlations(before, after)
    order = np.argsort(alike, kind="stable")
    most = sorted(order[:_SHOWN].tolist())
    name = classifier.spec.name
    return Lesson(
        "filters",
        f"Filters before and after training: {name}",
        (
            Words(
                "A filter begins as random numbers. After every batch, training moves each number a little, in the "
                "direction that makes the mistakes smaller. What comes out answers to what helps to tell the classes "
                "apart: edges, strokes, blobs, colours."
            ),
            Words(
                f"Layer {path}: {len(before)} filters of {by(before.shape[1:])} numbers (channels, rows, columns). "
                "Orange is above zero, blue below. Those that have changed most are shown."
            ),
            Only("sheet", Line(tuple(_pair(before[k], after[k], k, alike[k]) for k in most))),
            Only("terminal", Line(tuple(_pair(before[k], after[k], k, alike[k]) for k in most[:_IN_TERMINAL]))),
            Words(_figures(alike, before, after), "result"),
            Words(
                "Correlation is 1 for a filter that has kept its pattern and 0 for one that has nothing left of it. In "
                "a short training most filters stay near where they began, and the later layers learn to use what is "
                "there; a long one finds its own."
            ),
            *_maps(before, after, most, picture, source),
        ),
    )


def _weights(classifier: Classifier, first: Mapping[str, np.ndarray[Any, Any]]) -> tuple[Floats, Floats, str]:
    """Return the learned filters (F, C, h, w) before and after, and the path of their layer."""
    spec = classifier.spec
    if not isinstance(spec, NetworkSpec):
        raise UsageError(f"its network is {spec.name}, whose layers only its own code knows", field="model")
    for path, layer, shape in leaves(spec.whole, spec.input):
        if isinstance(layer, Whitening) or not isinstance(layer, Conv | Linear):
            continue
        name = f"{path}.weight"
        after = np.asarray(classifier.weights().arrays[name], np.float64)
        before = np.asarray(first[name], np.float64)
        if isinstance(layer, Linear):
            if shape != (int(np.prod(spec.input)),):
                break  # its inputs are no pixels: there is nothing to see
            before, after = (w.reshape(len(w), *spec.input) for w in (before, after))
        return before, after, path
    raise UsageError(f"{spec.name} has no filters that look at pictures", field="model")


def correlations(before: Floats, after: Floats) -> Floats:
    """Return (F,) how alike the filters (F, …) are, from -1 to 1: the cosine between their numbers.

    >>> correlations(np.array([[1.0, 2.0]]), np.array([[2.0, 4.0]])).round(3).tolist()
    [1.0]
    """
    a, b = before.reshape(len(before), -1), after.reshape(len(after), -1)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1.0), np.float64)


def _pair(before: Floats, after: Floats, index: int, alike: float) -> Block:
    grids = (
        shrink(draw_filter(before, index, title=f"#{index} before")),
        shrink(draw_filter(after, index, title="after")),
    )
    return card(f"filter {index}: correlation {alike:.2f}", line(grids[0], "→", grids[1]))


def _figures(alike: Floats, before: Floats, after: Floats) -> str:
    moved = float(np.linalg.norm(after - before) / np.linalg.norm(before))
    return (
        f"Correlation with its beginning: median {np.median(alike):.2f}, from {alike.min():.2f} to {alike.max():.2f}; "
        f"the numbers moved by {moved:.0%} of their size."
    )


def _maps(before: Floats, after: Floats, shown: list[int], picture: Pixels, source: str) -> list[Block]:
    """Draw what the filters make of the first channel of a picture, before and after."""
    plane = picture[..., 0].astype(np.float64)
    if min(plane.shape) < max(before.shape[2:]):
        return []
    rows = []
    for title, weights in (("before", before), ("after", after)):
        maps = [
            shrink(Grid(correlate(plane, weights[k, 0]), f"#{k} {title}", shade="signed", numbers=False, size=1.2))
            for k in shown
        ]
        rows.append(Only("sheet", Line(tuple(maps))))
        rows.append(Only("terminal", Line(tuple(maps[:_IN_TERMINAL]))))
    return [Words(f"Their answers to one picture ({source}; its first channel):"), *rows]
