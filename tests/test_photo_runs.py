"""Runs on a user's photos: trained, judged, gone on with, repeated, and found again where they were moved to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.cli import main
from eyesight.errors import DataNotFoundError, UsageError
from eyesight.training.events import EpochEnded
from photo_files import fill, write


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"train/a": 8, "train/b": 8, "val/a": 3, "val/b": 3})


def test_train_evaluate_and_predict_from_the_command_line(photos, capsys):
    (photos / "train/a/cut.png").write_bytes((photos / "train/a/0.png").read_bytes()[:60])
    assert main(["train", "photos/", "--epochs", "2", "--img-size", "16", "--resize", "pad", "-b", "8"]) == 0
    err = capsys.readouterr().err
    assert "22 of 23 pictures read; left out: train/a/cut.png: image file is truncated" in err
    assert main(["evaluate", "runs/photos-whitened-32-64-64-1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["split"], report["n"]) == ("validation", 6)
    run = eyesight.open_run("runs/photos-whitened-32-64-64-1")
    config = run.read_config()["data"]
    assert (config["name"], config["kind"]) == (str(photos), "folder")
    assert (config["img_size"], config["resize"]) == (16, "pad")
    assert run.about()["protocol"] == "given"
    assert main(["predict", str(run.path), "photos/val/a/0.png"]) == 0


def test_small_settings_reach_the_config_and_wrong_ones_name_the_option(photos, capsys):
    for arguments, message in (
        (["--img-size", "3"], "--img-size: should be greater than or equal to 8; received: 3"),
        (["--resize", "squash"], "--resize: should be 'crop', 'pad' or 'stretch'; received: 'squash'"),
        (["--group-by", "nobody"], "--group-by: 'nobody' is no column, and as a pattern matches no picture"),
    ):
        assert main(["train", "photos/", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert main(["train", "digits", "--img-size", "32"]) == 2
    assert "--img-size: only for a folder of photos; received: 32 for digits" in capsys.readouterr().err
    (photos / "val/b/cut.png").write_bytes(b"\x89PNG")
    assert main(["train", "photos/", "--strict"]) == 1
    assert "refused, as --strict asks" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_run_goes_on_and_is_repeated_bit_for_bit(photos, tmp_path, monkeypatch):
    whole = eyesight.train("photos", epochs=3, batch_size=8, progress=False, output="whole")

    def stop(event: object) -> None:
        if isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017, PT011 # however it is stopped, it is taken up again
        eyesight.train("photos", epochs=3, batch_size=8, progress=False, output="part", listeners=[stop])
    monkeypatch.chdir(tmp_path.parent)  # the configuration knows where the photos lie
    part = eyesight.resume(tmp_path / "part", progress=False)
    again = eyesight.train(replay=tmp_path / "whole", progress=False, output=tmp_path / "again")
    for run in (part, again):
        assert (tmp_path / "whole/model.safetensors").read_bytes() == run.model_file.read_bytes() or (
            np.array_equal(*(r.classifier.logits(whole.data().train.gather(np.arange(16))) for r in (whole, run)))
        )


def test_photos_that_were_moved_are_found_where_the_user_says(photos, tmp_path):
    run = eyesight.train("photos", epochs=1, batch_size=8, progress=False)
    shutil.move(photos, tmp_path / "elsewhere" / "pets")
    with pytest.raises(DataNotFoundError, match=r"photos-\S+: its photos are no longer at /.*/photos; .* --data-dir"):
        eyesight.open_run(run.path).evaluate()
    with pytest.raises(UsageError, match="data_dir: no such folder: nowhere"):
        eyesight.open_run(run.path).evaluate(data_dir="nowhere")
    found = eyesight.open_run(run.path).evaluate(data_dir="elsewhere/pets")
    assert not any("differs" in note for note in found.report.notes)
    shutil.move(tmp_path / "elsewhere" / "pets", tmp_path / "elsewhere" / "photos")
    assert eyesight.open_run(run.path).evaluate(data_dir="elsewhere").repeats


def test_photos_that_have_changed_are_not_judged_where_they_may_have_been_learned_from(tmp_path):
    fill(tmp_path / "flat", {"a": 20, "b": 20})
    run = eyesight.train("flat", epochs=1, batch_size=8, progress=False)
    write(tmp_path / "flat/a/00.png", 9999)
    with pytest.raises(
        UsageError, match=r"flat is not what .* was trained on, so its validation pictures may have been"
    ):
        eyesight.open_run(run.path).evaluate()


def test_ids_in_predictions_are_paths(photos):
    run = eyesight.train("photos", epochs=1, batch_size=8, progress=False)
    ids = run.evaluate().predictions.example_ids
    assert ids[:3] == ("val/a/0.png", "val/a/1.png", "val/a/2.png")


def test_data_show_draws_photos_and_says_what_is_odd(photos, capsys):
    (photos / "train/a/cut.png").write_bytes(b"")
    assert main(["data", "show", "photos/", "--json", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert facts["counts"] == {"train": [8, 8], "validation": [3, 3]}
    assert facts["left_out"] == {"train/a/cut.png": "not a picture: the file is empty; copy or download it again"}
    assert "note: 22 of 23 pictures read" in err
    assert Path("out/photos-pictures.png").is_file()
