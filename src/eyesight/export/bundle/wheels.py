"""Wheels: eyesight's own, packed from what is running, and those of other packages, fetched by pip.

In: names and versions. Out: files in a folder.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ...errors import EyesightError

_PACKAGE = Path(__file__).resolve().parents[2]
_BEGINNING = (1980, 1, 1, 0, 0, 0)  # of a zip's calendar: the same sources give the same bytes
_COMPILED = 1.5  # times its source: what Python keeps of it, measured
_NO_CONNECTION = "connection broken by"  # as pip says it before it tries again


def pack_own_wheel(folder: Path, needs: Mapping[str, str]) -> Path:
    """Write a wheel of the running eyesight that needs exactly these packages, and not torch; return its path.

    Its version ends in `+bundle`, so that nobody takes it for a whole installation.
    """
    version = f"{own_version()}+bundle"
    about = f"eyesight-{version}.dist-info"
    files = {f"eyesight/{name}": data for name, data in _sources().items()} | {
        f"{about}/METADATA": _metadata(version, needs).encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: eyesight\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": b"[console_scripts]\neyesight = eyesight.cli:main\n",
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    path = folder / f"eyesight-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name, _BEGINNING), data, zipfile.ZIP_DEFLATED)
    return path


def own_version() -> str:
    """Return eyesight's version as its source says it; a bare source folder has no other record of it."""
    found = re.search(r'^__version__ = "(.+)"', (_PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def _sources() -> dict[str, bytes]:
    """Return the package's files by their paths in it, without what Python compiled."""
    paths = sorted(path for path in _PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(_PACKAGE).as_posix(): path.read_bytes() for path in paths}


def _metadata(version: str, needs: Mapping[str, str]) -> str:
    about = {"Name": "eyesight", "Version": version, "Summary": "To use a classifier; training needs more."}
    about |= {"License": "MIT", "Requires-Python": ">=3.11"}
    lines = ["Metadata-Version: 2.1", *(f"{name}: {value}" for name, value in about.items())]
    lines += [f"Requires-Dist: {name}=={exact}" for name, exact in needs.items()]
    return "\n".join(lines) + "\n"


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def fetch_wheels(folder: Path, versions: Mapping[str, str]) -> None:
    """Fetch these packages' wheels for this Python and platform, with pip, from wherever pip is set up to look.

    Raises:
        EyesightError: no connection, or a version of which there is no wheel.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "1", "--timeout", "20", "--dest", str(folder)]
    command += [f"{name}=={version}" for name, version in versions.items()]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    if _NO_CONNECTION in done.stderr:
        raise EyesightError("no connection to the package index; make the bundle where there is one")
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    raise EyesightError(f"pip could not fetch the wheels: {errors[-1] if errors else f'exit code {done.returncode}'}")


def installed_size(folder: Path) -> int:
    """Return about how many bytes the wheels in a folder become, compiled Python included; pip is not counted."""
    wheels = [path for path in folder.glob("*.whl") if not path.name.startswith("pip-")]
    entries = [entry for path in wheels for entry in zipfile.ZipFile(path).infolist()]
    return sum(
        entry.file_size + round(_COMPILED * entry.file_size * entry.filename.endswith(".py")) for entry in entries
    )
