"""What happens during training, as typed events, and the one control that is asked.

In: nothing. Out: event types, and `Control`. The loop emits events and polls the control; a file, a progress bar or a
page are listeners. Nobody changes the training through an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Planned:
    """A network has been chosen for a budget of time.

    Attributes:
        network: its name.
        recipe: entries of the recipe that the time decided.
        epochs: times through the training pictures that the time is estimated to be enough for.
        rate: FLOP/s of convolutions, as measured.
        elementwise: numbers a second of what lies between them, likewise.
        share: of its threads' time that the process had while it measured; where it is little, other programs had the
            rest, and the network is one for what they left.
    """

    network: str
    recipe: dict[str, Any]
    epochs: float
    rate: float
    elementwise: float
    share: float


@dataclass(frozen=True)
class Started:
    """Training begins, or goes on after an interruption.

    Attributes:
        network: its name.
        step: updates already done.
        epochs, updates, budget: how long: times through the pictures, or updates, or seconds; the others are None.
        steps_per_epoch: updates in each.
        examples: training pictures.
        device, precision: where and how the network computes.
    """

    network: str
    step: int
    epochs: int | None
    updates: int | None
    budget: float | None
    steps_per_epoch: int
    examples: int
    device: str
    precision: str


@dataclass(frozen=True)
class Progress:
    """Some time has passed within an epoch; loss and accuracy are means over the epoch so far.

    Attributes:
        progress: of the whole training, from 0 to 1.
        rate: training pictures per second since the last of these events.
        seconds_left: of training and validation, estimated.
    """

    epoch: int
    step: int
    position: int
    progress: float
    loss: float
    accuracy: float
    rate: float
    seconds_left: float


@dataclass(frozen=True)
class EpochEnded:
    """An epoch and its validation are over; `row` is what metrics.jsonl holds of it."""

    row: dict[str, Any]


@dataclass(frozen=True)
class CheckpointSaved:
    """The state of the training is on disk.

    Attributes:
        seconds: that saving took.
    """

    step: int
    file: str
    seconds: float


@dataclass(frozen=True)
class ThreadsChosen:
    """A number of CPU threads has been chosen by what updates take.

    Attributes:
        step: updates done.
        threads: taken from now on.
        available: that could have been taken.
        reason: why, in words.
    """

    step: int
    threads: int
    available: int
    reason: str


@dataclass(frozen=True)
class Embedding:
    """Features of pictures are being computed.

    Attributes:
        network: the pretrained network that makes them.
        done, total: pictures that are done, of those whose features were not known before.
        rate: of them per second.
        seconds_left: estimated.
        mirror: whether they are of the mirror images.
    """

    network: str
    done: int
    total: int
    rate: float
    seconds_left: float
    mirror: bool = False


@dataclass(frozen=True)
class HeadFitted:
    """The last layer of a probe is fitted; `row` is what metrics.jsonl holds of it.

    Attributes:
        strength: as cross-validation chose it, or as it was asked for.
        mirror: whether mirror images are looked at too.
        estimate: accuracy on new pictures, `low` and `high` its 95 % interval.
        examples: pictures that it was estimated on, each by a layer that had not seen it.
        folds: accuracy of each fold, their mean, deviation and 95 % interval, where a number of folds was asked for.
    """

    strength: float
    mirror: bool
    estimate: float
    low: float
    high: float
    examples: int
    row: dict[str, Any]
    folds: dict[str, Any] | None = None


@dataclass(frozen=True)
class Decoding:
    """Photos are being decoded, at a size from which parts can be cut.

    Attributes:
        done, total: photos that are done, of those that were not decoded before.
        doing: what becomes of them, in words.
    """

    done: int
    total: int
    doing: str


@dataclass(frozen=True)
class EpochTimed:
    """It was measured how long an epoch will take, before the first one.

    Attributes:
        upper, whole: seconds while the upper stages learn, and while all do.
        epochs: that the time is estimated to be enough for, or that were asked for.
        seconds: that they are estimated to take together.
    """

    upper: float
    whole: float
    epochs: float
    seconds: float


@dataclass(frozen=True)
class Compared:
    """A tuned network was compared with the probe that it began as.

    Attributes:
        probe, tuned: accuracy on the validation pictures; balanced, where every class counts the same.
        examples: validation pictures.
        kept: "probe" or "tuned".
        balanced: whether the mean over classes was compared.
    """

    probe: float
    tuned: float
    examples: int
    kept: str
    balanced: bool


@dataclass(frozen=True)
class Warned:
    """Something a person should know; training goes on."""

    message: str


@dataclass(frozen=True)
class Ended:
    """Training is over.

    Attributes:
        status: complete, interrupted or failed.
        reason: why, in words.
        seconds: of training and validation, over all sittings.
    """

    status: str
    reason: str
    seconds: float


Event = (
    Planned
    | Started
    | Progress
    | EpochEnded
    | CheckpointSaved
    | ThreadsChosen
    | Embedding
    | HeadFitted
    | Decoding
    | EpochTimed
    | Compared
    | Warned
    | Ended
)
Listener = Callable[[Event], None]


def event_to_json(event: Event) -> dict[str, Any]:
    """Return the event as plain data, with its type's name under `event`."""
    return {"event": type(event).__name__, **asdict(event)}


@dataclass
class Control:
    """What the loop asks between steps.

    Attributes:
        stop_signal: number of the signal that asked to stop, or None to go on.
    """

    stop_signal: int | None = None
