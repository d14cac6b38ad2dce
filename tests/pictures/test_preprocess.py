"""From a picture file to numbers: every kind is read right, and no picture, however broken, gives a traceback."""

from __future__ import annotations

import gc
import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from pydantic import ValidationError

from eyesight.errors import PictureError, UsageError
from eyesight.pictures.decode import LARGE, decode
from eyesight.pictures.preprocess import Preprocessing, adapt, fit, pixel_statistics, read_picture
from eyesight.pictures.sources import picture_files

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def preprocessing(height: int = 28, width: int = 28, channels: int = 3) -> Preprocessing:
    return Preprocessing(height=height, width=width, channels=channels, mean=(0.5,) * channels, std=(0.25,) * channels)


def file(picture: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(source, channels: int) -> np.ndarray:
    return np.asarray(decode(source, channels=channels))


def luma(colour: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(colour).convert("L"))


# -- every kind of picture -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_colour_and_grey_come_through_unchanged(kind):
    np.testing.assert_array_equal(pixels(file(COLOUR, kind), 3), COLOUR)
    np.testing.assert_array_equal(pixels(file(GREY, kind), 1), GREY)
    np.testing.assert_array_equal(pixels(file(GREY, kind), 3), np.stack([GREY] * 3, axis=-1))
    np.testing.assert_array_equal(pixels(file(COLOUR, kind), 1), luma(COLOUR))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_kinds_are_read_too(kind):
    smooth = np.asarray(Image.linear_gradient("L").resize((32, 32)))
    assert np.abs(pixels(file(smooth, kind), 1).astype(int) - smooth).max() <= 4


def test_a_path_its_name_its_bytes_and_an_open_image_are_the_same_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(file(COLOUR))
    with Image.open(path) as opened:
        for source in (path, str(path), path.read_bytes(), opened, Image.fromarray(COLOUR)):
            np.testing.assert_array_equal(pixels(source, 3), COLOUR)
        opened.getpixel((0, 0))  # the caller's image stays open


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_laid_over_white(kind):
    alpha = np.array([[0, 128, 255]], np.uint8)
    rgba = np.dstack([np.full((1, 3, 3), [200, 0, 100], np.uint8), alpha])
    found = pixels(file(rgba, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})), 3)
    expected = np.round(rgba[..., :3] * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255))
    assert np.abs(found - expected).max() <= 1
    assert found[0, 0].tolist() == [255] * 3
    assert found[0, 2].tolist() == [200, 0, 100]


def test_grey_with_transparency():
    la = np.dstack([np.array([[10, 10]], np.uint8), np.array([[0, 255]], np.uint8)])
    assert pixels(file(la), 1).tolist() == [[255, 10]]
    assert pixels(file(la), 3).tolist() == [[[255] * 3, [10] * 3]]


def palette(transparency: int | bytes | None = None, kind: str = "PNG") -> bytes:
    indexed = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    return file(indexed, kind, **({} if transparency is None else {"transparency": transparency}))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_gives_its_colours_not_its_indices(kind):
    assert pixels(palette(kind=kind), 3).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert pixels(palette(kind=kind), 1).tolist() == [[76, 150, 29]]  # ITU-R 601 luma


@pytest.mark.parametrize(
    ("kind", "transparency", "expected"),
    [
        ("PNG", 1, [[255, 0, 0], [255] * 3, [0, 0, 255]]),
        ("GIF", 1, [[255, 0, 0], [255] * 3, [0, 0, 255]]),
        ("PNG", bytes([0, 255, 127]), [[255] * 3, [0, 255, 0], [128, 128, 255]]),
    ],
)
def test_a_palette_with_transparency(kind, transparency, expected):
    assert pixels(palette(transparency, kind), 3).tolist() == [expected]


