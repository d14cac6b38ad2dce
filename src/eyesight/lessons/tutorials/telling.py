"""A tutorial told while it runs: the one thing that starts an account, listens to the training, and ends it.

In: a preset, a dataset, a folder; then the events of a training, and its outcome. Out: the account on stdout, figures
in `tutorial/` of the run's folder. It does not train: `eyesight.tutorial` does, and hands over what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...data.dataset import Dataset
from ...registry import Registry
from ...run import RunFolder
from ...training.events import EpochEnded, Event, Started
from ...training.plan.entries import compare
from ...training.plan.recipe import Config
from .account import Account
from .programs import Preset
from .story import Outcome, Story
from .table import TABLE_COLUMNS, Measurement, conclusion, result_rows

STORIES = Registry(
    "tutorial",
    {
        "fashion-early-stopping": "eyesight.lessons.tutorials.fashion:EarlyStopping",
        "cifar10-quickstart": "eyesight.lessons.tutorials.cifar:QuickStart",
        "fashion-same-padding": "eyesight.lessons.tutorials.fashion:SamePadding",
        "lenet5-mnist": "eyesight.lessons.tutorials.lenet:LeNet5",
        "cifar10-dense": "eyesight.lessons.tutorials.cifar:Dense",
    },
)


class Telling:
    """The account of one tutorial, and of our configuration after it.

    Args:
        preset: the tutorial.
        data: its pictures.
        configs: of the tutorial's run, and of ours.
        run: where the first will lie; it need not exist yet.

    Attributes:
        parts: the tutorial's own part, and ours; each is opened, listens to a training, and is closed.
    """

    def __init__(self, preset: Preset, data: Dataset, configs: Sequence[Config], run: RunFolder) -> None:
        self.preset = preset
        self.account = Account(run.tutorial_folder)
        story: Story = STORIES.load(preset.name)(preset, data, configs[0], self.account)
        self.parts: tuple[Tutorial | Ours, ...] = (Tutorial(story), Ours(preset, configs, self.account))

    def table(self) -> None:
        """Print what the tutorial says, what Keras reached, and what was reached now."""
        tell, measured = self.account, [part.measured for part in self.parts if part.measured]
        tell.heading("Side by side, on the test set")
        tell.table(TABLE_COLUMNS, result_rows(self.preset, measured), numbers=("time",))
        if len(measured) == 2:
            tell.say(conclusion(*measured))
        tell.say(
            "Keras here: the tutorial's own program, run earlier (eyesight tutorial says where), mean ± standard "
            "deviation of n runs, median time. Times compare only where they were measured one after the other, on one "
            "machine that does nothing else."
        )


class Tutorial:
    """The part that is the tutorial's."""

    def __init__(self, story: Story) -> None:
        self.story, self.account = story, story.account
        self.measured: Measurement | None = None

    def open(self) -> None:
        """Tell everything up to the first update."""
        self.story.opening()

    def listen(self, event: Event) -> None:
        """Follow the training."""
        if isinstance(event, Started):
            self.account.save()  # the run's folder exists now
        elif isinstance(event, EpochEnded):
            self.account.show(self.story.line(event.row))

    def close(self, outcome: Outcome) -> None:
        """Tell what came of it."""
        other = " (another length or other data)" if self.story.differences() else ""
        self.measured = measurement(f"this run{other}", self.story.config, outcome)
        self.story.closing(outcome)
        self.account.save()
        self.account.show(f"run:  {outcome.folder}", f"next: eyesight evaluate {outcome.folder}", "")


class Ours:
    """The part that is our configuration's, on the same data."""

    def __init__(self, preset: Preset, configs: Sequence[Config], account: Account) -> None:
        self.preset, self.account = preset, account
        self.tutorial, self.config = configs
        self.measured: Measurement | None = None

    def open(self) -> None:
        """Tell what is done differently."""
        self.account.heading("Ours: the same data, no more time")
        changes = compare(self.tutorial.model_dump(), self.config.model_dump())
        rows = [(key, *map(written, pair), self.preset.why.get(key, "")) for key, pair in changes.items()]
        self.account.table(("setting", "tutorial", "ours", "why"), rows)

    def listen(self, event: Event) -> None:
        """Follow the training."""
        if isinstance(event, EpochEnded):
            row = event.row
            count = f"Epoch {row['epoch']}" if self.config.recipe.epochs else f"Update {row['step']}"
            self.account.show(f"{count}  train loss {row['loss']:.4f}  train accuracy {row['accuracy']:.4f}")

    def close(self, outcome: Outcome) -> None:
        """Tell what came of it."""
        self.measured = measurement("ours", self.config, outcome)
        self.account.show(f"Test accuracy: {outcome.report.accuracy:.4f}", "")
        self.account.show(f"run:  {outcome.folder}", f"next: eyesight evaluate {outcome.folder}", "")


def measurement(name: str, config: Config, outcome: Outcome) -> Measurement:
    """Return what the last table says of a run."""
    last = outcome.rows[-1]
    epochs = "1 epoch" if last["epoch"] == 1 else f"{last['epoch']} epochs"
    length = epochs if config.recipe.epochs else f"{last['step']:,} updates"
    return Measurement(name, outcome.report.accuracy, length, last["seconds"])


def written(value: object) -> str:
    """Return a setting as it is written in a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
