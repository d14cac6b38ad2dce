"""The results of a study as rows of text, and as Markdown.

In: outcomes. Out: columns, rows, notes, Markdown. It computes no figure and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .folder import Record
from .outcome import Outcome
from .statistics import Difference, Spread

Column = tuple[str, Callable[[Outcome], str]]


def columns(record: Record, against: str | None) -> list[Column]:
    """Return the columns of a study's table: a heading, and how a cell is made. The first is text, the rest numbers."""
    accuracy: list[Column] = [
        ("train accuracy", lambda outcome: plus_minus(outcome.train)),
        ("test accuracy", lambda outcome: plus_minus(outcome.test)),
        ("gap", lambda outcome: plus_minus(outcome.gap)),
    ]
    size: list[Column] = [
        ("parameters", lambda outcome: f"{outcome.network.parameters:,}"),
        ("MFLOP a picture", lambda outcome: f"{outcome.network.flops / 1e6:,.2f}"),
    ]
    time: Column = ("seconds of training", lambda outcome: plus_minus(outcome.seconds, digits=1))
    label = "the best" if record.definition.baseline is None else against or ""
    compared: list[Column] = [
        (f"test, against {label}", lambda outcome: _signed(outcome.difference)),
        ("95 % interval", lambda outcome: _interval(outcome.difference)),
    ]
    own: dict[str, list[Column]] = {
        "regularization": [("technique", _label), *accuracy, *compared, ("updates", _updates)],
        "epochs": [("epochs", _label), *accuracy, *compared, ("updates", _updates), time],
    }
    varied = "dense layers" if record.definition.study == "dense-layers" else "network"
    networks = [(varied, _label), *size, time, *accuracy, *compared]
    return [*own.get(record.definition.study, networks), ("n", lambda outcome: str(outcome.test.n))]


def plus_minus(values: Spread, *, digits: int = 4) -> str:
    """Return mean and deviation.

    >>> plus_minus(Spread(0.95, 0.012, 3)), plus_minus(Spread(12.34, None, 1), digits=1)
    ('0.9500 ± 0.0120', '12.3')
    """
    mean = f"{values.mean:,.{digits}f}"
    return mean if values.sd is None else f"{mean} ± {values.sd:,.{digits}f}"


def _label(outcome: Outcome) -> str:
    return outcome.label


def _updates(outcome: Outcome) -> str:
    return plus_minus(outcome.updates, digits=0) if outcome.updates.sd else f"{outcome.updates.mean:,.0f}"


def _signed(difference: Difference | None) -> str:
    return "–" if difference is None else f"{difference.mean:+.4f}"


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.low is None:
        return "–"
    return f"{difference.low:+.4f} to {difference.high:+.4f}"


def caption(record: Record) -> str:
    """Return one line: what was trained on what, and how often."""
    definition, data = record.definition, record.data
    varied = {key for arm in definition.arms for key in arm.settings}
    recipe = definition.config_of(definition.arms[0], 0).recipe
    parts = [data.name]
    if "model.name" not in varied:
        parts.append(record.networks[definition.arms[0].name].name)
    validation = f" (and {data.validation:,} for validation)" if data.validation else ""
    parts += [f"{data.train:,} training pictures{validation}", f"{data.test:,} test pictures"]
    if recipe.updates is not None:
        parts.append(f"{recipe.updates:,} updates")
    elif recipe.budget is not None:
        parts.append(f"{recipe.budget:g} s")
    elif recipe.epochs is not None and "recipe.epochs" not in varied:
        parts.append(_counted(recipe.epochs, "epoch"))
    parts += [f"batch size {recipe.batch_size:,}", _counted(len(definition.seeds), "seed")]
    return f"{definition.study}: {', '.join(parts)}"


def notes(record: Record, found: Sequence[Outcome]) -> list[str]:
    """Return what a reader must know to read the numbers right, a sentence each."""
    data, environment = record.data, record.environment
    compared = sum(outcome.difference is not None and outcome.difference.low is not None for outcome in found)
    lines = []
    if not record.complete:
        lines.append(f"{len(record.runs)} of {len(record.definition.plan())} runs are finished so far.")
    lines.append(
        f"Train accuracy is of {data.judged_train:,} training pictures as they are, with the weights that were kept, "
        "as in prediction; the test pictures were looked at once for each run, at its end."
    )
    if compared:
        lines.append(
            "± is the standard deviation over seeds; differences are paired by seed, with Student's 95 % interval. "
            f"{_by_chance(compared)}"
        )
    if len(record.definition.seeds) == 2:
        lines.append("Two seeds tell almost nothing apart: the intervals are 12.7 standard errors wide on each side.")
    lines += [_stopped(record, outcome) for outcome in found if outcome.name == "early-stopping"]
    lines += [f"Left out: {reason}." for reason in record.definition.left_out.values()]
    lines.append(
        f"Trained on {environment['device']} ({environment['processor']}), "
        f"{_threads(environment['threads'])}, {environment['precision']}."
    )
    return lines


def _threads(asked: int | str) -> str:
    """Return "2 threads", or that each run took what was faster."""
    return _counted(asked, "thread") if isinstance(asked, int) else "one thread or all, whichever was faster"


def _counted(count: int, word: str) -> str:
    """Return "1 seed" or "3 seeds"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _by_chance(compared: int) -> str:
    """Say how likely at least one of several intervals leaves out zero by chance."""
    share = 100 * (1 - 0.95**compared)
    return f"Where nothing makes a difference, {share:.0f} % of studies with so many intervals still show one."


def _stopped(record: Record, outcome: Outcome) -> str:
    planned = record.definition.config_of(record.definition.arm(outcome.name), 0).recipe.updates or 0
    return (
        f"Early stopping used {outcome.updates.mean:,.0f} of {planned:,} updates, "
        f"and kept the weights with the lowest loss on {record.data.validation:,} validation pictures."
    )


def markdown(columns: Sequence[Column], found: Sequence[Outcome]) -> str:
    """Return the table as Markdown."""
    rows = [[heading for heading, _ in columns], ["---", *["---:"] * (len(columns) - 1)]]
    rows += [[cell(outcome).replace("|", "\\|") for _, cell in columns] for outcome in found]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
