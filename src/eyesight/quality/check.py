"""What is wrong with labelled pictures: files, copies, leaks, contradictions, outliers, labels.

In: a collection. Out: a `Check`: counts, and findings from the gravest on. It moves nothing and prints nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.duplicates import SIDE, Pair, find_pairs, group
from ..data.listing import count, suffix_of
from ..errors import UsageError
from ..pictures.sources import natural
from ..training.head import FOLDS
from .collection import Collection, Stored
from .examine import Facts
from .labels import Doubts, doubt, out_of_fold
from .look import Progress, look_at_all
from .outliers import find_outliers

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

_USUAL_LIMIT = 5000  # pictures of a named set whose labels are judged
_NEEDED = 20  # pictures, from which on labels are judged


@dataclass(frozen=True)
class Kind:
    """A kind of finding: its heading, what to do about it, and whether something is to be done."""

    heading: str
    advice: str
    act: bool


KINDS = {
    "unreadable": Kind("Files that cannot be read", "left out", act=True),
    "contradiction": Kind("One picture under several labels", "all left out: the right label is not known", act=True),
    "leak": Kind("One picture in several splits", "kept in test, else in validation: left out of the others", act=True),
    "copy": Kind("Copies within a split", "the largest is kept", act=True),
    "blank": Kind("Pictures of one colour", "left out", act=True),
    "label": Kind("Labels that are likely wrong", "kept: look at them, and move what is wrong", act=True),
    "misnamed": Kind("Files of another kind than named", "kept: they are read all the same", act=False),
    "scene": Kind("Pictures that look alike", "kept in one group: perhaps views of one scene", act=False),
    "dark": Kind("Dark pictures", "kept", act=False),
    "pale": Kind("Pale pictures", "kept", act=False),
    "blurred": Kind("Blurred pictures", "kept", act=False),
    "tiny": Kind("Tiny pictures", "kept", act=False),
    "huge": Kind("Huge pictures", "kept: they take long to read", act=False),
    "long": Kind("Pictures of an odd shape", "kept: much of them is cut off or stretched", act=False),
}
_LEFT_OUT = ("unreadable", "blank", "contradiction")
_JUDGED_FIRST = {"test": 0, "validation": 1, "train": 2}  # a copy stays where the result is judged


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: a key of `KINDS`.
        pictures: numbers of the items that it concerns.
        text: what it is: the reason, what was measured, how copies differ.
        score: the lower, the graver; among findings of one kind.
    """

    kind: str
    pictures: tuple[int, ...]
    text: str
    score: float = 0.0


