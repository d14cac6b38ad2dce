"""Tables fit 80 columns, whatever the names are, and lose nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from eyesight.cli.evaluate import show
from eyesight.cli.tables import WIDTH, print_table, wrap
from eyesight.evaluation.evaluate import Evaluation
from eyesight.evaluation.judge import judge
from eyesight.predictions import Predictions

LONG = "a class with a name that is far too long for any table, as people write them"


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@given(text=st.text(max_size=60), width=st.integers(2, 30))
@settings(deadline=None, max_examples=100)
def test_wrapping_keeps_every_letter_and_the_width(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


def test_a_long_name_goes_on_in_the_next_line_and_numbers_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"{LONG} {k}", LONG, "0.1234", f"{10**k:,}") for k in range(7)]
    print_table(("class", "taken for", "share", "times"), rows, numbers=("share", "times"))
    lines = printed(capsys)
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) > len(rows) + 1
    assert [line.split()[-1] for line in lines if "0.1234" in line] == [row[3] for row in rows]


def test_a_narrow_table_is_as_narrow_as_its_words_and_names_cannot_break_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("name", "n"), [("one\ntwo", 1), ("[red]", 22)], numbers=("n",))
    assert printed(capsys) == ["name      n", "one two   1", "[red]    22"]


def test_a_table_without_headings_has_no_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("", ""), [("a", "b")])
    assert printed(capsys) == ["a  b"]
    print_table(("a", "b"), [])
    assert printed(capsys) == ["a  b"]


@pytest.mark.parametrize(
    ("classes", "n", "matrix"), [(2, 50, True), (10, 60_000, True), (12, 3_000, True), (100, 500, False)]
)
def test_a_report_fits_80_columns_and_its_matrix_is_left_out_where_it_does_not(
    classes: int, n: int, matrix: bool, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)).astype(np.float32)
    logits[np.arange(n), labels] += 2
    names = tuple(f"{LONG} {k}" for k in range(classes))
    ids = tuple(f"test/some/folder/with/a/long/name/photo-{i}.jpg" for i in range(n))
    predictions = Predictions(ids, labels, logits, names, "test", "m", "d")
    show(Evaluation(judge(predictions, temperature=1.5), predictions, tmp_path, {}))
    lines = printed(capsys)
    assert max(map(len, lines)) <= WIDTH
    assert any(line.startswith("confusion matrix") for line in lines) is matrix
