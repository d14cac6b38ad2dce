"""What the bytes of an ONNX file claim, looked at before any of it is built.

In: bytes. Out: nothing, or a `FormatError`. Only the fields that an exported classifier has are let through, and only
so many: no graph inside a graph, no function, no weights in another file, nothing that takes far more memory than it
has bytes. It knows protocol buffers' wire format, and of ONNX only which field is of which kind.
"""

from __future__ import annotations

from typing import Final

from ..errors import FormatError

_MOST_FIELDS: Final = 200_000  # of which an EfficientNet-Lite has 5,000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types

# Of each message the fields that are allowed, by number: the message inside, "text", "bytes", or "numbers" for
# numbers, which may be packed. Numbers and names as in onnx.proto.
_FIELDS: Final[dict[str, dict[int, str]]] = {
    "ModelProto": {
        1: "numbers", 2: "text", 3: "text", 7: "GraphProto", 8: "OperatorSetIdProto", 14: "StringStringEntryProto",
    },
    "OperatorSetIdProto": {1: "text", 2: "numbers"},
    "StringStringEntryProto": {1: "text", 2: "text"},
    "GraphProto": {
        1: "NodeProto", 2: "text", 5: "TensorProto", 11: "ValueInfoProto", 12: "ValueInfoProto",
    },
    "NodeProto": {1: "text", 2: "text", 3: "text", 4: "text", 5: "AttributeProto"},
    "AttributeProto": {
        1: "text", 2: "numbers", 3: "numbers", 4: "bytes", 7: "numbers", 8: "numbers", 20: "numbers",
    },
    "TensorProto": {1: "numbers", 2: "numbers", 8: "text", 9: "bytes"},
    "ValueInfoProto": {1: "text", 2: "TypeProto"},
    "TypeProto": {1: "TypeProto.Tensor"},
    "TypeProto.Tensor": {1: "numbers", 2: "TensorShapeProto"},
    "TensorShapeProto": {1: "TensorShapeProto.Dimension"},
    "TensorShapeProto.Dimension": {1: "numbers", 2: "text"},
}  # fmt: skip


def check_wire(data: bytes, source: str) -> None:
    """Raise `FormatError` unless the bytes are a model of which every field is one that we write."""
    try:
        _Walk(data, source).message("ModelProto", 0, len(data))
    except IndexError:
        raise FormatError(f"{source}: not an ONNX file, or cut off") from None


class _Walk:
    """One pass over the bytes; counts what it sees."""

    def __init__(self, data: bytes, source: str) -> None:
        self._data, self._source, self._seen = data, source, 0

    def message(self, kind: str, place: int, end: int) -> None:
        """Look at the fields of a message that lies between two places; no deeper than kinds of messages nest."""
        allowed = _FIELDS[kind]
        while place < end:
            tag, place = self._varint(place, end)
            inside = allowed.get(tag >> 3)
            if inside is None:
                raise FormatError(
                    f"{self._source}: holds {_name(kind, tag >> 3)}, which the file of a classifier never does"
                )
            place = self._field(inside, tag & 7, place, end)

    def _field(self, inside: str, wire: int, place: int, end: int) -> int:
        """Look at one field behind its tag; return where the next begins."""
        self._count(1)
        if wire == _BYTES:
            size, place = self._varint(place, end)
            if size > end - place:
                raise IndexError
            if inside == "numbers":
                self._count(size)  # packed: each may be a single byte, and takes eight in memory
            elif inside == "text":
                self._text(place, place + size)
            elif inside != "bytes":
                self.message(inside, place, place + size)
            return place + size
        if inside != "numbers":
            raise FormatError(f"{self._source}: not an ONNX file, or damaged")
        if wire == _VARINT:
            return self._varint(place, end)[1]
        place += {_FIXED64: 8, _FIXED32: 4}.get(wire, end + 1)  # others are from another time
        if place > end:
            raise IndexError
        return place

    def _text(self, place: int, end: int) -> None:
        try:
            self._data[place:end].decode()
        except UnicodeDecodeError:
            raise FormatError(f"{self._source}: not an ONNX file, or damaged (a name is not UTF-8)") from None

    def _count(self, more: int) -> None:
        self._seen += more
        if self._seen > _MOST_FIELDS:
            raise FormatError(f"{self._source}: has more than {_MOST_FIELDS:,} entries, more than any classifier")

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """Return a number, and where the next field begins."""
        value = shift = 0
        while place < end and shift < 70:
            byte = self._data[place]
            value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
            if byte < 128:
                return value, place
        raise IndexError


def _name(kind: str, number: int) -> str:
    """Return what ONNX calls a field."""
    import onnx

    if kind in ("TypeProto.Tensor", "TensorShapeProto.Dimension"):
        return f"field {number} of {kind}"
    field = getattr(onnx, kind).DESCRIPTOR.fields_by_number.get(number)
    return f"field {number} of {kind}" if field is None else f"{kind}.{field.name}"
