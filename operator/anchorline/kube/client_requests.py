"""Paths, queries and headers of requests to the API server, and the values that come back."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from anchorline.errors import ClusterError
from anchorline.kube import protobuf
from anchorline.kube.client_transport import Answer
from anchorline.kube.resources import Resource

# Paths of which nothing has to be escaped, as nearly all are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9/.\-]*")
Query = Mapping[str, str | int | bool]
OnRequest = Callable[[str, Resource, int, float], None]
JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
MERGE: Final = "application/merge-patch+json"

_JSON: Final = {"Accept": JSON}
_META: Final = {"Accept": f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
_META_LIST: Final = {"Accept": f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
# Of what was written as protobuf only the metadata is asked back: the rest is known, and may be 200 kB.
PROTOBUF_HEADERS: Final = {
    "Content-Type": protobuf.CONTENT_TYPE,
    "Accept": f"{protobuf.CONTENT_TYPE};as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of a list, or of one page of it, and the resourceVersion from which a watch goes on.

    `first` is true on the page that a list begins with: what came before it is to be forgotten.
    The API server leaves `apiVersion` and `kind` out of the items of built-in kinds.
    """

    items: list[dict[str, Any]]
    resource_version: str
    first: bool = True


def reading(*, metadata_only: bool, many: bool = False) -> dict[str, str]:
    """Headers of a read: whole objects, or PartialObjectMetadata."""
    if not metadata_only:
        return _JSON
    return _META_LIST if many else _META


def sending(content_type: str) -> dict[str, str]:
    """Headers of a write in some form of JSON."""
    return {"Accept": JSON, "Content-Type": content_type}


def target(path: str, query: Query | None = None) -> str:
    """Join path and query, both escaped; empty values and False are left out."""
    escaped = path if _PLAIN.fullmatch(path) else quote(path, safe="/:@!$&'()*+,;=-._~")
    words = _words(tuple(query.items())) if query else ""
    return f"{escaped}?{words}" if words else escaped


@lru_cache(maxsize=256)
def _words(query: tuple[tuple[str, str | int | bool], ...]) -> str:
    """A query, escaped: there are few different ones, and each is sent thousands of times."""
    return urlencode({key: "true" if value is True else str(value) for key, value in query if value not in ("", False)})


def content(answer: Answer, what: str) -> dict[str, Any]:
    """Read an object out of an answer; of protobuf its metadata only. Raises ClusterError when it is no object."""
    try:
        if answer.content_type.startswith(protobuf.CONTENT_TYPE):
            return protobuf.decode_metadata(answer.body)
        found = orjson.loads(answer.body)
    except ValueError as error:
        # The decoder's words quote nothing of the document, but the chain of exceptions could.
        raise ClusterError(f"cannot read the answer for {what}: {error}", status=answer.status) from None
    if not isinstance(found, dict):
        raise ClusterError(f"cannot read the answer for {what}: it is no object", status=answer.status)
    return found
