"""One dataclass with a field of every kind that a schema can say."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from anchorline.api.fields import Duration
from anchorline.api.markers import Rule, rule, schema


class Colour(StrEnum):
    """Colour of a sample."""

    RED = "Red"
    GREEN = "Green"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """An object in an object. Its second sentence is not in the schema."""

    RULES: ClassVar[tuple[Rule, ...]] = (Rule("self.size > 0", "size must be positive"),)

    size: Annotated[int, "Size."] = 1
    kept: Annotated[timedelta, "How long it is kept."] = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A field of every kind."""

    name: Annotated[str, "Needed text.", schema(maxLength=9), rule("self == oldSelf", "name cannot be changed")]
    inner: Annotated[Inner, "Object with defaults."] = field(default_factory=Inner)
    described: Inner = Inner()
    colour: Annotated[Colour, "Word of a closed set."] = Colour.RED
    on: Annotated[bool, "Switch."] = False
    number: Annotated[int | None, "Optional number.", schema(minimum=1)] = None
    short_for: Annotated[Duration | None, "Optional duration."] = None
    seen: Annotated[datetime | None, "Moment."] = None
    permitted_dns_domains: Annotated[tuple[Annotated[str, schema(minLength=1)], ...], "List.", schema(maxItems=2)] = ()
    colours: Annotated[tuple[Colour, ...], "List with a default."] = (Colour.RED, Colour.GREEN)
    others: Annotated[tuple[Inner, ...], "List of objects."] = ()
    labels: Annotated[tuple[tuple[str, str], ...], "Map.", schema(maxProperties=3)] = ()
    note: Annotated[str, "Text."] = ""
