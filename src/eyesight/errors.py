"""Every error a user can meet, as one tree.

In: what went wrong, in words. Out: an exception whose text is one line that names the file or the argument, and
the exit code of the command that met it. This file knows nothing of the rest of the project.

    EyesightError            exit 1
    ├── UsageError           exit 2   the command, an argument or a configuration is wrong
    │   └── UnknownNameError          a name that no registry has; suggests the nearest
    ├── DataError                     data missing, corrupt, or of the wrong shape
    │   ├── DataNotFoundError         says which files to put where
    │   └── PictureError              one picture that cannot be read
    ├── FormatError                   a file of ours that is cut off, altered or something else
    │   └── NewerFileError                or of a newer version
    ├── RunError                      a run folder that exists, is locked, or does not fit
    ├── TrainingError                 training could not go on (NaN, out of memory)
    └── InterruptedRun       exit 130 or 143, after saving
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EyesightError(Exception):
    """Base of all errors raised on purpose; its text is one line for the user."""

    exit_code = 1


class UsageError(EyesightError):
    """An argument, option or configuration value that cannot be used."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the `kind` of thing (for example "dataset"), what was `received`, and the nearest `known` name."""
        names = sorted(known)
        nearest = nearest_name(name, names)
        hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class DataError(EyesightError):
    """Data that is corrupt, incomplete, or of the wrong shape."""


class DataNotFoundError(DataError):
    """A dataset whose files are not where they were looked for."""


class PictureError(DataError):
    """A single picture that cannot be decoded."""


class FormatError(EyesightError):
    """A file that is not what it should be: cut off, altered, of a newer version, or another kind of file."""


class NewerFileError(FormatError):
    """A file of ours of a version that this program does not read yet."""


class RunError(EyesightError):
    """A run folder that exists already, is in use, or does not fit what was asked of it."""


class TrainingError(EyesightError):
    """Training that could not go on."""


class InterruptedRun(EyesightError):
    """Training stopped by a signal after saving; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(message)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the `known` name most like `name`, or None when nothing is close.

    >>> nearest_name("fashion_mnist", ["mnist", "fashion-mnist"])
    'fashion-mnist'
    """
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None
