"""Predictions files and run folders: what is written comes back, what is wrong is refused, locks hold and let go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.errors import EyesightError, FormatError, RunError
from eyesight.evaluation.judge import judge
from eyesight.formats import pack_tensors, read_tensors
from eyesight.predictions import Predictions, predict_split
from eyesight.run import RunFolder, list_runs, next_run_path, read_config_file

ABOUT = {"data": "digits", "model": "small-cnn-1pool", "seed": 0}


def predictions(count=4, classes=("a", "é\n")) -> Predictions:
    rng = np.random.default_rng(0)
    return Predictions(
        example_ids=tuple(f"test/line\nbreak {i}" for i in range(count)),
        labels=np.arange(count) % len(classes),
        logits=rng.normal(size=(count, len(classes))).astype(np.float32),
        classes=classes,
        split="test",
        model="m" * 64,
        data="d" * 64,
        fold=3,
    )


@pytest.mark.parametrize("count", [0, 1, 4])
def test_predictions_come_back_as_they_were(count, tmp_path):
    saved = predictions(count)
    saved.save(tmp_path / "p.safetensors")
    found = Predictions.load(tmp_path / "p.safetensors")
    assert found.example_ids == saved.example_ids
    assert (found.labels.dtype, found.logits.dtype) == (np.int64, np.float32)
    assert np.array_equal(found.labels, saved.labels)
    assert np.array_equal(found.logits, saved.logits)
    for name in ("classes", "split", "model", "data", "fold"):
        assert getattr(found, name) == getattr(saved, name)
    assert len(found) == count


def test_predicted_classes_and_probabilities_are_those_of_the_logits():
    found = replace(predictions(2), logits=np.array([[2, 0], [0, np.log(3)]], np.float32))
    assert found.predicted.tolist() == [0, 1]
    np.testing.assert_allclose(found.probabilities[1], [0.25, 0.75], rtol=1e-6)


def put(key, value):
    return lambda description, arrays: description.update({key: value})


def put_array(key, value):
    return lambda description, arrays: arrays.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("version", 2), "version 2 is newer"),
        (put("version", 0), "version should be a whole number"),
        (put("format", "eyesight-model"), "expected a file of format eyesight-predictions"),
        (put("classes", "ab"), "missing or wrong"),
        (put("classes", [1, 2]), "missing or wrong"),
        (put("split", None), "missing or wrong"),
        (put("surprise", 1), "missing or wrong"),
        (put("classes", ["a", "b", "c"]), "do not fit together"),
        (lambda description, arrays: description.pop("model"), "missing or wrong"),
        (lambda description, arrays: arrays.pop("labels"), "missing or wrong"),
        (put_array("example_ids", np.array([255, 254], np.uint8)), "missing or wrong"),
        (put_array("example_ids", np.array([65, 0, 66], np.uint8)), "do not fit together"),
        (put_array("labels", np.zeros((4, 1), np.int64)), "do not fit together"),
        (put_array("labels", np.zeros(4, np.float32)), "do not fit together"),
        (put_array("labels", np.array([0, 1, 2, 0])), "labels should be from 0 to 1"),
        (put_array("labels", np.array([0, 1, -1, 0])), "labels should be from 0 to 1"),
        (put_array("logits", np.zeros((4, 2), np.float64)), "do not fit together"),
        (put_array("logits", np.zeros((2, 4), np.float32)), "do not fit together"),
    ],
)
def test_a_predictions_file_that_lies_is_refused(change, message, tmp_path):
    path = tmp_path / "p.safetensors"
    predictions().save(path)
    arrays, description, _ = read_tensors(path)
    change(description, arrays)
    path.write_bytes(pack_tensors(arrays, description)[0])
    with pytest.raises(FormatError, match=message) as caught:
        Predictions.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_cut_off_predictions_file_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    predictions().save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="damaged or cut off"):
        Predictions.load(path)


def test_predictions_of_a_split_do_not_depend_on_how_it_is_gathered(digits_run, monkeypatch):
    split = eyesight.load_data("digits").split("test")
    classifier = digits_run.classifier
    whole = predict_split(classifier, split, model="x")
    monkeypatch.setattr("eyesight.predictions._GATHERED", 64 * 100)
    parts = predict_split(classifier, split, model="x")
    np.testing.assert_allclose(whole.logits, parts.logits, atol=1e-5)
    assert whole.example_ids == parts.example_ids == tuple(split.example_ids)
    assert np.array_equal(whole.labels, split.labels)
    assert (whole.split, whole.model, len(whole.data)) == ("test", "x", 64)
    assert judge(whole).accuracy > 0.5


def test_an_empty_split_has_no_predictions(digits_run):
    split = eyesight.load_data("digits").split("test")
    found = predict_split(digits_run.classifier, split.select(np.arange(0), name="none"), model="x")
    assert found.logits.shape == (0, 10)


# ---- the run folder


def test_a_new_run_says_what_it_is(tmp_path):
    run = RunFolder.create(tmp_path / "a" / "b", ABOUT)
    data = json.loads((run.path / "run.json").read_text())
    assert (data["format"], data["version"], data["status"], data["seed"]) == ("eyesight-run", 1, "running", 0)
    assert data["created"]
    run.update(status="complete", steps=7)
    assert RunFolder.open(run.path).about() == data | {"status": "complete", "steps": 7}
    assert RunFolder.open(str(run.path)).status == "complete"


def test_an_empty_folder_may_become_a_run(tmp_path):
    (tmp_path / "r").mkdir()
    RunFolder.create(tmp_path / "r", ABOUT)


def test_a_run_is_replaced_only_when_asked(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "old").write_text("")
    (run.path / "metrics.jsonl").write_text("")
    with pytest.raises(RunError, match="r: exists; choose another --output, go on with --resume, or pass --overwrite"):
        RunFolder.create(run.path, ABOUT)
    assert (run.path / "checkpoints" / "old").is_file()
    RunFolder.create(run.path, ABOUT | {"seed": 1}, overwrite=True)
    assert run.about()["seed"] == 1
    assert {path.name for path in run.path.iterdir()} == {"run.json", "lock"}


def test_what_a_link_in_a_replaced_run_leads_to_is_not_touched(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (run.path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "linked").symlink_to(run.path)
    RunFolder.create(tmp_path / "linked", ABOUT | {"seed": 1}, overwrite=True)
    assert (tmp_path / "mine" / "file").read_text() == "mine"
    assert (tmp_path / "linked").is_symlink()
    assert run.about()["seed"] == 1


def test_a_run_in_the_current_folder_is_replaced(tmp_path, monkeypatch):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    monkeypatch.chdir(run.path)
    RunFolder.create(".", ABOUT | {"seed": 2}, overwrite=True)
    assert run.about()["seed"] == 2


@pytest.mark.parametrize(
    "content",
    [
        {"photo.png": "x"},
        {"run.json": '{"speed": 12}'},
        {"run.json": "not json"},
        {"run.json": '{"format": "eyesight-run", "version": 99, "status": "complete"}'},
        {"run.json/inside": "a folder"},
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_a_run_is_never_replaced(content, overwrite, tmp_path):
    for name, text in content.items():
        (tmp_path / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "r" / name).write_text(text)
    with pytest.raises(RunError, match="r: exists") as caught:
        RunFolder.create(tmp_path / "r", ABOUT, overwrite=overwrite)
    assert "\n" not in str(caught.value)
    assert {name: (tmp_path / "r" / name).read_text() for name in content} == content


def test_a_file_in_the_way_is_not_replaced(tmp_path):
    (tmp_path / "r").write_text("mine")
    with pytest.raises(RunError, match="exists and is not a run"):
        RunFolder.create(tmp_path / "r", ABOUT, overwrite=True)


def test_what_is_no_run_cannot_be_opened(tmp_path):
    with pytest.raises(RunError, match="none: no such run"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(RunError, match=r"not a run \(it has no run\.json\)"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": "eyesight-run", "version": 2}', "eyesight-run version 2 is newer than this eyesight reads"),
        ('{"format": "eyesight-run", "ver', "not a JSON file, or cut off"),
        ('{"format": "eyesight-report", "version": 1}', "expected a file of format eyesight-run"),
        ("[]", "expected a file of format eyesight-run"),
        ('{"format": "eyesight-run", "version": 1, "status": "great"}', "status should be one of running, complete"),
        ('{"format": "eyesight-run", "version": 1}', "status should be one of"),
    ],
)
def test_a_run_file_of_another_kind_or_version_is_refused(content, message, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(FormatError, match=message) as caught:
        RunFolder.open(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'run.json'}: ")


HOLDER = """
import sys
from eyesight.run import RunFolder
with RunFolder(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(path: Path):
    """Let another process hold the lock of a run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_is_running_while_another_process_holds_it_and_interrupted_when_that_was_killed(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    assert run.status == "interrupted"  # nobody trains
    with holding(run.path) as process:
        assert run.is_locked()
        assert run.status == "running"
        started = time.monotonic()
        with pytest.raises(RunError, match="another process is using this run"), run.lock():
            pass
        assert time.monotonic() - started < 5
        with pytest.raises(RunError, match="another process is using this run"):
            RunFolder.create(run.path, ABOUT | {"seed": 9}, overwrite=True)
        assert run.about()["seed"] == 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert run.status == "interrupted"
        with run.lock():
            assert run.status == "running"
    assert run.status == "interrupted"


def test_only_a_running_run_can_become_interrupted(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    for status in ("complete", "failed", "interrupted"):
        run.update(status=status)
        assert run.status == status


def test_the_lock_is_let_go_after_an_error(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    assert not run.is_locked()
    with run.lock(), pytest.raises(RunError), run.lock():
        pass


def test_looking_at_a_run_does_not_stop_another_process_from_taking_it(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    with run.lock():
        pass
    with holding(run.path):
        for _ in range(100):
            assert run.is_locked()


def test_config_and_environment_come_back(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    config = {"format": "eyesight-config", "version": 1, "data": {"name": "é", "share": 0.1}, "b": [1, None, True]}
    run.write_config(config)
    assert run.read_config() == config
    assert list(run.read_config()) == list(config)
    run.write_environment({"device": "cpu"})
    assert run.read_environment() == {"format": "eyesight-environment", "version": 1, "device": "cpu"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"format: eyesight-config\nversion: 2", "eyesight-config version 2 is newer"),
        (b"format: something\nversion: 1", "expected a file of format eyesight-config"),
        (b"- a list", "expected a file of format eyesight-config"),
        (b"", "expected a file of format eyesight-config"),
        (b"a: [1, 2", "not a YAML file"),
        (b"a: 2001-99-99", "not a YAML file"),
        (b"[" * 1500, "not a YAML file"),
        (b"\xff\xfe\x00", "not a YAML file"),
        (b"!!python/object/apply:os.system ['false']", "not a YAML file"),
    ],
)
def test_a_configuration_that_is_none_is_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_config_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_configuration_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"config\.yaml: no such file or directory"):
        read_config_file(tmp_path / "config.yaml")
    with pytest.raises(FormatError, match="is a directory"):
        read_config_file(tmp_path)


def test_metrics_come_back_and_a_cut_line_is_refused(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    assert run.metrics() == []
    rows = [{"epoch": n, "step": 10 * n, "loss": 1e-300, "accuracy": 0.5, "seconds": 0.1} for n in (1, 2)]
    run.write_metrics(rows)
    assert run.metrics() == rows
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(FormatError, match=r"metrics\.jsonl: a line is not JSON, or cut off"):
        run.metrics()


def test_events_are_added_line_by_line(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    run.append_event({"kind": "a", "text": "é\n"})
    run.append_event({"kind": "b"})
    lines = (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"kind": "a", "text": "é\n"}, {"kind": "b"}]


def test_unreadable_reports_are_left_out_and_the_rest_are_oldest_first(tmp_path):
    run = RunFolder.create(tmp_path / "r", ABOUT)
    assert run.reports() == []
    for i, content in enumerate(
        [
            '{"format": "eyesight-report", "version": 1, "n": 1, "split": "test", "model": "", "accuracy": 1.0}',
            "cut",
            '{"format": "eyesight-report", "version": 9}',
        ]
    ):
        folder = run.evaluation_folder("test", f"{i}bcdefghij")
        assert folder == run.path / "evaluation" / f"test-{i}bcdefgh"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(content)
    assert [report["n"] for report in run.reports()] == [1]


def test_runs_are_listed_oldest_first(tmp_path):
    for i, name in enumerate(("c", "a", "b")):
        run = RunFolder.create(tmp_path / name, ABOUT)
        os.utime(run.path / "run.json", (1000 + i, 1000 + i))
    (tmp_path / "not-a-run").mkdir()
    assert [run.path.name for run in list_runs(tmp_path)] == ["c", "a", "b"]
    assert list_runs(tmp_path / "none") == []


def test_the_next_run_gets_the_first_free_number(tmp_path):
    assert next_run_path(tmp_path / "runs", "x") == tmp_path / "runs" / "x-1"
    for name in ("x-1", "x-2", "x-4"):
        (tmp_path / name).mkdir()
    assert next_run_path(tmp_path, "x").name == "x-3"
    assert next_run_path(tmp_path, "y").name == "y-1"


def test_runs_that_start_at_the_same_moment_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: RunFolder.create_next(tmp_path, "digits", {"seed": 0}), range(16)))
    assert len({run.path for run in runs}) == 16


def test_of_two_starts_in_one_folder_only_one_gets_it(tmp_path):
    def start(_: int) -> bool:
        try:
            RunFolder.create(tmp_path / "run", {})
        except RunError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(16))) == 1


def test_a_run_without_a_model_says_how_to_go_on(tmp_path):
    RunFolder.create(tmp_path / "r", ABOUT)
    with pytest.raises(EyesightError, match=r"has no model .*--resume"):
        _ = eyesight.open_run(tmp_path / "r").classifier
