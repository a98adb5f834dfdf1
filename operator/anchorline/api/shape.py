"""What a dataclass of ours looks like from outside: its types, taken apart once, for the schema and for the codec."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from anchorline.api.markers import Rule, Schema

SCALARS = (str, int, bool, datetime, timedelta)
# Kubernetes' API conventions write initialisms in one case; the first word of a name is lower case all the same.
INITIALISMS = frozenset({"ca", "dns", "ip", "uri"})

PAIRS = tuple[tuple[str, str], ...]
ABSENT: Any = MISSING


@dataclass(frozen=True, slots=True)
class Scalar:
    """One of `SCALARS`."""

    type: type


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of a closed set."""

    enum: type[StrEnum]


@dataclass(frozen=True, slots=True)
class Table:
    """Strings by string; in Python a tuple of pairs, so that it can be hashed."""


@dataclass(frozen=True, slots=True)
class Series:
    """Any number of the same; in Python a tuple."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Record:
    """A dataclass; its fields are read by `members`, so that a shape stays small to print."""

    type: type


Core = Scalar | Choice | Table | Series | Record


@dataclass(frozen=True, slots=True)
class Shape:
    """A type with what its markers say about it."""

    core: Core
    optional: bool = False
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One field: its Python name, its name in Kubernetes, its shape, and its default (`ABSENT` when there is none)."""

    attribute: str
    name: str
    shape: Shape
    default: Any

    @property
    def required(self) -> bool:
        """Whether a user must write it."""
        return self.default is ABSENT and not self.shape.optional


def camel(name: str) -> str:
    """Name in Kubernetes of a Python field: `excluded_dns_domains` -> `excludedDNSDomains`."""
    first, *rest = name.split("_")
    return first + "".join(word.upper() if word in INITIALISMS else word.capitalize() for word in rest)


@cache
def members(cls: type) -> tuple[Member, ...]:
    """The fields of a dataclass in order; TypeError, with the field's name, for a type that has no shape."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(_member(cls, found, hints[found.name]) for found in fields(cls))


def shape_of(hint: Any) -> Shape:  # noqa: ANN401 - a type hint has no common type
    """The shape of a type hint; TypeError for a type that has none: the generator fails, it never guesses."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        return _marked(shape_of(inner), marks)
    if get_origin(hint) in {Union, types.UnionType}:
        return _optional(hint)
    return Shape(_core(hint))


def _member(cls: type, found: Field[Any], hint: Any) -> Member:  # noqa: ANN401 - as above
    try:
        shape = shape_of(hint)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{found.name}: {error}") from None
    default = found.default if found.default_factory is MISSING else found.default_factory()
    return Member(found.name, camel(found.name), shape, default)


def _marked(shape: Shape, marks: list[Any]) -> Shape:
    """The shape with its markers, the outermost last: it wins."""
    facts = dict(shape.facts)
    for mark in marks:
        facts |= mark.facts if isinstance(mark, Schema) else {}
    text = next((mark for mark in marks if isinstance(mark, str)), shape.text)
    rules = tuple(mark for mark in marks if isinstance(mark, Rule))
    return Shape(shape.core, shape.optional, text, facts, shape.rules + rules)


def _optional(hint: Any) -> Shape:  # noqa: ANN401 - as above
    choices = [choice for choice in get_args(hint) if choice is not types.NoneType]
    if len(choices) != 1:
        raise TypeError(f"{hint} has no schema: a structural schema knows no unions but with None")
    inner = shape_of(choices[0])
    return Shape(inner.core, True, inner.text, inner.facts, inner.rules)


def _core(hint: Any) -> Core:  # noqa: ANN401 - as above
    if hint == PAIRS:
        return Table()
    if get_origin(hint) is tuple and len(get_args(hint)) == 2 and get_args(hint)[1] is Ellipsis:
        return Series(shape_of(get_args(hint)[0]))
    if hint in SCALARS:
        return Scalar(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Choice(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return Record(hint)
    raise TypeError(f"{hint} has no schema")
