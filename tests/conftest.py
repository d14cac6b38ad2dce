"""What several tests need: the real datasets, a small dataset that is drawn here, and a run trained on it once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Tests run side by side, and some compare trainings bit by bit: with one thread, none is chosen by the clock.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import eyesight

# A shell that runs the tests in the background has them ignore Ctrl-C, which many of them press.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the standard datasets: $EYESIGHT_DATA, else ../shared/data beside the checkout."""
    named = os.environ.get("EYESIGHT_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the standard datasets: $EYESIGHT_DATA is not set and {folder} does not exist")
    return folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in an empty folder of its own, without the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESIGHT_DATA", raising=False)
    for name in ("EYESIGHT_OFFLINE", "EYESIGHT_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_DATA_HOME", "KERAS_HOME"):  # where data lies that nobody names
        monkeypatch.setenv(name, str(tmp_path.with_name(f"{tmp_path.name}-home")))
    monkeypatch.setenv("EYESIGHT_CACHE", str(tmp_path.with_name(f"{tmp_path.name}-cache")))


def bars(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw noisy 12x12 colour pictures of a horizontal (0), vertical (1) or diagonal (2) bar, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pictures = rng.integers(0, 90, (count, 12, 12, 3), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        place = rng.integers(2, 9)
        if label == 0:
            picture[place : place + 2] = 230
        elif label == 1:
            picture[:, place : place + 2] = 230
        else:
            picture[np.arange(12), np.roll(np.arange(12), place)] = 230
    return pictures, labels


@pytest.fixture(scope="session")
def bars_data() -> eyesight.Dataset:
    """300 training and 60 test pictures of three kinds of bar."""
    return eyesight.from_arrays(bars(300), test=bars(60, seed=1), classes=["across", "down", "slanted"])


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> eyesight.Run:
    """A small network trained on the embedded digits for three epochs; do not change its folder."""
    return eyesight.train("digits", epochs=3, output=tmp_path_factory.mktemp("runs") / "digits", progress=False)


_proofs = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def proof(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Note a line of figures, to be printed at the end of the whole session: what `make test-long` is run for."""
    return pytestconfig.stash.setdefault(_proofs, []).append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the lines of a worker of pytest-xdist to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["proofs"] = session.config.stash.get(_proofs, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(_proofs, []).extend(getattr(node, "workeroutput", {}).get("proofs", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_proofs, [])
    if lines:
        terminalreporter.section("proofs")
        for line in lines:
            terminalreporter.write_line(line)