@dataclass(frozen=True, eq=False)
class Check:
    """What was found.

    Attributes:
        collection: what was checked.
        findings: in the order of `KINDS`, the gravest of each first.
        groups: (N,) pictures that belong on one side of a split share a number; -1 for a picture of its own.
        left_out: numbers of the items that should not be used, with the reason.
        notes: what was not checked, and how good the judgement of labels is.
        accuracy: of the model that judged the labels, on pictures that it had not seen; None for no judgement.
        ranked: pictures from the most doubtful label on, of those that were judged.
        margins: (N,) probability of a label, less that of the likeliest other; NaN where it was not judged.
        suggested: (N,) that other label; "" where it was not judged.
    """

    collection: Collection
    findings: tuple[Finding, ...]
    groups: Ints
    left_out: dict[int, str]
    notes: tuple[str, ...]
    accuracy: float | None = None
    ranked: tuple[int, ...] = ()
    margins: Floats = field(default_factory=lambda: np.empty(0))
    suggested: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What a table or a layout promises and is not there."""
        return tuple(self.collection.problems)

    @property
    def act(self) -> bool:
        """Whether there is something to act on."""
        return bool(self.problems) or any(KINDS[finding.kind].act for finding in self.findings)

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures of each class, by split; all of them, whatever was found."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for item in self.collection.items:
            found[item.split][item.label] += 1
        splits = [name for name in ("train", "validation", "test") if name in found]
        return {name: {label: found[name][label] for label in self.collection.classes} for name in splits}

    def of(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """Return everything, for programs."""
        items = self.collection.items
        return {
            "data": self.collection.name,
            "pictures": len(items),
            "act": self.act,
            "counts": self.counts,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "accuracy_out_of_fold": self.accuracy,
            "findings": [
                {
                    "kind": finding.kind,
                    "act": KINDS[finding.kind].act,
                    "text": finding.text,
                    "pictures": [
                        {
                            "id": items[i].id,
                            "label": items[i].label,
                            "split": items[i].split,
                            "used": i not in self.left_out,
                        }
                        for i in finding.pictures
                    ],
                }
                for finding in self.findings
            ],
            "doubtful_labels": [
                {
                    "id": items[i].id,
                    "label": items[i].label,
                    "suggested": self.suggested[i],
                    "margin": round(float(self.margins[i]), 4),
                }
                for i in self.ranked[: max(50, len(self.of("label")))]
            ],
        }


def check(
    collection: Collection,
    *,
    backbone: str = "efficientnet-lite0",
    sample: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Check:
    """Check pictures.

    Args:
        collection: the pictures.
        backbone: the network whose features tell what a picture shows.
        sample: so many pictures, drawn by chance, have their labels judged; all, or 5,000 of a dataset with a name.
        seed: of that draw, and of the folds.
        progress: called as pictures are looked at.

    Raises:
        UsageError: a sample below 1.
        DataNotFoundError: the package with the backbone's weights is not installed.
    """
    if sample is not None and sample < 1:
        raise UsageError(f"expected 1 or more; received: {sample}", field="sample")
    notes = list(collection.notes)
    chosen = _choose(collection, sample, seed, notes)
    seen = look_at_all(collection, backbone, chosen, progress)
    facts, reasons, features, rows = seen.facts, seen.reasons, seen.features, seen.rows
    readable = np.array(sorted(facts), np.int64)
    findings = [Finding("unreadable", (i,), reason) for i, reason in reasons.items()]
    findings += [
        Finding("misnamed", (i,), f"its name ends in {suffix_of(collection.items[i].id)}; it is {_kind(fact)}")
        for i, fact in facts.items()
        if fact.misnamed
    ]
    findings += [
        Finding(outlier.kind, (int(readable[outlier.index]),), outlier.text)
        for outlier in find_outliers([facts[i] for i in readable], small=collection.small)
    ]
    blank = {i for finding in findings if finding.kind == "blank" for i in finding.pictures}
    pairs = _pairs(collection, [i for i in readable.tolist() if i not in blank], facts, features, rows)
    findings += _duplicates(collection, pairs)
    left_out = _left_out(collection, findings, facts)
    groups = _groups(collection, pairs)
    doubts = _judge(collection, features, rows, pairs, left_out, seed, notes)
    findings += doubts.findings
    order = list(KINDS)
    findings.sort(key=lambda finding: (order.index(finding.kind), finding.score))
    return Check(
        collection, tuple(findings), groups, left_out, tuple(notes), doubts.accuracy, doubts.ranked, doubts.margins,
        doubts.suggested,
    )  # fmt: skip


def _kind(fact: Facts) -> str:
    return f"{'an' if fact.kind[:1] in 'AEIOU' else 'a'} {fact.kind}"


def _choose(collection: Collection, sample: int | None, seed: int, notes: list[str]) -> Ints:
    """Return which pictures' labels are judged, ascending."""
    total = len(collection.items)
    limit = sample or (_USUAL_LIMIT if isinstance(collection, Stored) else total)
    if collection.small:
        notes.append(
            f"pictures of less than {SIDE} pixels: only exact copies are looked for, "
            "as changed ones cannot be told from others"
        )
    if limit >= total:
        return np.arange(total)
    notes.append(f"labels of {limit:,} pictures, drawn by chance, are judged; all {total:,} are looked at otherwise")
    return np.sort(np.random.default_rng([seed, 7]).permutation(total)[:limit])


def _pairs(
    collection: Collection, shown: Sequence[int], facts: dict[int, Facts], features: Floats, rows: Ints
) -> list[Pair]:
    """Return the pairs of pictures, of those that show something, that show the same."""
    if not shown:
        return []
    thumbnails = (
        np.stack([facts[i].thumbnail for i in shown]) if not collection.small else np.empty((0, 1, 1), np.uint8)
    )
    place = {i: k for k, i in enumerate(rows.tolist())}
    every = not collection.small and all(i in place for i in shown)
    pairs = find_pairs(
        [facts[i].digest for i in shown],
        [facts[i].pixels for i in shown],
        thumbnails,
        np.array([facts[i].width / facts[i].height for i in shown], np.float32),
        features[[place[i] for i in shown]].astype(np.float32) if every else None,
    )
    return [Pair(shown[pair.first], shown[pair.second], pair.how, pair.likeness) for pair in pairs]


