"""The examples run as they are printed."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("train_*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_runs_and_leaves_a_judged_run(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runpy.run_path(str(path))["main"](str(tmp_path / "run"))
    assert run.status == "complete"
    assert run.reports()[0]["accuracy"] > 0.9
    out = capsys.readouterr().out
    assert "Dataset('digits'" in out
    assert "Evaluation(test: accuracy 0.9" in out
