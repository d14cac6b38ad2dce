"""What a study's figures say, in sentences.

In: outcomes. Out: one or two sentences, computed. A difference counts where its 95 % interval leaves out zero; what
cannot be told apart from chance is said to be so. Pure: no files, no plots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .outcome import ArmOutcome

_ONE_SEED = "One seed has no spread, so no difference can be told apart from chance; take --seeds 3 or more."


def conclude(study: str, found: Sequence[ArmOutcome], *, against: str | None) -> list[str]:
    """Return the sentences of a study.

    Args:
        study: its name.
        found: the outcomes, one for each arm.
        against: name of the arm whose difference from itself is None; None where it has not been trained yet.
    """
    reference = next((outcome for outcome in found if outcome.name == against), None)
    if reference is None or len(found) < 2:
        return ["There is nothing to compare yet."]
    return _STUDIES[study](found, reference)


def regularization(found: Sequence[ArmOutcome], reference: ArmOutcome) -> list[str]:
    """Say which techniques raised test accuracy, which lowered it, and which only narrowed the gap."""
    others = [outcome for outcome in found if outcome is not reference]
    if _seeds(others) < 2:
        return [_ONE_SEED]
    helped, hurt, narrowed, unclear = [], [], [], []
    for outcome in others:
        if outcome.difference and outcome.difference.is_rise:
            helped.append(f"{outcome.label} ({outcome.difference.mean:+.4f})")
        elif outcome.difference and outcome.difference.is_fall:
            hurt.append(f"{outcome.label} ({outcome.difference.mean:+.4f})")
        elif outcome.gap_difference and outcome.gap_difference.is_fall:
            narrowed.append(outcome.label)
        else:
            unclear.append(outcome.label)
    parts = [f"rose with {_join(helped)}"] if helped else []
    parts += [f"fell with {_join(hurt)}"] if hurt else []
    if parts:
        first = f"Against training without any of them, test accuracy {', and '.join(parts)} {_at(others)}."
    else:
        first = f"None of the {len(others)} techniques changed test accuracy by more than chance {_at(others)}."
    rest = [f"{_join(narrowed)} only narrowed the gap between train and test accuracy"] if narrowed else []
    rest += [f"{_join(unclear)} could not be told apart from chance"] if unclear and parts else []
    second = "; ".join(rest)
    return [first, *([f"{second[0].upper()}{second[1:]}."] if second else [])]


def dense_vs_conv(found: Sequence[ArmOutcome], reference: ArmOutcome) -> list[str]:
    """Say how the convolutional network compares to the dense one, in accuracy and in parameters."""
    other = next(outcome for outcome in found if outcome is not reference)
    parameters = f"{other.network.parameters:,} parameters against {reference.network.parameters:,}"
    difference = other.difference
    if difference is None or difference.low is None:
        return [f"{other.label} has {parameters}.", _ONE_SEED]
    if not (difference.is_rise or difference.is_fall):
        return [f"{other.label}, with {parameters}, could not be told apart from {reference.label} {_at([other])}."]
    side = "above" if difference.is_rise else "below"
    low, high = sorted(map(abs, (difference.low, difference.high or 0.0)))
    return [
        f"{other.label} has a test accuracy {abs(difference.mean):.4f} {side} that of {reference.label} "
        f"(95 % interval {low:.4f} to {high:.4f}), with {parameters}."
    ]


def architectures(found: Sequence[ArmOutcome], reference: ArmOutcome) -> list[str]:
    """Name the most accurate network, those that cannot be told apart from it, the smallest and the quickest."""
    equal = [outcome for outcome in found if outcome is not reference and not _below(outcome)]
    first = f"The highest test accuracy has {reference.label} ({reference.test.mean:.4f})"
    if _seeds(found) < 2:
        sentences = [f"{first}.", _ONE_SEED]
    elif equal:
        sentences = [
            f"{first}; {_join([outcome.label for outcome in equal])} could not be told apart from it {_at(found)}."
        ]
    else:
        sentences = [f"{first}; every other is below it by more than chance {_at(found)}."]
    small = min(found, key=lambda outcome: outcome.network.parameters)
    quick = min(found, key=lambda outcome: outcome.seconds.mean)
    if small is quick:
        return [*sentences, f"The fewest parameters and the shortest training has {_sized(small)}."]
    return [*sentences, f"The fewest parameters has {_sized(small)}, the shortest training {quick.label}."]


def epochs(found: Sequence[ArmOutcome], reference: ArmOutcome) -> list[str]:
    """Say from how many epochs on test accuracy no longer rises, and what becomes of the gap."""
    best = f"Test accuracy is highest after {_epochs(reference)} ({reference.test.mean:.4f})"
    gap = (
        f"From {_epochs(found[0])} to {_epochs(found[-1])} train accuracy goes from {found[0].train.mean:.4f} to "
        f"{found[-1].train.mean:.4f}, and its gap to test accuracy from {found[0].gap.mean:+.4f} to "
        f"{found[-1].gap.mean:+.4f}."
    )
    if _seeds(found) < 2:
        return [f"{best}.", gap, _ONE_SEED]
    place = found.index(reference)
    # of shorter ones the last that is below: one before it may seem equal only because its interval is wide
    below = [i for i, outcome in enumerate(found[:place]) if _below(outcome)]
    enough = found[below[-1] + 1 if below else 0]
    worse = [outcome for outcome in found[place + 1 :] if _below(outcome)]
    if enough is not reference:
        best += f", but {_epochs(enough)} could not be told apart from it"
    elif reference is found[-1]:
        best += ", more than after any shorter training: longer ones may gain still"
    if worse:
        best += f"; it is lower after {_epochs(worse[0])}"
    return [f"{best} {_at(found)}.", gap]


_STUDIES: dict[str, Callable[[Sequence[ArmOutcome], ArmOutcome], list[str]]] = {
    "regularization": regularization,
    "dense-vs-conv": dense_vs_conv,
    "architectures": architectures,
    "dense-layers": architectures,
    "epochs": epochs,
}


def _below(outcome: ArmOutcome) -> bool:
    return outcome.difference is not None and outcome.difference.is_fall


def _seeds(found: Sequence[ArmOutcome]) -> int:
    """Return the largest number of pairs that a difference was taken of."""
    return max((outcome.difference.n for outcome in found if outcome.difference), default=0)


def _at(found: Sequence[ArmOutcome]) -> str:
    """Return the number of seeds in brackets, as "(n = 3)"."""
    return f"(n = {_seeds(found)})"


def _sized(outcome: ArmOutcome) -> str:
    return f"{outcome.label} ({outcome.network.parameters:,} parameters, test accuracy {outcome.test.mean:.4f})"


def _epochs(outcome: ArmOutcome) -> str:
    return f"{outcome.label} epoch{'' if outcome.label == '1' else 's'}"


def _join(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
