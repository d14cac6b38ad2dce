"""Files that an earlier eyesight wrote: read as they were meant, and today's files still look like them.

When one of these tests fails because a format has changed, raise the format's version, write the step that upgrades
older files, and add a new folder with `tests/golden/make_golden.py`. Never change the files that are there.
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps

import eyesight
from eyesight.classifier import Classifier
from eyesight.evaluation.judge import judge
from eyesight.formats import read_tensors
from eyesight.predictions import Predictions
from eyesight.run import list_runs, read_config_file
from eyesight.training.plan.recipe import parse_config

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(folder.name for folder in GOLDEN.glob("v*"))
NEWEST = GOLDEN / VERSIONS[-1]


@pytest.fixture(params=VERSIONS)
def golden(request) -> Path:
    return GOLDEN / request.param


@pytest.fixture
def expected(golden) -> dict:
    return json.loads((golden / "expected.json").read_text())


def pictures() -> np.ndarray:
    """The ten test pictures of `make_golden.py`."""
    pixels = np.arange(160).reshape(10, 4, 4) * 37 % 100
    return (pixels + 150 * (np.arange(10) % 2)[:, None, None]).astype(np.uint8)


def test_an_old_model_gives_its_old_logits(golden, expected):
    classifier = Classifier.load(golden / "run" / "model.safetensors")
    np.testing.assert_allclose(classifier.logits(pictures()[..., None]), expected["logits"], atol=1e-4)
    assert classifier.checksum == expected["model"]
    assert classifier.classes == ("dark", "bright")
    assert [p.label for p in classifier.predict(list(pictures()))] == ["dark", "bright"] * 5


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_model_scales_pictures_as_it_did(version):
    classifier = Classifier.load(GOLDEN / version / "run" / "model.safetensors")
    enlarged = Image.fromarray(pictures()[0]).resize((20, 20), Image.Resampling.NEAREST)
    seen = pictures()[0]
    if version == "v1":  # Pillow's bilinear filter, which blurs
        seen = np.asarray(ImageOps.fit(enlarged, (4, 4), Image.Resampling.BILINEAR))
    assert classifier.inference.preprocessing.resample == ("bilinear" if version == "v1" else "area")
    assert classifier.predict(enlarged)[0].top == classifier.predict(seen)[0].top


def test_old_predictions_are_judged_as_they_were(golden, expected):
    predictions = Predictions.load(golden / "predictions.safetensors")
    np.testing.assert_allclose(predictions.logits, expected["logits"], atol=1e-4)
    assert predictions.example_ids == tuple(f"test/{i}" for i in range(10))
    assert (predictions.model, predictions.data) == (expected["model"], expected["data"])
    report = judge(predictions)
    assert report.accuracy == expected["accuracy"]
    assert report.loss == pytest.approx(expected["loss"], abs=1e-6)


def test_the_fingerprint_of_the_same_pictures_is_the_same(expected):
    data = eyesight.from_arrays((pictures(), np.arange(10) % 2), validation=0)
    from eyesight.data.dataset import split_fingerprint

    assert split_fingerprint(data.train) == expected["data"]


def test_an_old_run_is_read_listed_and_judged(golden, expected, tmp_path):
    shutil.copytree(golden / "run", tmp_path / "runs" / "old")
    assert [run.path.name for run in list_runs(tmp_path / "runs")] == ["old"]
    run = eyesight.open_run(tmp_path / "runs" / "old")
    about = run.about()
    assert (run.status, about["data"], about["model"], about["seed"]) == ("complete", "arrays", "small-cnn-1pool", 1)
    rows = [{key: row[key] for key in ("epoch", "loss", "val_accuracy")} for row in run.metrics()]
    assert rows == expected["metrics"]
    assert run.folder.read_environment()["threads"] == 1
    config = parse_config(run.read_config(), "config.yaml")
    assert (config.model.name, config.recipe.epochs, config.recipe.batch_size) == ("small-cnn-1pool", 3, 8)
    labels = np.arange(10) % 2
    data = eyesight.from_arrays(
        (pictures(), labels), test=(pictures(), labels), classes=["dark", "bright"], validation=0
    )
    evaluation = run.evaluate(data=data)
    assert evaluation.accuracy == expected["accuracy"]
    assert {path.name for path in evaluation.folder.iterdir()} >= {"report.json", "predictions.safetensors"}
    assert [report["accuracy"] for report in run.reports()] == [expected["accuracy"]]


def layout(path: Path) -> tuple[dict, dict]:
    """Return what a tensor file says of itself, and the type and shape of every tensor."""
    arrays, description, _ = read_tensors(path)
    return description, {name: (array.dtype.str, array.shape) for name, array in arrays.items()}


def test_todays_model_file_has_the_layout_of_the_golden_one(tmp_path):
    Classifier.load(NEWEST / "run" / "model.safetensors").save(tmp_path / "m.safetensors")
    assert layout(tmp_path / "m.safetensors") == layout(NEWEST / "run" / "model.safetensors")


def test_todays_predictions_file_has_the_layout_of_the_golden_one(tmp_path):
    Predictions.load(NEWEST / "predictions.safetensors").save(tmp_path / "p.safetensors")
    assert layout(tmp_path / "p.safetensors") == layout(NEWEST / "predictions.safetensors")
    old, _, _ = read_tensors(NEWEST / "predictions.safetensors")
    new, _, _ = read_tensors(tmp_path / "p.safetensors")
    assert all(np.array_equal(old[name], new[name]) for name in old)


def keys(value: object) -> object:
    """Return the names in a tree of plain data, without its values."""
    return {key: keys(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_todays_run_folder_has_the_names_and_entries_of_the_golden_one(tmp_path):
    labels = np.arange(10) % 2
    data = eyesight.from_arrays(
        (pictures(), labels), test=(pictures(), labels), classes=["dark", "bright"], validation=0.2
    )
    run = eyesight.train(data, epochs=1, output=tmp_path / "run", progress=False, threads=1)
    for name in ("run.json", "environment.json"):
        new, old = (json.loads((folder / name).read_text()) for folder in (run.path, NEWEST / "run"))
        added = {"steps_per_epoch": None} if name == "run.json" else {}
        assert keys(new) == keys(old) | added, name
    new, old = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (run.path, NEWEST / "run"))
    assert keys(new) == keys(old)
    for name in ("metrics.jsonl", "events.jsonl"):
        new, old = (json.loads((f / name).read_text().splitlines()[0]) for f in (run.path, NEWEST / "run"))
        assert keys(new) == keys(old), name
    report = judge(Predictions.load(NEWEST / "predictions.safetensors")).to_json()
    added = dict.fromkeys(("temperature", "calibration_error", "calibration_error_before", "overfitting"))
    assert keys(report) == keys(json.loads((NEWEST / "report.json").read_text())) | added


def test_formats_and_versions_are_where_any_later_program_will_look():
    for path, name, version in (
        (NEWEST / "run" / "model.safetensors", "eyesight-model", 2),
        (NEWEST / "predictions.safetensors", "eyesight-predictions", 1),
    ):
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        description = json.loads(header["__metadata__"]["eyesight"])
        assert (description["format"], description["version"]) == (name, version)
        assert len(header["__metadata__"]["checksum"]) == 64
    for name in ("run", "environment"):
        data = json.loads((NEWEST / "run" / f"{name}.json").read_text())
        assert (data["format"], data["version"]) == (f"eyesight-{name}", 1)
    report = json.loads((NEWEST / "report.json").read_text())
    assert (report["format"], report["version"]) == ("eyesight-report", 1)
    config = read_config_file(NEWEST / "run" / "config.yaml")
    assert (config["format"], config["version"]) == ("eyesight-config", 1)


def test_versions_written_today_are_those_of_the_newest_golden_files():
    from eyesight import classifier, predictions, run

    assert (classifier.MODEL_FORMAT, classifier.MODEL_VERSION) == ("eyesight-model", 2)
    assert (predictions.PREDICTIONS_FORMAT, predictions.PREDICTIONS_VERSION) == ("eyesight-predictions", 1)
    assert (run.RUN_FORMAT, run.RUN_VERSION) == ("eyesight-run", 1)
    assert (run.CONFIG_FORMAT, run.CONFIG_VERSION) == ("eyesight-config", 1)
    assert (run.REPORT_FORMAT, run.REPORT_VERSION) == ("eyesight-report", 1)
