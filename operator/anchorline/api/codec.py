"""The way between raw objects and values, for the other rooms: objects, durations (`720h`) and times (RFC 3339)."""

from anchorline.api.decoding import decode, decode_metadata, decode_resource
from anchorline.api.encoding import encode
from anchorline.api.times import format_duration, format_time, parse_duration, parse_time

__all__ = [
    "decode",
    "decode_metadata",
    "decode_resource",
    "encode",
    "format_duration",
    "format_time",
    "parse_duration",
    "parse_time",
]
