"""What came out for every way of training: means, spreads, and differences paired by seed.

In: a study's record. Out: an `Outcome` for each arm that has a finished run. It judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from .folder import NetworkFacts, Record, Result
from .statistics import Difference, Spread, paired, spread


@dataclass(frozen=True)
class Outcome:
    """The figures of one arm over its seeds.

    Attributes:
        name, label: of the arm.
        network: with its parameters and operations.
        train, test: accuracies.
        gap: train accuracy less test accuracy.
        updates, seconds: of a training.
        difference: of test accuracy from that of the arm that is held against; None for that arm itself.
        gap_difference: the same of the gap.
    """

    name: str
    label: str
    network: NetworkFacts
    train: Spread
    test: Spread
    gap: Spread
    updates: Spread
    seconds: Spread
    difference: Difference | None
    gap_difference: Difference | None


def reference(record: Record) -> str | None:
    """Return the arm that others are held against: the baseline, else the one with the best mean test accuracy.

    None where it has no finished run.
    """
    done = [arm.name for arm in record.definition.arms if _of(record, arm.name)]
    if record.definition.baseline is not None or not done:
        return record.definition.baseline if record.definition.baseline in done else None
    return max(done, key=lambda name: spread([run.test_accuracy for run in _of(record, name)]).mean)


def outcomes(record: Record) -> list[Outcome]:
    """Return the outcome of every arm that has a finished run, in the order of the definition."""
    against = reference(record)
    return [_outcome(record, arm.name, arm.label, against) for arm in record.definition.arms if _of(record, arm.name)]


def _outcome(record: Record, name: str, label: str, against: str | None) -> Outcome:
    runs = _of(record, name)
    others = _of(record, against) if against is not None and against != name else []
    test_step = 1 / record.data.test
    gap_step = 1 / min(record.data.test, record.data.judged_train)
    return Outcome(
        name=name,
        label=label,
        network=record.networks[name],
        train=spread([run.train_accuracy for run in runs]),
        test=spread([run.test_accuracy for run in runs]),
        gap=spread(list(_gaps(runs).values())),
        updates=spread([run.updates for run in runs]),
        seconds=spread([run.seconds for run in runs]),
        difference=paired(_tests(runs), _tests(others), step=test_step),
        gap_difference=paired(_gaps(runs), _gaps(others), step=gap_step),
    )


def _of(record: Record, arm: str) -> list[Result]:
    return [run for run in record.runs if run.arm == arm]


def _tests(runs: list[Result]) -> dict[int, float]:
    return {run.seed: run.test_accuracy for run in runs}


def _gaps(runs: list[Result]) -> dict[int, float]:
    return {run.seed: run.train_accuracy - run.test_accuracy for run in runs}
