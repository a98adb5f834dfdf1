"""Durations and moments as Kubernetes writes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from anchorline.api.times import format_duration, format_time, parse_duration, parse_time
from anchorline.errors import InvalidSpec

DURATIONS = {
    "720h": timedelta(days=30),
    "1h30m": timedelta(minutes=90),
    "1m30s": timedelta(seconds=90),
    "0.5s": timedelta(milliseconds=500),
    "1h0.000001s": timedelta(hours=1, microseconds=1),
    "0s": timedelta(0),
}


@pytest.mark.parametrize(("text", "span"), DURATIONS.items())
def test_a_duration_is_read_and_written_the_same_way(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span
    assert format_duration(span) == text


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("1500ms", timedelta(seconds=1.5)),
        ("30s1h", timedelta(hours=1, seconds=30)),
        ("0.0000019s", timedelta(microseconds=1)),
    ],
)
def test_every_form_that_go_reads_is_read(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "720", "1d", "-1h", "1h ", "1h\n", "h", ".5h", "1,5h", "١h", "1h" * 40])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="is not a duration; write it like 720h"):
        parse_duration(text)


def test_a_duration_beyond_64_bits_of_nanoseconds_is_refused_as_go_refuses_it() -> None:
    assert parse_duration("2562047h") == timedelta(hours=2562047)
    with pytest.raises(InvalidSpec, match="too long"):
        parse_duration("2562048h")


def test_a_negative_span_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        format_duration(timedelta(seconds=-1))


@pytest.mark.parametrize(
    "text",
    ["2027-01-04T10:00:00Z", "2027-01-04T12:00:00+02:00", "2027-01-04T10:00:00.000Z", "2027-01-04T10:00:00+00:00"],
)
def test_a_moment_is_read_in_any_zone_and_kept_in_utc(text: str) -> None:
    moment = parse_time(text)
    assert moment == datetime(2027, 1, 4, 10, tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "soon", "2027-01-04", "2027-01-04T10:00:00", "0001-01-01T00:00:00+05:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="is not a time; write it like 2027-01-04T10:00:00Z"):
        parse_time(text)


def test_a_moment_is_written_in_utc_and_whole_seconds() -> None:
    east = timezone(timedelta(hours=2))
    assert format_time(datetime(2027, 1, 4, 12, 0, 0, 999_999, tzinfo=east)) == "2027-01-04T10:00:00Z"
    assert format_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"


def test_a_moment_without_a_zone_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        format_time(datetime(2027, 1, 4))  # noqa: DTZ001 - what is refused here
