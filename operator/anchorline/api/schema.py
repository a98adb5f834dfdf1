"""Dataclasses to structural OpenAPI v3 schemas: the only place where a type becomes what the API server checks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, assert_never

from anchorline.api import encoding, fields
from anchorline.api.markers import Rule
from anchorline.api.shape import ABSENT, Choice, Member, Record, Scalar, Series, Shape, Table, members

_SCALARS: Mapping[type, Mapping[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: {"type": "string", **fields.DURATION_SCHEMA.facts},
}
VALIDATIONS = "x-kubernetes-validations"


def object_schema(cls: type, *, defaults: bool = True) -> dict[str, Any]:
    """The schema of a dataclass.

    `defaults=False` leaves defaults out: a status holds what was observed, so the API server must not fill it.
    TypeError for a type without a shape and for a field without a description.
    """
    found = members(cls)
    properties = {member.name: _member(cls, member, defaults=defaults) for member in found}
    schema = {"type": "object", "description": summary(cls), "properties": properties}
    required = [member.name for member in found if member.required]
    return schema | ({"required": required} if required else {}) | validations(getattr(cls, "RULES", ()))


def validations(rules: tuple[Rule, ...]) -> dict[str, Any]:
    """CEL rules in the form of a schema, nothing when there are none."""
    return {VALIDATIONS: [{"rule": rule.rule, "message": rule.message} for rule in rules]} if rules else {}


def summary(cls: type) -> str:
    """First sentence of a class's docstring, its lines joined."""
    paragraph = (cls.__doc__ or "").strip().split("\n\n")[0]
    text = " ".join(paragraph.split())
    return text.split(". ")[0].rstrip(".") + "." if text else ""


def _member(cls: type, member: Member, *, defaults: bool) -> dict[str, Any]:
    schema = _shape(member.shape, defaults=defaults)
    if not schema.get("description"):
        raise TypeError(f"{cls.__name__}.{member.attribute} has no description: write one as a string in its Annotated")
    default = _default(member) if defaults else ABSENT
    return schema if default is ABSENT else schema | {"default": default}


def _shape(shape: Shape, *, defaults: bool) -> dict[str, Any]:
    """The schema of a type, the description first, the facts of its markers over its own."""
    schema = _core(shape, defaults=defaults)
    text = shape.text or schema.get("description", "")
    rules = [*schema.get(VALIDATIONS, []), *validations(shape.rules).get(VALIDATIONS, [])]
    described = {"description": text} if text else {}
    return {**described, **schema, **described, **shape.facts, **({VALIDATIONS: rules} if rules else {})}


def _core(shape: Shape, *, defaults: bool) -> dict[str, Any]:
    match shape.core:
        case Scalar(kind):
            return dict(_SCALARS[kind])
        case Choice(enum):
            return {"type": "string", "enum": [choice.value for choice in enum]}
        case Table():
            return {"type": "object", "additionalProperties": {"type": "string"}}
        case Series(item):
            return {"type": "array", "items": _shape(item, defaults=defaults)}
        case Record(cls):
            return object_schema(cls, defaults=defaults)
        case _:
            assert_never(shape.core)


def _default(member: Member) -> Any:  # noqa: ANN401 - any JSON value
    """What the API server fills in. Empty values stay absent: `has(self.x)` then means that the user wrote x."""
    if member.default is ABSENT or member.default in (None, "", ()):
        return ABSENT
    return encoding.encode_member(member, member.default)
