"""What a server accepts, and what it says to what it does not.

In: settings, and the errors of the project. Out: limits, and for every error an HTTP status. It does no network.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import EyesightError, LargePictureError, PictureError, UsageError

_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded")  # the last is what curl calls any file


@dataclass(frozen=True)
class Limits:
    """How much a server takes on. Memory is bounded by bytes, waiting by time.

    Attributes:
        body: bytes of a request; a photo of a telephone has 2 to 8 million.
        pixels: of a picture, as its header claims; beyond it nothing is decoded.
        pictures: of one request.
        queue: pictures that wait for their answer.
        wait: seconds that a new picture may have to wait, by the speed of the last ones, before it is refused.
        held: bytes of bodies, received and not answered, of all clients together.
        timeout: seconds for a client to send its headers, again for its body, and for us to answer.
        idle: seconds that a connection may stay open between two requests.
        connections: open at once; beyond it, the one that has been waiting longest for its client is closed.
    """

    body: int = 8 << 20
    pixels: int = 25_000_000
    pictures: int = 64
    queue: int = 256
    wait: float = 1.0
    held: int = 256 << 20
    timeout: float = 20.0
    idle: float = 60.0
    connections: int = 800


class RequestError(EyesightError):
    """A request that is not answered with probabilities.

    Attributes:
        status: of HTTP.
        retry_after: seconds after which it may be sent again; None where that would not help.
        close: whether the connection ends with it.
    """

    def __init__(
        self,
        text: str,
        *,
        field: str | None = None,
        status: int = 400,
        retry_after: int | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(text, field=field)
        self.status, self.retry_after, self.close = status, retry_after, close


class LostClientError(EyesightError):
    """The client has gone; nobody reads an answer."""


def busy(seconds: int) -> RequestError:
    """Return the error for a request that comes when too many wait."""
    return RequestError("too many pictures are waiting; send it again later", status=429, retry_after=seconds)


def too_long(limit: int, received: int | None = None) -> RequestError:
    """Return the error for a body of too many bytes."""
    said = "more" if received is None else f"{received:,}"
    return RequestError(f"expected at most {limit:,} bytes; received: {said}", field="body", status=413)


def status_of(error: EyesightError) -> int:
    """Return the status of HTTP for an error."""
    if isinstance(error, RequestError):
        return error.status
    if isinstance(error, LargePictureError):
        return 413
    return 400 if isinstance(error, PictureError | UsageError) else 503


def check_type(kind: str) -> None:
    """Raise a RequestError for a body that says itself that it is no picture."""
    if kind not in _TYPES and not kind.startswith("image/"):
        expected = "a picture (image/…, application/octet-stream) or multipart/form-data"
        raise RequestError(f"expected {expected}; received: {kind[:80]}", field="content-type", status=415)
