"""What counts as a copy, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from drawn_photos import KINDS, photo
from eyesight.data.duplicates import find_pairs, fits
from eyesight.quality.examine import examine_pixels


def thumbnail(picture: Image.Image) -> np.ndarray:
    return examine_pixels(np.asarray(picture.convert("RGB"))).thumbnail[None]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.crop((9, 6, p.width, p.height)),  # from one corner
        lambda p: p.crop((9, 6, p.width - 9, p.height - 6)),
        lambda p: p.resize((90, 66)),
        lambda p: ImageEnhance.Brightness(p).enhance(1.3),
        lambda p: ImageEnhance.Contrast(p).enhance(0.6),
    ],
)
def test_a_changed_copy_fits_its_original(change, seed: int) -> None:
    original = photo("dots", seed)
    assert fits(thumbnail(original), thumbnail(change(original)))[0] > 0.9
    assert fits(thumbnail(change(original)), thumbnail(original))[0] > 0.9


def test_different_photos_do_not_fit_each_other() -> None:
    photos = [thumbnail(photo(kind, seed)) for kind in KINDS for seed in range(12)]
    first, second = np.triu_indices(len(photos), 1)
    stack = np.concatenate(photos)
    assert not fits(stack[first], stack[second]).any()


def test_a_like_subject_on_a_plain_ground_is_no_copy() -> None:
    def subject(angle: float) -> Image.Image:
        ground = Image.new("L", (200, 150), 235)
        body = Image.new("L", (200, 150), 0)
        body.paste(255, (60, 60, 140, 85))
        body.paste(255, (95, 40, 103, 110) if angle else (70, 30, 78, 110))
        ground.paste(60, mask=body.rotate(angle, resample=Image.Resampling.BILINEAR))
        return ground

    assert fits(thumbnail(subject(0)), thumbnail(subject(14)))[0] == 0


def test_mirrored_copies_and_flat_pictures_in_pairs() -> None:
    original = thumbnail(photo("dots", 3))
    flat = np.full_like(original, 90)
    stack = np.concatenate([original, flat, original[:, :, ::-1], flat + 1])
    names = list("abcd")
    (pair,) = find_pairs(names, names, stack, np.ones(4, np.float32), None)
    assert (pair.first, pair.second, pair.how) == (0, 2, "mirrored")
