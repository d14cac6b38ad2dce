"""The documentation: links lead somewhere, pages are found, figures are those of the package."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest

from eyesight.lessons.tutorials.programs import TUTORIALS, read_measured
from eyesight.training.plan.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/NOTES.md", *sorted(ROOT.glob("docs/*.md"))]

SHOWN = {"fashion-early-stopping": "Fashion-MNIST", "cifar10-quickstart": "CIFAR-10", "lenet5-mnist": "MNIST"}  # README


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the files that a page links to, each with the heading in it, or nothing."""
    found = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8"))
    return [(page.parent / path if path else page, heading) for path, heading in found if "://" not in path]


def headings(page: Path) -> set[str]:
    """Return the headings of a page as links name them: small letters, hyphens for spaces, no punctuation."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    missing = [str(target) for target, _ in links(page) if not target.exists()]
    assert not missing
    assert not [
        (target.name, heading) for target, heading in links(page) if heading and heading not in headings(target)
    ]


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    assert {target.resolve() for target, _ in links(index)} >= set(ROOT.glob("docs/*.md")) - {index}


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_of_figures_has_what_a_preset_reached(name: str) -> None:
    measured = PRESETS[name].measured
    assert measured is not None
    rows = [
        line for line in (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8").splitlines() if f"`{name}`" in line
    ]
    assert f"{measured.mean:.4f} ± {measured.deviation:.4f}" in rows[0]


@pytest.mark.parametrize("name", TUTORIALS)
def test_keras_has_one_figure_everywhere(name: str) -> None:
    """The mean of all runs without a seed: in measured.json, on the page of figures, and in the README."""
    keras = read_measured()[name].keras
    assert keras is not None
    runs = json.loads((ROOT / "benchmarks/results/keras_unseeded.json").read_text(encoding="utf-8"))["tutorials"][name]
    accuracies = [run["accuracy"] for run in runs]
    expected = len(accuracies), statistics.mean(accuracies), statistics.stdev(accuracies)
    assert (keras.n, keras.mean, keras.deviation) == pytest.approx(expected, abs=1e-5)
    assert keras.n >= 5
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    spread = f"{keras.mean:.4f} ± {keras.deviation:.4f}, {keras.seconds_median:.0f} s | {keras.n} |"
    assert re.search(rf"^\| `{name}` \| .*{re.escape(spread)}", page, re.MULTILINE)
    if name in SHOWN:
        short = f"| {SHOWN[name]} | {keras.mean:.3f} ± {keras.deviation:.3f} in {keras.seconds_median:.0f} s |"
        assert short in (ROOT / "README.md").read_text(encoding="utf-8")
