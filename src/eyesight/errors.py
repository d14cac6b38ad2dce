"""Every error a user can meet, as one tree.

In: what went wrong, in words, and the field that it is about. Out: an exception whose text is one line that names the
file or the field, and the exit code of the command that met it. This file knows nothing of the rest of the project.

A field is the dotted key of a configuration or the name of an argument. Whoever asked for it knows it by another name,
and puts that in its place (`naming`): Python the argument, the command line the option.

    EyesightError            exit 1
    ├── UsageError           exit 2   the command, an argument or a configuration is wrong
    │   └── UnknownNameError          a name that no registry has; suggests the nearest
    ├── DataError                     data missing, corrupt, or of the wrong shape
    │   ├── DataNotFoundError         says which files to put where
    │   └── PictureError              one picture that cannot be read
    │       └── LargePictureError     or has more pixels than are accepted
    ├── FormatError                   a file of ours that is cut off, altered or something else
    │   └── NewerFileError                or of a newer version
    ├── RunError                      a run folder that exists, is locked, or does not fit
    └── TrainingError                 training could not go on (NaN, out of memory)
    KeyboardInterrupt
    └── InterruptedRun       exit 130 or 143, after saving; `except Exception` in a loop over trainings lets it through
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


class EyesightError(Exception):
    """Base of all errors raised on purpose; as a string it is one line for the user.

    Attributes:
        text: what is wrong.
        field: what it is wrong with; None where the text says so.
    """

    exit_code = 1

    def __init__(self, text: str, *, field: str | None = None) -> None:
        super().__init__(text)
        self.text, self.field = text, field

    def __str__(self) -> str:
        return self.text if self.field is None else f"{self.field}: {self.text}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)  # whatever `__init__` of its class takes


class UsageError(EyesightError):
    """An argument, option or configuration value that cannot be used."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, field: str | None = None) -> None:
        """Name the `kind` of thing (for example "dataset"), what was `received`, and the nearest `known` name."""
        names = sorted(known)
        nearest = nearest_name(name, names)
        hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}", field=field)


class DataError(EyesightError):
    """Data that is corrupt, incomplete, or of the wrong shape."""


class DataNotFoundError(DataError):
    """A dataset whose files are not where they were looked for."""


class PictureError(DataError):
    """A single picture that cannot be decoded."""


class LargePictureError(PictureError):
    """A picture of more pixels than are accepted; nothing of it was decoded."""


class FormatError(EyesightError):
    """A file that is not what it should be: cut off, altered, of a newer version, or another kind of file."""


class NewerFileError(FormatError):
    """A file of ours of a version that this program does not read yet."""


class RunError(EyesightError):
    """A run folder that exists already, is in use, or does not fit what was asked of it."""


class TrainingError(EyesightError):
    """Training that could not go on."""


class InterruptedRun(KeyboardInterrupt):
    """Training stopped by a signal after saving.

    Attributes:
        exit_code: 128 + the signal's number.
        run: the run's folder, where there is one: `eyesight.resume(error.run)` goes on, and
            `eyesight.open_run(error.run).classifier` has the weights so far.
    """

    def __init__(self, message: str, signal_number: int, *, run: Path | None = None) -> None:
        super().__init__(message)
        self.exit_code, self.run = 128 + signal_number, run

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[BaseException], args: tuple[Any, ...], values: dict[str, Any]) -> BaseException:
    """Return an error as it was pickled."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    return error


@contextlib.contextmanager
def naming(rename: Callable[[str], str]) -> Iterator[None]:
    """Let errors raised inside name what their field is called outside."""
    try:
        yield
    except EyesightError as error:
        if error.field is not None:
            error.field = rename(error.field)
        raise


def concerns(field: str, key: str) -> bool:
    """Tell whether one of two dotted keys is the other, or the whole that the other is a part of.

    >>> concerns("recipe.early_stopping", "recipe.early_stopping.patience"), concerns("recipe.lr", "recipe.lrs")
    (True, False)
    """
    return field == key or key.startswith(f"{field}.") or field.startswith(f"{key}.")


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the `known` name most like `name`, or None when nothing is close.

    >>> nearest_name("fashion_mnist", ["mnist", "fashion-mnist"])
    'fashion-mnist'
    """
    found = difflib.get_close_matches(str(name).lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None
