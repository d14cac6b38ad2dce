"""The lesson on a trained network: its first filters, and a picture after every layer.

In: a classifier and a picture. Out: a `Lesson`. It does not train, and it does not know where the classifier came from.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from ..classifier import Classifier
from ..errors import UsageError
from ..explain.capture import Stage, capture
from ..metrics import softmax
from ..models.layers import Conv, Linear, Whitening
from ..models.network import NetworkSpec, leaves
from ..models.summary import Summary, summarise
from ..pictures.preprocess import Pixels
from ..report.document import Bars, Block, Card, Floats, Grid, Lesson, Only, Table, Words, card, line
from .convolution import by

_ON_SHEET, _IN_TERMINAL = 8, 4  # feature maps of a layer
_FILTERS = 6
_TERMINAL_PIXELS = 14  # of a feature map in a terminal; larger ones are averaged down
_NUMBERED = 5  # side of the largest kernel whose numbers are shown
_ROW = 16  # cells of a dense layer's row

# each filter and each map has its own scale: what is largest in it has the full colour
_COLOUR_KEY = line(
    Words("below zero", "sum"),
    Grid(np.linspace(-1, 1, 41)[None], shade="signed", numbers=False, size=4.0),
    Words("above zero; each filter and each map by its own largest number", "sum"),
)


def layers(*, classifier: Classifier, picture: Pixels, source: str) -> Lesson:
    """Show the filters of the first layer, and what every layer makes of a picture.

    Args:
        classifier: with a network of eyesight's own layers.
        picture: uint8 (H, W, C) of the stored size.
        source: what the picture is, in words.

    Raises:
        UsageError: a network whose layers only its own code knows.
    """
    spec = classifier.spec
    if not isinstance(spec, NetworkSpec):
        raise UsageError(f"its network is {spec.name}, whose layers only its own code knows", field="model")
    summary, stages = summarise(spec), capture(classifier, picture)
    whitening = any(isinstance(layer, Whitening) for _, layer, _ in leaves(spec.whole, spec.input))
    but = ", but for those of the whitening, which are computed from the pictures" if whitening else ""
    shapes = [shape for shape, _ in groupby(map(by, (summary.input, *(stage.row.output for stage in stages))))]
    shown = picture.astype(np.float64)
    grey = shown.shape[2] == 1
    seen = Grid(shown[..., 0] if grey else shown, by(summary.input), shade="grey" if grey else "color", numbers=False)
    return Lesson(
        "layers",
        f"What the layers learn: {spec.name} on {classifier.training.data if classifier.training else 'its pictures'}",
        (
            Words(
                f"Every filter was found by training{but}. A feature map shows where in the picture its "
                "filter answers. The shapes tell how the maps shrink, and grow in number, from layer to layer."
            ),
            Only("sheet", _COLOUR_KEY),
            Only("terminal", Words("Colours: orange above zero, blue below, white zero.")),
            Only("sheet", line(seen, "→", _shapes(summary))),
            Only("terminal", Words(f"The picture: {source}, {by(summary.input)}.")),
            Only("terminal", shrink(seen)),
            Only("terminal", _shapes(summary)),
            Words(f"{' → '.join(shapes)}; {summary.parameters:,} parameters.", "result"),
            *_filters(classifier, spec),
            *(block for stage in stages for block in _maps(stage)),
            *_answer(classifier, stages[-1].values),
        ),
    )


def _shapes(summary: Summary) -> Table:
    rows = tuple((row.layer, row.kind, by(row.output), f"{row.parameters:,}") for row in summary.rows)
    return Table(("layer", "kind", "output", "parameters"), (("picture", "", by(summary.input), ""), *rows), words=2)


def _filters(classifier: Classifier, spec: NetworkSpec) -> list[Block]:
    """Draw the weights of the first layer that has any, as pictures."""
    path, layer, shape = next(leaf for leaf in leaves(spec.whole, spec.input) if isinstance(leaf[1], Conv | Linear))
    weights = classifier.network.get_submodule(path).get_parameter("weight").detach().float().cpu().numpy()
    if isinstance(layer, Linear):
        if shape != (int(np.prod(spec.input)),):
            return []
        weights = weights.reshape(-1, *spec.input)  # its inputs are the pixels, in the order C, H, W
    strongest = _find_strongest(weights, _FILTERS)
    things = "neurons' weights" if isinstance(layer, Linear) else f"filters {by(weights.shape[2:])}"
    title = f"{path}: {len(strongest)} of {len(weights)} {things}"
    drawn = [draw_filter(weights[k], k, numbers=False) for k in strongest]
    if max(weights.shape[2:]) <= _NUMBERED:
        printed = [draw_filter(weights[k], k, numbers=True) for k in strongest]
    else:
        printed = [shrink(grid) for grid in drawn]
    return [Only("sheet", card(title, line(*drawn))), Only("terminal", card(title, line(*printed)))]


def draw_filter(weights: Floats, index: int, *, numbers: bool = False, title: str = "") -> Grid:
    """Draw a filter (C, h, w): of one channel by sign, of three as colour; its numbers are those of channel 1."""
    title = title or (f"#{index}" if not numbers or len(weights) == 1 else f"#{index}, channel 1")
    if len(weights) == 3 and not numbers:
        low, high = float(weights.min()), float(weights.max())
        color = (weights.transpose(1, 2, 0) - low) / ((high - low) or 1.0) * 255
        return Grid(color.astype(np.float64), title, shade="color", numbers=False, size=1.2)
    return Grid(weights[0].astype(np.float64), title, shade="signed", numbers=numbers, size=1.2)


def _find_strongest(values: Floats, count: int) -> list[int]:
    """Return which of (N, …) have the largest sums of absolute values, in their own order; one at least, none blank."""
    sums = np.abs(values).reshape(len(values), -1).sum(axis=1)
    order = np.argsort(-sums, kind="stable")
    return sorted(order[: max(1, min(count, int(np.count_nonzero(sums))))].tolist())


def _maps(stage: Stage) -> list[Block]:
    """Draw the strongest feature maps of a layer, or the numbers of a dense one."""
    title = f"{stage.row.layer}: {stage.row.kind} → {by(stage.row.output)}"
    if stage.values.ndim == 1:
        return [card(title, _vector(stage.values))] if stage.row.parameters else []
    strongest = _find_strongest(stage.values, _ON_SHEET)
    grids = [Grid(stage.values[k], f"#{k}", shade="signed", numbers=False, size=1.2) for k in strongest]
    few = [shrink(grid) for grid in grids[:_IN_TERMINAL]]

    def step(shown: list[Grid]) -> Card:
        some = f" ({len(shown)} of {len(stage.values)})" if len(shown) < len(stage.values) else ""
        return card(title + some, line(*shown))

    return [Only("sheet", step(grids)), Only("terminal", step(few))]


def _vector(values: Floats) -> Grid:
    """Draw (F,) numbers as pixels, in rows; the last row is filled up with zeros."""
    width = min(_ROW, len(values)) if len(values) <= _ROW**2 else 2 * _ROW
    rows = np.zeros((-(-len(values) // width), width))
    rows.flat[: len(values)] = values
    filled = np.count_nonzero(values > 0)
    size = 0.22 * width
    return Grid(rows, note=f"{len(values)} numbers, {filled} above zero", shade="signed", numbers=False, size=size)


def shrink(grid: Grid) -> Grid:
    """Average a drawing of pixels down to what a terminal can show."""
    step = -(-max(grid.values.shape[:2]) // _TERMINAL_PIXELS)
    height, width = (n // step * step for n in grid.values.shape[:2])
    if step == 1 or not height or not width:
        return grid
    blocks = grid.values[:height, :width].reshape(height // step, step, width // step, step, *grid.values.shape[2:])
    return Grid(blocks.mean(axis=(1, 3)), grid.title, shade=grid.shade, numbers=False, size=grid.size)


def _answer(classifier: Classifier, logits: Floats) -> list[Block]:
    shares = softmax(logits[None] / classifier.inference.temperature)[0]
    order = np.argsort(-shares, kind="stable")[:10].tolist()
    names = tuple(" ".join(classifier.classes[k].split())[:24] for k in order)
    bars = Bars(names, tuple(shares[order].tolist()), tuple(f"{shares[k]:.4f}" for k in order), 0, full=1.0)
    best = f"The answer: {names[0]}, with probability {shares[order[0]]:.4f}."
    return [card("softmax and argmax", bars, Words(best, "result"))]
