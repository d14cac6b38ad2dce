"""What came out for every way of training: means, spreads, and differences paired by seed.

In: a study's record. Out: an `ArmOutcome` for each arm that has a finished run. It judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from .definition import Arm
from .folder import NetworkFacts, Record, RunResult
from .statistics import Difference, Spread, paired, spread


@dataclass(frozen=True)
class ArmOutcome:
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
    done = [arm.name for arm in record.definition.arms if _runs(record, arm.name)]
    if record.definition.baseline is not None or not done:
        return record.definition.baseline if record.definition.baseline in done else None
    return max(done, key=lambda name: spread([run.test_accuracy for run in _runs(record, name)]).mean)


def outcomes(record: Record) -> list[ArmOutcome]:
    """Return the outcome of every arm that has a finished run, in the order of the definition."""
    against = reference(record)
    return [_summarise(record, arm, against) for arm in record.definition.arms if _runs(record, arm.name)]


def _summarise(record: Record, arm: Arm, against: str | None) -> ArmOutcome:
    runs = _runs(record, arm.name)
    rivals = _runs(record, against) if against != arm.name else []
    test, gap = _by_seed(runs, "test_accuracy"), _by_seed(runs, "gap")
    gap_step = 1 / min(record.data.test, record.data.judged_train)
    return ArmOutcome(
        name=arm.name,
        label=arm.label,
        network=record.networks[arm.name],
        train=spread([run.train_accuracy for run in runs]),
        test=spread([*test.values()]),
        gap=spread([*gap.values()]),
        updates=spread([run.updates for run in runs]),
        seconds=spread([run.seconds for run in runs]),
        difference=paired(test, _by_seed(rivals, "test_accuracy"), step=1 / record.data.test),
        gap_difference=paired(gap, _by_seed(rivals, "gap"), step=gap_step),
    )


def _runs(record: Record, arm: str | None) -> list[RunResult]:
    """Return the finished runs of an arm."""
    return [run for run in record.runs if run.arm == arm]


def _by_seed(runs: list[RunResult], figure: str) -> dict[int, float]:
    return {run.seed: getattr(run, figure) for run in runs}
