r"""Secrets and ConfigMaps as `application/vnd.kubernetes.protobuf`, and the metadata of what the server answers.

A third of the API server's work for a large object (docs: facts F). Field numbers are those of
k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery's meta/v1 and runtime, release 0.37.
The layout is a magic `k8s\0` and then runtime.Unknown{1 typeMeta{1 apiVersion, 2 kind}, 2 raw}.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\x00"
KINDS: Final = frozenset({"Secret", "ConfigMap"})

_TEXT_META: Final = ((1, "name"), (3, "namespace"), (5, "uid"), (6, "resourceVersion"))
_OWNER: Final = ((1, "kind"), (3, "name"), (4, "uid"), (5, "apiVersion"))
_OWNER_FLAGS: Final = ((6, "controller"), (7, "blockOwnerDeletion"))
_META_FIELDS: Final = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences"}
    # What the server sets and ignores in what it is sent.
    | {"creationTimestamp", "managedFields", "generation", "selfLink"}
)
_OBJECT_FIELDS: Final = {
    "Secret": frozenset({"apiVersion", "kind", "metadata", "data", "stringData", "type", "immutable"}),
    "ConfigMap": frozenset({"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"}),
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SMALL: Final = tuple(bytes((number,)) for number in range(0x80))
_KEY, _VALUE = _SMALL[1 << 3 | _BYTES], _SMALL[2 << 3 | _BYTES]


def encode(obj: Mapping[str, Any]) -> bytes:
    """Encode a Secret or ConfigMap given as its JSON object, or a Secret with its data as bytes.

    Raises ValueError for another kind, or for a field that this writer does not know: leaving it out would delete it.
    """
    kind = str(obj.get("kind"))
    if kind not in KINDS:
        raise ValueError(f"there is no protobuf writer for {kind}")
    _refuse_unknown(kind, obj.keys() - _OBJECT_FIELDS[kind])
    raw = _field(1, _metadata(obj["metadata"])) + (_secret(obj) if kind == "Secret" else _config_map(obj))
    type_meta = _text(1, obj.get("apiVersion", "v1")) + _text(2, kind)
    return MAGIC + _field(1, type_meta) + _field(2, raw)


def _secret(obj: Mapping[str, Any]) -> bytes:
    data = ((key, _bytes_of(value)) for key, value in (obj.get("data") or {}).items())
    plain = ((key, value.encode()) for key, value in (obj.get("stringData") or {}).items())
    return b"".join((_map(2, data), _text(3, obj.get("type")), _map(4, plain), _flag(5, obj.get("immutable"))))


def _bytes_of(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(value)


def _config_map(obj: Mapping[str, Any]) -> bytes:
    data = ((key, value.encode()) for key, value in (obj.get("data") or {}).items())
    binary = ((key, base64.b64decode(value)) for key, value in (obj.get("binaryData") or {}).items())
    return b"".join((_map(2, data), _map(3, binary), _flag(4, obj.get("immutable"))))


def _metadata(metadata: Mapping[str, Any]) -> bytes:
    _refuse_unknown("metadata", {key for key in metadata.keys() - _META_FIELDS if metadata[key]})
    parts = [_text(number, metadata.get(name)) for number, name in _TEXT_META]
    for number, name in ((11, "labels"), (12, "annotations")):
        parts.append(_map(number, ((key, value.encode()) for key, value in (metadata.get(name) or {}).items())))
    parts.extend(_field(13, _owner(owner)) for owner in metadata.get("ownerReferences") or ())
    return b"".join(parts)


def _owner(owner: Mapping[str, Any]) -> bytes:
    texts = [_text(number, owner.get(name)) for number, name in _OWNER]
    return b"".join(texts + [_flag(number, owner.get(name)) for number, name in _OWNER_FLAGS])


def _refuse_unknown(where: str, fields: Iterable[str]) -> None:
    if unknown := sorted(fields):
        raise ValueError(f"the protobuf writer does not know {', '.join(unknown)} of {where}")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# The same lengths come again and again.
_size = lru_cache(maxsize=4096)(_varint)


def _field(number: int, value: bytes) -> bytes:
    return _SMALL[number << 3 | _BYTES] + _size(len(value)) + value


def _text(number: int, value: str | None) -> bytes:
    return _field(number, value.encode()) if value else b""


def _flag(number: int, value: bool | None) -> bytes:
    return b"" if value is None else _varint(number << 3) + (b"\x01" if value else b"\x00")


def _map(number: int, entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Fields 1 and 2 of an entry are its key and value; written out, since most of an object is entries."""
    parts: list[bytes] = []
    for key, value in entries:
        name = key.encode()
        entry = b"".join((_KEY, _size(len(name)), name, _VALUE, _size(len(value)), value))
        parts += (_SMALL[number << 3 | _BYTES], _size(len(entry)), entry)
    return b"".join(parts)


def decode_metadata(answer: bytes) -> dict[str, Any]:
    """Read kind, apiVersion and `metadata.{name, namespace, uid, resourceVersion}` of an answer.

    Raises ValueError when it is no object in Kubernetes' protobuf.
    """
    kind, api_version, raw = _envelope(answer)
    metadata = next((value for number, value in _fields(raw) if number == 1), b"")
    names, meta = dict(_TEXT_META), {}
    for number, value in _fields(metadata):
        if number in names:
            meta[names.pop(number)] = value.decode()
            if not names:
                break  # the long ones come later, labels and managed fields
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}


def decode_status(answer: bytes) -> dict[str, Any]:
    """Read `message` and `reason` of a metav1.Status, the form of every refusal. Raises ValueError."""
    kind, _, raw = _envelope(answer)
    if kind != "Status":
        raise ValueError(f"the answer is a {kind}, not a Status")
    names = {3: "message", 4: "reason"}
    return {names[number]: value.decode() for number, value in _fields(raw) if number in names}


def _envelope(answer: bytes) -> tuple[str, str, bytes]:
    """Return kind, apiVersion and the encoded object of a runtime.Unknown."""
    if not answer.startswith(MAGIC):
        raise ValueError("the answer is not in Kubernetes' protobuf")
    unknown = dict(_fields(answer[len(MAGIC) :]))
    type_meta = dict(_fields(unknown.get(1, b"")))
    return type_meta.get(2, b"").decode(), type_meta.get(1, b"").decode(), unknown.get(2, b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of the length-delimited fields; numbers and times are stepped over."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        wire = tag & 7
        if wire == _VARINT:
            _, at = _read_varint(message, at)
        elif wire == _BYTES:
            size, at = _read_varint(message, at)
            if at + size > len(message):
                raise ValueError("the answer is cut short")
            yield tag >> 3, message[at : at + size]
            at += size
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("the answer has a field of a kind that Kubernetes never writes")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(message):
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # the highest bit says that more follow
            return number, at
    raise ValueError("the answer is cut short")
