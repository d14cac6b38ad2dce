"""Pictures that are broken, or lie, or are huge: decoded or refused in one line, in 256 MB and 2 s, by any process."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from sklearn.datasets import load_digits, load_sample_images

from eyesight.errors import PictureError
from eyesight.pictures.decode import decode
from eyesight.pictures.preprocess import Preprocessing, fit, read_picture

WORKER = Path(__file__).with_name("picture_worker.py")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and measures memory as Linux does")


# -- a process of its own --------------------------------------------------------------------------------------------


def work(command: str, *arguments: object) -> dict:
    """Run the worker and return its report; where it fails, say at which picture and how to have that again."""
    line = [sys.executable, str(WORKER), command, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        at = done.stdout.split()[-1:]
        again = " ".join([*line[:-2], *at, "1"] if at else line)
        pytest.fail(f"the worker ended with {done.returncode}; again: {again}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# -- small files of every kind ---------------------------------------------------------------------------------------


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: np.ndarray, *, interlaced: bool) -> bytes:
    """A PNG as Pillow does not write it: uint8 or uint16 (H, W, 3), perhaps in the seven passes of Adam7."""
    height, width, _ = pixels.shape
    adam7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
    rows = b""
    for top, down, left, across in adam7 if interlaced else ((0, 1, 0, 1),):
        for row in pixels[top::down, left::across]:
            rows += b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, 2, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiled_tiff(pixels: np.ndarray, *, packed: bool) -> bytes:
    """A TIFF of 16x16 tiles, which Pillow does not write: uint8 (H, W, 3), H and W multiples of 16."""
    height, width, _ = pixels.shape
    corners = [(y, x) for y in range(0, height, 16) for x in range(0, width, 16)]
    tiles = [pixels[y : y + 16, x : x + 16].tobytes() for y, x in corners]
    tiles = [zlib.compress(tile) for tile in tiles] if packed else tiles
    starts = list(np.cumsum([8, *map(len, tiles)]))
    body = b"".join(tiles)
    lists = struct.pack("<3H", 8, 8, 8) + np.array([*starts[:-1], *map(len, tiles)], "<u4").tobytes()
    at, n = 8 + len(body), len(tiles)
    entries = (
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, at), (259, 3, 1, 8 if packed else 1), (262, 3, 1, 2),
        (277, 3, 1, 3), (322, 3, 1, 16), (323, 3, 1, 16), (324, 4, n, at + 6), (325, 4, n, at + 6 + 4 * n),
    )  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + b"\0" * 4
    return struct.pack("<2sHI", b"II", 42, at + len(lists)) + body + lists + directory


def run_length_bmp(indices: np.ndarray) -> bytes:
    """A BMP in runs of equal pixels: uint8 (H, W), in the colours 0 to 255 of grey."""
    rows = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in indices[::-1]) + b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, *indices.shape[::-1], 1, 8, 1, len(rows), 2835, 2835, 256, 0)
    return struct.pack("<2sIHHI", b"BM", 1078 + len(rows), 0, 0, 1078) + head + palette + rows


def specimens() -> Iterator[tuple[str, bytes]]:
    photo = Image.fromarray(load_sample_images().images[0]).resize((48, 32))
    flower = Image.fromarray(load_sample_images().images[1]).resize((32, 48))
    digit = Image.fromarray((load_digits().images[3] * 15.9).astype(np.uint8))
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    clear = photo.convert("RGBA")
    clear.putalpha(digit.resize(photo.size))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A] = 6, "a picture", 72.5
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    frames = {"save_all": True, "append_images": [flower.resize(photo.size), photo.rotate(180)]}

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"{mode}.png", saved(clear.convert(mode), "PNG")
    yield "digit.png", saved(digit, "PNG")
    yield "stored.png", saved(photo, "PNG", compress_level=0)
    yield "16 bit.png", saved(deep, "PNG")
    yield "2 bit.png", saved(photo.quantize(4), "PNG", bits=2)
    yield "transparent palette.png", saved(photo.quantize(16), "PNG", transparency=bytes(range(0, 255, 17)))
    yield "transparent colour.png", saved(photo, "PNG", transparency=photo.getpixel((0, 0)), exif=exif)
    yield "animated.png", saved(photo, "PNG", **frames)
    yield "interlaced.png", png(np.asarray(photo), interlaced=True)
    yield "48 bit.png", png(np.asarray(photo).astype(np.uint16) * 257, interlaced=False)

    yield "baseline.jpg", saved(photo, "JPEG")
    yield "progressive.jpg", saved(flower, "JPEG", progressive=True)
    yield "progressive 444.jpg", saved(photo, "JPEG", progressive=True, subsampling=0, exif=exif)
    yield "grey.jpg", saved(digit, "JPEG")
    yield "cmyk.jpg", saved(photo.convert("CMYK"), "JPEG")
    yield "exif.jpg", saved(flower, "JPEG", exif=exif, optimize=True)
    yield "restarts.jpg", saved(photo, "JPEG", restart_marker_rows=1)
    yield "several.jpg", saved(photo, "MPO", save_all=True, append_images=[flower])

    yield "plain.gif", saved(photo, "GIF")
    yield "transparent.gif", saved(clear, "GIF")
    yield "animated.gif", saved(photo, "GIF", disposal=2, **frames)

    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"{mode}.bmp", saved(clear.convert(mode), "BMP")
    yield "run length.bmp", run_length_bmp(np.asarray(digit))

    yield from tiffs(photo, clear, deep, exif, frames)

    yield "lossy.webp", saved(photo, "WEBP", exif=exif)
    yield "lossless.webp", saved(photo, "WEBP", lossless=True)
    yield "alpha.webp", saved(clear, "WEBP")
    yield "animated.webp", saved(photo, "WEBP", **frames)
    if features.check("avif"):
        yield "lossy.avif", saved(photo, "AVIF", exif=exif)
        yield "alpha.avif", saved(clear, "AVIF")
    yield from portable_maps(photo, np.asarray(digit))


def tiffs(
    photo: Image.Image, clear: Image.Image, deep: Image.Image, exif: Image.Exif, frames: dict
) -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I", "YCbCr"):
        yield f"{mode}.tif", saved(photo.convert(mode), "TIFF")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{compression}.tif", saved(photo, "TIFF", compression=compression, exif=exif)
    for compression in ("group3", "group4"):
        yield f"{compression}.tif", saved(photo.convert("1"), "TIFF", compression=compression)
    yield "16 bit.tif", saved(deep, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "strips.tif", saved(clear, "TIFF", compression="tiff_deflate", strip_size=600)
    yield "turned.tif", saved(photo, "TIFF", tiffinfo={274: 8})
    yield "pages.tif", saved(photo, "TIFF", **frames)
    yield "big.tif", saved(photo, "TIFF", big_tiff=True)
    for packed in (False, True):
        yield f"tiles {packed}.tif", tiled_tiff(np.asarray(photo), packed=packed)


def portable_maps(photo: Image.Image, grey: np.ndarray) -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "RGB"):
        yield f"{mode}.ppm", saved(photo.convert(mode), "PPM")
    yield "16 bit.pgm", b"P5 8 8 65535\n" + (grey * np.uint16(257)).astype(">u2").tobytes()
    yield "4095.pgm", b"P5 8 8 4095\n" + (grey * np.uint16(16)).astype(">u2").tobytes()
    yield "100.ppm", b"P6 8 8 100\n" + np.stack([grey % 101] * 3, axis=-1).tobytes()
    yield "plain.pgm", b"P2 # a digit\n8 8 255\n" + b" ".join(b"%d" % value for value in grey.flat)
    yield "plain.ppm", b"P3\n8 8\n255\n" + b"\n".join(b"%d" % value for value in grey.repeat(3))
    yield "plain.pbm", b"P1 8 8\n" + b" ".join(b"%d" % (value > 99) for value in grey.flat)
    yield "float.pfm", b"Pf 8 8 -1.0\n" + grey.astype("<f4").tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("specimens")
    for name, data in specimens():
        (folder / name).write_bytes(data)
    return folder


def test_the_specimens_are_pictures_before_they_are_broken(folder):
    refused = set()
    for path in sorted(folder.iterdir()):
        try:
            picture = decode(path, channels=3)
        except PictureError:
            refused.add(path.name)
        else:
            assert sorted(picture.size) in ([8, 8], [32, 48]), path.name
    assert refused == {"F.tif", "float.pfm"}  # floating-point, which is refused whole or broken
    for name in ("interlaced.png", "48 bit.png", "tiles False.tif", "tiles True.tif"):
        same = np.asarray(decode(folder / name, channels=3)) == np.asarray(decode(folder / "RGB.png", channels=3))
        assert same.all(), name


# -- broken, lying, huge ---------------------------------------------------------------------------------------------


def figures(report: dict) -> str:
    return (
        f"{report['decoded']:,} decoded, {report['refused']:,} refused, none crashed;"
        f" slowest {report['seconds']:.2f} s, peak {report['peak_mb']:.0f} MB"
    )


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_broken_pictures_are_read_or_refused_in_one_line_within_256_mb_and_2_s(folder, count, proof):
    report = work("mutate", folder, 5, 0, count)
    if count >= 100_000:
        proof(f"{count:,} mutated pictures: {figures(report)}")
    assert min(report["decoded"], report["refused"]) > count / 10  # else the breaking shows nothing


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_false_sizes_stay_within_256_mb_where_no_limit_is_set(folder, count, proof):
    report = work("lie", folder, 6, 0, count)
    if count >= 10_000:
        proof(f"{count:,} pictures with false sizes: {figures(report)}")
    assert min(report["decoded"], report["refused"]) > count / 20


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return Image.fromarray(load_sample_images().images[0])


@pytest.mark.parametrize(
    ("size", "options"),
    [
        pytest.param((8192, 6144), {}, id="50 MP"),
        pytest.param((16320, 12240), {}, id="200 MP", marks=pytest.mark.long),
        pytest.param((8160, 6120), {"progressive": True}, id="50 MP progressive", marks=pytest.mark.long),
        pytest.param((7700, 5190), {"format": "PNG", "compress_level": 1}, id="40 MP PNG", marks=pytest.mark.long),
        pytest.param(
            (6000, 4000), {"format": "TIFF", "compression": "tiff_lzw"}, id="24 MP TIFF", marks=pytest.mark.long
        ),
        pytest.param((4080, 3060), {"format": "WEBP", "method": 0}, id="12 MP WebP", marks=pytest.mark.long),
        pytest.param((4000, 3000), {"format": "AVIF", "speed": 10}, id="12 MP AVIF", marks=pytest.mark.long),
    ],
)
def test_large_photos_are_read_right_within_256_mb_and_2_s(scene, tmp_path, request, proof, size, options):
    path = tmp_path / "photo"
    exif = Image.Exif()
    exif[0x0112] = 6
    large = scene.resize(size)
    large.save(path, **({"format": "JPEG", "exif": exif} | options))
    report = work("read", path)
    proof(f"photo, {request.node.callspec.id}: {report['seconds']:.2f} s, peak {report['peak_mb']:.0f} MB")
    assert report["decoded"]
    preprocessing = Preprocessing(height=64, width=64, channels=3, mean=(0,) * 3, std=(1,) * 3)
    expected = fit(large.transpose(Image.Transpose.ROTATE_270), preprocessing)
    assert np.abs(read_picture(path, preprocessing).astype(int) - expected).mean() < 0.5


def false_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG that claims another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_a_small_jpeg_in_several_scans_cannot_make_libjpeg_keep_200_megapixels(scene):
    data = saved(scene.resize((64, 64)), "JPEG")
    assert decode(false_size(data, 16320, 12240), channels=3).size == (4080, 3060)
    scan = data.index(b"\xff\xda")
    several = data[:scan] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + data[scan + 14 :]  # the first is of one colour only
    with pytest.raises(
        PictureError, match=r"decode it in 200 MB; received: JPEG of 199.8 megapixels, which takes \d+ MB"
    ):
        decode(false_size(several, 16320, 12240), channels=3)