def test_one_colour_marked_transparent():
    grey = file(np.array([[10, 20]], np.uint8), transparency=10)
    assert pixels(grey, 1).tolist() == [[255, 20]]
    colour = file(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), transparency=(1, 2, 3))
    assert pixels(colour, 3).tolist() == [[[255] * 3, [4, 5, 6]]]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_one_bit_pictures_are_black_and_white(kind):
    bits = GREY > 127
    np.testing.assert_array_equal(pixels(file(Image.fromarray(bits), kind), 1), bits * np.uint8(255))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind):
    for ink, rgb in (([0, 255, 255, 0], [255, 0, 0]), ([0, 0, 0, 0], [255] * 3), ([0, 0, 0, 255], [0] * 3)):
        found = pixels(file(Image.new("CMYK", (8, 8), tuple(ink)), kind), 3)
        assert np.abs(found.astype(int) - rgb).max() <= 3


# 0 … 65535 in steps of 257 are the 256 values of 8 bits; halfway they round
DEEP = np.array([[0, 128, 129, 257, 256, 32896, 65407, 65535]], np.uint16)
EIGHT_BIT = [[0, 0, 1, 1, 1, 128, 255, 255]]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(file(DEEP), id="PNG"),
        pytest.param(file(DEEP, "TIFF"), id="TIFF"),
        pytest.param(file(DEEP, "TIFF", compression="tiff_deflate"), id="TIFF, packed"),
        pytest.param(b"P5 8 1 65535\n" + DEEP.astype(">u2").tobytes(), id="PGM"),
        pytest.param(b"P2 8 1 65535\n" + " ".join(map(str, DEEP[0])).encode(), id="PGM, plain"),
    ],
)
def test_sixteen_bits_are_scaled_not_clipped(data):
    assert pixels(data, 1).tolist() == EIGHT_BIT
    assert pixels(data, 3)[..., 2].tolist() == EIGHT_BIT


def test_every_sixteen_bit_value_is_rounded_to_the_nearest_eight_bit_one():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(pixels(file(every), 1), np.round(every / 257))


def test_sixteen_bit_colour_and_other_depths():
    assert pixels(b"P6 1 1 65535\n" + np.array([0, 32896, 65535], ">u2").tobytes(), 3).tolist() == [[[0, 128, 255]]]
    assert pixels(b"P5 3 1 4095\n" + np.array([0, 2048, 4095], ">u2").tobytes(), 1).tolist() == [[0, 128, 255]]
    assert pixels(b"P5 3 1 15\n" + bytes([0, 8, 15]), 1).tolist() == [[0, 136, 255]]


def test_thirty_two_bits_are_refused_unless_they_are_sixteen():
    assert pixels(file(DEEP.astype(np.int32), "TIFF"), 1).tolist() == EIGHT_BIT
    for value in (65536, -1):
        with pytest.raises(PictureError, match="32-bit picture; expected values from 0 to 65535"):
            decode(file(np.array([[0, value]], np.int32), "TIFF"), channels=1)


def test_floating_point_pictures_are_refused():
    with pytest.raises(PictureError, match="floating-point"):
        decode(file(np.array([[0.5]], np.float32), "TIFF"), channels=1)


ORIENTATIONS = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_rotation_is_applied(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    large = COLOUR.repeat(16, axis=0).repeat(16, axis=1) if kind == "JPEG" else COLOUR
    options |= {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found = pixels(file(large, kind, exif=exif, **options), 3)
    expected = ORIENTATIONS[orientation](large)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_changes_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels(file(COLOUR, exif=exif), 3), COLOUR)


def test_damaged_exif_data_does_not_cost_the_picture():
    """A tag of the wrong type beside the orientation: some cameras write such; Pillow's exif_transpose fails on it."""
    tags = struct.pack("<HHIHHHHIII", 0x0112, 3, 1, 6, 0, 0x0100, 2, 4, 0x00414141, 0)
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + tags
    np.testing.assert_array_equal(pixels(file(COLOUR, exif=exif), 3), np.rot90(COLOUR, -1))
    for broken in (exif[:12], exif[:6], b"II*\0\xff\xff\xff\xff", b"no tags"):
        np.testing.assert_array_equal(pixels(file(COLOUR, exif=broken), 3), COLOUR)


def test_an_animation_gives_its_first_picture_and_its_file_is_closed(tmp_path):
    frames = [Image.new("L", (5, 4), value) for value in (10, 100, 200)]
    for kind in ("gif", "tiff", "webp", "png"):
        path = tmp_path / f"a.{kind}"
        frames[0].save(path, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "webp" else {}))
        assert np.abs(pixels(path, 1).astype(int) - 10).max() <= 1
        gc.collect()  # a file left open is a ResourceWarning, which is an error in these tests


