"""Keeps to itself what Pillow and libtiff say of odd or damaged files; it is told by a PictureError, or not at all.

In: nothing. Out: a context in which the calling thread decodes. It changes no filter of Python's warnings: those
belong to the whole program, and `warnings.catch_warnings` in one thread loses the filters of the others. Instead,
Pillow's decoders find this file's stand-in for the module `warnings`, which passes on all that is said outside of the
context.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, _imaging

_PLUGINS = (Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin)  # those that warn of what is in a file
_thread = threading.local()


class _Warnings:
    """The module `warnings`, silent in a thread that decodes: what decodes is a picture, whatever Python's filters."""

    def warn(
        self, message: Any, category: type[Warning] | None = None, stacklevel: int = 1, source: Any = None, **more: Any
    ) -> None:
        if not getattr(_thread, "decodes", False):
            warnings.warn(message, category, stacklevel + 1, source, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


@contextlib.contextmanager
def silent_pillow() -> Iterator[None]:
    """Silence Pillow's warnings in this thread."""
    _prepare()
    before = getattr(_thread, "decodes", False)
    _thread.decodes = True
    try:
        yield
    finally:
        _thread.decodes = before


@lru_cache(maxsize=1)
def _prepare() -> None:
    """Put the stand-in in its place; keep libtiff, and Pillow's log, from writing to stderr."""
    for plugin in _PLUGINS:
        if "warnings" in vars(plugin):
            vars(plugin)["warnings"] = _Warnings()
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with contextlib.suppress(OSError, AttributeError):  # a Pillow without libtiff, or with it inside
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
