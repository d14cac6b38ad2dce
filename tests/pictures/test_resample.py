"""From any size to the size asked for: enlarged pictures come back exactly, and fine patterns turn grey."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile
from sklearn.datasets import load_sample_images

import eyesight
from eyesight.errors import PictureError
from eyesight.pictures import resample
from eyesight.pictures.decode import LARGE
from eyesight.pictures.preprocess import Preprocessing, fit, read_picture
from eyesight.pictures.resample import cover

RNG = np.random.default_rng(19)
EXAMPLE = Path(__file__).parents[2] / "examples" / "digit.png"


def preprocessing(height: int, width: int, channels: int, **fields) -> Preprocessing:
    return Preprocessing(
        height=height, width=width, channels=channels, mean=(0,) * channels, std=(1,) * channels, **fields
    )


def random_pixels(height: int, width: int, channels: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def enlarged(pixels: np.ndarray, factor: int) -> Image.Image:
    return image(pixels.repeat(factor, axis=0).repeat(factor, axis=1))


def file(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# -- enlarged pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3, 5, 7, 11, 32, 101])
@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (20, 28, 3), (33, 7, 3), (1, 1, 3)])
def test_a_picture_enlarged_by_a_whole_number_comes_back_exactly(shape, factor):
    pixels = random_pixels(*shape)
    np.testing.assert_array_equal(read_picture(file(enlarged(pixels, factor)), preprocessing(*shape)), pixels)


@pytest.mark.parametrize(("kind", "orientation"), [("PPM", 1), ("PNG", 6), ("TIFF", 6), ("TIFF", 1)])
def test_so_does_one_of_more_pixels_than_are_kept(kind, orientation):
    pixels = random_pixels(20, 28, 1)
    large = enlarged(pixels, 219)  # blocks of 2x2 would do for the number of pixels, and do not divide 219
    assert large.width * large.height > LARGE
    exif = Image.Exif()
    exif[0x0112] = orientation
    if orientation == 6:
        large = large.transpose(Image.Transpose.ROTATE_90)
    options = {"PNG": {"exif": exif, "compress_level": 1}, "TIFF": {"exif": exif}}.get(kind, {})
    np.testing.assert_array_equal(read_picture(file(large, kind, **options), preprocessing(20, 28, 1)), pixels)


@pytest.mark.parametrize("factor", [1, 2, 9, 32])
@pytest.mark.parametrize(("height", "width"), [(28, 33), (31, 28), (29, 28), (28, 96)])
def test_an_enlarged_picture_of_another_form_is_cut_between_its_pixels(height, width, factor):
    pixels = random_pixels(height, width, 3)
    top, left = (height - 28) // 2, (width - 28) // 2
    found = fit(enlarged(pixels, factor), preprocessing(28, 28, 3))
    np.testing.assert_array_equal(found, pixels[top : top + 28, left : left + 28])


def test_the_example_is_a_test_picture_of_the_digits_and_comes_back_as_that():
    test = eyesight.load_data("digits").test
    found = read_picture(EXAMPLE, preprocessing(8, 8, 1))
    assert any(np.array_equal(found, picture) for picture in test.gather(np.arange(len(test))))


def test_a_large_png_is_not_loaded_before_its_memory_is_looked_at(monkeypatch):
    monkeypatch.setattr(PngImageFile, "load", lambda self: pytest.fail("loaded"))
    data = bytearray(file(Image.new("RGB", (20, 28))))
    data[16:24] = struct.pack(">II", 5000, 16_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(PictureError, match=r"expected to decode it in 200 MB; received: PNG of 80.0 megapixels"):
        read_picture(bytes(data), preprocessing(28, 20, 3))


# -- any factor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "size"), [((30, 41, 3), (11, 7)), ((17, 64, 1), (16, 16)), ((50, 23, 3), (22, 9))])
def test_each_new_pixel_is_the_mean_of_its_area_with_shares_of_the_pixels_on_its_border(shape, size):
    pixels = random_pixels(*shape)
    (down, across, _), (height, width) = shape, size
    if across * height >= down * width:  # cut at the sides: in units of 1/height of a pixel all borders are whole
        unit, new = height, down
    else:
        unit, new = width, across
    fine = pixels.repeat(unit, axis=0).repeat(unit, axis=1).astype(float)
    top = (fine.shape[0] // new - height) // 2 * new
    left = (fine.shape[1] // new - width) // 2 * new
    part = fine[top : top + height * new, left : left + width * new]
    means = part.reshape(height, new, width, new, -1).mean(axis=(1, 3))
    found = fit(image(pixels), preprocessing(height, width, shape[2]))
    assert np.abs(found - means).max() <= 0.5001


def test_strips_make_no_difference(monkeypatch):
    photo = Image.fromarray(load_sample_images().images[0])
    whole = cover(photo, 97, 61)
    monkeypatch.setattr(resample, "_STRIP", 10_000)
    np.testing.assert_array_equal(cover(photo, 97, 61), whole)


@pytest.mark.parametrize("size", [(29, 28), (100, 77), (641, 427)])
def test_an_even_picture_stays_as_it_is(size):
    for value in range(256):
        assert (cover(Image.new("L", size, value), 28, 28) == value).all()


def test_a_smaller_picture_is_interpolated():
    pixels = random_pixels(9, 13, 3)
    expected = image(pixels).resize((26, 18), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(fit(image(pixels), preprocessing(18, 26, 3)), np.asarray(expected))


# -- fine patterns ---------------------------------------------------------------------------------------------------


def contrast(pixels: np.ndarray) -> float:
    return float(pixels.astype(float).std())


@pytest.mark.parametrize(("side", "new"), [(400, 224), (448, 224), (500, 96), (640, 100), (896, 28)])
def test_stripes_finer_than_the_new_pixels_turn_grey(side, new):
    """They would come back as coarse stripes. An area lets through 1/(πf) at most, for f stripes in a new pixel."""
    y, x = np.mgrid[:side, :side]
    left, left_by_box = [], []
    for stripes in np.linspace(new, side / 2, 7):  # from one stripe in a new pixel to the finest
        for angle in (0, 0.4, 0.8):
            phase = 2 * np.pi * stripes / side * (x * np.cos(angle) + y * np.sin(angle))
            picture = Image.fromarray(np.rint(127.5 + 127.5 * np.cos(phase)).astype(np.uint8))
            left.append(contrast(cover(picture, new, new)) / contrast(np.asarray(picture)))
            by_box = ImageOps.fit(picture, (new, new), Image.Resampling.BOX)
            left_by_box.append(contrast(np.asarray(by_box)) / contrast(np.asarray(picture)))
    assert max(left) < 0.28
    assert np.mean(left) <= np.mean(left_by_box) + 0.005  # Pillow's BOX takes pixels as a whole


@pytest.mark.parametrize(("new", "most"), [(28, 0.25), (96, 0.26), (150, 0.30), (224, 0.36)])
def test_of_what_a_photo_has_beyond_the_new_pixels_little_comes_back_as_something_else(new, most):
    photo = np.asarray(Image.fromarray(load_sample_images().images[0]).convert("L").crop((100, 10, 500, 410)), float)
    spectrum, half = np.fft.fftshift(np.fft.fft2(photo)), new // 2
    spectrum[200 - half : 200 + half, 200 - half : 200 + half] = 0  # what the new pixels can show
    detail = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    picture = Image.fromarray(np.clip(np.rint(detail + 127.5), 0, 255).astype(np.uint8))
    left = contrast(cover(picture, new, new)) / contrast(detail)
    assert left < most
    assert left < contrast(np.asarray(picture.resize((new, new), Image.Resampling.BOX))) / contrast(detail)


# -- older files -----------------------------------------------------------------------------------------------------


def test_files_of_version_1_keep_their_filter():
    photo = Image.fromarray(load_sample_images().images[1])
    old = fit(photo, preprocessing(60, 90, 3, resample="bilinear"))
    np.testing.assert_array_equal(old, np.asarray(ImageOps.fit(photo, (90, 60), Image.Resampling.BILINEAR)))
    assert preprocessing(60, 90, 3).resample == "area"


@pytest.mark.parametrize("size", [(300, 20), (20, 300), (64, 20), (20, 64), (64, 64)])
def test_a_picture_long_one_way_and_short_the_other_is_stretched(size):
    width, height = size
    ramp = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(height, 0)
    result = resample.stretch(Image.fromarray(ramp), 64, 64)
    assert result.shape == (64, 64)
    np.testing.assert_allclose(result[0], np.linspace(0, 255, 64), atol=8)
    assert (result == result[:1]).all()


@pytest.mark.parametrize("size", [(300, 200), (41, 67)])
def test_strips_and_conversions_change_no_pixel(size, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    wanted = cover(Image.fromarray(pixels), 40, 30)
    monkeypatch.setattr(resample, "_CONVERTED", 0)
    monkeypatch.setattr(resample, "_STRIP", 1)
    assert (cover(Image.fromarray(pixels), 40, 30) == wanted).all()
