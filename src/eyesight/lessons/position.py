"""The lesson on position: an object moved, turned, cropped and disturbed, through a trained network.

In: a classifier, a picture, and pictures to count on. Out: a `Lesson`. It does not train.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..classifier import Classifier
from ..data.dataset import Split
from ..pictures.preprocess import Pixels
from ..report.document import Block, Grid, Lesson, Line, Table, Words, card, count
from .layers import shrink

if TYPE_CHECKING:
    from PIL import Image

_COUNTED = 200  # pictures on which every change is tried
_SIZE = 1.6  # inches of a picture on the sheet

Change = Callable[[Pixels], Pixels]


def position(*, classifier: Classifier, picture: Pixels, source: str, others: Split | None = None) -> Lesson:
    """Show what a trained network answers when a picture is changed as photos differ.

    Args:
        classifier: any.
        picture: uint8 (H, W, C) of the stored size.
        source: what the picture is, in words.
        others: pictures with labels, to count on; none where not given.
    """
    side = min(picture.shape[:2])
    changes = every_change(side)
    shown = {name: change(picture) for name, change in changes.items()}
    shares = classifier.probabilities(np.stack(list(shown.values())))
    first = int(shares[0].argmax())
    answers = {name: (int(row.argmax()), row) for name, row in zip(shown, shares, strict=True)}
    blocks: list[Block] = [
        Words(
            "The same picture, changed as photos differ: somewhere else, turned, nearer, with noise. A convolution "
            "finds a pattern wherever it is; the dense layers after it have learned where patterns usually are. What "
            "the network has not seen in training, it has not learned."
        ),
        Words(f"The picture: {source}. Under each: the answer, its probability, and ≠ where it is another one."),
        *(
            card(title, _row(classifier, {n: shown[n] for n in names}, answers, first))
            for title, names in _groups(shown)
        ),
    ]
    changed = [name for name, (best, _) in answers.items() if best != first]
    blocks.append(
        Words(
            f"{len(changed)} of {count(len(shown) - 1, 'change')} gave another answer"
            + (f": {', '.join(changed)}." if changed else "."),
            "result",
        )
    )
    if others is not None:
        blocks += _on_many(classifier, changes, others)
    return Lesson("position", "Position: the same object somewhere else", tuple(blocks))


def every_change(side: int) -> dict[str, Change]:
    """Return the changes by name, for pictures of a side in pixels; the first changes nothing."""
    near, far = max(1, round(side / 12)), max(2, round(side / 5))
    return {
        "as it is": lambda picture: picture,
        f"{count(near, 'pixel')} right": partial(move, right=near),
        f"{count(far, 'pixel')} right": partial(move, right=far),
        f"{count(far, 'pixel')} down": partial(move, down=far),
        "turned 15°": partial(turn, degrees=15),
        "turned 45°": partial(turn, degrees=45),
        "turned 180°": partial(turn, degrees=180),
        "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
        "middle 80 %": partial(crop, share=0.8),
        "middle 60 %": partial(crop, share=0.6),
        "noise 10 %": partial(disturb, share=0.1),
        "noise 30 %": partial(disturb, share=0.3),
    }


def _groups(names: dict[str, Pixels]) -> list[tuple[str, list[str]]]:
    listed = list(names)
    return [
        ("moved", listed[:4]),
        ("turned and mirrored", listed[4:8]),
        ("cropped and enlarged; with noise", listed[8:]),
    ]


def background(picture: Pixels) -> Pixels:
    """Return the colour (C,) that fills what a change uncovers: the median of the picture's edge."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return np.asarray(np.median(edge, axis=0), np.uint8)


def move(picture: Pixels, *, right: int = 0, down: int = 0) -> Pixels:
    """Return a picture (H, W, C) moved; what leaves it is lost."""
    height, width = picture.shape[:2]
    moved = np.broadcast_to(background(picture), picture.shape).copy()
    moved[down:, right:] = picture[: height - down, : width - right]
    return moved


def turn(picture: Pixels, *, degrees: float) -> Pixels:
    """Return a picture (H, W, C) turned anticlockwise around its middle."""
    from PIL import Image

    fill = tuple(background(picture).tolist())
    turned = _image(picture).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill[0] if len(fill) == 1 else fill)
    return _pixels(turned)


def crop(picture: Pixels, *, share: float) -> Pixels:
    """Return the middle of a picture (H, W, C), a share of each side, enlarged to the whole."""
    from PIL import Image

    height, width = picture.shape[:2]
    left, top = width * (1 - share) / 2, height * (1 - share) / 2
    box = (left, top, width - left, height - top)
    return _pixels(_image(picture).resize((width, height), Image.Resampling.BILINEAR, box=box))


def disturb(picture: Pixels, *, share: float) -> Pixels:
    """Return a picture (H, W, C) with noise of a standard deviation of `share` of the range from black to white."""
    noise = np.random.default_rng(0).normal(0, 255 * share, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def _image(picture: Pixels) -> Image.Image:
    from PIL import Image

    return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)


def _pixels(image: Image.Image) -> Pixels:
    values = np.asarray(image, np.uint8)
    return values[..., None] if values.ndim == 2 else values


def _row(
    classifier: Classifier, pictures: dict[str, Pixels], answers: dict[str, tuple[int, np.ndarray]], first: int
) -> Line:
    """Draw pictures with what they are taken for."""
    grids = []
    for name, picture in pictures.items():
        best, row = answers[name]
        label = " ".join(classifier.classes[best].split())[:20]
        values = picture.astype(np.float64)
        grey = picture.shape[2] == 1
        sign = "≠ " if best != first else ""
        grids.append(
            shrink(
                Grid(
                    values[..., 0] if grey else values,
                    name,
                    f"{sign}{label} {row[best]:.2f}",
                    shade="grey" if grey else "color",
                    numbers=False,
                    size=_SIZE,
                )
            )
        )
    return Line(tuple(grids))


def _on_many(classifier: Classifier, changes: dict[str, Change], others: Split) -> list[Block]:
    """Count how often the answer is right, change by change."""
    pictures = others.gather(np.arange(min(len(others), _COUNTED)))
    labels = others.labels[: len(pictures)]
    shares = {
        name: float((classifier.logits(np.stack([change(p) for p in pictures])).argmax(1) == labels).mean())
        for name, change in changes.items()
    }
    worst = min(shares, key=shares.__getitem__)
    return [
        Words(f"The same changes on {len(pictures)} {others.name} pictures: how many are taken for what they are."),
        Table(
            ("change", "right", "difference"),
            tuple(
                (
                    name,
                    f"{share:.1%}",
                    f"{100 * (share - shares['as it is']):+.1f} points" if name != "as it is" else "",
                )
                for name, share in shares.items()
            ),
        ),
        Words(f"Hardest: {worst}, {shares[worst]:.1%} instead of {shares['as it is']:.1%}.", "result"),
        Words(
            "Training on changed pictures (eyesight train --set recipe.shift=2, --set recipe.flip=true) teaches such "
            "changes. But what tells classes apart must stay: a 6 turned by 180° is a 9."
        ),
    ]
