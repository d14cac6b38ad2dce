"""Photos changed at random: what is drawn, what comes out, and that neither depends on the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eyesight
from drawn_photos import fill, photo
from eyesight.data.augment_photos import PhotoAugmentation, PhotoChanges
from eyesight.data.larger import larger
from eyesight.data.photo_store import PhotoStore
from eyesight.errors import DataError

ALL = PhotoAugmentation(48, crop=0.3, flip=True, colour=0.3, erase=0.5)


def photos(count: int, side: int = 64) -> np.ndarray:
    return np.stack([np.asarray(photo("dots", i, (side, side))) for i in range(count)])


def changes(count: int, **what: object) -> PhotoChanges:
    plain = PhotoAugmentation(64).draw(np.random.default_rng(0), count)
    return PhotoChanges(**(vars(plain) | what))


def test_the_same_draw_gives_the_same_photos_whatever_the_batch():
    kept = photos(7)
    drawn, again = (ALL.draw(np.random.default_rng(3), 7) for _ in range(2))
    whole = drawn.apply(kept)
    assert whole.shape == (7, 48, 48, 3)
    assert whole.dtype == np.uint8
    parts = [again.at(slice(a, b)).apply(kept[a:b]) for a, b in ((0, 1), (1, 4), (4, 7))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(ALL.draw(np.random.default_rng(4), 7).apply(kept), whole)


def test_without_changes_photos_are_as_they_were():
    kept = photos(2)
    assert np.array_equal(PhotoAugmentation(64).draw(np.random.default_rng(0), 2).apply(kept), kept)


def test_a_flip_mirrors_and_half_are_flipped():
    kept = photos(2)
    seen = changes(2, flips=np.array([True, False])).apply(kept)
    assert np.array_equal(seen[0], kept[0, :, ::-1])
    assert np.array_equal(seen[1], kept[1])
    assert 0.45 < PhotoAugmentation(8, flip=True).draw(np.random.default_rng(0), 4000).flips.mean() < 0.55
    assert not PhotoAugmentation(8).draw(np.random.default_rng(0), 100).flips.any()


def test_a_part_is_what_is_there():
    kept = photos(1)
    seen = changes(1, side=16, parts=np.array([[0.25, 0.5, 0.5, 0.75]])).apply(kept)
    assert np.array_equal(seen[0], kept[0, 32:48, 16:32])


def test_a_rectangle_is_hidden_in_as_many_photos_as_asked_for():
    drawn = PhotoAugmentation(100, erase=0.25).draw(np.random.default_rng(0), 4000)
    sizes = (drawn.hidden[:, 2] - drawn.hidden[:, 0]) * (drawn.hidden[:, 3] - drawn.hidden[:, 1])
    assert 0.22 < (sizes > 0).mean() < 0.28
    assert sizes[sizes > 0].min() >= 0.02 - 1e-9
    assert sizes.max() <= 0.2 + 1e-9
    seen = changes(1, hidden=np.array([[0.25, 0.5, 0.75, 1.0]])).apply(np.zeros((1, 64, 64, 3), np.uint8))
    assert (seen[0, 32:, 16:48] == 127).all()
    assert seen.astype(int).sum() == 127 * 3 * 32 * 32


def test_colours_change_as_they_are_said_to():
    kept = np.tile(np.array([200, 100, 50], np.uint8), (1, 8, 8, 1))
    darker = changes(1, side=8, colours=np.array([[0.5, 1, 1]])).apply(kept)
    assert darker[0, 0, 0].tolist() == [100, 50, 25]
    grey = changes(1, side=8, colours=np.array([[1, 1, 0]])).apply(kept)
    assert len(set(grey[0, 0, 0].tolist())) == 1  # without saturation all channels are the same
    two = np.tile(np.array([[[50], [150]]], np.uint8), (1, 2, 1, 1))
    assert changes(1, side=2, colours=np.array([[1, 0.5, 1]])).apply(two)[0, 0, :, 0].tolist() == [75, 125]


def test_grey_photos_stay_grey():
    seen = ALL.draw(np.random.default_rng(0), 3).apply(photos(3)[..., :1])
    assert seen.shape == (3, 48, 48, 1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), crop=st.floats(0.05, 1))
def test_parts_lie_in_the_photo_and_are_of_the_areas_asked_for(seed: int, crop: float):
    parts = PhotoAugmentation(8, crop=crop).draw(np.random.default_rng(seed), 50).parts
    assert (parts >= 0).all()
    assert (parts <= 1 + 1e-12).all()
    width, height = parts[:, 2] - parts[:, 0], parts[:, 3] - parts[:, 1]
    assert (width * height >= 0.74 * crop).all()  # a long part that would not fit is cut
    assert (width / height <= 4 / 3 + 1e-9).all()
    assert (width / height >= 3 / 4 - 1e-9).all()


def test_the_same_photos_are_kept_larger(tmp_path):
    fill(tmp_path / "photos", "", 3)
    data = eyesight.load_data(tmp_path / "photos", validation=0.3, img_size=64)
    told = list[int]()
    found = larger(data, data.train, 96, progress=lambda done, total, doing: told.append(done))
    assert found.store.shape == (96, 96, 3)
    assert found.example_ids == data.train.example_ids
    assert np.array_equal(found.labels, data.train.labels)
    assert told[-1] == len(data.train)  # those that were held out are not needed
    small, large = data.train.gather([1])[0], found.gather([1])[0]
    assert np.abs(small.mean(axis=(0, 1)) - large.mean(axis=(0, 1))).max() < 3
    arrays = eyesight.from_arrays((photos(6), np.arange(6) % 2), validation=0)
    assert larger(arrays, arrays.train, 96) is arrays.train


def test_a_photo_that_changes_or_goes_meanwhile_is_told(tmp_path):
    fill(tmp_path / "photos", "", 3)
    data = eyesight.load_data(tmp_path / "photos", validation=0)
    assert isinstance(data.train.store, PhotoStore)
    photo("dots", 99).save(tmp_path / "photos/dots/1.jpg", quality=80)
    with pytest.raises(DataError, match=r"dots/1\.jpg: has just been changed; start again"):
        larger(data, data.train, 96)
    (tmp_path / "photos/dots/1.jpg").unlink()
    with pytest.raises(DataError, match=r"dots/1\.jpg: could be read a moment ago \(no such file"):
        larger(data, data.train, 97)
