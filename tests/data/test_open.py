"""The one door to data: names, arrays, datasets, and what an earlier run learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eyesight.data.open import DataConfig, open_again, open_data, open_wanted
from eyesight.errors import DataNotFoundError, UsageError

ARRAYS = (np.arange(40 * 64, dtype=np.uint8).reshape(40, 8, 8), np.arange(40) % 2)


def test_a_name_and_arrays_are_split_alike() -> None:
    for named in ("digits", ARRAYS):
        data = open_data(named, validation=0.2, split_seed=3, sample=30)
        assert (data.validation_share, data.split_seed, data.sample) == (0.2, 3, 30)
        assert len(data.train) + len(data.validation or ()) == 30
    assert (open_data("digits").kind, open_data(ARRAYS).kind) == ("catalog", "arrays")
    with pytest.raises(UsageError, match="test, classes: only for arrays; digits has its own"):
        open_data("digits", classes=["a"])


def test_a_dataset_stays_as_it_is_split_unless_it_is_asked_otherwise() -> None:
    data, wanted = open_data(ARRAYS, validation=0.2), DataConfig(validation=0.5, sample=10)
    assert open_wanted(data, wanted) is data
    assert open_wanted(data, wanted, validation=0).validation is None
    assert open_wanted(ARRAYS, wanted).sample == 10
    assert open_wanted(None, DataConfig(name="digits", sample=50)).sample == 50


def test_arrays_cannot_be_brought_back_by_a_configuration(tmp_path: Path) -> None:
    wanted = DataConfig(name="arrays", kind="arrays")
    with pytest.raises(UsageError, match=r"data\.name: the configuration was made for arrays; pass them"):
        open_wanted(None, wanted)
    with pytest.raises(UsageError, match=r"run: was trained on arrays, which only Python can pass"):
        open_again(wanted, source=tmp_path / "run", data_dir=None, folder=None)


def test_files_are_looked_for_where_they_were_unless_a_place_is_named(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = DataConfig(name="mnist", sample=100)

    def found(named: Path | None, folder: Path | None) -> str | None:
        data = open_again(wanted, source=tmp_path, data_dir=named, folder=str(folder) if folder else None)
        return data.folder

    assert found(None, data_dir) == str(data_dir.resolve())
    for named, folder in ((tmp_path, data_dir), (None, tmp_path / "gone"), (None, None)):
        with pytest.raises(DataNotFoundError):
            found(named, folder)
    monkeypatch.setenv("EYESIGHT_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError):
        found(None, data_dir)
