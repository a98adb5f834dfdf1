"""Secrets and ConfigMaps as protobuf, read back by a decoder that shares nothing with the writer."""

import base64
import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.kube import protobuf

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.text("abcdefghijklmnop.-_/", min_size=1, max_size=30)
maps = st.dictionaries(keys, texts, max_size=5)
blobs = st.dictionaries(keys, st.binary(max_size=300), max_size=4)
owners = st.lists(
    st.fixed_dictionaries(
        {"apiVersion": keys, "kind": keys, "name": keys, "uid": keys},
        optional={"controller": st.booleans(), "blockOwnerDeletion": st.booleans()},
    ),
    max_size=3,
)
metas = st.fixed_dictionaries(
    {"name": keys, "namespace": keys},
    optional={
        "uid": keys, "resourceVersion": keys, "labels": maps, "annotations": maps, "ownerReferences": owners
    },
)  # fmt: skip


def parsed(data: bytes) -> dict[int, list[Any]]:
    """Take a message apart: field number -> values, in order (protobuf.dev, Encoding)."""
    found: dict[int, list[Any]] = {}

    def number() -> int:
        nonlocal data
        size = next(i for i, byte in enumerate(data) if byte < 128) + 1
        value = sum((byte & 127) << (7 * i) for i, byte in enumerate(data[:size]))
        data = data[size:]
        return value

    while data:
        field, kind = divmod(number(), 8)
        assert kind in (0, 2)
        if kind == 0:
            found.setdefault(field, []).append(number())
        else:
            size = number()
            assert len(data) >= size
            value, data = data[:size], data[size:]
            found.setdefault(field, []).append(value)
    return found


def text(message: dict[int, list[Any]], field: int) -> str:
    return bytes(message.get(field, [b""])[-1]).decode()


def entries(message: dict[int, list[Any]], field: int) -> dict[str, bytes]:
    pairs = [parsed(entry) for entry in message.get(field, [])]
    return {text(pair, 1): pair.get(2, [b""])[0] for pair in pairs}


def opened(encoded: bytes) -> tuple[dict[int, list[Any]], dict[int, list[Any]]]:
    """Object and metadata of what was encoded."""
    assert encoded[:4] == b"k8s\x00"
    raw = parsed(parsed(encoded[4:])[2][0])
    return raw, parsed(raw[1][0])


def b64(blob: dict[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in blob.items()}


@given(metadata=metas, data=blobs, kind=keys, immutable=st.sampled_from([None, True, False]))
def test_a_secret_reads_back_as_it_was(
    metadata: dict[str, Any], data: dict[str, bytes], kind: str, immutable: bool | None
) -> None:
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": b64(data), "type": kind}
    raw, meta = opened(protobuf.encode(obj | ({} if immutable is None else {"immutable": immutable})))
    assert entries(raw, 2) == data
    # Data that are bytes as they are give the same object.
    assert opened(protobuf.encode(obj | {"data": data}))[0].get(2) == raw.get(2)
    assert text(raw, 3) == kind
    assert raw.get(5) == (None if immutable is None else [immutable])
    for field, name in ((1, "name"), (3, "namespace"), (5, "uid"), (6, "resourceVersion")):
        assert text(meta, field) == metadata.get(name, "")
    for field, name in ((11, "labels"), (12, "annotations")):
        assert {k: v.decode() for k, v in entries(meta, field).items()} == metadata.get(name, {})
    for owner, given_owner in zip(meta.get(13, []), metadata.get("ownerReferences", []), strict=True):
        told = parsed(owner)
        names = {5: "apiVersion", 1: "kind", 3: "name", 4: "uid"}
        assert {name: text(told, field) for field, name in names.items()} == {n: given_owner[n] for n in names.values()}
        assert told.get(6, [None])[0] == given_owner.get("controller")
        assert told.get(7, [None])[0] == given_owner.get("blockOwnerDeletion")


@given(metadata=metas, data=maps, binary=blobs)
def test_a_config_map_reads_back_as_it_was(
    metadata: dict[str, Any], data: dict[str, str], binary: dict[str, bytes]
) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data, "binaryData": b64(binary)}
    raw, _ = opened(protobuf.encode(obj))
    assert {key: value.decode() for key, value in entries(raw, 2).items()} == data
    assert entries(raw, 3) == binary


@given(metadata=metas)
def test_metadata_of_an_answer_is_what_was_written(metadata: dict[str, Any]) -> None:
    encoded = protobuf.encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    known = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in metadata}
    assert protobuf.decode_metadata(encoded) == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": known}


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(noise: bytes, magic: bool) -> None:
    with contextlib.suppress(ValueError):
        protobuf.decode_metadata(protobuf.MAGIC * magic + noise)


def test_numbers_and_fixed_fields_are_stepped_over() -> None:
    meta = b"\x0a\x01a\x38\x96\x01\x41" + struct.pack("<d", 1.5) + b"\x45" + struct.pack("<f", 1.5) + b"\x2a\x01u"
    raw = b"\x0a" + bytes([len(meta)]) + meta
    answer = protobuf.MAGIC + b"\x12" + bytes([len(raw)]) + raw
    assert protobuf.decode_metadata(answer)["metadata"] == {"name": "a", "uid": "u"}


@pytest.mark.parametrize(
    "obj",
    [
        {"kind": "Pod", "metadata": {}},
        {"kind": "Secret", "metadata": {"finalizers": ["a"]}},
        {"kind": "ConfigMap", "metadata": {}, "type": "x"},
    ],
)
def test_what_the_writer_does_not_know_is_refused_not_dropped(obj: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="protobuf writer"):
        protobuf.encode(obj)
