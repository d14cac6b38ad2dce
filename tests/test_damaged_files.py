"""Damaged files: whatever is flipped, cut, zeroed or added, it is noticed or does no harm, and nothing is executed."""

from __future__ import annotations

import pickle
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import eyesight
from eyesight.classifier import Classifier
from eyesight.cli import main
from eyesight.errors import FormatError
from eyesight.formats import pack_tensors, read_tensors, unpack_tensors
from eyesight.predictions import Predictions, predict_split
from eyesight.run import read_config_file
from eyesight.training import checkpoint
from eyesight.training.events import CheckpointSaved, EpochEnded
from watching import Bomb, nothing_executed

# -- nothing is executed ---------------------------------------------------------------------------------------------


def test_the_watch_sees_a_pickle_that_is_loaded():
    with pytest.raises(AssertionError, match=r"pickle\.find_class"), nothing_executed():
        pickle.loads(pickle.dumps(Bomb()))
    assert Path("exploded").exists()


# -- damage ----------------------------------------------------------------------------------------------------------


def flip_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def change_byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.randrange(256)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def zero_the_end(data: bytearray, rng: random.Random) -> None:
    """What a machine leaves that loses its power before the data, but after the size, is on the disk."""
    place = rng.randrange(len(data))
    data[place:] = bytes(len(data) - place)


def zero_a_block(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(0, len(data), 512)
    size = len(data[place : place + 512])
    data[place : place + size] = bytes(size)


def lose_a_byte(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data))]


def add_a_byte(data: bytearray, rng: random.Random) -> None:
    data.insert(rng.randrange(len(data) + 1), rng.randrange(256))


def repeat_a_piece(data: bytearray, rng: random.Random) -> None:
    start, place = rng.randrange(len(data)), rng.randrange(len(data))
    piece = data[start : start + 64]
    data[place : place + len(piece)] = piece


DAMAGES = (flip_bit, change_byte, cut, zero_the_end, zero_a_block, lose_a_byte, add_a_byte, repeat_a_piece)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage a file: every third time in its header, where little space holds much meaning."""
    result = bytearray(data)
    damage = rng.choice(DAMAGES)
    if rng.random() < 1 / 3:
        head = result[:1500]
        damage(head, rng)
        result[:1500] = head
    else:
        damage(result, rng)
    return bytes(result)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interrupted run on digits with two states and a model file, and predictions beside it; to be copied."""
    folder, epochs = tmp_path_factory.mktemp("damaged"), []

    def stop(event: object) -> None:
        if isinstance(event, EpochEnded):
            epochs.append(event)
        if isinstance(event, CheckpointSaved) and len(epochs) == 2:
            raise KeyboardInterrupt

    run = folder / "run"
    with pytest.raises(KeyboardInterrupt):
        eyesight.train(
            "digits", epochs=3, threads=1, precision="fp32", optimizer="sgd", keep="last", output=run, progress=False,
            checkpoint_every=0.001, listeners=[stop],
        )  # fmt: skip
    shutil.copytree(run, folder / "complete")
    assert main(["train", "--resume", str(folder / "complete")]) == 0
    classifier = Classifier.load(folder / "complete" / "model.safetensors")
    split = eyesight.load_data("digits").split("test")
    predict_split(classifier, split, model=classifier.checksum or "").save(folder / "predictions.safetensors")
    return folder


def newest_state(path: Path) -> object:
    """Return the newest state of a folder of two, or raise what was wrong with it if it is not taken."""
    found, problems = checkpoint.newest(path.parent)
    assert found is not None
    if found.path != path:
        assert len(problems) == 1
        raise FormatError(problems[0])
    return found


LOADERS = {
    "checkpoint": ("run/checkpoints/step-*", newest_state),
    "model": ("complete/model.*", Classifier.load),
    "predictions": ("predictions.*", Predictions.load),
}


