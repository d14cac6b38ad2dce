"""The texts in a bundle: its README, the program that installs it, and the Dockerfile.

In: what differs between bundles. Out: texts by file name. Their originals are the files beside this one.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path

_ORIGINALS = Path(__file__).parent / "files"


def python_version() -> str:
    """Return the Python that the wheels are for, as in "3.11"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def has_container() -> bool:
    """Tell whether wheels of this machine run in the Dockerfile's image: Linux with the GNU C library."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def texts(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts by file name.

    Args:
        facts: `model`, its name; `classes`, `count` (of the wheels), `installed` (bytes they become), each in words.
    """
    facts = {"python": python_version(), "system": platform.system(), "machine": platform.machine(), **facts}
    names = ["README.md", "install.sh", *(["Dockerfile", ".dockerignore"] if has_container() else [])]
    return {name: _fill((_ORIGINALS / name.lstrip(".")).read_text(encoding="utf-8"), facts) for name in names}


def _fill(text: str, facts: Mapping[str, str]) -> str:
    """Put facts in the place of `@name@`, which neither the shell nor Markdown knows."""
    for name, value in facts.items():
        text = text.replace(f"@{name}@", value)
    return text
