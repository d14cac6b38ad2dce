"""From a picture file to upright 8-bit grey or colour, in bounded memory, whatever the file holds.

In: paths, bytes of files, Pillow images. Out: Pillow images of mode `L` or `RGB`, or a PictureError. It knows nothing
of networks, of the size that they expect, or of torch.
"""

from __future__ import annotations

import io
import math
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import LargePictureError, PictureError, UsageError
from .flatten import flatten, has_clear_deep_colour, values_of
from .portable import is_slow, load_map
from .refusal import HEAD, describe, is_heif
from .resample import whole_factor
from .silence import silent_pillow

PictureSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image

# Decoders that Pillow maintains well and that need no external program; others (EPS, FITS, …) stay shut.
PICTURE_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF")
PICTURE_SUFFIXES = frozenset(".png .jpg .jpeg .jfif .gif .bmp .tif .tiff .webp .avif .ppm .pgm .pbm .pnm".split())

# Four limits, in pixels and bytes. Together they keep a process that decodes, Python included, within 256 MB.
MAX_PIXELS = 100_000_000  # a scanned poster; anything larger is more likely an attack
MAX_JPEG_PIXELS = 200_000_000  # the largest telephone cameras; JPEG alone can be decoded at a part of its size
MAX_SIDE = 65_535  # the most that JPEG can say
MAX_MEMORY = 200_000_000  # while decoding, beside the file: 40 megapixels of colour in most formats
LARGE = 20_000_000  # above it pixels are averaged over blocks; two copies and an EXIF rotation still fit

_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # a pixel in Pillow; others 4
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # its value → PIL.Image.Transpose
_QUARTER_TURNS = (2, 4, 5, 6)  # those of them that swap width and height


def decode(
    source: PictureSource,
    *,
    channels: int,
    size: tuple[int, int] | None = None,
    name: str = "",
    most: int | None = None,
) -> Image.Image:
    """Open a picture as upright 8-bit grey (`L`) or colour (`RGB`).

    EXIF rotation is applied; transparency is laid over white; 16-bit is scaled by 1/257 (Pillow's own conversion
    would clip it); palettes, CMYK and the rest go through RGB. Animations give their first picture. A picture of more
    than `LARGE` pixels is averaged over blocks, a JPEG by its own decoder.

    Args:
        source: a path, the bytes of a file, a file opened for reading bytes, or a Pillow image, which may itself be
            what is returned.
        channels: 1 or 3.
        size: (width, height) that the picture will be shrunk to. Where that is by a whole number, the blocks divide it.
        name: what errors call it; where not given, the file's name.
        most: pixels that are accepted, where fewer than by the limits of this file.

    Raises:
        PictureError: not a picture, cut off, or of a kind without a defined brightness.
        LargePictureError: its header claims more pixels than are accepted.
        UsageError: the source is of another type.
    """
    name, stored = name or name_of(source), _stored(source)
    try:
        with silent_pillow():
            if isinstance(stored, Path) and stored.is_fifo():
                stored = _drained(stored)
            picture, turn = _read(stored, "L" if channels == 1 else "RGB", size, most)
            return picture if turn is None else picture.transpose(turn)
    except Exception as error:  # on damaged files Pillow's decoders raise nearly anything
        large = isinstance(error, LargePictureError | Image.DecompressionBombError)
        refusal = (LargePictureError if large else PictureError)(f"{name}: {_reason(error, stored)}")
    # A new error, raised out here: the first one holds, by its traceback, the pixels decoded so far, and whoever keeps
    # errors would keep those as well.
    raise refusal


def size_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return (width, height) that the file of a picture claims; None where it is none."""
    try:
        with silent_pillow(), _opened(Path(path)) as picture:
            return picture.size
    except Exception:  # see `decode`
        return None


def is_file(source: object) -> bool:
    """Tell whether `decode` takes something as the bytes of a file, or a file opened for reading."""
    return isinstance(source, bytes | bytearray | memoryview) or callable(getattr(source, "read", None))


def name_of(source: object) -> str:
    """Return what errors call a picture; of an opened file, the name that it was opened by."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source) if isinstance(os.fspath(source), str) else os.fsdecode(source)
    name = None if isinstance(source, Image.Image) else getattr(source, "name", None)
    return name if isinstance(name, str) and name else "picture"


def _stored(source: PictureSource) -> Path | bytes | Image.Image:
    """Return the source as one of three types; what an opened file still holds is read."""
    if isinstance(source, bytes | Image.Image):
        return source
    if isinstance(source, str | os.PathLike):
        return Path(os.fsdecode(source))
    read = getattr(source, "read", lambda: None)
    data = source if isinstance(source, bytes | bytearray | memoryview | io.TextIOBase) else read()
    if isinstance(data, str | io.TextIOBase):  # reading text would fail on the first byte of most pictures
        raise UsageError("picture: expected a file opened for reading bytes (mode 'rb'); received: one opened for text")
    if not isinstance(data, bytes | bytearray | memoryview):
        wanted = "a path, the bytes of a file, an open file, an array or a Pillow image"
        raise UsageError(f"picture: expected {wanted}; received: {type(source).__name__}")
    return bytes(data)


