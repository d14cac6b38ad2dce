"""Imports go one way: from what is used to what uses it never."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import eyesight

PACKAGE = Path(eyesight.__file__).parent

# From left to right; a row's members don't import each other. `errors` is under everything. What the project does not
# have yet stands here already, so that it falls into its place.
ORDER = (
    ("errors",),
    ("registry", "formats", "locks"),
    ("metrics", "intervals", "report"),
    ("calibration",),
    ("pictures", "device", "environment"),
    ("data", "models"),
    ("engine", "predictor"),
    ("classifier",),
    ("predictions", "backbones"),
    ("run",),
    ("training",),
    ("evaluation", "explain"),
    ("quality", "studies", "lessons", "export", "bench", "bulk"),
    ("server",),
    ("progress",),
    ("api",),
    ("eyesight",),  # the public names; only the command line and users import them
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
BANNED = {name: {"training"} for name in ("evaluation", "explain", "export", "server")}  # they start from the disk
FILES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    """Return which member of the order a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "eyesight" if first == "__init__" else first


def imports(path: Path) -> set[str]:
    """Return the members of the order that a file imports anywhere, inside functions and for type checks too."""
    names: set[str] = set()
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = path.relative_to(PACKAGE).parts[: depth - node.level]
            base = ["eyesight", *inside, *([node.module] if node.module else [])]
            names |= {".".join([*base, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            module, colon, _ = node.value.partition(":")  # a registry's "module:attribute"
            names |= {module} if colon and module.startswith("eyesight.") and " " not in module else set()
    ours = [name.split(".")[1:] for name in names if name.split(".")[0] == "eyesight"]
    return {rest[0] if rest and rest[0] in RANK else "eyesight" for rest in ours}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_only_to_the_left(path: Path) -> None:
    own = part(path)
    assert own in RANK, f"{own} has no place in the order of imports"
    for other in imports(path) - {own}:
        assert RANK[other] < RANK[own], f"{path.name} imports {other}, which is not to the left of {own}"
        assert other not in BANNED.get(own, set()), f"{own} must start from what is on disk, not from {other}"


def test_the_reading_of_imports_sees_every_kind() -> None:
    found = imports(PACKAGE / "training" / "loop.py")
    assert {"classifier", "device", "errors", "models", "run", "training"} <= found
    assert "training" in imports(PACKAGE / "api" / "training.py")  # inside a function
    assert "evaluation" in imports(PACKAGE / "__init__.py")  # for type checks
    assert "eyesight" in imports(PACKAGE / "cli" / "app.py")  # from .. import __version__
    assert "api" in imports(PACKAGE / "cli" / "train.py")  # from .. import api
