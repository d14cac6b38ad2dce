"""An exported classifier as one ONNX file that explains itself: what is in it, and how it is written and read.

In: a graph and what must be known to use it. Out: bytes, the same for the same classifier; or a checked model of such
bytes. ONNX Runtime alone runs the file; all that is ours lies in its metadata. It makes no session.

    format, version   "eyesight-onnx", "1"
    classes           JSON: the names, in the order of the numbers that come out
    preprocessing     JSON: the size of the pictures that go in, and how other pictures are brought to it
    usage             the same in words
    provenance        JSON: where it came from
    licence           of the classifier, and of weights that it was made from
    checksum          SHA-256 of all bytes before these 64 characters, which are the file's last
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import FormatError
from ..formats import read_bounded, upgrade
from ..pictures.preprocess import Preprocessing
from ..pictures.views import Views

if TYPE_CHECKING:
    import onnx

ONNX_FORMAT: Final = "eyesight-onnx"
ONNX_VERSION: Final = 1
INPUT, LOGITS, PROBABILITIES = "pictures", "logits", "probabilities"

_TAIL: Final = b"\x72\x4c\x0a\x08checksum\x12\x40"  # the last entry of the metadata, as it is written; 64 digits follow
_DIGITS = 64
_MOST_BYTES: Final = (1 << 31) - 1  # the largest message of protocol buffers
_OWN = ("format", "version", "usage", "checksum")  # metadata that is not a field of the description


class Provenance(BaseModel):
    """Where an exported classifier came from.

    Attributes:
        eyesight: version that wrote the file.
        network: its name.
        model: SHA-256 of the model file it was made from, if it was in one.
        run: name of the run's folder.
        data: name of the dataset.
        fingerprint: of the dataset.
        epoch: after which epoch the weights were taken.
        weights: best or last.
        seed: of the run.
        views: what the network is asked about each picture; in the graph.
        temperature: by which the logits are divided; in the graph.
        numbers: in which the graph computes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    eyesight: str
    network: str
    model: str | None = None
    run: str | None = None
    data: str | None = None
    fingerprint: str | None = None
    epoch: int | None = None
    weights: Literal["best", "last"] | None = None
    seed: int | None = None
    views: Views = "one"
    temperature: float = 1.0
    numbers: Literal["float32", "int8"] = "float32"


class OnnxDescription(BaseModel):
    """What must be known to use an exported classifier.

    Attributes:
        classes: (K,) names.
        preprocessing: how a picture becomes the pixels that go in.
        provenance: where it came from.
        licence: of the classifier, and of weights that it was made from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=1 << 20)]
    preprocessing: Preprocessing
    provenance: Provenance
    licence: str


def pack_onnx(graph: onnx.ModelProto, description: OnnxDescription) -> bytes:
    """Return the file: the graph, with probabilities beside its logits, and its metadata.

    Args:
        graph: `pictures` to `logits`, as `Classifier.graph` gives it.
        description: goes into the metadata.
    """
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph)
    _add_probabilities(model.graph, len(description.classes))
    values = description.model_dump(mode="json")
    texts = {
        "format": ONNX_FORMAT,
        "version": str(ONNX_VERSION),
        **{name: json.dumps(values[name], ensure_ascii=False) for name in ("classes", "preprocessing", "provenance")},
        "usage": usage(description.preprocessing),
        "licence": description.licence,
    }
    for key, value in texts.items():
        model.metadata_props.add(key=key, value=value.encode(errors="backslashreplace").decode())
    body: bytes = model.SerializeToString(deterministic=True) + _TAIL
    return body + hashlib.sha256(body).hexdigest().encode()


def _add_probabilities(graph: onnx.GraphProto, classes: int) -> None:
    from onnx import TensorProto, helper

    if PROBABILITIES not in {output.name for output in graph.output}:
        graph.node.append(helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=1))
        graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["N", classes]))


def usage(preprocessing: Preprocessing) -> str:
    """Return in words how a picture becomes what goes in."""
    height, width, channels = preprocessing.shape
    fit = {
        "crop": "scale it until it covers the size, keeping its shape, and cut out the middle",
        "pad": "scale it until it fits into the size, keeping its shape, and lay it on the middle of black",
        "stretch": "scale it to the size, whatever its shape",
    }[preprocessing.fit]
    resample = {
        "area": "each new pixel is the mean of the area that it stands for; enlarge bilinearly",
        "bilinear": "Pillow's antialiased bilinear filter",
    }[preprocessing.resample]
    return (
        f"Input {INPUT}: uint8 (N, {height}, {width}, {channels}), any N, "
        f"{'RGB' if channels == 3 else 'grey (ITU-R 601)'}, 0 to 255; nothing is to be normalised. "
        "Turn the picture upright by its EXIF data; lay transparency over white; divide 16 bits by 257; "
        f"{fit} ({width} wide, {height} high): {resample}. "
        f"Outputs: {LOGITS} and {PROBABILITIES}, float32 (N, K), in the order of classes."
    )


def is_exported(path: Path) -> bool:
    """Tell by its last bytes whether a file is an exported classifier, whatever it is called."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_TAIL) - _DIGITS, 2)
            return file.read(len(_TAIL)) == _TAIL
    except (OSError, ValueError):
        return False


