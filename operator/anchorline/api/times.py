"""Moments and spans of time as Kubernetes writes them: `2027-01-04T10:00:00Z`; `720h`, `1h30m`, `0.5s`."""

import re
from datetime import UTC, datetime, timedelta

from anchorline.errors import InvalidSpec

# What an hour, a minute, a second and a millisecond are in microseconds, the smallest that a timedelta can say.
UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
# CEL and Go count nanoseconds in 64 bits; what is longer is refused there, so it is refused here.
LONGEST = timedelta(microseconds=(2**63 - 1) // 1000)

_WHOLE = re.compile(DURATION_PATTERN.rstrip("$") + r"\Z")
_PART = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ms|s|m|h)")


def parse_duration(text: str) -> timedelta:
    """The span that a Go-style duration names, exact to the microsecond; InvalidSpec when it names none."""
    if len(text) > 64 or not _WHOLE.match(text):
        raise InvalidSpec(f"{text[:64]!r} is not a duration; write it like 720h, 90m or 1h30m")
    total = sum(_microseconds(*part) for part in _PART.findall(text))
    if total > LONGEST // timedelta(microseconds=1):
        raise InvalidSpec(f"{text!r} is too long: the longest duration is 292 years")
    return timedelta(microseconds=total)


def format_duration(span: timedelta) -> str:
    """The shortest Go-style text in hours, minutes and seconds; ValueError for a negative span."""
    if span < timedelta(0):
        raise ValueError(f"a duration cannot be negative: {span}")
    hours, rest = divmod(span // timedelta(microseconds=1), UNITS["h"])
    minutes, rest = divmod(rest, UNITS["m"])
    seconds, fraction = divmod(rest, UNITS["s"])
    tail = f".{fraction:06}".rstrip("0") if fraction else ""
    last = f"{seconds}{tail}s" if seconds or tail else ""
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + last or "0s"


def parse_time(text: str) -> datetime:
    """The moment (UTC) that an RFC 3339 text names; InvalidSpec when it names none, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidSpec(f"{text[:64]!r} is not a time; write it like 2027-01-04T10:00:00Z")


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC and whole seconds, rounded down; ValueError for a moment without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"a moment without a zone: {moment}")
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _microseconds(whole: str, fraction: str, unit: str) -> int:
    scale = UNITS[unit]
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
