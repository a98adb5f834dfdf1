"""Our dataclasses to what the API server takes; each class is taken apart once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, assert_never, cast

from anchorline.api.shape import Choice, Core, Member, Record, Scalar, Series, Table, members
from anchorline.api.times import format_duration, format_time

Encoder = Callable[[Any], Any]


def encode(value: object) -> dict[str, Any]:
    """A spec or status, or a part of one, as the API server takes it; times in whole seconds.

    None is left out, and so are empty strings, lists and objects where absence means the same.
    ValueError for a time without a zone.
    """
    return cast("dict[str, Any]", _encoder(Record(type(value)))(value))


def encode_member(member: Member, value: object) -> Any:  # noqa: ANN401 - any JSON value
    """One field's value as the API server takes it; ValueError as `encode`."""
    return _encoder(member.shape.core)(value)


@cache
def _encoder(core: Core) -> Encoder:
    match core:
        case Scalar(kind):
            return _SCALARS[kind]
        case Choice():
            return str
        case Table():
            return dict
        case Series(item):
            return _series(_encoder(item.core))
        case Record(cls):
            return _record(cls)
        case _:
            assert_never(core)


def _series(item: Encoder) -> Encoder:
    return lambda values: [item(value) for value in values]


def _record(cls: type) -> Encoder:
    steps = tuple((member, _encoder(member.shape.core)) for member in members(cls))

    def encoder(value: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        encoded = {}
        for member, step in steps:
            found = getattr(value, member.attribute)
            if found is None:
                continue
            plain = step(found)
            if plain not in ("", [], {}) or found != member.default:
                encoded[member.name] = plain
        return encoded

    return encoder


def _as_is(value: Any) -> Any:  # noqa: ANN401 - as above
    return value


_SCALARS: Mapping[type, Encoder] = {
    str: _as_is,
    int: _as_is,
    bool: _as_is,
    datetime: format_time,
    timedelta: format_duration,
}
