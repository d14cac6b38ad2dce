"""A file that grows for hours and survives whatever ends its process.

In: bytes, piece by piece, and what they were made with. Out: the file, which appears under its name when it is whole.
Until then two files lie beside it:

    NAME.partial         the bytes so far
    NAME.partial.json    how many of them are whole, what they stand for, and what they were made with

The second is written now and then, after the first has reached the disk; what stands beyond is made again. It does not
know what the bytes mean.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from .. import locks
from ..errors import FormatError, RunError
from ..formats import atomic_path, read_json, sync_folder, write_all, write_json

FORMAT: Final = "eyesight-partial"
VERSION: Final = 1


@dataclass
class State:
    """How far a file is.

    Attributes:
        bytes: that are whole.
        items: that they stand for, such as pictures.
        errors: of these, those that failed.
        digest: of the items' names, in order.
    """

    bytes: int = 0
    items: int = 0
    errors: int = 0
    digest: str = ""


def next_digest(digest: str, name: str) -> str:
    """Return the digest of names with one more."""
    return hashlib.sha256(f"{digest}\0{name}".encode()).hexdigest()


class Partial:
    """The part of a file that is there; made by `open_partial`.

    Attributes:
        output: the file's name when it is whole.
        path: of the part.
        state: how far it is.
    """

    def __init__(self, output: Path, handle: int, made_with: Mapping[str, str]) -> None:
        self.output, self.made_with = output, dict(made_with)
        self.path, self._journal = _places(output)
        self.state = State()
        self._handle = handle

    def read(self) -> None:
        """Take up what an earlier process has written, or begin.

        Raises:
            RunError: it was made with something else.
            FormatError: it is damaged.
        """
        size = os.fstat(self._handle).st_size
        if size:
            about = read_json(self._journal, name=FORMAT, version=VERSION)
            try:
                self.state = State(**about["state"])
                begun_with = dict(about["made_with"])
            except (KeyError, TypeError, ValueError):
                raise FormatError(f"{self._journal}: damaged; --overwrite starts again") from None
            if self.state.bytes > size:
                raise FormatError(f"{self.path}: cut off; --overwrite starts again")
            for what, value in self.made_with.items():
                if begun_with.get(what) != value:
                    raise self.changed(f"was begun with other {what}")
        self._trim()

    def check_own(self) -> None:
        """Raise `FormatError` for a file that is there and not of ours."""
        if os.fstat(self._handle).st_size and not self._journal.exists():
            raise FormatError(f"{self.path}: is not what an interrupted command left; move it away")

    def changed(self, what: str) -> RunError:
        """Return the error for a part that cannot be gone on with."""
        return RunError(f"{self.path}: {what}; --overwrite starts again")

    def begin(self) -> None:
        """Throw away what is there."""
        self.state = State()
        self._trim()

    def _trim(self) -> None:
        os.ftruncate(self._handle, self.state.bytes)
        os.lseek(self._handle, 0, os.SEEK_END)
        self.save()

    def append(self, data: bytes, names: Iterable[str] = (), *, errors: int = 0) -> None:
        """Add the bytes of items."""
        write_all(self._handle, data)
        digest, items = self.state.digest, self.state.items
        for name in names:
            digest, items = next_digest(digest, name), items + 1
        self.state = State(self.state.bytes + len(data), items, self.state.errors + errors, digest)

    def save(self) -> None:
        """Note what is whole: from here a later process goes on."""
        os.fsync(self._handle)
        about = {"made_with": self.made_with, "state": asdict(self.state)}
        write_json(self._journal, {"format": FORMAT, "version": VERSION, **about})

    def finish(self, convert: Callable[[Path, Path], None] | None = None) -> None:
        """Give the file its name; `convert` makes it of the part, where it is to be of another kind."""
        os.fsync(self._handle)
        if convert is None:
            self.path.replace(self.output)
            sync_folder(self.output.parent)
        else:
            with atomic_path(self.output) as temporary:
                convert(self.path, temporary)
            self.path.unlink()
        self._journal.unlink(missing_ok=True)


@contextlib.contextmanager
def open_partial(output: Path, made_with: Mapping[str, str], *, overwrite: bool) -> Iterator[Partial]:
    """Yield what is there of a file, held for this process; what is whole is noted at the end, however that comes.

    Args:
        output: the file's name when it is whole.
        made_with: what the bytes depend on, by names for a message; a part that was made with other things is refused.
        overwrite: replace a whole file in the end, and a part that was made with other things now.

    Raises:
        RunError: the file exists, another process is writing it, or it was begun with other things.
        FormatError: what is there is not of ours, or damaged.
    """
    check_free(output, overwrite=overwrite)
    path = _places(output)[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    with locks.hold_file(path, doing="writing it") as handle:
        check_free(output, overwrite=overwrite)  # again: another process may just have finished
        if not path.exists() or not os.path.samestat(os.fstat(handle), path.stat()):
            raise RunError(f"{output}: another process has just finished it")
        partial = Partial(output, handle, made_with)
        partial.check_own()
        try:
            partial.read()
        except (RunError, FormatError):
            if not overwrite:
                raise
            partial.begin()
        try:
            yield partial
        except BaseException:
            with contextlib.suppress(OSError):  # what led here is the one to tell
                partial.save()
            raise


def check_free(output: Path, *, overwrite: bool) -> None:
    """Raise `RunError` unless a file may be written here."""
    if output.is_dir():
        raise RunError(f"{output}: is a folder; choose another --output")
    if os.path.lexists(output) and not overwrite:
        raise RunError(f"{output}: exists; choose another --output, or pass --overwrite")


def _places(output: Path) -> tuple[Path, Path]:
    return output.with_name(f"{output.name}.partial"), output.with_name(f"{output.name}.partial.json")