def _reason(error: Exception, source: Path | bytes | Image.Image) -> str:
    """Say in words why a picture cannot be read."""
    if isinstance(error, UnidentifiedImageError | SyntaxError):  # the latter by a decoder that was not asked by Pillow
        return describe(_head(source), (*PICTURE_FORMATS, *(["HEIF"] if _can_read_heif() else [])))
    if isinstance(error, PictureError | Image.DecompressionBombError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, UnicodeEncodeError):
        return "its name cannot be encoded here"
    said = " ".join(str(error).split())  # one line
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if re.fullmatch(r"(decoder error )?-?\d*( when reading image file)?", said):  # a number for people who wrote Pillow
        return "damaged picture; copy or download it again"
    return said.lower() if isinstance(error, OSError) else f"damaged picture ({said})"


def _read(
    source: Path | bytes | Image.Image, mode: str, size: tuple[int, int] | None, most: int | None
) -> tuple[Image.Image, Image.Transpose | None]:
    """Return the picture as `mode`, and how to turn it; the caller does, when the file's own pixels are freed."""
    if isinstance(source, Image.Image):  # the caller's, and so is its memory; it stays open, and of its size
        _check_size(source, most)
        values = values_of(source)
        source.load()
        return flatten(source, mode, _block(source, size), values), _turn(source)
    with _opened(source) as picture:
        _check_size(picture, most)
        pixels, block = picture.width * picture.height, _block(picture, size)
        if isinstance(picture, JpegImageFile) and _draft(picture, block):
            block = 1
        need = _memory(picture, pixels, mode, block)
        if need > MAX_MEMORY:
            kind = f"{picture.format} of {pixels / 1e6:.1f} megapixels, which takes {need / 1e6:.0f} MB"
            raise PictureError(f"expected to decode it in {MAX_MEMORY / 1e6:.0f} MB; received: {kind}")
        values = values_of(picture, _low_bytes(source) if has_clear_deep_colour(picture) else None)
        if is_slow(picture):
            return flatten(load_map(picture), mode, block, values), None
        picture.load()
        return flatten(picture, mode, block, values), _turn(picture)


def _low_bytes(source: Path | bytes) -> Image.Image:
    """Return the lower bytes of a PNG's colours of 16 bits: Pillow's upper ones, of the bytes in the other order."""
    with _opened(source) as picture:
        picture.tile = [tile._replace(args="RGB;16L") for tile in picture.tile]
        picture.load()
        return picture


def _opened(source: Path | bytes) -> ImageFile:
    """Open a picture file, not yet decoded."""
    head = _head(source)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _FirstOfGif(_file(source))
    if is_heif(head) and _can_read_heif():
        return Image.open(_file(source), formats=("HEIF",))
    try:
        return Image.open(_file(source), formats=PICTURE_FORMATS)
    except Image.DecompressionBombError as error:
        try:  # Pillow's own limit is 179 megapixels
            return JpegImageFile(_file(source))
        except SyntaxError:
            raise error from None


@lru_cache(maxsize=1)
def _can_read_heif() -> bool:
    """Tell whether the package that decodes the photos of telephones is installed, and make it known to Pillow."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


class _FirstOfGif(GifImageFile):
    """An animation of which only the first picture is read.

    Pillow makes, when it opens a file, what would be laid under the second: of a size that the file claims, before
    anybody can look at it.
    """

    @property
    def disposal_method(self) -> int:
        """Leave everything as it is, whatever the file says."""
        return 0

    @disposal_method.setter
    def disposal_method(self, value: int) -> None:
        pass


def _file(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _drained(pipe: Path) -> bytes:
    """Return what comes through a pipe that a shell has opened; another would wait for a program to write to it."""
    if pipe.parts[:2] not in (("/", "dev"), ("/", "proc")):
        raise PictureError("a named pipe, not a file")
    return pipe.read_bytes()


def _head(source: Path | bytes | Image.Image) -> bytes:
    """Return the first bytes of a file."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return file.read(HEAD)
    return source[:HEAD] if isinstance(source, bytes) else b""


def _check_size(picture: Image.Image, most: int | None) -> None:
    """Raise an error for a picture that is empty or beyond the limits, before it is decoded."""
    limit = MAX_JPEG_PIXELS if isinstance(picture, JpegImageFile) else MAX_PIXELS
    limit = limit if most is None else min(limit, most)
    if not 0 < picture.width * picture.height <= limit or max(picture.size) > MAX_SIDE:
        wanted = f"expected 1 to {limit:,} pixels, and at most {MAX_SIDE:,} a side"
        kind = LargePictureError if min(picture.size) > 0 else PictureError
        raise kind(f"{wanted}; received: {picture.width}x{picture.height}")


