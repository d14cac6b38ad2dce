"""A model card: what a stranger should know of a classifier before using it, as Markdown.

In: `Origin`, reports of its evaluations. Out: text. It states what the run's files say, and where they say nothing,
that; it judges nothing itself. Source: Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..pictures.preprocess import Preprocessing
from .onnx_file import Provenance
from .origin import Origin

_LISTED = 50  # class names, at most
_WEAKEST = 5  # classes that are found worst

Reports = Sequence[dict[str, Any]]


def card(origin: Origin, reports: Reports, *, about: dict[str, Any] | None = None) -> str:
    """Return the card.

    Args:
        origin: the classifier.
        reports: of evaluations of this very classifier, oldest first; the newest of each split counts.
        about: what `run.json` says, if it is from a run.
    """
    newest = list({report["split"]: report for report in reports}.values())
    sections = (
        _what(origin),
        _use(origin),
        _data(origin.provenance(), about or {}),
        _accuracy(origin, newest),
        _limits(origin, newest),
        f"## Licence\n\n{_sentence(origin.licences())}.",
        _provenance(origin.provenance()),
    )
    head = "---\nlibrary_name: eyesight\npipeline_tag: image-classification\n---\n"
    return head + "\n" + "\n\n".join(sections) + "\n"


def _what(origin: Origin) -> str:
    classifier, backbone = origin.classifier, origin.backbone()
    made = f"the last layer of a pretrained `{backbone}`" if backbone else f"the network `{classifier.spec.name}`"
    names = ", ".join(_text(name) for name in classifier.classes[:_LISTED])
    more = ", …" if len(classifier.classes) > _LISTED else ""
    return (
        f"# {_text(origin.name)}\n\nAn image classifier: {made}, trained with eyesight. It takes "
        f"{_pictures(classifier.preprocessing)} and gives a probability for each of {len(classifier.classes):,} "
        f"classes: {names}{more}."
    )


def _pictures(preprocessing: Preprocessing) -> str:
    height, width, channels = preprocessing.shape
    return f"pictures of any size, which it sees as {width}x{height} pixels in {'colour' if channels == 3 else 'grey'},"


def _use(origin: Origin) -> str:
    name = origin.name
    return (
        "## How to use\n\n"
        f"    eyesight predict {name}.onnx photos/\n\n"
        f'or in Python `eyesight.load_model("{name}.onnx").predict("photo.jpg")`. The file also runs with ONNX Runtime '
        "alone; its metadata says how a picture becomes its input."
    )


def _data(provenance: Provenance, about: dict[str, Any]) -> str:
    if provenance.data is None:
        return "## Data\n\nNot recorded."
    protocol = about.get("protocol")
    lines = [f"Trained on `{_text(provenance.data)}` (fingerprint `{provenance.fingerprint}`)."]
    if protocol == "test-as-validation":
        lines.append("The test pictures were looked at during training, as many tutorials do.")
    elif protocol == "holdout":
        lines.append("A part of the training pictures was held out for validation.")
    return "## Data\n\n" + " ".join(lines)


def _accuracy(origin: Origin, reports: Reports) -> str:
    if not reports:
        place = f" (`eyesight evaluate {origin.run.path}`)" if origin.run else ""
        return f"## How well it does\n\nNot evaluated yet{place}."
    rows = [
        f"| {report['split']} | {report['n']:,} | {report['accuracy']:.4f} | "
        f"{report['accuracy_interval'][0]:.4f} to {report['accuracy_interval'][1]:.4f} | "
        f"{report['calibration_error']:.4f} |"
        for report in reports
    ]
    head = "| pictures | n | accuracy | 95 % interval | calibration error |\n|---|---:|---:|---|---:|\n"
    return "## How well it does\n\n" + head + "\n".join(rows)


def _limits(origin: Origin, reports: Reports) -> str:
    lines = [
        f"It answers with one of its {len(origin.classifier.classes):,} classes, whatever a picture shows.",
        "Its figures hold for pictures like those it was judged on; others may be harder.",
    ]
    report = reports[-1] if reports else None
    if report:
        found = [each for each in report["per_class"] if each["recall"] is not None]
        weakest = sorted(found, key=lambda each: each["recall"])[:_WEAKEST]
        named = ", ".join(f"{_text(each['label'])} ({each['recall']:.2f} of {each['support']:,})" for each in weakest)
        lines.append(f"Found least often: {named}.")
        lines += [text for text in (report.get("overfitting"), *report.get("notes", ())) if text]
    return "## Limits\n\n" + "\n".join(f"- {_sentence(line)}" for line in lines)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _provenance(provenance: Provenance) -> str:
    facts = {key: value for key, value in provenance.model_dump().items() if value is not None}
    return "## Where it came from\n\n" + "\n".join(f"- {key}: `{_text(str(value))}`" for key, value in facts.items())


def _text(text: str) -> str:
    """Return a name as one line that Markdown leaves alone."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_<>[]|#" else letter for letter in line)