# -- what cannot be read is one line ---------------------------------------------------------------------------------


def icon() -> bytes:
    return file(Image.new("RGB", (16, 16)), "ICO")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("text.jpg", b"This is not a picture.\n", "not a picture: a text file"),
        ("empty.png", b"", "not a picture: the file is empty; copy or download it again"),
        ("favicon.png", icon(), "an icon, which is not read here; save it as PNG"),
        ("paper.png", file(Image.new("RGB", (4, 4)), "EPS"), "not a picture"),
        ("cut.png", file(COLOUR.repeat(20, 0))[:-60], "truncated"),
        ("cut.jpg", file(COLOUR.repeat(20, 0), "JPEG")[:-200], "truncated"),
        ("cut.bmp", file(COLOUR, "BMP")[:-60], "truncated"),
        ("cut.ppm", b"P6 9 9 255\n\1\2", ""),
        ("head.png", file(COLOUR)[:8], ""),
        ("no-pixels.png", file(COLOUR)[:33] + file(COLOUR)[-12:], "cannot load this image"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, name, data, says):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(PictureError) as caught:
        decode(path, channels=3)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    gc.collect()


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(PictureError, match=f"^{tmp_path}: is a directory$"):
        decode(tmp_path, channels=1)
    with pytest.raises(PictureError, match=r"shoe.png: no such file or directory$"):
        decode("shoe.png", channels=1)
    with pytest.raises(PictureError, match="null byte"):
        decode("a\0b", channels=1)


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims this size in a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_001, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(bomb(*size))
    with pytest.raises(PictureError, match=r"bomb.png: .*(100,000,000|exceeds limit)"):
        decode(tmp_path / "bomb.png", channels=1)


def test_a_picture_that_pillow_only_warns_of_is_read():
    large = file(Image.new("1", (9_500, 9_900), 1))  # above Pillow's own limit, below ours
    with warnings.catch_warnings(action="error"):
        assert read_picture(large, preprocessing(2, 2, 1)).tolist() == [[[255]] * 2] * 2


def claims(kind: str, place: int, *numbers: int, **options) -> bytes:
    """A small picture that claims other sizes, as 16-bit little-endian numbers at a place in its file."""
    data = bytearray(file(Image.new("RGB", (16, 16)), kind, **options))
    data[place : place + 2 * len(numbers)] = struct.pack(f"<{len(numbers)}H", *numbers)
    return bytes(data)


def large_strip() -> bytes:
    """A packed TIFF whose only strip, and a copy of the whole that is turned upright, are beside the whole."""
    data = bytearray(file(Image.new("RGB", (16, 16)), "TIFF", compression="tiff_lzw", tiffinfo={274: 6, 278: 2**20}))
    for tag in (256, 257):
        at = data.index(struct.pack("<HHI", tag, 3, 1)) + 8
        data[at : at + 2] = struct.pack("<H", 4200)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (claims("WEBP", 26, 6000, 4000), "WEBP of 24.0 megapixels, which takes 384 MB"),
        (b"P3 6000 4000 255\n", "PPM of 24.0 megapixels, which takes 768 MB"),
        (b"P6 7000 4000 100\n", "PPM of 28.0 megapixels, which takes 224 MB"),
        (large_strip(), "TIFF of 17.6 megapixels, which takes 212 MB"),
    ],
    ids=["WebP", "plain PPM", "PPM of another depth", "TIFF"],
)
def test_a_picture_that_takes_too_much_memory_is_refused_before_it_is_decoded(data, says):
    with pytest.raises(PictureError, match=f"^picture: expected to decode it in 200 MB; received: {says}$"):
        decode(data, channels=3)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process as Linux does")
