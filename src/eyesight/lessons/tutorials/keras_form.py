"""What Keras prints, in its own form: the layer table of `model.summary()`, and the two lines of an epoch.

In: a network's tree, rows of metrics. Out: lines, character for character as Keras 3 has them in 80 columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...models.elementwise import Activation
from ...models.layers import Conv, Flatten, Linear, Pad
from ...models.network import NetworkSpec, leaves
from ...models.pooling import MaxPool
from ...models.summary import channels_last

# The classes of Keras that the tutorials' layers are, and the names that it gives them.
_CLASSES: dict[type, tuple[str, str]] = {
    Conv: ("conv2d", "Conv2D"),
    MaxPool: ("max_pooling2d", "MaxPooling2D"),
    Flatten: ("flatten", "Flatten"),
    Linear: ("dense", "Dense"),
    Pad: ("zero_padding2d", "ZeroPadding2D"),
}
_COLUMNS = (("Layer (type)", 31), ("Output Shape", 22), ("Param #", 13))  # and their widths
_BAR = 20  # characters of a full progress bar


def layer_table(spec: NetworkSpec) -> list[str]:
    """Return what `model.summary()` prints of a tutorial's network.

    An activation is a part of the layer before it there, so it has no line of its own.
    """
    rows: list[tuple[str, str, str]] = []
    total, seen = 0, Counter[str]()
    for _, layer, shape in leaves(spec.whole, spec.input):
        if isinstance(layer, Activation):
            continue
        name, kind = _CLASSES[type(layer)]
        called = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
        output, parameters = channels_last(layer.output_shape(shape)), layer.parameters(shape)
        total += parameters
        rows.append((f"{called} ({kind})", str((None, *output)), f"{parameters:,}"))
    size = f"{total:,} ({_size(4 * total)})"
    return [
        'Model: "sequential"',
        *_frame(rows),
        f" Total params: {size}",
        f" Trainable params: {size}",
        " Non-trainable params: 0 (0.00 B)",
    ]


def _frame(rows: list[tuple[str, str, str]]) -> list[str]:
    def rule(left: str, line: str, cross: str, right: str) -> str:
        return left + cross.join(line * (width + 2) for _, width in _COLUMNS) + right

    def cells(texts: tuple[str, ...], side: str) -> str:
        first, second, third = texts
        (_, one), (_, two), (_, three) = _COLUMNS
        return f"{side} {first:<{one}} {side} {second:<{two}} {side} {third:>{three}} {side}"

    body = [cells(row, "│") for row in rows]
    between = rule("├", "─", "┼", "┤")
    return [
        rule("┏", "━", "┳", "┓"),
        cells(tuple(name for name, _ in _COLUMNS), "┃"),
        rule("┡", "━", "╇", "┩"),
        *(line for i, row in enumerate(body) for line in ((between, row) if i else (row,))),
        rule("└", "─", "┴", "┘"),
    ]


def _size(number: float) -> str:
    """Return bytes as Keras writes them.

    >>> _size(376_616), _size(15_378_728)
    ('367.79 KB', '14.67 MB')
    """
    for unit in ("B", "KB", "MB"):
        if number < 1024:
            return f"{number:.2f} {unit}"
        number /= 1024
    return f"{number:.2f} GB"


def epoch_lines(row: Mapping[str, Any], *, epochs: int, before: Mapping[str, Any] | None = None) -> list[str]:
    """Return the two lines that `model.fit` prints of an epoch.

    Args:
        row: of metrics.jsonl.
        epochs: of the whole training.
        before: the row of the epoch before; None for the first.

    >>> row = {"epoch": 1, "step": 1563, "seconds": 12.4, "accuracy": 0.4478, "loss": 1.5139,
    ...        "val_accuracy": 0.5588, "val_loss": 1.2359}
    >>> for line in epoch_lines(row, epochs=10):  # doctest: +NORMALIZE_WHITESPACE
    ...     print(line)
    Epoch 1/10
    1563/1563 ━━━━━━━━━━━━━━━━━━━━ 12s 8ms/step - accuracy: 0.4478 - loss: 1.5139 -
    val_accuracy: 0.5588 - val_loss: 1.2359
    """
    steps, seconds = (row[key] - (before[key] if before else 0) for key in ("step", "seconds"))
    figures = "".join(
        f" - {key}: {_figure(row[key])}" for key in ("accuracy", "loss", "val_accuracy", "val_loss") if key in row
    )
    took = f"{seconds:.0f}s {_time(seconds / max(steps, 1))}/step"
    return [f"Epoch {row['epoch']}/{epochs}", f"{steps}/{steps} {'━' * _BAR} {took}{figures}"]


def fit_lines(rows: Sequence[Mapping[str, Any]], *, epochs: int) -> list[str]:
    """Return the lines of all epochs so far; see `epoch_lines`."""
    pairs = zip(rows, [None, *rows], strict=False)
    return [line for row, before in pairs for line in epoch_lines(row, epochs=epochs, before=before)]


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{1e3 * seconds:.0f}ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f}us"
