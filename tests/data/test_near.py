"""Near copies stay on one side of a split, and are told where a given split has them on both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import eyesight
from drawn_photos import fill, photo
from eyesight.data import near
from eyesight.data.inventory import list_cache
from eyesight.data.near import find_leaks, find_together


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve photos of each kind to learn from, and four to judge."""
    fill(tmp_path / "photos", "train", 12)
    fill(tmp_path / "photos", "val", 4, start=50)
    return tmp_path / "photos"


def brighter(kind: str, seed: int) -> Image.Image:
    return ImageEnhance.Brightness(photo(kind, seed)).enhance(1.2)


def test_changed_copies_and_views_of_one_scene_belong_together(photos: Path) -> None:
    brighter("dots", 3).save(photos / "train" / "dots" / "copy.jpg", quality=80)
    train = eyesight.load_data(photos, img_size=96).train
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(train), 64)).astype(np.float32)
    place = {name: i for i, name in enumerate(train.example_ids)}
    one, other = place["train/stripes/1.jpg"], place["train/stripes/7.jpg"]
    features[other] = features[one] + 0.1 * features[other]
    found = find_together(train, features)
    assert (found.copies, found.alike) == (2, 2)
    assert str(found) == "2 near copies and 2 photos that look like one scene stay on one side of every fold"
    assert found.groups is not None
    assert found.groups[place["train/dots/3.jpg"]] == found.groups[place["train/dots/copy.jpg"]]
    assert found.groups[one] == found.groups[other]
    assert len(np.unique(found.groups)) == len(train) - 2


def test_what_half_of_all_pictures_have_in_common_is_no_scene(photos: Path) -> None:
    train = eyesight.load_data(photos, img_size=96).train
    features = np.random.default_rng(0).normal(size=(len(train), 64)).astype(np.float32) * 0.1
    features[:, 0] += np.where(train.labels == 0, 5, -5)
    found = find_together(train, features)
    assert found.groups is None
    assert str(found) == ""


def test_copies_across_a_split_leak(photos: Path) -> None:
    brighter("dots", 3).save(photos / "val" / "dots" / "copy.jpg", quality=80)
    (photos / "val" / "stripes" / "same.jpg").write_bytes((photos / "train" / "stripes" / "2.jpg").read_bytes())
    data = eyesight.load_data(photos, img_size=96)
    assert data.validation is not None
    leaked = find_leaks(data.train, data.validation)
    names = [name for name, leaks in zip(data.validation.example_ids, leaked, strict=True) if leaks]
    assert names == ["val/dots/copy.jpg", "val/stripes/same.jpg"]


def test_tiny_pictures_leak_only_as_they_are(photos: Path) -> None:
    brighter("dots", 3).save(photos / "val" / "dots" / "copy.jpg", quality=80)
    (photos / "val" / "stripes" / "same.jpg").write_bytes((photos / "train" / "stripes" / "2.jpg").read_bytes())
    data = eyesight.load_data(photos, img_size=32)
    assert data.validation is not None
    assert find_leaks(data.train, data.validation).sum() == 1


def test_changed_copies_are_held_out_together_and_said(tmp_path: Path) -> None:
    fill(tmp_path / "photos", "", 8)
    for i in range(8):
        brighter("dots", i).save(tmp_path / "photos" / "dots" / f"{i}b.jpg", quality=80)
    for seed in range(3):
        data = eyesight.load_data(tmp_path / "photos", img_size=96, validation=0.3).with_validation(0.3, seed=seed)
        assert data.validation is not None
        held = {name for name in data.validation.example_ids if name.startswith("dots")}
        assert held
        assert all((f"dots/{i}.jpg" in held) == (f"dots/{i}b.jpg" in held) for i in range(8))
    (said,) = [note for note in data.notes if "near copies" in note]
    assert said.startswith("near copies, kept on one side of a split (8 pictures): dots/0.jpg = dots/0b.jpg; ")


def test_what_was_found_is_kept(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brighter("dots", 3).save(photos / "val" / "dots" / "copy.jpg", quality=80)
    data = eyesight.load_data(photos, img_size=96)
    assert data.validation is not None
    first = find_leaks(data.train, data.validation)
    assert any(folder.what == "near copies that were found" for folder in list_cache())
    monkeypatch.setattr(near, "find_pairs", None)
    np.testing.assert_array_equal(find_leaks(data.train, data.validation), first)


def test_a_class_of_one_film_can_still_be_parted(tmp_path: Path) -> None:
    fill(tmp_path / "photos", "", 6)
    for i in range(6):
        ImageEnhance.Brightness(photo("dots", 0)).enhance(1 + i / 40).save(tmp_path / "photos" / "dots" / f"{i}.jpg")
    data = eyesight.load_data(tmp_path / "photos", img_size=96, validation=0.3)
    assert data.validation is not None
    assert (data.validation.labels == 0).any()
    features = np.random.default_rng(0).normal(size=(len(data.train), 64)).astype(np.float32)
    assert find_together(data.train, features).copies == 0
