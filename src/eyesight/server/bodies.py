"""Pictures of a request: its body alone, or the files of a form.

In: a request. Out: names and bytes, at most as many as the limits allow, all read in time. It decodes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import unquote

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from .limits import Limits, LostClientError, RequestError, check_type, too_long

Pictures = list[tuple[str, bytes]]


class Held:
    """How many bytes of bodies are in memory, of all clients together."""

    def __init__(self, most: int) -> None:
        self.bytes, self._most = 0, most

    def take(self, count: int) -> None:
        """Note so many more bytes.

        Raises:
            RequestError: they would be too many.
        """
        if self.bytes + count > self._most:
            raise RequestError("too many uploads at once; send it again later", status=429, retry_after=1)
        self.bytes += count

    def give(self, count: int) -> None:
        """Note that so many bytes are gone."""
        self.bytes -= count


async def read_pictures(request: Request, limits: Limits, held: Held) -> Pictures:
    """Return the pictures of a request, each a name and a file.

    Raises:
        RequestError: too large, too slow, too many, or of a type that is no picture; its status says which.
        LostClientError: the client has gone.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    if not is_form:
        check_type(kind)
    body = await read_body(request, limits, held)
    try:
        if not body:
            raise RequestError("expected a picture; received: nothing", field="body", status=400)
        return await _files(request, body, limits) if is_form else [(_name(request), body)]
    finally:
        held.give(len(body))


async def read_body(request: Request, limits: Limits, held: Held) -> bytes:
    """Return the body of a request, all of it; see `read_pictures`. Its bytes are noted in `held`."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limits.body:
        raise too_long(limits.body, int(said))
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.timeout):
            async for part in request.stream():
                if size + len(part) > limits.body:
                    raise too_long(limits.body)
                held.take(len(part))
                size += len(part)
                parts.append(part)
    except BaseException as error:
        held.give(size)
        if isinstance(error, TimeoutError):
            said = f"expected a whole body within {limits.timeout:g} seconds"
            raise RequestError(said, field="body", status=408, close=True) from None
        if isinstance(error, ClientDisconnect):
            raise LostClientError("the client has gone") from None
        raise
    return b"".join(parts) if len(parts) != 1 else bytes(parts[0])


def _name(request: Request) -> str:
    """Return what a picture is called: by a header, else "picture"."""
    return unquote(request.headers.get("x-filename", ""))[:200] or "picture"


async def _files(request: Request, body: bytes, limits: Limits) -> Pictures:
    """Return the files of a form, in order."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    class InMemory(MultiPartParser):  # a body of that size is in memory anyway; nothing goes to the disk
        spool_max_size = limits.body

    parser = InMemory(request.headers, stream(), max_files=limits.pictures, max_fields=16, max_part_size=64 << 10)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        text = " ".join(error.message.split())[:200]
        raise RequestError(f"not a form that can be read ({text})", field="body", status=400) from None
    except Exception as error:  # of a part's headers that are no text, or of a boundary that is none
        said = f"not a form that can be read ({type(error).__name__})"
        raise RequestError(said, field="body", status=400) from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise RequestError("expected one or more files in the form; received: none", field="body", status=400)
        return [((file.filename or f"picture {k}")[:200], await file.read()) for k, file in enumerate(files)]
    finally:
        await form.close()
