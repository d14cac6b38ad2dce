"""Exports as a user asks for them: one file that answers as the classifier does, and proof of it.

In: a run, a model file, a classifier. Out: files, and `Export`, which says what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..backbones import BACKBONES
from ..classifier import Classifier, InferenceSpec
from ..data.dataset import Dataset
from ..errors import DataError, RunError, UnknownNameError, UsageError
from ..export import sample
from ..export.origin import Origin
from ..export.parity import Certificate, Sample
from ..export.proven import Proven
from ..export.quantize import Quantized
from ..formats import check_path, write_bytes
from ..models import network_spec
from ..pictures.preprocess import Preprocessing
from ..predictor import check_threshold
from .runs import Run, load_classifier, open_run

MOST_EXAMPLES: Final = 12  # pictures in a page


@dataclass(frozen=True)
class Export:
    """What an export wrote.

    Attributes:
        files: their paths, the main one first.
        certificate: how its answers compare with the classifier's; None of what gives no answers.
        quantized: of int8, what it costs and gains.
    """

    files: tuple[Path, ...]
    certificate: Certificate | None = None
    quantized: Quantized | None = None

    @property
    def path(self) -> Path:
        """The file that was asked for."""
        return self.files[0]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        certificate = self.certificate.to_json() if self.certificate else None
        quantized = self.quantized.to_json() if self.quantized else None
        return {"files": [str(path) for path in self.files], "certificate": certificate, "int8": quantized}


@dataclass(frozen=True)
class Request:
    """What was asked for, with all that a format may need; nothing is read before it is used.

    Attributes:
        origin: the classifier.
        run: it is from, if from one.
        output: where the file goes.
        pictures: files and folders to prove it on.
        data_dir: folder with the datasets.
        options: of one format, by name.
    """

    origin: Origin
    run: Run | None
    output: Path
    pictures: tuple[str, ...] = ()
    data_dir: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def data(self) -> Dataset:
        """Return the dataset that the run was trained on; see `Run.data` for what is raised."""
        if self.run is None:
            raise UsageError("needs the data that it was trained on, and so a run", field="source")
        return self.run.data(self.data_dir)

    def sample(self) -> Sample:
        """Return pictures to prove the export on: those given, else held-out ones of the data, else drawn ones."""
        preprocessing = self.origin.classifier.preprocessing
        if self.pictures:
            return sample.of_files(self.pictures, preprocessing)
        if self.run is not None:
            try:
                data = self.data()
            except (DataError, UsageError):  # moved away, or arrays of a program that has ended
                data = None
            if data is not None and data.shape == preprocessing.shape:
                return sample.of_data(data)
        return sample.drawn(preprocessing)


def export_model(
    source: str | Path | Run | Classifier,
    output: str | Path | None = None,
    *,
    format: str = "onnx",
    pictures: Sequence[str | Path] = (),
    data_dir: str | Path | None = None,
    licence: str | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Export:
    """Write a classifier as a file that answers as it does, and prove that before anything is written.

    Args:
        source: a run or its folder, a model file, a classifier, or a pretrained network's name.
        output: the file; where not given, in the run's folder `export`, or beside the model file.
        format: one of `FORMATS`.
        pictures: files and folders to prove it on; held-out ones of the run's data where not given.
        data_dir: folder with the datasets, where they are no longer where they were.
        licence: of the classifier, as its owner wants it to be stated.
        overwrite: replace files that exist.
        **options: of the format; for onnx `int8` and `max_drop`, for web `threshold` and `examples`.

    Raises:
        EyesightError: the file would answer otherwise; it is not written.
        RunError: the run is not finished, or the file exists.
        UsageError: a format, or an option of it, that there is not.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS, field="format")
    chosen = FORMATS[format]
    if unknown := sorted(options.keys() - set(chosen.options)):
        raise UsageError(f"{format} has no such option", field=unknown[0])
    for name, path in {"output": output, "data_dir": data_dir}.items():
        if path is not None:
            check_path(path, name)
    origin, run = _origin(source, licence)
    place = Path(output) if output else _place(source, run, chosen.name(origin.name, options))
    check_free([place, *chosen.beside(place)], overwrite=overwrite)
    given = tuple(map(str, pictures))
    return chosen.write(Request(origin, run, place, given, Path(data_dir) if data_dir else None, options))


def _origin(source: str | Path | Run | Classifier, licence: str | None) -> tuple[Origin, Run | None]:
    """Return what is to be exported, and its run where it is from one."""
    if isinstance(source, Classifier):
        return Origin(source, source.spec.name.rpartition(".")[2], licence=licence), None
    if not isinstance(source, Run):
        check_path(source, "source")
        if not Path(source).is_dir():
            name = str(source) if str(source) in BACKBONES else Path(source).stem
            return Origin(load_classifier(source), name, licence=licence), None
        source = open_run(source)
    if source.status != "complete":
        raise RunError(f"{source.path}: is not finished ({source.status}); only a complete run is exported")
    return Origin(source.classifier, source.path.resolve().name, run=source.folder, licence=licence), source


def _place(source: object, run: Run | None, name: str) -> Path:
    """Return where a file goes for which no place was named."""
    if run is not None:
        return run.folder.export_folder / name
    return Path(source).with_name(name) if isinstance(source, str | Path) and Path(source).is_file() else Path(name)


