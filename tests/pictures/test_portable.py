"""Portable maps that Pillow decodes in Python: the same pixels, in a fraction of the time; GIFs that claim much."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image

from eyesight.errors import PictureError
from eyesight.pictures.decode import decode

RNG = np.random.default_rng(11)


def portable(values: np.ndarray, white: int, *, plain: bool) -> bytes:
    """A PGM (H, W) or PPM (H, W, 3)."""
    kind = {(2, False): 5, (3, False): 6, (2, True): 2, (3, True): 3}[values.ndim, plain]
    head = b"P%d # made here\n%d %d\n%d\n" % (kind, values.shape[1], values.shape[0], white)
    if plain:
        lines = [b" ".join(b"%d" % value for value in row) + b" # a row" for row in values.reshape(len(values), -1)]
        return head + b"\n".join(lines)
    return head + values.astype(">u2" if white > 255 else "u1").tobytes()


@pytest.mark.parametrize("plain", [False, True], ids=["binary", "plain"])
@pytest.mark.parametrize("white", [1, 7, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("shape", [(5, 7), (6, 4, 3)], ids=["grey", "colour"])
def test_values_of_any_depth_are_scaled_so_that_white_is_255(shape, white, plain):
    values = RNG.integers(0, white + 1, shape)
    values.flat[:2] = 0, white
    found = np.asarray(decode(portable(values, white, plain=plain), channels=3))
    expected = values * 255 / white if len(shape) == 3 else np.repeat(values[..., None], 3, axis=2) * 255 / white
    assert np.abs(found - expected).max() <= 0.5001
    grey = np.asarray(decode(portable(values, white, plain=plain), channels=1))
    np.testing.assert_array_equal(grey, np.asarray(Image.fromarray(found).convert("L")))


@pytest.mark.parametrize("cut", [1, 30])
def test_one_that_is_cut_off_is_refused(cut):
    for plain in (False, True):
        data = portable(RNG.integers(100, 200, (6, 4, 3)), 200, plain=plain)
        with pytest.raises(PictureError, match="truncated"):
            decode(data[: data.index(b"200\n") + 4 + cut], channels=3)


@pytest.mark.parametrize("last", [b"x", b"-2", b"256", b"4294967297", b"2.5", b"1e1"])
def test_text_that_is_not_numbers_is_refused(last):
    with pytest.raises(PictureError, match="should have numbers from 0 to 255"):
        decode(b"P2 2 2 255\n1 2 3 " + last, channels=1)


def test_six_megapixels_take_well_under_a_second():
    values = RNG.integers(0, 65536, (2000, 3000, 3))
    data = portable(values, 65535, plain=False)
    start = time.process_time()
    found = decode(data, channels=3)
    assert time.process_time() - start < 2  # Pillow: 8 s
    assert abs(int(np.asarray(found)[7, 5, 1]) - values[7, 5, 1] / 257) <= 0.5


def gif(width: int, height: int, *, disposal: int) -> bytes:
    """A GIF of a few bytes, whose only picture claims to be of this size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    control = b"\x21\xf9\4" + bytes([disposal << 2 | 1]) + b"\0\0\0\0"
    return head + control + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2D\1\0;"


@pytest.mark.parametrize("disposal", [2, 3])
def test_a_gif_that_claims_much_is_refused_before_anything_is_made_of_its_size(monkeypatch, disposal):
    """Where the program has switched Pillow's own limit off, Pillow would fill 4 GB when it opens the file."""
    made, fill = [], Image.core.fill

    def record(mode: str, size: tuple[int, int], *colour: object) -> object:
        made.append(size)
        return fill(mode, (1, 1), *colour)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(Image.core, "fill", record)
    with pytest.raises(PictureError, match=r"at most 65,535 a side; received: 65535x65535"):
        decode(gif(65535, 65535, disposal=disposal), channels=3)
    assert made == []


def test_a_gif_that_is_cut_off_is_refused_and_an_animation_gives_its_first_picture(tmp_path):
    frames = [Image.new("P", (5, 4), value) for value in (1, 2)]
    for frame in frames:
        frame.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    for disposal in (0, 1, 2, 3):
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], disposal=disposal)
        assert (np.asarray(decode(buffer.getvalue(), channels=3)) == [200, 0, 0]).all()
        (tmp_path / "cut.gif").write_bytes(buffer.getvalue()[:20])
        with pytest.raises(PictureError, match="begins like a GIF and is cut off"):
            decode("cut.gif", channels=3)
