"""Tuning: a probe first, then the pretrained network itself, and the better of the two is kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eyesight
from drawn_photos import fill
from eyesight.backbones import load_backbone
from eyesight.classifier import Classifier
from eyesight.cli import main
from eyesight.data.dataset import Split
from eyesight.errors import InterruptedRun, RunError, TrainingError, UsageError
from eyesight.models.tunable import tunable
from eyesight.training import probe as probe_module
from eyesight.training import tuning as tuning_module
from eyesight.training.batches import stream
from eyesight.training.clock import BudgetClock, read_progress
from eyesight.training.comparison import score
from eyesight.training.events import (
    Compared,
    Decoding,
    Embedding,
    Ended,
    EpochEnded,
    EpochTimed,
    HeadFitted,
    Started,
    Warned,
)
from eyesight.training.head import Head
from eyesight.training.optim.layerwise import build_layerwise
from eyesight.training.plan.recipe import Recipe, parse_config
from eyesight.training.plan.resolve import read_request, resolve

QUICK = {"tune": True, "side": 64, "batch_size": 8, "strength": 0.01, "mirror": False, "threads": 1, "progress": False}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in train/ and val/, and a cache that all tests here have; do not change either."""
    folder = tmp_path_factory.mktemp("tuning")
    fill(folder / "photos", "train", 8)
    fill(folder / "photos", "val", 3, start=50)
    return folder