def check_free(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Raise `RunError` where something lies in the place of a file that is to be written."""
    for path in paths:
        if path.is_dir():
            raise RunError(f"{path}: a folder; choose another --output")
        if path.exists() and not overwrite:
            raise RunError(f"{path}: exists; choose another --output, or pass --overwrite")


def certificate_file(path: Path) -> Path:
    """Return where the certificate of an exported file lies."""
    return path.with_name(f"{path.stem}.parity.json")


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        write: makes it.
        name: of the file, from the classifier's and the options.
        options: their names.
        beside: what else is written, given where the file goes.
    """

    write: Callable[[Request], Export]
    name: Callable[[str, dict[str, Any]], str]
    options: tuple[str, ...] = ()
    beside: Callable[[Path], list[Path]] = lambda path: [certificate_file(path)]


def _write_onnx(request: Request) -> Export:
    from ..export.onnx_export import make_int8, make_onnx
    from ..export.quantize import MAX_DROP

    origin, name = request.origin, request.output.name
    if not request.options.get("int8"):
        if "max_drop" in request.options:
            raise UsageError("belongs to int8", field="max_drop")
        return keep(request.output, make_onnx(origin, request.sample(), name=name))
    max_drop = request.options.get("max_drop", MAX_DROP)
    return keep(request.output, make_int8(origin, request.sample(), request.data(), name=name, max_drop=max_drop))


def _write_web(request: Request) -> Export:
    from ..export.page_export import make_page

    threshold, examples = request.options.get("threshold"), request.options.get("examples", 0)
    check_threshold(threshold)
    if not 0 <= examples <= MOST_EXAMPLES:
        raise UsageError(f"expected 0 to {MOST_EXAMPLES}; received: {examples}", field="examples")
    sample = request.sample()
    if examples and not sample.real:
        raise UsageError("there are no real pictures at hand; name some as pictures", field="examples")
    made = make_page(request.origin, sample, name=request.output.name, threshold=threshold, examples=examples)
    return keep(request.output, made)


def keep(path: Path, made: Proven) -> Export:
    """Write a proven file, and its certificate beside it."""
    made.certificate.check()
    write_bytes(path, made.data)
    made.certificate.save(certificate_file(path))
    return Export((path, certificate_file(path)), made.certificate, made.quantized)


def _write_labels(request: Request) -> Export:
    from ..export.labels import label_files

    contents = label_files(request.origin.classifier.classes)
    files = tuple(zip([request.output, *_other_labels(request.output)], contents.values(), strict=True))
    for path, data in files:
        write_bytes(path, data)
    return Export(tuple(path for path, _ in files))


def _other_labels(path: Path) -> list[Path]:
    from ..export.labels import FILES

    return [path.with_name(name) for name in FILES[1:]]


def _write_card(request: Request) -> Export:
    from ..export.card import card

    run, model = request.run, request.origin.classifier.checksum
    reports = [report for report in run.reports() if report["model"] == model] if run else []
    write_bytes(request.output, card(request.origin, reports, about=run.about() if run else None).encode())
    return Export((request.output,))


def _write_keras(request: Request) -> Export:
    from ..export.keras_weights import pack_keras

    write_bytes(request.output, pack_keras(request.origin.classifier.weights()))
    return Export((request.output,))


def load_keras_weights(
    path: str | Path,
    *,
    model: str,
    input: tuple[int, int, int],
    classes: Sequence[str],
    mean: float = 0.0,
    std: float = 1.0,
) -> Classifier:
    """Return a classifier with weights that Keras saved: `model.save_weights("x.weights.h5")`.

    Args:
        path: of the file.
        model: name of the network that has the same layers in the same order, such as "small-cnn".
        input: (H, W, C) of the pictures.
        classes: names, in the order of the last layer.
        mean, std: of every channel; the network was trained on (pixel / 255 − mean) / std.

    Raises:
        FormatError: not such a file, or its weights do not fit the network.
        UsageError: the network is not one that Keras has, or h5py is not installed.
    """
    from ..export.keras_weights import unpack_keras

    check_path(path, "path")
    spec = network_spec(model, shape=input, classes=len(classes))
    height, width, channels = input
    each = {"mean": (mean,) * channels, "std": (std,) * channels}
    preprocessing = Preprocessing.model_validate({"height": height, "width": width, "channels": channels} | each)
    return Classifier(unpack_keras(Path(path), spec), InferenceSpec(preprocessing=preprocessing), list(classes))


def _onnx_name(name: str, options: dict[str, Any]) -> str:
    return f"{name}-int8.onnx" if options.get("int8") else f"{name}.onnx"


FORMATS: Final = {
    "onnx": Format(_write_onnx, _onnx_name, options=("int8", "max_drop")),
    "web": Format(_write_web, lambda name, _: f"{name}.html", options=("threshold", "examples")),
    "keras": Format(_write_keras, lambda name, _: f"{name}.weights.h5", beside=lambda _: []),
    "labels": Format(_write_labels, lambda *_: "labels.txt", beside=_other_labels),
    "card": Format(_write_card, lambda *_: "README.md", beside=lambda _: []),
}