@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", LOADERS)
def test_damage_is_noticed_whatever_it_is(kind, count, folder, tmp_path, proof):
    shutil.copytree(folder, tmp_path / "copy")
    name, load = LOADERS[kind]
    path, rng = max((tmp_path / "copy").glob(name)), random.Random(f"{kind} {count}")
    whole = path.read_bytes()
    load(path)
    noticed = 0
    with nothing_executed():
        for _ in range(count):
            data = damaged(whole, rng)
            if data == whole:
                continue
            with pytest.raises(FormatError) as caught:
                unpack_tensors(data, "file")
            assert str(caught.value).startswith("file: ")
            path.write_bytes(data)
            with pytest.raises(FormatError) as caught:
                load(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert "\n" not in str(caught.value)
            noticed += 1
    path.write_bytes(whole)
    load(path)
    if count > 100:
        proof(f"damaged {kind} files: {count}; {noticed} noticed, {count - noticed} unchanged by chance, none executed")


def test_a_damaged_newest_state_costs_only_the_time_since_the_one_before(folder, tmp_path, capsys):
    run = Path(shutil.copytree(folder / "run", tmp_path / "run"))
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    assert main(["train", "--resume", str(run)]) == 0
    assert f"warning: {newest}: damaged or cut off" in capsys.readouterr().err
    assert (run / "model.safetensors").read_bytes() == (folder / "complete" / "model.safetensors").read_bytes()


def test_damaged_later_states_do_not_push_out_the_new_ones(tmp_path, monkeypatch):
    class State:
        step = 5

        def facts(self):
            return {"step": self.step}

        def arrays(self):
            return {"a": np.zeros(2)}

    for step in (8, 9):
        (tmp_path / f"step-{step:09d}.safetensors").write_bytes(b"cut off")
    state = State()
    for state.step in (5, 6, 7):
        checkpoint.save(state, tmp_path, identity={})
        found, _ = checkpoint.newest(tmp_path)
        assert found is not None
        assert found.facts["step"] == state.step
    assert [path.name for path in sorted(tmp_path.iterdir())] == [f"step-{n:09d}.safetensors" for n in (6, 7)]


# -- the other files of a run ----------------------------------------------------------------------------------------

TEXTS = ("run.json", "config.yaml", "environment.json", "metrics.jsonl", "events.jsonl")


def use(run: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> bool:
    """Run a command; tell whether it succeeded, after checking that a failure is one line."""
    code = main([*arguments])
    errors = capsys.readouterr().err
    assert "a fault in eyesight" not in errors, errors
    if code:
        assert code in (1, 2), (code, errors)
        assert [line.startswith("eyesight: error: ") for line in errors.splitlines()][-1:] == [True], errors
        assert sum(line.startswith("eyesight: error: ") for line in errors.splitlines()) == 1
    return code == 0


@pytest.mark.parametrize("count", [4, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", TEXTS)
def test_a_damaged_text_of_a_run_is_told_in_one_line_or_does_no_harm(name, count, folder, tmp_path, capsys, proof):
    rng = random.Random(f"{name} {count}")
    whole = (folder / "run" / name).read_bytes()
    model = (folder / "complete" / "model.safetensors").read_bytes()
    told = 0
    for _ in range(count):
        run = Path(shutil.copytree(folder / "run", tmp_path / "run"))
        (run / name).write_bytes(damaged(whole, rng))
        assert use(run, capsys, "runs", str(tmp_path))  # the others are still listed
        if use(run, capsys, "train", "--resume", str(run)):
            assert (run / "model.safetensors").read_bytes() == model, (run / name).read_bytes()
            use(run, capsys, "runs", str(run))
        else:
            told += 1
        shutil.rmtree(run)
    if count > 10:
        proof(f"damaged {name}: {count}; going on told of {told} in one line, and the other {count - told} did no harm")


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_nests_without_end_is_told_in_one_line(name, folder, tmp_path, capsys):
    run = Path(shutil.copytree(folder / "complete", tmp_path / "run"))
    (run / name).write_bytes(b"[" * 100_000)
    for command in (["runs", str(run)], ["train", "--resume", str(run)]):
        use(run, capsys, *command)


@pytest.mark.long
@pytest.mark.parametrize("name", TEXTS)
def test_judging_a_run_with_a_damaged_text_ends_in_one_line_or_a_report(name, folder, tmp_path, capsys):
    rng = random.Random(f"judge {name}")
    run = Path(shutil.copytree(folder / "complete", tmp_path / "run"))
    whole = (run / name).read_bytes()
    for _ in range(12):
        (run / name).write_bytes(damaged(whole, rng))
        use(run, capsys, "evaluate", str(run))


def test_a_yaml_that_builds_objects_is_refused(folder, tmp_path, capsys):
    run = Path(shutil.copytree(folder / "run", tmp_path / "run"))
    text = (run / "config.yaml").read_text()
    assert main(["runs", str(tmp_path)]) == 0
    for tag in ("!!python/object/apply:os.mkdir [exploded]", "!!python/object/new:os.mkdir [exploded]"):
        (run / "config.yaml").write_text(text + f"extra: {tag}\n")
        with nothing_executed(), pytest.raises(FormatError, match="not a YAML file"):
            read_config_file(run / "config.yaml")
        assert main(["train", "--resume", str(run)]) == 1
        assert capsys.readouterr().err == f"eyesight: error: {run}/config.yaml: not a YAML file\n"
    assert not Path("exploded").exists()


@pytest.mark.parametrize("kind", LOADERS)
def test_a_pickle_in_the_place_of_a_tensor_file_is_refused_and_not_loaded(kind, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    name, load = LOADERS[kind]
    path = max((tmp_path / "copy").glob(name))
    path.write_bytes(pickle.dumps(Bomb()))
    with nothing_executed(), pytest.raises(FormatError, match="not a safetensors file"):
        load(path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", TEXTS)
def test_a_pickle_in_the_place_of_a_text_is_not_loaded(name, folder, tmp_path, capsys):
    run = Path(shutil.copytree(folder / "run", tmp_path / "run"))
    (run / name).write_bytes(pickle.dumps(Bomb()))
    for command in (["runs", str(run)], ["train", "--resume", str(run)]):
        use(run, capsys, *command)
    assert not Path("exploded").exists()


# -- files that are whole and wrong ----------------------------------------------------------------------------------


def rewritten(folder: Path, path: Path, change: Callable[[dict, dict], None]) -> Path:
    """Write the model with its tensors or description changed, and a checksum that is right."""
    arrays, description, _ = read_tensors(folder / "complete" / "model.safetensors")
    change(arrays, description)
    path.write_bytes(pack_tensors(arrays, description)[0])
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_whose_weights_are_not_finite_is_refused(value, folder, tmp_path, capsys):
    def spoil(arrays, _):
        next(array for array in arrays.values() if array.dtype.kind == "f").flat[0] = value

    path = rewritten(folder, tmp_path / "model.safetensors", spoil)
    assert main(["predict", str(path), str(path)]) == 1
    expected = f"eyesight: error: {path}: its weights should be finite numbers, and some are not\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "activation", "function": "relu"},
        {"type": "flatten"},
        {"type": "conv", "out": 1, "kernel": 1},
        {"type": "pad", "left": 1, "right": 1, "top": 1, "bottom": 1},
    ],
    ids=lambda layer: layer["type"],
)
def test_a_model_that_claims_20_000_layers_is_refused_at_once(layer, folder, tmp_path):
    def spoil(_, description):
        layers = description["network"]["features"]["layers"]
        layers[:0] = [[f"p{i}", layer] for i in range(20_000)]

    path = rewritten(folder, tmp_path / "model.safetensors", spoil)
    started = time.process_time()
    with pytest.raises(FormatError, match="at most 4,096 layers; received: 20,0"):
        Classifier.load(path)
    assert time.process_time() - started < 2