def _block(picture: Image.Image, size: tuple[int, int] | None) -> int:
    """Return the side of the blocks of pixels to average: the least that leaves about `LARGE` pixels.

    It divides a whole number by which the picture will be shrunk, so that no block lies across a border between the
    pixels of an enlarged picture.
    """
    least = math.isqrt((picture.width * picture.height - 1) // LARGE) + 1
    if size is None or least == 1:
        return least
    factor = whole_factor(picture, *(size[::-1] if _lies(picture) else size))
    return least if factor is None else next((k for k in range(least, factor + 1) if factor % k == 0), least)


def _lies(picture: Image.Image) -> bool:
    """Tell whether width and height will be swapped; before the picture is loaded, as far as that is known."""
    if isinstance(picture, TiffImageFile):
        return False  # its size is the one it has when turned
    if isinstance(picture, PngImageFile) and "exif" not in picture.info:
        return False  # Pillow would load the picture to look for it at the end
    return _turn(picture) in _QUARTER_TURNS


def _draft(picture: JpegImageFile, block: int) -> bool:
    """Have the JPEG decoder average blocks of the next power of two; return whether it will.

    It does so on the coefficients, for next to nothing, and holds only the small picture.
    """
    scale = 1 << (block - 1).bit_length()
    return scale > 1 and picture.draft(None, (picture.width // scale, picture.height // scale)) is not None


def _memory(picture: ImageFile, pixels: int, mode: str, block: int) -> int:
    """Estimate the bytes that decoding a picture and converting it to `mode` will fill, the file itself apart.

    Args:
        picture: opened, not loaded; with its draft.
        pixels: of the file, before the draft.
        mode: to be converted to.
        block: side of the blocks to be averaged.
    """
    size = picture.width * picture.height
    held, extra = _MODE_BYTES.get(picture.mode, 4) * size, 0  # to the end of decoding; during a part of it
    codec = picture.tile[0][0] if picture.tile else ""
    if isinstance(picture, JpegImageFile):
        extra = _coefficients(picture, pixels)
    elif isinstance(picture, TiffImageFile):
        extra = held if _turn(picture) else 0  # Pillow turns a TIFF itself, beside the buffer
        extra += _tiff_buffer(picture) if codec == "libtiff" else 0
    elif picture.format == "WEBP":
        held, extra = 12 * size, 4 * size  # two canvases and Pillow's picture; one more copy in between
    elif picture.format in ("AVIF", "HEIF"):
        extra = 12 * size  # the decoder's planes, perhaps of 10 bits, their colours, and those again as bytes
    elif has_clear_deep_colour(picture):
        held *= 2  # upper and lower bytes
    elif codec == "ppm":
        extra = 4 * size  # as an array
    elif codec == "ppm_plain":
        extra = 28 * size  # as text without comments, numbers of 32 bits, and an array
    elif codec == "bmp_rle":  # written in Python
        extra = 8 * size
    return held + max(extra, _MODE_BYTES.get(mode, 4) * size // block**2)


def _coefficients(picture: JpegImageFile, pixels: int) -> int:
    """Return the bytes of the coefficients that libjpeg keeps of a JPEG in several scans, whatever the draft."""
    areas = [across * down for _, across, down, _ in picture.layer]
    one_scan = not picture.info.get("progressive") and _first_scan(picture.fp) == len(areas)
    return 0 if one_scan else 2 * pixels * sum(areas) // max(1, *areas)


def _first_scan(file: IO[bytes] | None) -> int:
    """Return how many colour components the first scan of an open JPEG file has."""
    assert file is not None
    file.seek(2)
    while byte := file.read(1):
        if byte != b"\xff":
            continue
        while (marker := file.read(1)) == b"\xff":
            pass
        if marker == b"\xda":
            return int.from_bytes(file.read(3)[2:])
        if marker > b"\x01" and not b"\xd0" <= marker <= b"\xd8":  # the others have no content
            file.seek(max(0, int.from_bytes(file.read(2)) - 2), io.SEEK_CUR)
    return 0


def _tiff_buffer(picture: TiffImageFile) -> int:
    """Return the bytes of one strip or tile, which libtiff unpacks as a whole."""
    tags = picture.tag_v2
    width, rows = tags[256], min(tags[257], tags.get(278, tags[257]))
    width, rows = tags.get(322, width), tags.get(323, rows)
    return int(width * rows * max(32, sum(tags.get(258, (1,)))) // 8)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return how its EXIF data says that a picture is to be turned; not at all where the data is damaged.

    Pillow's `exif_transpose` also writes the data anew, and fails on the slips that real cameras make in it.
    """
    if isinstance(picture, PngImageFile) and not picture.info:  # small ones take as long to open as to look for it
        return None
    try:
        turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # see `decode`
        return None
    return None if turn is None else Image.Transpose(turn)
