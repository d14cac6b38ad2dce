"""A bundle as a user asks for it: a folder to carry to a machine without the internet.

In: a run or a model file. Out: a folder with the model as ONNX, wheels, and a program that installs them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..classifier import Classifier
from ..data.published import is_offline
from ..errors import EyesightError, RunError
from ..export.bundle.packages import closure, roots
from ..export.bundle.pages import texts
from ..export.bundle.wheels import fetch_wheels, installed_size, pack_own_wheel
from ..export.exported import ExportedModel
from ..export.labels import label_files
from ..export.onnx_file import is_exported
from ..formats import check_path
from .exporting import certificate_file, export_model
from .runs import Run

_MODEL = "model.onnx"


@dataclass(frozen=True)
class Bundle:
    """What was written.

    Attributes:
        path: the folder.
        wheels: how many there are.
        size: bytes of the whole folder.
        installed: about how many bytes the wheels become.
    """

    path: Path
    wheels: int
    size: int
    installed: int


def bundle(
    source: str | Path | Run | Classifier, output: str | Path, *, say: Callable[[str], None] = lambda _: None
) -> Bundle:
    """Write a folder with a classifier and all that using it takes, for a machine without the internet.

    The wheels are of the versions that run here, for this system and this Python; torch is not among them.

    Args:
        source: a run or its folder, a `.safetensors` or `.onnx` file, a classifier, or a pretrained network's name.
        output: the folder; it must not exist.
        say: told what takes time.

    Raises:
        RunError: the run is not finished, or `output` exists.
        UsageError: a package is missing here.
        EyesightError: no connection to fetch wheels over, or a version of which there is no wheel.
    """
    check_path(output, "output")
    place = Path(output)
    if place.exists() or place.is_symlink():
        raise RunError(f"{place}: exists; choose another folder")
    own = roots()
    needed = closure([*own, "pip"])
    if is_offline():
        raise EyesightError("EYESIGHT_OFFLINE forbids downloads, and a bundle's wheels are fetched")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
        folder = Path(temporary) / place.name
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        model = _put_model(source, folder)
        say(f"fetching {len(needed)} wheels")
        fetch_wheels(wheels, needed)
        pack_own_wheel(wheels, own)
        made = _measure(folder, place)
        _put_texts(folder, model, made)
        folder.rename(place)
    return made


def _put_model(source: str | Path | Run | Classifier, folder: Path) -> ExportedModel:
    """Put the model, and its certificate if there is one, into the folder; return it as it will answer there."""
    path = folder / _MODEL
    if isinstance(source, str | Path) and is_exported(Path(source)):
        ExportedModel.load(source)  # refuses a file that is damaged
        shutil.copyfile(source, path)
        if (certificate := certificate_file(Path(source))).is_file():
            shutil.copyfile(certificate, certificate_file(path))
    else:
        export_model(source, path)
    path.chmod(0o644)  # the container's server is another user
    return ExportedModel.load(path)


def _measure(folder: Path, place: Path) -> Bundle:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Bundle(place, len(list((folder / "wheels").iterdir())), size, installed_size(folder / "wheels"))


def _put_texts(folder: Path, model: ExportedModel, made: Bundle) -> None:
    origin = model.description.provenance
    name = " on ".join(filter(None, (origin.network, origin.data)))
    facts = {"model": name, "classes": str(len(model.classes)), "count": str(made.wheels)}
    facts["installed"] = f"about {made.installed / 1e6:.0f} MB"
    for name, text in texts(facts).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "labels.txt").write_bytes(label_files(model.classes)["labels.txt"])
