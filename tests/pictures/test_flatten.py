"""Transparency and depth as files store them and Pillow does not: the right grey, the right colour, on white."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from eyesight.errors import PictureError
from eyesight.pictures.decode import decode


def pixels(source, channels: int) -> list:
    return np.asarray(decode(source, channels=channels)).tolist()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: np.ndarray, bits: int, clear: tuple[int, ...] | None) -> bytes:
    """A PNG of greys (H, W) or colours (H, W, 3) of 1 to 16 bits, one of them transparent."""
    colour = rows.ndim == 3
    lines = b""
    for row in rows:
        values = row.reshape(-1)
        if bits == 16:
            lines += b"\0" + values.astype(">u2").tobytes()
        else:
            line = "".join(f"{value:0{bits}b}" for value in values)
            lines += b"\0" + bytes(int(line[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(line), 8))
    head = struct.pack(">IIBBBBB", rows.shape[1], len(rows), bits, 2 if colour else 0, 0, 0, 0)
    marks = b"" if clear is None else chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    parts = chunk(b"IHDR", head) + marks + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("place", [0, 1, -2, -1])
def test_one_transparent_grey_of_any_depth_is_white_and_the_others_stay(bits, place):
    most = 2**bits - 1
    greys = np.unique(np.linspace(0, most, 8).astype(int))
    clear = int(greys[place % len(greys)])
    expected = np.where(greys == clear, 255, np.round(greys * 255 / most)).astype(int).tolist()
    data = png(greys[None], bits, (clear,))
    assert pixels(data, 1) == [expected]
    assert pixels(data, 3) == [[[value] * 3 for value in expected]]
    with Image.open(io.BytesIO(data)) as opened:
        assert pixels(opened, 1) == [expected]
        assert opened.info["transparency"] in (clear, 255)  # the caller's image stays as it is


def test_one_transparent_colour_of_16_bits_is_told_from_those_that_share_its_upper_bytes():
    colours = np.array([[[0, 0, 0], [1, 0, 0], [0x1234, 0x5678, 0x9ABC], [0x1234, 0x5678, 0x9ABD], [65535] * 3]])
    upper = (colours >> 8).tolist()[0]
    for place in range(4):
        expected = [[255] * 3 if i == place else colour for i, colour in enumerate(upper)]
        data = png(colours, 16, tuple(colours[0, place].tolist()))
        assert pixels(data, 3) == [expected]
    with Image.open(io.BytesIO(png(colours, 16, (0x1234, 0x5678, 0x9ABC)))) as opened:
        assert pixels(opened, 3)[0][2] == [255] * 3


def tiff(values: np.ndarray, **tags: int) -> bytes:
    buffer = io.BytesIO()
    options = {"compression": "tiff_lzw"} if tags.pop("packed", 0) else {}
    Image.fromarray(values).save(
        buffer, "TIFF", tiffinfo={int(tag[1:]): value for tag, value in tags.items()}, **options
    )
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [0, 1])
def test_a_tiff_of_16_bits_whose_white_is_0(packed):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert pixels(tiff(values, t262=0, packed=packed), 1) == [[255, 254, 127, 0]]
    assert pixels(tiff(values, t262=1, packed=packed), 1) == [[0, 1, 128, 255]]
    assert pixels(tiff(values.astype(np.uint8), t262=0), 1) == [[0, 1, 128, 255]]  # Pillow writes 8 bits inverted


def test_a_tiff_of_12_bits_reaches_white():
    values = (0, 2048, 4095, 819)
    bits = "".join(f"{value:012b}" for value in values)
    body = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    entries = (
        (256, 3, 1, 4), (257, 3, 1, 1), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
        (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, len(body)),
    )  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + directory + bytes(4)
    assert pixels(data, 1) == [[0, 128, 255, 51]]


@pytest.mark.parametrize("mode", ["LAB", "La", "HSV", "YCbCr", "PA", "RGBa", "RGBX"])
def test_every_kind_of_colour_is_read_as_grey_too(mode):
    if mode == "LAB":  # which Pillow reads and does not make
        buffer = io.BytesIO()
        Image.new("LAB", (2, 1), (136, 208, 195)).save(buffer, "TIFF")
        with Image.open(buffer) as picture:
            picture.load()
    else:
        start = Image.new("LA" if mode == "La" else "RGB", (2, 1), (200, 255) if mode == "La" else (200, 30, 90))
        picture = start.convert(mode)
    colour = np.asarray(decode(picture, channels=3))
    luma = np.asarray(Image.fromarray(colour).convert("L")).astype(int)
    assert np.abs(np.asarray(decode(picture, channels=1)) - luma).max() <= 1
    assert colour[0, 0].tolist() != [0, 0, 0]


def test_premultiplied_grey_lies_over_white():
    picture = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 128)]).convert("La")
    assert abs(pixels(picture, 1)[0][0] - (100 * 128 + 255 * 127) / 255) <= 1


def test_what_has_no_defined_brightness_is_refused():
    with pytest.raises(PictureError, match="32-bit picture; expected values from 0 to 65535"):
        decode(Image.fromarray(np.array([[70_000]], np.int32)), channels=1)