def _duplicates(collection: Collection, pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Yield groups of copies, and of pictures that look alike."""
    items = collection.items
    copies = [pair for pair in pairs if pair.how != "scene"]
    member: dict[int, int] = {}
    for number, found in enumerate(group(copies, len(items))):
        member |= dict.fromkeys(found, number)
        inside = set(found)
        hows = Counter(pair.how for pair in copies if pair.first in inside)
        labels = sorted({items[i].label for i in found}, key=natural)
        splits = [name for name in _JUDGED_FIRST if any(items[i].split == name for i in found)]
        text = " and ".join(hows)
        if len(labels) > 1:
            yield Finding("contradiction", tuple(found), f"{', '.join(labels)}; {text}")
        elif len(splits) > 1:
            yield Finding("leak", tuple(found), f"{', '.join(splits[::-1])}; {text}")
        else:
            yield Finding("copy", tuple(found), text)
    alike = [
        pair for pair in pairs if pair.how == "scene" and member.get(pair.first, -1) != member.get(pair.second, -2)
    ]
    for found in group(alike, len(items)):
        best = max(pair.likeness for pair in alike if pair.first in found)
        splits = [name for name in _JUDGED_FIRST if any(items[i].split == name for i in found)]
        across = f"; in {' and '.join(splits)}" if len(splits) > 1 else ""
        yield Finding("scene", tuple(found), f"likeness {best:.2f}{across}", -best)


def _left_out(collection: Collection, findings: Sequence[Finding], facts: dict[int, Facts]) -> dict[int, str]:
    """Return which pictures should not be used, and why."""
    left_out: dict[int, str] = {}
    for finding in findings:
        if finding.kind in _LEFT_OUT:
            left_out |= dict.fromkeys(finding.pictures, finding.kind)
        elif finding.kind in ("leak", "copy"):
            kept = min(
                finding.pictures,
                key=lambda i: (
                    _JUDGED_FIRST[collection.items[i].split],
                    -facts[i].width * facts[i].height,
                    -facts[i].bytes,
                    i,
                ),
            )
            left_out |= {i: finding.kind for i in finding.pictures if i != kept}
    return left_out


def _groups(collection: Collection, pairs: Sequence[Pair]) -> Ints:
    """Return which pictures belong on one side of a split: (N,), -1 for those that stand alone."""
    first: dict[str, int] = {}
    given = [
        Pair(first.setdefault(item.group, i), i, "scene", 1.0) for i, item in enumerate(collection.items) if item.group
    ]
    groups = np.full(len(collection.items), -1, np.int64)
    for number, found in enumerate(
        group([*pairs, *(pair for pair in given if pair.first != pair.second)], len(groups))
    ):
        groups[found] = number
    return groups


@dataclass(frozen=True, eq=False)
class _Judgement:
    """What came of judging labels."""

    findings: list[Finding]
    accuracy: float | None
    ranked: tuple[int, ...]
    margins: Floats
    suggested: tuple[str, ...]


def _judge(
    collection: Collection,
    features: Floats,
    rows: Ints,
    pairs: Sequence[Pair],
    left_out: dict[int, str],
    seed: int,
    notes: list[str],
) -> _Judgement:
    """Judge the labels of pictures that are to be used, each by a model of the others."""
    items, names = collection.items, collection.classes
    margins, suggested = np.full(len(items), np.nan), [""] * len(items)
    part = np.array([k for k, i in enumerate(rows.tolist()) if i not in left_out], np.int64)
    labels = np.array([names.index(items[i].label) for i in rows[part]], np.int64)
    if len(part) < _NEEDED or len(np.unique(labels)) == 1:
        notes.append(f"labels are not judged: that takes {_NEEDED} pictures of two classes, copies apart")
        return _Judgement([], None, (), margins, tuple(suggested))
    groups = _groups(collection, pairs)[rows[part]]
    alone = np.where(groups < 0, len(items) + np.arange(len(groups)), groups)
    doubts = doubt(out_of_fold(features[part], labels, alone, classes=len(names), seed=seed), labels)
    numbers = rows[part]
    margins[numbers] = doubts.margins
    for i, other in zip(numbers.tolist(), doubts.other.tolist(), strict=True):
        suggested[i] = names[other]
    notes.append(_quality_note(doubts, labels, len(names)))
    findings = [
        Finding("label", (int(numbers[k]),), f"rather {names[doubts.other[k]]}", float(doubts.margins[k]))
        for k in doubts.order
        if doubts.likely[k]
    ]
    return _Judgement(findings, doubts.accuracy, tuple(numbers[doubts.order].tolist()), margins, tuple(suggested))


def _quality_note(doubts: Doubts, labels: Ints, classes: int) -> str:
    """Say how far the judgement of labels can be trusted."""
    guess = np.bincount(labels, minlength=classes).max() / len(labels)
    said = (
        f"labels are judged by models of the other pictures ({FOLDS} folds), "
        f"which give the label of {doubts.accuracy:.1%} of {count(len(labels), 'picture')}"
    )
    weak = doubts.accuracy < guess + 0.5 * (1 - guess)
    return said + ("; so few that what they doubt says little" if weak else "")
