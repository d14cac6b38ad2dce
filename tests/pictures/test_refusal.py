"""What cannot be read says what it is and what to do; what was decoded before the fault is let go."""

from __future__ import annotations

import gc
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from eyesight.errors import PictureError, UsageError
from eyesight.pictures.decode import decode, is_file

PIXELS = np.random.default_rng(3).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def file(kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def box(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + b"miaf"


def refusal(source) -> str:
    with pytest.raises(PictureError) as caught:
        decode(source, channels=3)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a picture: the file is empty; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer to one; .*git lfs pull"),
        (b"<!DOCTYPE html><html>403 Forbidden</html>", "a web page; download the picture itself again"),
        (b"\xef\xbb\xbf\n <HTML><body>404</body>", "a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing; save it as PNG"),
        (box(b"heic"), r"an HEIC picture, which needs .*: pip install 'eyesight\[heic\]'; or save it as"),
        (box(b"heix"), "an HEIC picture"),
        (box(b"mif1"), "an HEIF picture"),
        (box(b"isom"), "a video"),
        (b"\xff\x0a" + bytes(30), "a JPEG XL picture, which is not read here; save it as JPEG or PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30), "a JPEG 2000 picture"),
        (b"%PDF-1.7\n", "a PDF document; save its pages as PNG"),
        (b"PK\3\4" + bytes(30), "a zip archive; unpack it"),
        (b"RIFF\4\0\0\0WAVE", "a sound or video file"),
        (b"some,table\n1,2\n", "a text file"),
        (bytes(range(256)), r"not a picture \(readable: PNG, JPEG, .*AVIF\)"),
        (file()[:8], "begins like a PNG and is cut off or damaged .8 bytes.; copy or download it again"),
        (file("JPEG")[:3], "begins like a JPEG and is cut off"),
        (file("GIF")[:6], "begins like a GIF and is cut off"),
        (file("BMP")[:10], "begins like a BMP and is cut off"),
        (file("TIFF")[:8], "begins like a TIFF and is cut off"),
        (file("WEBP")[:10], "begins like a WebP and is cut off"),
        (b"P6 30", "EOF while reading header"),
    ],
)  # fmt: skip
def test_what_is_not_a_picture_says_what_it_is_and_what_to_do(tmp_path, monkeypatch, data, says):
    monkeypatch.setattr("eyesight.pictures.decode._can_read_heif", lambda: False)  # it may be installed
    assert re.search(f"^picture: .*{says}", refusal(data))
    (tmp_path / "a.jpg").write_bytes(data)
    assert re.search(f"^a.jpg: .*{says}", refusal("a.jpg"))


def test_photos_of_telephones_are_read_where_the_package_for_them_is_installed(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    photo = Image.fromarray(np.arange(48 * 32 * 3, dtype=np.uint8).reshape(32, 48, 3) // 4)
    photo.save(tmp_path / "a.heic", quality=95)
    data = (tmp_path / "a.heic").read_bytes()
    read = np.asarray(decode(tmp_path / "a.heic", channels=3)).astype(int)
    assert np.abs(read - np.asarray(photo)).mean() < 8
    assert "begins like an HEIC picture, and is cut off or damaged" in refusal(data[:100])


def test_no_refusal_is_empty_or_a_number(tmp_path):
    """Of files cut at any place, and of packed ones with bytes changed."""
    specimens = [file(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    specimens += [file("TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    rng, seen = np.random.default_rng(5), set()
    for data in specimens:
        for _ in range(60):
            broken = bytearray(data[: rng.integers(len(data))] if rng.random() < 0.5 else data)
            for place in rng.integers(0, max(1, len(broken)), 6):
                broken[place : place + 1] = rng.bytes(1)
            try:
                decode(bytes(broken), channels=3)
            except PictureError as error:
                seen.add(str(error))
    assert len(seen) > 20
    for text in seen:
        assert not re.search(r"\(\)$|error -?\d|: -?\d*$", text), text


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read():
    smooth = Image.linear_gradient("L").resize((40, 30))
    for mode in ("RGB", "L"):
        buffer = io.BytesIO()
        smooth.convert(mode).save(buffer, "AVIF", quality=95)
        found = np.asarray(decode(buffer.getvalue(), channels=1)).astype(int)
        assert np.abs(found - np.asarray(smooth)).max() <= 4
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(buffer, "AVIF")
    assert (np.asarray(decode(buffer.getvalue(), channels=3)) == 255).all()


# -- where pictures come from ----------------------------------------------------------------------------------------


def test_files_in_memory_and_open_files_are_read(tmp_path):
    data = file()
    (tmp_path / "a.png").write_bytes(data)
    with (tmp_path / "a.png").open("rb") as opened:
        for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), opened, Path("a.png"), "a.png"):
            np.testing.assert_array_equal(np.asarray(decode(source, channels=3)), PIXELS)
        assert not opened.closed
    assert all(map(is_file, (data, bytearray(data), memoryview(data), io.BytesIO(data))))
    assert not any(map(is_file, ("a.png", Path("a.png"), PIXELS, Image.fromarray(PIXELS), None, 3)))


def test_an_open_file_is_named_by_its_name(tmp_path):
    (tmp_path / "cut.png").write_bytes(file()[:60])
    with (tmp_path / "cut.png").open("rb") as opened, pytest.raises(PictureError, match=r"cut.png: "):
        decode(opened, channels=3)


def test_other_types_are_named(tmp_path):
    for source, name in ((None, "NoneType"), (3, "int"), ({"a": 1}, "dict")):
        with pytest.raises(UsageError, match=f"expected a path, the bytes of a file.*received: {name}$"):
            decode(source, channels=3)
    (tmp_path / "a.png").write_bytes(b"text")
    with (tmp_path / "a.png").open() as opened, pytest.raises(UsageError, match="mode 'rb'"):
        decode(opened, channels=3)


# -- what an error holds ---------------------------------------------------------------------------------------------


def test_a_kept_error_holds_nothing_of_the_picture(tmp_path):
    (tmp_path / "cut.png").write_bytes(file("JPEG")[:-300])
    with pytest.raises(PictureError) as caught:
        decode("cut.png", channels=3)
    error = caught.value
    assert (error.__context__, error.__cause__) == (None, None)
    held, trace = [], error.__traceback__
    while trace:
        held += [value for value in trace.tb_frame.f_locals.values() if isinstance(value, Image.Image)]
        trace = trace.tb_next
    assert held == []
    gc.collect()
    assert [
        thing for thing in gc.get_objects() if issubclass(type(thing), Image.Image) and thing.size == (30, 40)
    ] == []