def read_onnx(path: Path) -> bytes:
    """Return the bytes of a file of a size that can be one; see `read_bounded` for what is raised."""
    return read_bounded(path, _MOST_BYTES)


def unpack_onnx(data: bytes, source: Path | str) -> tuple[onnx.ModelProto, OnnxDescription, int]:
    """Take apart the bytes of an exported classifier, checking every one of them before anything is built of them.

    Returns:
        The graph with empty metadata, its description, and about how many bytes the graph holds of one picture.

    Raises:
        FormatError: not such a file, cut off, altered, newer, or with a graph that no classifier has.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    from .operators import check_graph
    from .wire import check_wire

    checksum = data[-_DIGITS:]
    if data[-_DIGITS - len(_TAIL) : -_DIGITS] != _TAIL:
        raise FormatError(f"{source}: not an ONNX file that eyesight wrote, or cut off")
    if hashlib.sha256(memoryview(data)[:-_DIGITS]).hexdigest().encode() != checksum:
        raise FormatError(f"{source}: damaged or altered (its checksum does not match its contents)")
    check_wire(data, str(source))
    try:
        model = onnx.ModelProto.FromString(data)
    except (DecodeError, RecursionError):
        raise FormatError(f"{source}: not an ONNX file, or damaged") from None
    description = _description(model, source)
    del model.metadata_props[:]
    _check_ends(model.graph, description, source)
    return model, description, check_graph(model, str(source), size=len(data))


def _description(model: onnx.ModelProto, source: Path | str) -> OnnxDescription:
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if len(texts) != len(model.metadata_props):
        raise FormatError(f"{source}: its metadata has an entry twice")
    number = texts.get("version", "")[:10]
    about = {"format": texts.get("format", "none")[:60], "version": int(number) if number.isdecimal() else number}
    upgrade(about, source, name=ONNX_FORMAT, version=ONNX_VERSION, upgrades={})
    try:
        values: dict[str, Any] = {key: text for key, text in texts.items() if key not in _OWN}
        for key in ("classes", "preprocessing", "provenance"):
            values[key] = json.loads(values[key])
        return OnnxDescription.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise FormatError(f"{source}: wrong entry in its metadata: {place}: {first['msg'][:200]}") from None
    except (KeyError, ValueError, RecursionError):
        raise FormatError(f"{source}: an entry of its metadata is missing or not JSON") from None


def _check_ends(graph: onnx.GraphProto, description: OnnxDescription, source: Path | str) -> None:
    """Hold what goes in and what comes out against the description."""
    from onnx import TensorProto

    def end(value: onnx.ValueInfoProto) -> tuple[str, int, list[int]]:
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [dim.dim_value for dim in tensor.shape.dim]

    wide = [0, len(description.classes)]  # an open side reads as 0
    if [end(value) for value in graph.input] != [(INPUT, TensorProto.UINT8, [0, *description.preprocessing.shape])]:
        raise FormatError(f"{source}: what goes into its graph is not what its metadata says")
    if [end(value) for value in graph.output] != [(name, TensorProto.FLOAT, wide) for name in (LOGITS, PROBABILITIES)]:
        raise FormatError(f"{source}: what comes out of its graph does not fit its classes")