@pytest.fixture
def photos(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EYESIGHT_CACHE", str(shared / "cache"))
    return shared / "photos"


@pytest.fixture
def own_photos(shared: Path, tmp_path: Path) -> Path:
    """The same photos for a test that has a cache of its own."""
    return shutil.copytree(shared / "photos", tmp_path / "photos")


@pytest.fixture
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the probe know nothing, so that any tuning is better."""
    monkeypatch.setattr(probe_module, "fit_head", lambda *_, **__: Head(np.zeros((2, 1280)), np.array([0.1, 0.0])))


def weights(path: Path) -> bytes:
    return path.read_bytes()


def stop_at(kind: type) -> Callable[[Any], None]:
    """Return a listener that presses Ctrl-C at the first such event; a second time would end the process."""
    done = False

    def listen(event: Any) -> None:
        nonlocal done
        if isinstance(event, kind) and not done:
            done = True
            os.kill(os.getpid(), signal.SIGINT)

    return listen


def test_a_probe_as_good_is_kept_with_the_tuned_network_beside_it(photos: Path) -> None:
    told: list[Any] = []
    run = eyesight.train(photos, epochs=2, listeners=[told.append], output="run", **QUICK)
    kinds = [type(event) for event in told]
    order = [HeadFitted, EpochTimed, Started, EpochEnded, Compared, Ended]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    timed = told[kinds.index(EpochTimed)]
    assert timed.upper > 0
    assert timed.whole > 0
    assert timed.epochs == 2
    about = run.about()
    assert (about["method"], about["status"], about["protocol"]) == ("tune", "complete", "given")
    tuning = about["tuning"]
    assert tuning["probe"]["accuracy"] == tuning["tuned"]["accuracy"] == 1
    assert (tuning["kept"], tuning["n"], about["kept_epoch"]) == ("probe", 6, 0)
    probe = eyesight.train(photos, output="probe", strength=0.01, mirror=False, progress=False)
    assert run.about()["model_checksum"] == run.classifier.checksum
    some = run.data().train.gather(np.arange(4))
    assert np.array_equal(run.classifier.logits(some), probe.classifier.logits(some))
    tuned = Classifier.load(run.last_model_file)
    assert tuned.inference.temperature != 1
    notes = run.evaluate("validation").report.notes
    assert any("decided on these pictures" in note for note in notes)
    assert [row["epoch"] for row in run.metrics()] == [0, 1, 2]
    assert "curves" in run.look_back().figures
    stored, backbone = tuned.weights().arrays, load_backbone("efficientnet-lite0").weights().arrays
    changed = {name for name in backbone if name in stored and not np.array_equal(stored[name], backbone[name])}
    assert "features.stem.conv.weight" in changed
    assert not any("running" in name or "num_batches" in name for name in changed)


@pytest.mark.usefixtures("no_probe")
def test_a_better_network_is_kept_and_judged_as_it_predicts(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(photos), "--tune", "--epochs", "3", "-b", "8", "--set", "recipe.side=96", "-o", "run"]
    arguments += ["--set", "recipe.upper=0", "--set", "recipe.mirror=true", "--threads", "1"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    run = eyesight.open_run("run")
    tuning = run.about()["tuning"]
    assert (tuning["kept"], tuning["probe"]["accuracy"]) == ("tuned", 0.5)
    assert tuning["tuned"]["accuracy"] > 0.5
    line = f"accuracy on 6 validation pictures: probe 0.5000, tuned {tuning['tuned']['accuracy']:.4f}"
    assert f"{line}; the tuned network is kept" in err
    assert "tuning: an epoch takes about " in err
    assert line in out
    assert "the tuned network; " in out
    assert run.evaluate("validation").accuracy == tuning["tuned"]["accuracy"]
    assert run.classifier.inference.views == "mirror"
    assert run.classifier.inference.preprocessing.shape == (224, 224, 3)
    assert (run.about()["kept_epoch"], run.classifier.training.epoch) == (3, 3)
    assert main(["runs", "--json", "."]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["method"], row["epochs"]) == ("tune", 3)


@pytest.mark.usefixtures("no_probe")
def test_going_on_gives_what_an_uninterrupted_run_gives(photos: Path) -> None:
    whole = eyesight.train(photos, epochs=2, output="whole", **QUICK)
    stop = stop_at(EpochEnded)
    with pytest.raises(InterruptedRun, match=r"until then the probe is in part.model\.safetensors; go on with"):
        eyesight.train(photos, epochs=2, output="part", listeners=[stop], **QUICK)
    part = eyesight.open_run("part")
    assert part.status == "interrupted"
    assert part.classifier.training.weights == "last"  # the probe, which is whole
    part = eyesight.resume("part", progress=False)
    assert part.status == "complete"
    file = "model_file" if whole.about()["tuning"]["kept"] == "tuned" else "last_model_file"
    assert weights(getattr(part, file)) == weights(getattr(whole, file))
    assert [row["val_loss"] for row in part.metrics()] == [row["val_loss"] for row in whole.metrics()]
    again = eyesight.train(replay="whole", output="again", progress=False)
    assert weights(getattr(again, file)) == weights(getattr(whole, file))


@pytest.mark.parametrize("kind", [Embedding, Decoding])
def test_nothing_is_lost_by_an_interruption_before_the_first_update(own_photos: Path, kind: type) -> None:
    told: list[Any] = []
    with pytest.raises(InterruptedRun, match="what was computed is kept; go on with"):
        eyesight.train(own_photos, epochs=1, output="run", listeners=[stop_at(kind)], **QUICK)
    run = eyesight.resume("run", progress=False, listeners=[told.append])
    assert run.status == "complete"
    assert not any("starting over" in event.message for event in told if isinstance(event, Warned))
    if kind is Decoding:
        assert not any(isinstance(event, Embedding) for event in told)
        assert sum(isinstance(event, Decoding) for event in told) <= 1 + 16  # it had begun
    eyesight.train(own_photos, epochs=1, output="whole", **QUICK)
    assert weights(run.last_model_file) == weights(Path("whole/last.safetensors"))


def test_a_budget_counts_the_probe_and_is_repeated_bit_for_bit(photos: Path) -> None:
    told: list[Any] = []
    run = eyesight.train(photos, budget="3s", output="run", listeners=[told.append], **QUICK)
    tuning, record = run.about()["tuning"], read_progress(run.folder.clock_file)
    assert 0 < tuning["since"] < run.about()["seconds"]
    assert record[0] == 0
    assert record[-1] == 1
    timed = next(event for event in told if isinstance(event, EpochTimed))
    assert 0 <= timed.seconds <= 3
    again = eyesight.train(replay=run, output="again", progress=False)
    file = "model_file" if tuning["kept"] == "tuned" else "last_model_file"
    assert weights(getattr(again, file)) == weights(getattr(run, file))


def test_without_time_to_tune_the_probe_is_kept_and_that_is_said(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(photos), "--tune", "--budget", "0.001s", "-o", "run"]) == 0
    out, err = capsys.readouterr()
    assert "the time was up before anything could be tuned; the probe is kept" in err
    assert "(the probe; there was no time to tune)" in out
    run = eyesight.open_run("run")
    assert run.status == "complete"
    assert run.evaluate("validation").accuracy == 1


def test_progress_by_the_clock_begins_with_the_first_update(tmp_path: Path) -> None:
    clock = BudgetClock(100, seconds=60, path=tmp_path / "clock.jsonl", since=60)
    try:
        assert clock.progress(0, reserve=0) == 0
        assert clock.progress(1, reserve=0) < 0.01
        clock._origin -= 20
        assert clock.progress(2, reserve=0) == pytest.approx(0.5, abs=0.01)
    finally:
        clock.close()
    record = read_progress(tmp_path / "clock.jsonl")
    again = BudgetClock(100, seconds=0, path=tmp_path / "again.jsonl", values=record, since=60)
    try:
        assert again.progress(2, reserve=0) == record[2]
        assert again.seconds() == pytest.approx(80, abs=0.5)  # it goes on from there
    finally:
        again.close()


def test_a_network_that_diverges_leaves_the_probe(photos: Path) -> None:
    with pytest.raises(TrainingError, match=r"no longer a number at step .*; the probe is kept in run.model\.safe"):
        eyesight.train(photos, epochs=1, output="run", **(QUICK | {"lr": 1e30, "optimizer": "sgd"}))
    run = eyesight.open_run("run")
    assert run.status == "failed"
    assert run.evaluate("validation").accuracy == 1


def test_lower_stages_have_lower_rates_and_biases_do_not_decay() -> None:
    network = tunable(load_backbone("efficientnet-lite0").weights())
    recipe = Recipe(method="tune", optimizer="adamw", lr=1e-3, weight_decay=0.1, layer_decay=0.5)
    groups = build_layerwise(network, recipe).param_groups
    rates = {group["stage"]: group["lr_scale"] for group in groups}
    assert list(rates) == ["head", "features.top", *(f"features.stage{k}" for k in range(7, 0, -1)), "features.stem"]
    assert list(rates.values()) == [0.5**k for k in range(10)]
    for group in groups:
        assert all((parameter.ndim > 1) == (group["weight_decay"] == 0.1) for parameter in group["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_where_the_upper_stages_alone_learn_the_others_stay(photos: Path) -> None:
    run = eyesight.train(photos, epochs=1, output="run", upper=1.0, **QUICK)
    found, backbone = Classifier.load(run.last_model_file).weights().arrays, load_backbone("efficientnet-lite0")
    for name, value in backbone.weights().arrays.items():
        if name.endswith("conv.weight") or name.endswith("depthwise.weight"):
            learns = name.startswith(("features.stage6", "features.stage7", "features.top"))
            assert np.array_equal(found[name], value) != learns, name


def test_a_fifth_of_few_photos_is_held_out_and_copies_stay_together(tmp_path: Path) -> None:
    fill(tmp_path / "flat", "", 10)
    shutil.copy(tmp_path / "flat/dots/3.jpg", tmp_path / "flat/dots/copy.jpg")
    run = eyesight.train(tmp_path / "flat", epochs=1, balance=True, output="run", **QUICK)
    data = run.data()
    assert run.config.data.validation == 0.2
    assert data.validation is not None
    assert len(data.validation) == 4
    assert run.about()["tuning"]["balanced"]
    assert run.about()["tuning"]["n"] == 4
    sides = ["dots/3.jpg" in split.example_ids for split in (data.train, data.validation)]
    assert sides == ["dots/copy.jpg" in split.example_ids for split in (data.train, data.validation)]


def test_with_balance_every_class_counts_as_much_in_what_is_compared() -> None:
    labels = np.array([0, 0, 0, 1])
    split = Split("validation", None, np.arange(4), labels, origin="")  # type: ignore[arg-type]
    always_first = np.tile(np.array([1.0, 0.0], np.float32), (4, 1))
    assert score(always_first, split, 2) == 0.75
    assert score(always_first, split, 2, balanced=True) == 0.5


def test_a_run_whose_photos_have_changed_is_not_gone_on_with(own_photos: Path) -> None:
    with pytest.raises(InterruptedRun):
        eyesight.train(own_photos, epochs=2, output="run", listeners=[stop_at(EpochEnded)], **QUICK)
    (own_photos / "train/dots/0.jpg").unlink()
    with pytest.raises(RunError, match="cannot go on, because photos has changed; start a new run"):
        eyesight.resume("run", progress=False)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["photos", "--tune", "--model", "small-cnn"], "--tune: tunes a pretrained network: efficientnet-lite0, effi"),
        (["photos", "--tune", "--model", "small-cnn"], "small-cnn is trained from scratch, without it"),
        (["digits", "--tune"], "--tune: is for photos of 48 pixels a side and more; other pictures are trained on fro"),
        (["digits", "--tune"], "from scratch, without it; received: digits, 8x8 pixels"),
        (["photos", "--tune", "--img-size", "96"], "efficientnet-lite0 looks at 224x224 pixels, so leave the size out"),
        (["photos", "--tune", "--folds", "5"], "--folds: the folds are of a probe alone; a network that is tuned is"),
        (["photos", "--tune", "--validation", "0"], "--validation: tuning needs photos to decide on whether the tuned"),
        (["photos", "--tune", "--averaging", "ema"], "--averaging: only for training by gradient; received: ema"),
        (["photos", "--tune", "--patience", "3"], "--patience: only for training by gradient"),
        (["photos", "--tune", "--optimizer", "muon"], "--optimizer: cannot tune, as it keeps filters at a size of its"),
        (["photos", "--set", "recipe.crop=0.5", "--epochs", "1"], "recipe.crop: only for tuning a pretrained network"),
        (["photos", "--backbone", "efficientnet-lite0", "--epochs", "3"], "and tuning a pretrained network; received:"),
        (["photos", "--tune", "--backbone", "lite"], "unknown backbone"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    photos: Path, asked: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [str(photos) if word == "photos" else word for word in asked]
    assert main(["train", *asked, "-o", "run"]) in (1, 2)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not Path("run").exists()


def test_a_study_says_that_it_does_not_tune() -> None:
    data = eyesight.from_arrays((np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2), validation=0)
    with pytest.raises(UsageError, match=r"expected gradient here; received: tune") as error:
        resolve(read_request({"recipe": {"method": "tune"}}), data)
    assert error.value.field == "recipe.method"


def test_a_test_set_decides_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "photos", "train", 3)
    fill(tmp_path / "photos", "test", 2, start=9)
    with pytest.raises(UsageError, match=r"validation: tuning needs photos to decide on .*; received: test"):
        eyesight.train(tmp_path / "photos", tune=True, validation="test", progress=False)


def test_a_configuration_holds_what_tuning_knows_and_older_ones_stay_as_they_were() -> None:
    tuned = parse_config({"recipe": {"method": "tune", "crop": 0.5}}).model_dump(mode="json")["recipe"]
    assert tuned["crop"] == 0.5
    assert tuned["epochs"] == 10
    assert not {"averaging", "keep", "folds", "shift"} & tuned.keys()
    assert parse_config({"recipe": tuned}).recipe.crop == 0.5
    for method in ("gradient", "probe"):
        entries = parse_config({"recipe": {"method": method}}).model_dump(mode="json")["recipe"]
        assert not {"crop", "colour", "erase", "upper", "layer_decay", "side"} & entries.keys()


def test_data_show_draws_photos_as_tuning_changes_them(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(photos), "--augment", "-o", "out"]) == 0
    assert "augmented: out/photos-augmented.png" in capsys.readouterr().out
    assert Path("out/photos-augmented.png").stat().st_size > 20_000
    assert main(["data", "show", "digits", "--augment"]) == 2
    error = capsys.readouterr().err
    assert "--augment: is for photos of 48 pixels a side and more, at their usual size; received: digits" in error


def test_what_is_drawn_is_what_is_learned_from(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    prepare = tuning_module.prepare

    def watch(*args: Any) -> Any:
        job, state = prepare(*args)
        seen.append(job.batches.changes(0).apply(job.batches.split.gather(job.batches.order(0))))
        return job, state

    monkeypatch.setattr(tuning_module, "prepare", watch)
    eyesight.train(photos, epochs=1, output="run", **QUICK)
    run = eyesight.open_run("run")
    recipe, data = run.config.recipe, run.data()
    augmentation = tuning_module.photo_augmentation(recipe, 224)
    order = stream(run.config.seed, "order", 0).permutation(len(data.train))
    drawn = tuning_module.augmented(
        data, data.train.select(order, name="train"), augmentation, seed=run.config.seed, epochs=1
    )
    assert np.array_equal(drawn[1::2], seen[0])