def test_a_want_of_memory_is_one_line():
    program = """if True:
        import re, resource, sys
        from pathlib import Path
        from eyesight.pictures.decode import decode
        decode(Path("small.png"), channels=1)
        mapped = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 30_000_000,) * 2)
        try:
            decode(Path("large.png"), channels=1)
        except Exception as error:
            print(repr(error))
    """
    Path("small.png").write_bytes(file(COLOUR))
    Path("large.png").write_bytes(file(Image.new("1", (9_000, 9_000))))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "PictureError('large.png: not enough memory to decode it')\n"


def test_a_side_that_no_camera_has_is_refused():
    with pytest.raises(PictureError, match=r"at most 65,535 a side; received: 65536x1$"):
        decode(file(Image.new("1", (65536, 1))), channels=1)


def test_what_libtiff_says_of_a_damaged_picture_does_not_reach_the_user(capfd):
    packed = bytearray(file(COLOUR.repeat(9, 0), "TIFF", compression="tiff_lzw"))
    packed[60:90] = b"\xff" * 30
    with pytest.raises(PictureError, match=r"picture: damaged picture; copy or download it again$"):
        decode(bytes(packed), channels=3)
    assert capfd.readouterr() == ("", "")


def test_an_image_without_pixels_is_refused():
    with pytest.raises(PictureError, match="received: 0x5"):
        read_picture(Image.new("RGB", (0, 5)), preprocessing())


# -- large pictures --------------------------------------------------------------------------------------------------


def noise(width: int, height: int) -> np.ndarray:
    """A grey picture that is quickly made, without two equal neighbours."""
    return (np.arange(height, dtype=np.uint32)[:, None] * 37 + np.arange(width, dtype=np.uint32) * 101).astype(np.uint8)


