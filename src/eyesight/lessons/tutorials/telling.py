"""A tutorial told while it runs: its own part, then ours, then both side by side.

In: a tutorial, a dataset, a folder; then the events of the trainings, and what came of them. Out: the account on
stdout, figures in `tutorial/` of the run's folder. It does not train: `eyesight.tutorial` does, and hands over what
comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...data.dataset import Dataset
from ...report.document import count
from ...report.terminal import align_columns
from ...run import RunFolder
from ...training.plan import entries
from ...training.plan.recipe import Config
from .account import WIDTH, Account
from .cifar import Dense, QuickStart
from .fashion import EarlyStopping, SamePadding
from .lenet import LeNet5
from .programs import Tutorial
from .story import FinishedRun, MetricsRow, Part, Story

STORIES: dict[str, type[Story]] = {
    "fashion-early-stopping": EarlyStopping,
    "cifar10-quickstart": QuickStart,
    "fashion-same-padding": SamePadding,
    "lenet5-mnist": LeNet5,
    "cifar10-dense": Dense,
}


class Telling:
    """The account of one tutorial, and of our configuration after it.

    Args:
        tutorial: which one.
        data: its pictures.
        configs: of the tutorial's run, and of ours.
        run: where the first will lie; it need not exist yet.

    Attributes:
        parts: the tutorial's own part, and ours; each is opened, listens to a training, and is closed.
    """

    def __init__(self, tutorial: Tutorial, data: Dataset, configs: Sequence[Config], run: RunFolder) -> None:
        self.tutorial = tutorial
        self.account = Account(run.tutorial_folder)
        story = STORIES[tutorial.name](tutorial, data, configs[0], self.account)
        self.parts: tuple[Part, ...] = (story, Ours(tutorial, configs, self.account))

    def table(self) -> None:
        """Print what the tutorial says, what Keras reached, and what was reached now."""
        tell = self.account
        runs = {part.title: part.finished for part in self.parts if part.finished}
        tell.heading("Side by side, on the test set")
        outcomes = {title: (run.rows, run.accuracy) for title, run in runs.items()}
        tell.show(*side_by_side(self.tutorial, outcomes), "")
        if len(runs) == 2:
            tell.say(compare(*((run.accuracy, run.seconds) for run in runs.values())))
        tell.say(
            "Keras here: the tutorial's own program, run earlier (eyesight tutorial says where), mean ± standard "
            "deviation of n runs, median time. Times compare only where they were measured one after the other, on one "
            "machine that does nothing else."
        )


def side_by_side(tutorial: Tutorial, outcomes: Mapping[str, tuple[Sequence[MetricsRow], float]]) -> list[str]:
    """Return the lines of a table: what the tutorial says, what Keras reached, and what was reached now.

    Args:
        tutorial: which one.
        outcomes: by what the table calls it: rows of metrics, and test accuracy.
    """
    known = tutorial.measured
    keras = ("", "not measured")
    if known.keras:
        spread = f"{known.keras.mean:.3f} ± {known.keras.deviation:.3f} (n = {known.keras.n})"
        keras = (f"{known.keras.seconds_median:.0f} s", spread)
    unit, key = ("update", "step") if "updates" in tutorial.config["recipe"] else ("epoch", "epoch")
    rows = [
        ("the tutorial says", "", "", known.published),
        ("Keras here", "", *keras),
        *(
            (title, count(metrics[-1][key], unit), f"{metrics[-1]['seconds']:.1f} s", f"{accuracy:.4f}")
            for title, (metrics, accuracy) in outcomes.items()
        ),
    ]
    return align_columns(("", "length", "time", "test accuracy"), rows, numbers=("time",), width=WIDTH)


class Ours(Part):
    """The part that is our configuration's, on the same data."""

    title = "ours"

    def __init__(self, tutorial: Tutorial, configs: Sequence[Config], account: Account) -> None:
        super().__init__(configs[1], account)
        self.tutorial, self.theirs = tutorial, configs[0]

    def open(self) -> None:
        """Tell what is done differently."""
        self.account.heading("Ours: the same data, no more time")
        changes = entries.compare(self.theirs.model_dump(), self.config.model_dump())
        rows = [(key, *map(_write_setting, pair), self.tutorial.why.get(key, "")) for key, pair in changes.items()]
        self.account.table(("setting", "tutorial", "ours", "why"), rows)

    def close(self, finished: FinishedRun) -> None:
        """Tell what came of it."""
        self.account.show(f"Test accuracy: {finished.accuracy:.4f}", "")
        super().close(finished)


def compare(tutorial: tuple[float, float], ours: tuple[float, float]) -> str:
    """Say how much better ours is, and in what part of the time.

    Args:
        tutorial, ours: test accuracy and seconds.

    >>> compare((0.68, 100), (0.75, 80))
    'Ours: 0.7500 against 0.6800, 7.0 percentage points more, in 0.80 of the time.'
    """
    gain = 100 * (ours[0] - tutorial[0])
    return (
        f"Ours: {ours[0]:.4f} against {tutorial[0]:.4f}, {abs(gain):.1f} percentage points "
        f"{'more' if gain >= 0 else 'less'}, in {ours[1] / tutorial[1]:.2f} of the time."
    )


def _write_setting(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
