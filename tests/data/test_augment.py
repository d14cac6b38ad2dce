"""Training pictures changed at random: right pixels, the same for the same seed, whatever the batch size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import eyesight
from eyesight.data.augment import Augmentation, Changes
from eyesight.errors import UsageError
from eyesight.pictures.preprocess import Preprocessing
from eyesight.training.batches import Batches
from eyesight.training.resident import Resident

OPTIONS = {"epochs": 1, "threads": 1, "precision": "fp32", "progress": False}


def numbered(count: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    shift=st.integers(0, 12),
    flip=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_pixel_is_where_padding_mirroring_and_cutting_put_it(
    height: int, width: int, shift: int, flip: bool, seed: int
) -> None:
    pictures = numbered(5, height, width)
    changes = Augmentation(flip=flip, shift=shift).draw(np.random.default_rng(seed), 5)
    changed = changes.apply(pictures)
    assert changed.shape == pictures.shape
    for i, picture in enumerate(pictures):
        down, right = (0, 0) if changes.shifts is None else changes.shifts[i]
        mirrored = picture[:, ::-1] if changes.flips is not None and changes.flips[i] else picture
        np.testing.assert_array_equal(changed[i], moved(mirrored, down, right))


def moved(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    """Pad by reflection (the edge pixel repeated), then cut out."""
    height, width, _ = picture.shape
    padded = np.pad(picture, ((12, 12), (12, 12), (0, 0)), "symmetric")
    return padded[12 - down : 12 - down + height, 12 - right : 12 - right + width]


def test_shifts_reach_every_distance_and_half_of_the_pictures_are_mirrored() -> None:
    changes = Augmentation(flip=True, shift=2).draw(np.random.default_rng(0), 4000)
    assert changes.shifts is not None
    assert changes.flips is not None
    assert sorted(set(map(tuple, changes.shifts.tolist()))) == [(a, b) for a in range(-2, 3) for b in range(-2, 3)]
    assert changes.flips.mean() == pytest.approx(0.5, abs=0.03)


def test_without_augmentation_pictures_pass_untouched() -> None:
    pictures = numbered(3, 4, 4)
    assert Changes(None, None).apply(pictures) is pictures


def batches(data: eyesight.Dataset, size: int, *, seed: int = 0, replacement: bool = False) -> Batches:
    height, width, channels = data.shape
    return Batches(
        data.train,
        Preprocessing(height=height, width=width, channels=3, mean=(0.0,) * channels, std=(1.0,) * channels),
        batch_size=size,
        seed=seed,
        device=torch.device("cpu"),
        dtype=torch.float32,
        replacement=replacement,
        augmentation=Augmentation(flip=True, shift=2),
    )


def epoch(of: Batches, number: int) -> torch.Tensor:
    steps = range(number * of.steps_per_epoch, (number + 1) * of.steps_per_epoch)
    return torch.cat([of.batch(step)[0] for step in steps])


def test_what_happens_to_a_picture_depends_on_seed_and_epoch_but_not_on_the_batch_size(
    bars_data: eyesight.Dataset,
) -> None:
    first = epoch(batches(bars_data, 64), 1)
    assert torch.equal(first, epoch(batches(bars_data, 27), 1))
    assert not torch.equal(first, epoch(batches(bars_data, 64), 2))
    assert not torch.equal(first, epoch(batches(bars_data, 64, seed=1), 1))


def test_draws_with_replacement_are_a_function_of_seed_and_update(bars_data: eyesight.Dataset) -> None:
    drawn = batches(bars_data, 100, replacement=True)
    images, labels = drawn.batch(7)
    again, _ = batches(bars_data, 100, replacement=True).batch(7)
    assert torch.equal(images, again)
    np.testing.assert_array_equal(labels.numpy(), bars_data.train.labels[drawn.ids(7)])
    assert len(set(drawn.ids(7).tolist())) < 100  # some twice
    assert not np.array_equal(drawn.ids(7), drawn.ids(8))


NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])


def test_pictures_stay_on_the_host_for_the_cpu(bars_data: eyesight.Dataset) -> None:
    assert Resident.where_it_fits(bars_data.train, torch.device("cpu")) is None
    assert batches(bars_data, 50).resident is None


@NEEDS_GPU
def test_pictures_go_to_a_gpu_that_has_the_memory(bars_data: eyesight.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    assert Resident.where_it_fits(bars_data.train, gpu).pictures.device.type == "cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 0))
    monkeypatch.setattr(torch.cuda, "memory_reserved", torch.cuda.memory_allocated)
    assert Resident.where_it_fits(bars_data.train, gpu) is None


@DEVICES
@pytest.mark.parametrize("replacement", [False, True])
def test_batches_of_pictures_that_lie_on_the_device_are_the_same_to_the_bit(
    bars_data: eyesight.Dataset, replacement: bool, device: str
) -> None:
    one, other = (batches(bars_data, 50, replacement=replacement) for _ in range(2))
    other.resident = Resident(bars_data.train, torch.device(device))
    for step in (0, 1, one.steps_per_epoch - 1, one.steps_per_epoch):
        for ours, theirs in zip(other.batch(step), one.batch(step), strict=True):
            assert torch.equal(ours.cpu(), theirs)
            assert ours.stride() == theirs.stride()


@DEVICES
@pytest.mark.filterwarnings("ignore:train. all pictures are of one class")
@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])),
    changes=st.lists(st.tuples(st.booleans(), st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=5),
    flip=st.booleans(),
    shift=st.booleans(),
)
def test_pictures_are_changed_on_the_device_as_on_the_host(
    device: str, size: tuple[int, int, int], changes: list[tuple[bool, int, int]], flip: bool, shift: bool
) -> None:
    count = len(changes)
    pictures = np.random.default_rng(0).integers(0, 256, (count, *size), dtype=np.uint8)
    split = eyesight.from_arrays((pictures, np.arange(count) % 2), validation=0, classes=["a", "b"]).train
    drawn = Changes(
        np.array([flipped for flipped, _, _ in changes]) if flip else None,
        np.array([shifts for _, *shifts in changes]) if shift else None,
    )
    ids = np.arange(count)[::-1].copy()
    taken, labels = Resident(split, torch.device(device)).take(ids, drawn)
    np.testing.assert_array_equal(taken.cpu().numpy(), drawn.apply(split.gather(ids)))
    np.testing.assert_array_equal(labels.cpu().numpy(), split.labels[ids])


def test_a_network_trained_on_moved_pictures_stands_moved_pictures(bars_data: eyesight.Dataset, tmp_path: Path) -> None:
    runs = [
        eyesight.train(bars_data, output=tmp_path / str(shift), shift=shift, **{**OPTIONS, "epochs": 2})
        for shift in (0, 3)
    ]
    losses = [run.metrics()[-1]["loss"] for run in runs]
    assert losses[0] != losses[1]
    assert runs[1].config.recipe.shift == 3


@pytest.mark.parametrize(("options", "says"), [({"shift": -1}, "shift: "), ({"flip": "maybe"}, "flip: ")])
def test_settings_that_are_none_are_refused(
    options: dict[str, object], says: str, bars_data: eyesight.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        eyesight.train(bars_data, output=tmp_path / "run", **{**OPTIONS, **options})