def test_a_picture_up_to_the_bound_stays_as_it_is():
    picture = noise(5000, LARGE // 5000)
    for kind in ("PNG", "JPEG"):
        data = file(picture, kind, **({"compress_level": 1} if kind == "PNG" else {}))
        with Image.open(io.BytesIO(data)) as whole:
            np.testing.assert_array_equal(pixels(data, 1), np.asarray(whole))


def test_a_larger_picture_is_averaged_over_the_smallest_blocks_that_will_do():
    for height, block in ((LARGE // 5000 + 1, 2), (4 * LARGE // 5000 + 1, 3)):
        picture = noise(5000, height)
        found = pixels(file(picture, "PPM"), 1)
        assert found.shape == (-(-height // block), -(-5000 // block))
        np.testing.assert_array_equal(found, np.asarray(Image.fromarray(picture).reduce(block)))
        np.testing.assert_array_equal(found, pixels(Image.fromarray(picture), 1))


def test_a_larger_jpeg_is_averaged_by_its_decoder():
    for height, scale in ((LARGE // 5000 + 1, 2), (4 * LARGE // 5000 + 1, 4)):
        data = file(noise(5000, height), "JPEG")
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft(None, (5000 // scale, height // scale))
            np.testing.assert_array_equal(pixels(data, 1), np.asarray(picture))
            assert picture.size == (5000 // scale, -(-height // scale))


def test_a_large_image_of_the_callers_keeps_its_size_and_its_mode():
    with Image.open(io.BytesIO(file(noise(5000, 4001), "JPEG"))) as picture:
        assert decode(picture, channels=3).size == (2500, 2001)
        assert (picture.size, picture.mode) == ((5000, 4001), "L")


def test_what_is_converted_in_strips_is_what_is_converted_as_a_whole():
    rgba = np.dstack([noise(1300, 1700), noise(1300, 1700)[::-1], noise(1300, 1700)[:, ::-1], noise(1300, 1700) // 2])
    layer = Image.fromarray(rgba)
    whole = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    np.testing.assert_array_equal(pixels(layer, 3), np.asarray(whole))
    np.testing.assert_array_equal(pixels(layer, 1), np.asarray(whole.convert("L")))
    deep = noise(1300, 1700).astype(np.uint16) * 256 + noise(1300, 1700)[::-1]
    np.testing.assert_array_equal(pixels(Image.fromarray(deep), 1), np.round(deep / 257))


# -- broken pictures -------------------------------------------------------------------------------------------------


def specimens() -> dict[str, bytes]:
    """Small files of every kind, for breaking."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    picture = Image.fromarray(COLOUR)
    return {
        "png": file(picture, exif=exif), "png palette": palette(bytes([0, 9])), "png 16": file(DEEP),
        "png alpha": file(picture.convert("RGBA")), "jpeg": file(picture, "JPEG", exif=exif),
        "jpeg progressive": file(picture, "JPEG", progressive=True), "jpeg cmyk": file(picture.convert("CMYK"), "JPEG"),
        "gif": file(picture, "GIF"),
        "gif animated": file(picture, "GIF", save_all=True, append_images=[picture.rotate(90)]),
        "bmp": file(picture, "BMP"), "bmp palette": file(picture.convert("P"), "BMP"), "tiff": file(picture, "TIFF"),
        "tiff 16": file(DEEP, "TIFF"), "tiff 1": file(picture.convert("1"), "TIFF"),
        "webp": file(picture, "WEBP", exif=exif), "webp alpha": file(picture.convert("RGBA"), "WEBP", lossless=True),
        "ppm": file(picture, "PPM"), "pgm 16": b"P5 8 1 65535\n" + DEEP.tobytes(), "pgm plain": b"P2 2 1 255\n1 2\n",
    }  # fmt: skip


def broken(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a few bytes, half of them in the first 80, and sometimes cut, insert or remove some."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = rng.integers(min(len(out), 80) if rng.random() < 0.5 else len(out))
        out[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
    place = int(rng.integers(len(out)))
    match rng.integers(4):
        case 0:
            del out[place:]
        case 1:
            out[place:place] = rng.bytes(int(rng.integers(1, 20)))
        case 2:
            del out[place : place + int(rng.integers(1, 8))]
    return bytes(out)


def test_a_broken_picture_is_either_read_or_refused_never_a_traceback_nor_a_warning():
    rng = np.random.default_rng(2024)
    kinds = specimens()
    read, messages = 0, []
    with warnings.catch_warnings(action="error"):
        for i in range(2400):
            kind = list(kinds)[i % len(kinds)]
            data = broken(kinds[kind], rng)
            try:
                picture = decode(data, channels=(1, 3)[i % 2])
            except PictureError as error:
                messages.append(str(error))
            except Exception as error:
                raise AssertionError(f"{kind}: {error!r} on {data!r}") from error
            else:
                read += 1
                assert picture.mode == ("L", "RGB")[i % 2]
    assert not [text for text in messages if "\n" in text]
    assert min(read, len(messages)) > 200  # else the breaking is too weak or too strong to show anything


# -- fitting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_the_right_size_passes_untouched(channels):
    picture = COLOUR if channels == 3 else GREY
    found = read_picture(file(picture), preprocessing(9, 7, channels))
    assert (found.dtype, found.shape) == (np.uint8, (9, 7, channels))
    np.testing.assert_array_equal(found, picture.reshape(9, 7, channels))


@pytest.mark.parametrize("size", [(1, 1), (2000, 3), (3, 2000), (7, 9), (28, 27), (300, 200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_is_brought_to_the_size_asked_for(size, channels):
    found = read_picture(Image.new("RGB", size, (200, 200, 200)), preprocessing(28, 20, channels))
    assert found.shape == (28, 20, channels)
    assert (found == 200).all()


def test_fitting_keeps_proportions_and_cuts_the_middle():
    picture = Image.new("L", (90, 30))
    ImageDraw.Draw(picture).rectangle((30, 0, 59, 29), fill=255)  # the middle third is white
    assert (fit(picture, preprocessing(10, 10, 1)) > 0).all()
    assert (fit(picture.transpose(Image.Transpose.ROTATE_90), preprocessing(10, 10, 1)) > 0).all()


def test_scaling_down_is_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert np.abs(fit(Image.fromarray(stripes), preprocessing(8, 8, 1)).astype(int) - 127).max() <= 16


# -- adapting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 0.05)])
def test_adapt_normalises_every_pixel_as_written(channels, dtype, tolerance):
    spec = Preprocessing(
        height=16, width=16, channels=channels, mean=(0.5, 0.4, 0.3)[:channels], std=(0.25, 0.2, 0.3)[:channels]
    )
    pictures = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * channels, axis=-1)[None].repeat(2, axis=0)
    stored = torch.from_numpy(pictures)
    found = adapt(stored, spec, dtype)
    expected = (pictures / 255 - np.array(spec.mean)) / np.array(spec.std)
    assert (found.shape, found.dtype) == ((2, channels, 16, 16), dtype)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.stride() == (256 * channels, 1, 16 * channels, channels)
    np.testing.assert_allclose(found.float().numpy(), expected.transpose(0, 3, 1, 2), atol=tolerance, rtol=0)
    np.testing.assert_array_equal(stored.numpy(), pictures)


def test_adapt_gives_zero_to_one_without_mean():
    spec = Preprocessing(height=1, width=2, channels=3, mean=(0, 0, 0), std=(1, 1, 1))
    found = adapt(torch.tensor([[[[0] * 3, [255] * 3]]], dtype=torch.uint8), spec, torch.float32)
    assert found.flatten().tolist() == pytest.approx([0, 1] * 3)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5,)},
        {"std": (1, 1)},
        {"std": (1, 1, 0)},
        {"std": (1, 1, float("inf"))},
        {"mean": (float("nan"), 0, 0)},
        {"channels": 2},
        {"height": 0},
        {"width": 10**6},
        {"fit": "squash"},
        {"extra": 1},
    ],
)
def test_preprocessing_that_makes_no_sense_is_refused(change):
    sound = {"height": 8, "width": 8, "channels": 3, "mean": (0, 0, 0), "std": (1, 1, 1)}
    Preprocessing(**sound)
    with pytest.raises(ValidationError):
        Preprocessing(**(sound | change))


def test_pixel_statistics_are_exact_over_batches():
    pictures = RNG.integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
    mean, std = pixel_statistics([pictures[:7], pictures[7:40], pictures[40:]])
    scaled = pictures.astype(np.longdouble) / 255
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 1, 2)).astype(float), rtol=1e-14)
    np.testing.assert_allclose(std, scaled.std(axis=(0, 1, 2)).astype(float), rtol=1e-13)


@pytest.mark.parametrize("count", [1, 3, 7, 49])
def test_a_channel_that_never_varies_has_a_deviation_of_one_whatever_rounding_does(count):
    for value in range(256):
        mean, std = pixel_statistics([np.full((count, 1, 1, 1), value, np.uint8)])
        assert mean == pytest.approx((value / 255,))
        assert std == (1.0,)


# -- which pictures are meant ----------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("b.png", "a.JPG", "deep/er/c.webp", "notes.txt", "deep/d.svg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "looks-like.png").mkdir()
    return folder


def test_a_folder_stands_for_the_pictures_in_and_below_it_in_a_fixed_order(photos):
    assert picture_files([photos]) == [photos / "a.JPG", photos / "b.png", photos / "deep/er/c.webp"]
    many = [photos / f"{i * 37 % 100:02}.png" for i in range(100)]
    for path in many:
        path.touch()
    assert picture_files([photos])[:100] == sorted(many)


def test_patterns_stand_for_the_files_they_match(photos):
    assert picture_files([f"{photos}/*.png", "photos/*.txt"]) == [photos / "b.png", Path("photos/notes.txt")]
    assert picture_files(["photos/**/*.webp"]) == [Path("photos/deep/er/c.webp")]
    assert picture_files(["photos/[ab].*"]) == [Path("photos/a.JPG"), Path("photos/b.png")]


def test_files_are_taken_as_named_in_the_order_given(photos):
    (photos / "odd[1].png").touch()
    named = ["photos/b.png", "missing.png", photos / "notes.txt", "photos/odd[1].png"]
    assert picture_files(named) == [Path(name) for name in named]
    assert picture_files([]) == []


@pytest.mark.parametrize(
    ("item", "says"),
    [("empty", "empty: no pictures in this folder"), ("*.heic", "matches no file"), ("", "received an empty name")],
)
def test_what_stands_for_no_picture_is_refused_by_name(item, says):
    Path("empty").mkdir()
    with pytest.raises(UsageError, match=says):
        picture_files([item])
