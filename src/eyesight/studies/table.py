"""The results of a study as rows of text, and as Markdown.

In: outcomes. Out: rows, a caption, notes, Markdown. It computes no figure and prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .folder import Record
from .outcome import ArmOutcome
from .statistics import Spread

_FIRST = {"regularization": "technique", "epochs": "epochs", "dense-layers": "dense layers"}  # its heading


def tabulate(record: Record, found: Sequence[ArmOutcome], against: str | None) -> list[list[str]]:
    """Return the rows of a study's table, the headings first. The first column is text, the rest are numbers."""
    rival = "the best" if record.definition.baseline is None else against or ""
    rows = [_cells(outcome, record.definition.study, rival) for outcome in found]
    return [list(row) for row in rows[:1]] + [list(row.values()) for row in rows]


def _cells(outcome: ArmOutcome, study: str, rival: str) -> dict[str, str]:
    """Return a row: heading and cell of each column."""
    difference, updates = outcome.difference, outcome.updates
    bounded = difference is not None and difference.low is not None
    accuracy = {
        "train accuracy": plus_minus(outcome.train),
        "test accuracy": plus_minus(outcome.test),
        "gap": plus_minus(outcome.gap),
        f"test, against {rival}": f"{difference.mean:+.4f}" if difference else "–",
        "95 % interval": f"{difference.low:+.4f} to {difference.high:+.4f}" if difference and bounded else "–",
    }
    size = {"parameters": f"{outcome.network.parameters:,}", "MFLOP a picture": f"{outcome.network.flops / 1e6:,.2f}"}
    count = {"updates": plus_minus(updates, digits=0) if updates.sd else f"{updates.mean:,.0f}"}
    seconds = {"seconds of training": plus_minus(outcome.seconds, digits=1)}
    own = {"regularization": accuracy | count, "epochs": accuracy | count | seconds}.get(
        study, size | seconds | accuracy
    )
    return {_FIRST.get(study, "network"): outcome.label} | own | {"n": str(outcome.test.n)}


def plus_minus(values: Spread, *, digits: int = 4) -> str:
    """Return mean and deviation.

    >>> plus_minus(Spread(0.95, 0.012, 3)), plus_minus(Spread(12.34, None, 1), digits=1)
    ('0.9500 ± 0.0120', '12.3')
    """
    mean = f"{values.mean:,.{digits}f}"
    return mean if values.sd is None else f"{mean} ± {values.sd:,.{digits}f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    first, *others = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [first, ["---", *["---:"] * (len(first) - 1)], *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
        parts.append(_count(recipe.epochs, "epoch"))
    parts += [f"batch size {recipe.batch_size:,}", _count(len(definition.seeds), "seed")]
    return f"{definition.study}: {', '.join(parts)}"


def notes(record: Record, found: Sequence[ArmOutcome]) -> list[str]:
    """Return what a reader must know to read the numbers right, a sentence each."""
    data, definition, environment = record.data, record.definition, record.environment
    compared = sum(outcome.difference is not None and outcome.difference.low is not None for outcome in found)
    lines = []
    if not record.complete:
        lines.append(f"{len(record.runs)} of {len(definition.plan())} runs are finished so far.")
    lines.append(
        f"Train accuracy is of {data.judged_train:,} training pictures as they are, with the weights that were kept, "
        "as in prediction; the test pictures were looked at once for each run, at its end."
    )
    if compared:
        by_chance = 100 * (1 - 0.95**compared)
        lines.append(
            "± is the standard deviation over seeds; differences are paired by seed, with Student's 95 % interval. "
            f"Where nothing makes a difference, {by_chance:.0f} % of studies with so many intervals still show one."
        )
    if len(definition.seeds) == 2:
        lines.append("Two seeds tell almost nothing apart: the intervals are 12.7 standard errors wide on each side.")
    for outcome in found:
        if outcome.name == "early-stopping":
            planned = definition.config_of(definition.arm(outcome.name), 0).recipe.updates or 0
            lines.append(
                f"Early stopping used {outcome.updates.mean:,.0f} of {planned:,} updates, "
                f"and kept the weights with the lowest loss on {data.validation:,} validation pictures."
            )
    lines += [f"Left out: {reason}." for reason in dict.fromkeys(definition.left_out.values())]
    lines.append(
        f"Trained on {environment['device']} ({environment['processor']}), "
        f"{_threads(environment['threads'])}, {environment['precision']}."
    )
    return lines


def _threads(asked: int | str) -> str:
    """Return "2 threads", or that each run took what was faster."""
    return _count(asked, "thread") if isinstance(asked, int) else "one thread or all, whichever was faster"


def _count(count: int, word: str) -> str:
    """Return "1 seed" or "3 seeds"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
