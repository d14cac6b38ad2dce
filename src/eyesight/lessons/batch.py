"""The lesson on the fourth dimension: pictures go through a network several at a time.

In: the reader's pictures. Out: a `Lesson`. The shapes are those of a registered network's own layers.
"""

from __future__ import annotations

import numpy as np

from ..models import network_spec
from ..models.summary import summarise
from ..report.document import Block, Floats, Grid, Lesson, Table, Words, card, line, number
from .convolution import by, correlate

_NETWORK = "small-cnn-1pool"
_SHOWN = 3  # pictures, where the reader gives none
_KERNEL = np.array([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]])
_NUMBERED = 6  # side of the largest picture whose numbers are shown


def batch(*, pictures: Floats | None = None) -> Lesson:
    """Show that a batch is pictures stacked along a first dimension, and what each layer makes of its shape.

    Args:
        pictures: (N, H, W) of numbers from 0 to 255; real digits where not given.

    Raises:
        UsageError: pictures too small for the network that is followed.
    """
    given = _digits() if pictures is None else pictures
    count, height, width = given.shape
    return Lesson(
        "batch",
        "The fourth dimension: a batch of pictures",
        (
            Words(
                "A grey picture has two dimensions, rows and columns; with its channels it has three. A network "
                "takes several pictures at once: the first of four dimensions counts them."
            ),
            line(*(Grid(p, f"[{k}]", shade="grey", numbers=False, size=1.5) for k, p in enumerate(given))),
            Words(f"{count} pictures of {by((height, width, 1))} stacked: a batch of {by((count, height, width, 1))}."),
            _places(given),
            Words("What every layer makes of the shape; the first number stays, as each picture is computed alone:"),
            _shapes(given.shape),
            *_alone(given),
            card(
                "one picture is a batch of one",
                Words(f"picture.shape = {(height, width, 1)}", "sum"),
                Words(f"picture[None].shape = {(1, height, width, 1)}", "sum"),
                Words(
                    "Keras' model.predict wants the four dimensions, so a single picture needs picture[None] (or "
                    "np.expand_dims(picture, 0)). eyesight's predict takes it as it is. PyTorch has the channels "
                    f"before the rows: {by((count, 1, height, width))}."
                ),
            ),
            Words(
                "In training, a batch is what one update learns from: the network's mistakes on all its pictures are "
                "averaged, and the weights take one step. 1,000 pictures in batches of 32 make 32 updates an epoch, "
                "the last of 8 pictures.",
            ),
            Words(
                f"{by((count, height, width, 1))} = {given.size:,} numbers: {count} × {height} × {width} × 1.", "result"
            ),
        ),
    )


def _digits() -> Floats:
    """Return the first test pictures of the embedded digits, (N, 8, 8)."""
    from ..data import catalog

    return catalog.load("digits").split("test").gather(np.arange(_SHOWN))[..., 0].astype(np.float64)


def _places(given: Floats) -> Block:
    """Look up one number of each picture."""
    row, column = (n // 2 for n in given.shape[1:])
    found = ";  ".join(f"[{k}, {row}, {column}, 0] = {number(p[row, column])}" for k, p in enumerate(given))
    return card("picture, row, column, channel, all counted from 0", Words(found, "sum"))


def _shapes(shape: tuple[int, ...]) -> Table:
    count, height, width = shape
    summary = summarise(network_spec(_NETWORK, shape=(height, width, 1), classes=10))
    rows = [("batch", "", by((count, *summary.input)), f"{count * height * width:,}")]
    rows += [
        (row.layer, row.kind, by((count, *row.output)), f"{count * int(np.prod(row.output)):,}") for row in summary.rows
    ]
    return Table(("layer", "kind", "output", "numbers"), tuple(rows), words=2)


def _alone(given: Floats) -> list[Block]:
    """Convolve every picture with the same kernel, where they are small enough to be read."""
    if max(given.shape[1:]) > _NUMBERED or min(given.shape[1:]) < len(_KERNEL):
        return []
    return [
        Words("The same kernel for every picture:"),
        *(
            line(Grid(p, f"[{k}]", shade="grey"), "×", Grid(_KERNEL, shade="signed"), "→", Grid(correlate(p, _KERNEL)))
            for k, p in enumerate(given)
        ),
    ]
