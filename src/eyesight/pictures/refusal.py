"""What a file is that cannot be read as a picture, and what to do about it.

In: the beginning of a file. Out: words for a PictureError. It knows files by their first bytes, not by their names.
"""

from __future__ import annotations

import re

HEAD = 1024  # bytes that are looked at

_CONVERT = "save it as JPEG or PNG"
_KINDS = (  # place, first bytes, what it is, what to do
    (0, b"version https://git-lfs", "not a picture: a Git LFS pointer to one", "fetch it with: git lfs pull"),
    (0, b"\xff\x0a", "a JPEG XL picture, which is not read here", _CONVERT),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture, which is not read here", _CONVERT),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture, which is not read here", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture, which is not read here", _CONVERT),
    (0, b"8BPS", "a Photoshop file, which is not read here", _CONVERT),
    (0, b"%PDF", "not a picture: a PDF document", "save its pages as PNG"),
    (0, b"%!PS", "not a picture: a PostScript drawing", "save it as PNG"),
    (0, b"\xc5\xd0\xd3\xc6", "not a picture: a PostScript drawing", "save it as PNG"),
    (0, b"\0\0\1\0", "an icon, which is not read here", "save it as PNG"),
    (0, b"PK\3\4", "not a picture: a zip archive", "unpack it"),
    (0, b"\x1f\x8b", "not a picture: a gzip archive", "unpack it"),
    (0, b"Rar!", "not a picture: a RAR archive", "unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "not a picture: a 7z archive", "unpack it"),
    (0, b"\x93NUMPY", "not a picture: a NumPy array", "load it with numpy.load and pass the array"),
    (0, b"\x1aE\xdf\xa3", "not a picture: a video", "save its frames as PNG"),
)
_BRANDS = {  # of files of boxes, as phones and video cameras write them
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_BEGINNINGS = {  # of files that are read here, when they are whole
    "PNG": (b"\x89PNG\r\n\x1a\n",), "JPEG": (b"\xff\xd8\xff",), "GIF": (b"GIF87a", b"GIF89a"), "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "WebP": (b"RIFF",),
}  # fmt: skip
_PORTABLE = re.compile(rb"P[1-6fF][\s#]")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|script|!--)", re.IGNORECASE)
_DRAWING = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!doctype\s+svg[^>]*>\s*)*<svg",
    re.IGNORECASE | re.DOTALL,
)
_TEXT = bytes({7, 8, 9, 10, 12, 13, 27} | set(range(0x20, 0x100)) - {0x7F})


def describe(head: bytes, formats: tuple[str, ...]) -> str:
    """Say what a file is that no decoder takes, from its first `HEAD` bytes; `formats` are those that could be read."""
    if not head:
        return "not a picture: the file is empty; copy or download it again"
    if is_heif(head) and "HEIF" in formats:
        return "begins like an HEIC picture, and is cut off or damaged; copy or download it again"
    what = _foreign(head) or _broken(head)
    return what or f"not a picture (readable: {', '.join(formats)})"


def is_heif(head: bytes) -> bool:
    """Tell whether a file is a photo as telephones write them."""
    return head[4:8] == b"ftyp" and _BRANDS.get(head[8:12]) in ("HEIC", "HEIF")


def _foreign(head: bytes) -> str | None:
    """Return what another kind of file is called, and what to do about it."""
    for place, first, what, advice in _KINDS:
        if head.startswith(first, place):
            return f"{what}; {advice}"
    if head[4:8] == b"ftyp":
        kind = _BRANDS.get(head[8:12])
        if kind is None:
            return "not a picture: a video; save its frames as PNG"
        if kind in ("HEIC", "HEIF"):
            return f"an {kind} picture, which needs another package: pip install 'eyesight[heic]'; or {_CONVERT}"
        return f"an {kind} picture, which is not read here; {_CONVERT}"
    if _DRAWING.match(head):
        return "not a picture: an SVG drawing; save it as PNG"
    if _MARKUP.match(head):
        return "not a picture: a web page; download the picture itself again"
    if head.startswith(b"RIFF") and not b"WEBP".startswith(head[8:12]):
        return "not a picture: a sound or video file"
    return None


def _broken(head: bytes) -> str | None:
    """Return what is wrong with a file that begins like a picture; or that it is text."""
    kind = next((kind for kind, firsts in _BEGINNINGS.items() if head.startswith(firsts)), None)
    if kind is None and _PORTABLE.match(head):
        kind = "PPM"
    if kind and len(head) < HEAD:
        return f"begins like a {kind} and is cut off or damaged ({len(head)} bytes); copy or download it again"
    if kind:
        return f"begins like a {kind}, and is damaged or of a kind of {kind} that is not read here"
    if not head.translate(None, _TEXT):
        return "not a picture: a text file"
    return None
