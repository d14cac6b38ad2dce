"""The folders in which datasets lie: the one that the user names, the user's own, and that of Keras.

In: a folder, or none; environment variables. Out: folders. It does not know which datasets there are.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from ..errors import UsageError


def data_folders(data_dir: str | Path | None = None) -> list[Path]:
    """Return the folders to look in: `data_dir` alone, or $EYESIGHT_DATA, the user's own folder and Keras' cache.

    Raises:
        UsageError: the folder named does not exist.
    """
    field, folder = _named(data_dir)
    if folder is not None and not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", field=field)
    if data_dir:
        return [Path(data_dir).expanduser()]
    unnamed = [user_folder(), keras_folder()]
    return [*([folder] if folder else []), *(place for place in unnamed if os.path.isdir(place))]  # noqa: PTH112 - no error where it may not look


def download_folder(data_dir: str | Path | None = None) -> Path:
    """Return the folder to download to: `data_dir`, else $EYESIGHT_DATA, else the user's own; it may not exist yet."""
    return _named(data_dir)[1] or user_folder()


def user_folder() -> Path:
    """Return the user's own folder of datasets, as the system has it (~/.local/share/eyesight)."""
    return Path(platformdirs.user_data_dir("eyesight"))


def keras_folder() -> Path:
    """Return where Keras puts what it downloads."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def _named(data_dir: str | Path | None) -> tuple[str, Path | None]:
    """Return the folder that the user names, and where."""
    field, named = ("data_dir", data_dir) if data_dir else ("$EYESIGHT_DATA", os.environ.get("EYESIGHT_DATA"))
    return field, Path(named).expanduser() if named else None
