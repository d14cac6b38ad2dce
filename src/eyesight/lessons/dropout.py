"""The lesson on dropout and overfitting: neurons left out by chance, and two trainings with and without.

In: the reader's numbers, and what two trainings measured after every epoch. Out: a `Lesson`. It does not train.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..report.document import Bars, Block, Curve, Floats, Grid, Lesson, Only, Table, Words, card, line, number, products

_OUTPUTS = np.array([4.0, 2, 6, 1, 8, 3])
_WEIGHTS = np.array([1.0, -1, 0.5, 2, -0.5, 1])  # of one neuron of the next layer; repeated for more inputs
_RATE = 0.5
_DRAWS = 3
_MANY = 10_000  # draws whose mean is told
_EPOCHS_SHOWN = 4


@dataclass(frozen=True, eq=False)
class History:
    """What a training measured in every epoch.

    Attributes:
        train: (E,) loss on the pictures that it learns from, while it does: with dropout, where there is any.
        validation: (E,) loss on pictures held out, without dropout.
        accuracy: of the last weights, without dropout: (on pictures learned from, on pictures held out), 0 to 1.
    """

    train: Floats
    validation: Floats
    accuracy: tuple[float, float]

    @property
    def gap(self) -> float:
        """Share of pictures by which it is better on what it has learned from."""
        return self.accuracy[0] - self.accuracy[1]


def dropout(*, values: Floats = _OUTPUTS, rate: float = _RATE, without: History, with_it: History) -> Lesson:
    """Show what dropout does to the outputs of a layer, and to overfitting.

    Args:
        values: (F,) outputs of a layer.
        rate: share of them that is left out in each update of a training.
        without, with_it: trainings of the same network on the same few pictures.
    """
    weights = np.resize(_WEIGHTS, len(values))
    draws = np.random.default_rng(0).random((_MANY, len(values))) >= rate
    kept = values * draws / (1 - rate)
    return Lesson(
        "dropout",
        "Dropout and overfitting",
        (
            Words(
                "A network that is trained long on few pictures learns them by heart: the loss on them goes on "
                "falling, the loss on others rises. That is overfitting. Dropout works against it: in every update "
                f"it leaves out a random {rate:.0%} of a layer's outputs, so that no neuron can rely on one other."
            ),
            *_draws(values, draws, kept, weights, rate),
            Words(
                f"What is left is divided by 1 - {number(rate)}, so that the sum stays the same on average: over "
                f"{_MANY:,} draws its mean is {number(float((kept @ weights).mean()))}. For a prediction nothing is "
                "left out, and the same picture always gets the same answer."
            ),
            *_trainings(without, with_it),
        ),
    )


def _draws(values: Floats, draws: np.ndarray, kept: Floats, weights: Floats, rate: float) -> list[Block]:
    """Show a few updates: what each leaves out, and the sum that the next neuron gets."""
    whole = card(
        "a prediction: all of them",
        line(Grid(values[None], "outputs"), "×", Grid(weights[None], "weights", shade="signed")),
        Words(f"{products(values, weights)} = {number(float(values @ weights))}", "sum"),
    )
    updates = []
    for k in range(_DRAWS):
        left_out = frozenset((0, int(j)) for j in np.flatnonzero(~draws[k]))
        seen = np.where(draws[k], kept[k], np.nan)
        total = float(kept[k] @ weights)
        note = f"{len(left_out)} of {len(values)} left out; the others divided by {number(1 - rate)}"
        shown = products(kept[k][draws[k]], weights[draws[k]]) if draws[k].any() else "0"
        updates.append(
            card(
                f"update {k + 1}",
                Grid(seen[None], note=note, marked=left_out, blank="×"),
                Words(f"{shown} = {number(total)}", "sum"),
            )
        )
    return [whole, *updates]


def _trainings(without: History, with_it: History) -> list[Block]:
    """Draw both trainings, and say what dropout changed."""
    both = {"without dropout": without, "with dropout": with_it}
    curves = [
        Only(
            "sheet",
            Curve(
                tuple(
                    (name, np.arange(1.0, len(y) + 1), y)
                    for name, y in (("learned from", history.train), ("held out", history.validation))
                ),
                title=title,
                across="epoch",
                up="loss",
            ),
        )
        for title, history in both.items()
    ]
    return [
        Words(
            "The same network on the same few digits, trained twice. While it learns with dropout, the loss on what it "
            "learns from is that of a network with holes, so it is higher; the share that is right is without holes."
        ),
        line(*curves),
        _table(both),
        Bars(
            tuple(both),
            tuple(max(100 * history.gap, 0.0) for history in both.values()),
            tuple(f"{100 * history.gap:.1f} points" for history in both.values()),
            title="how much better on the pictures it has learned from",
        ),
        Words(_verdict(without, with_it), "result"),
        Words(
            "Against overfitting help, in this order: more pictures, changed pictures (flip, shift), a smaller "
            "network, dropout, an earlier end. Where a network does not overfit, dropout only makes it slower: "
            "eyesight train … --set model.dropout=0.3 tries it on yours."
        ),
    ]


def _table(both: dict[str, History]) -> Table:
    epochs = len(next(iter(both.values())).train)
    shown = sorted({int(e) for e in np.linspace(1, epochs, _EPOCHS_SHOWN).round()})
    rows = tuple(
        (name, what, *(number(float(losses[e - 1])) for e in shown), f"{share:.1%}")
        for name, history in both.items()
        for what, losses, share in (
            ("learned from", history.train, history.accuracy[0]),
            ("held out", history.validation, history.accuracy[1]),
        )
    )
    return Table(("training", "loss on", *(f"epoch {e}" for e in shown), "right"), rows, words=2)


def _verdict(without: History, with_it: History) -> str:
    """Say what was measured, whichever way it came out."""
    figures = ", ".join(
        f"{100 * history.gap:.1f} points {name} ({history.accuracy[1]:.1%} right on those held out)"
        for name, history in (("without", without), ("with", with_it))
    )
    better = with_it.gap < without.gap
    return f"The gap is {figures}: dropout made it {'smaller' if better else 'no smaller'} here."
