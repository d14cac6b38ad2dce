"""Pillow's warnings about what is in a file stay inside; the program's own are left alone, in every thread."""

from __future__ import annotations

import io
import struct
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from eyesight.pictures.decode import decode

PIXELS = np.random.default_rng(7).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def file(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


def false_tag() -> bytes:
    """A TIFF with a text that its file is too short for."""
    data = bytearray(file("TIFF", tiffinfo={305: "a program with a long name"}))
    entry = data.index(struct.pack("<HH", 305, 2))
    data[entry + 4 : entry + 8] = struct.pack("<I", 60_000)
    return bytes(data)


def odd_exif() -> bytes:
    """A PNG whose EXIF data points outside of itself."""
    tags = struct.pack("<HHHII", 1, 0x010E, 2, 60_000, 26)
    return file("PNG", exif=b"II*\0\x08\0\0\0" + tags)


def no_animation() -> bytes:
    """A PNG that claims to be an animation of no pictures."""
    body = b"acTL" + bytes(8)
    data = file("PNG")
    return data[:33] + struct.pack(">I", 8) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


ODD = {"TIFF": false_tag(), "EXIF": odd_exif(), "APNG": no_animation()}


def read_by_pillow(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        picture.getexif()


@pytest.mark.parametrize("kind", ODD)
def test_what_pillow_warns_of_is_read_without_a_word_whatever_the_filters(kind):
    with pytest.warns(UserWarning, match="Skipping tag|Corrupt EXIF|Invalid APNG|Truncated|Possibly corrupt"):
        read_by_pillow(ODD[kind])
    for action in ("error", "always"):
        with warnings.catch_warnings(record=True, action=action) as said:
            np.testing.assert_array_equal(np.asarray(decode(ODD[kind], channels=3)), PIXELS)
        assert not said


def test_pillow_still_warns_others_and_says_where():
    decode(ODD["TIFF"], channels=3)
    with pytest.warns(UserWarning, match="Skipping tag 305") as said:
        read_by_pillow(ODD["TIFF"])
    assert {warning.filename for warning in said} == {TiffImagePlugin.__file__}
    with pytest.raises(UserWarning), warnings.catch_warnings(action="error"):
        read_by_pillow(ODD["TIFF"])


def test_threads_that_decode_leave_the_warnings_of_others_alone():
    done, before = threading.Event(), list(warnings.filters)

    def decode_odd_pictures() -> None:
        while not done.is_set():
            for data in ODD.values():
                decode(data, channels=3)

    threads = [threading.Thread(target=decode_odd_pictures) for _ in range(6)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads meet in every place
    try:
        with warnings.catch_warnings(record=True, action="always") as said:
            own = list(warnings.filters)
            for thread in threads:
                thread.start()
            for number in range(2000):
                warnings.warn(f"own {number}", stacklevel=1)
                assert warnings.filters == own
            done.set()
            for thread in threads:
                thread.join()
    finally:
        done.set()
        sys.setswitchinterval(interval)
    assert [str(warning.message) for warning in said] == [f"own {number}" for number in range(2000)]
    assert warnings.filters == before
