"""Raw objects of the API server to our dataclasses; each class is taken apart once, so that decoding is quick."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, assert_never, cast

from anchorline.api.certificate import Certificate
from anchorline.api.meta import Metadata
from anchorline.api.privateca import PrivateCA
from anchorline.api.shape import Choice, Core, Record, Scalar, Series, Table, members
from anchorline.api.times import parse_duration, parse_time
from anchorline.errors import InvalidSpec

T = TypeVar("T")
Resource = TypeVar("Resource", PrivateCA, Certificate)
Decoder = Callable[[Any], Any]

_WORDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a fraction",
}


class _WrongError(Exception):
    """A value that does not fit, with the way to it; each level on the way up puts its own step in front."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        self.complaint = complaint
        self.path = ""

    def under(self, step: str) -> "_WrongError":
        self.path = step + self.path
        return self


def decode(cls: type[T], raw: Mapping[str, Any]) -> T:
    """The value of a spec or status, or of a part of one.

    Unknown fields are passed over (the CRD may be newer than we are), null and absent fields get their default.
    InvalidSpec, with the path, for a wrong type and for a required field that is missing.
    """
    return cast("T", _located(_decoder(Record(cls)), raw))


def decode_resource(cls: type[Resource], raw: Mapping[str, Any]) -> Resource:
    """A PrivateCA or Certificate from what the API server returned; InvalidSpec as `decode`, the path from the top."""
    return decode(cls, raw)


def decode_metadata(raw: Mapping[str, Any]) -> Metadata:
    """The `metadata` of any object; labels and annotations sorted. InvalidSpec, with the path, for a wrong type."""
    return decode(Metadata, raw)


def _located(decoder: Decoder, raw: Any) -> Any:  # noqa: ANN401 - any JSON value in, any of ours out
    try:
        return decoder(raw)
    except _WrongError as wrong:
        path = wrong.path.lstrip(".") or "the object"
        raise InvalidSpec(f"{path} {wrong.complaint}") from None


def _mismatch(wanted: str, value: object) -> _WrongError:
    return _WrongError(f"must be {wanted}, not {_WORDS.get(type(value), 'something else')}")


def _metadata(raw: Any) -> Metadata:  # noqa: ANN401 - any JSON value
    get = _mapping(raw).get
    return Metadata(
        name=_at("name", get, _TEXT, ""),
        namespace=_at("namespace", get, _TEXT, ""),
        uid=_at("uid", get, _TEXT, ""),
        generation=_at("generation", get, _INTEGER, 0),
        resource_version=_at("resourceVersion", get, _TEXT, ""),
        created=_at("creationTimestamp", get, _MOMENT, None),
        deleting=get("deletionTimestamp") is not None,
        labels=_at("labels", get, _table, ()),
        annotations=_at("annotations", get, _table, ()),
    )


def _at(name: str, get: Callable[[str], Any], decoder: Decoder, default: Any) -> Any:  # noqa: ANN401 - as above
    value = get(name)
    if value is None:
        return default
    try:
        return decoder(value)
    except _WrongError as wrong:
        raise wrong.under(f".{name}") from None


@cache
def _decoder(core: Core) -> Decoder:
    match core:
        case Scalar(kind):
            return _SCALAR_DECODERS[kind]
        case Choice(enum):
            return _choice(enum)
        case Table():
            return _table
        case Series(item):
            return _series(_decoder(item.core))
        case Record(cls):
            return _metadata if cls is Metadata else _record(cls)
        case _:
            assert_never(core)


def _record(cls: type) -> Decoder:
    steps = {member.name: (member.attribute, _decoder(member.shape.core)) for member in members(cls)}
    needed = tuple((member.attribute, member.name) for member in members(cls) if member.required)
    empty = None if needed else cls()  # most nested objects are {}; frozen, so one will do for all

    def decoder(raw: Any) -> Any:  # noqa: ANN401 - as above
        if not _mapping(raw) and empty is not None:
            return empty
        values = {}
        for name, value in raw.items():
            if value is not None and name in steps:
                attribute, step = steps[name]
                try:
                    values[attribute] = step(value)
                except _WrongError as wrong:
                    raise wrong.under(f".{name}") from None
        for attribute, name in needed:
            if attribute not in values:
                raise _WrongError("is missing").under(f".{name}")
        return cls(**values)

    return decoder


def _series(item: Decoder) -> Decoder:
    def decoder(raw: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as above
        if not isinstance(raw, list | tuple):
            raise _mismatch("a list", raw)
        try:
            return tuple([item(value) for value in raw])
        except _WrongError:
            raise _first_wrong(item, raw) from None

    return decoder


def _first_wrong(item: Decoder, raw: Any) -> _WrongError:  # noqa: ANN401 - as above
    """Which item it was: looked for only when one was wrong, so that the others need not be counted."""
    for index, value in enumerate(raw):
        try:
            item(value)
        except _WrongError as wrong:
            return wrong.under(f"[{index}]")
    raise AssertionError("an item was wrong and then was not")  # pragma: no cover


def _choice(enum: type[StrEnum]) -> Decoder:
    known = {choice.value: choice for choice in enum}

    def decoder(raw: Any) -> StrEnum:  # noqa: ANN401 - as above
        found = known.get(raw) if isinstance(raw, str) else None
        if found is None:
            raise _WrongError(f"must be one of {', '.join(known)}")
        return found

    return decoder


def _plain(kind: type) -> Decoder:
    def decoder(raw: Any) -> Any:  # noqa: ANN401 - as above
        if type(raw) is not kind:
            raise _mismatch(_WORDS[kind], raw)
        return raw

    return decoder


def _mapping(raw: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as above
    if type(raw) is dict or isinstance(raw, Mapping):  # the first is what comes, and ten times as quick to see
        return raw
    raise _mismatch("an object", raw)


def _table(raw: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401 - as above
    pairs = _mapping(raw).items()
    for key, value in pairs:
        if not isinstance(value, str):
            raise _mismatch("a string", value).under(f"[{key}]")
    return tuple(sorted(pairs))


def _read(parse: Callable[[str], Any]) -> Decoder:
    def decoder(raw: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return parse(_TEXT(raw))
        except InvalidSpec as error:
            raise _WrongError(f"cannot be read: {error.message}") from None

    return decoder


_TEXT = _plain(str)
_INTEGER = _plain(int)
_MOMENT = _read(parse_time)
_SCALAR_DECODERS: Mapping[type, Decoder] = {
    str: _TEXT,
    int: _INTEGER,
    bool: _plain(bool),
    datetime: _MOMENT,
    timedelta: _read(parse_duration),
}
