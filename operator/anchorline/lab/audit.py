"""Reads the API server's audit log: which user made which request, exactly, since a position marked before."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One request as the API server answered it.

    `user` is who the API server acted for: the impersonated user when there is one. Absent parts are empty strings;
    `code` is the HTTP status, 0 when the log names none; `time` is the RFC 3339 time the request came in.
    """

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    time: str
    user_agent: str
    dry_run: bool

    @property
    def write(self) -> bool:
        """Whether the request was to change something stored; asking what would happen (dry run) is not."""
        return self.verb in WRITES and not self.dry_run


class AuditLog:
    """The audit log file of one API server, which the server only ever appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """Return the end of the log as it is now, in bytes, to give to `since`."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def since(
        self,
        mark: int = 0,
        *,
        user: str | None = None,
        verbs: Collection[str] | None = None,
        resource: str | None = None,
        namespace: str | None = None,
    ) -> list[AuditEvent]:
        """Return the requests logged after `mark`, in the order they ended; each filter left out lets everything pass.

        A request is logged when its handler is done, which can be a moment after its client has the answer.
        """
        return [
            event
            for event in self._events(mark)
            if (user is None or event.user == user)
            and (verbs is None or event.verb in verbs)
            and (resource is None or event.resource == resource)
            and (namespace is None or event.namespace == namespace)
        ]

    def writes_by(self, user: str, mark: int = 0) -> Counter[tuple[str, str]]:
        """Count the writes of `user` after `mark` by verb and resource, refused ones included, dry runs not.

        A subresource is named as in RBAC: `privatecas/status`.
        """
        return Counter(
            (event.verb, f"{event.resource}/{event.subresource}" if event.subresource else event.resource)
            for event in self.since(mark, user=user)
            if event.write
        )

    def _events(self, mark: int) -> Iterator[AuditEvent]:
        try:
            log = self.path.open("rb")
        except FileNotFoundError:
            return
        with log:
            log.seek(mark)
            for line in log:
                event = parse(line)
                if event:
                    yield event


def parse(line: bytes) -> AuditEvent | None:
    """Read one line of the log.

    None for a line still being written, and for one of the two stages of a request that is logged twice: a watch
    counts when it starts, anything else, and a watch that is refused, when it is complete.
    """
    try:
        raw: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    event = _event(raw)
    refused = event.code >= 400  # it has one stage only
    counted = "ResponseStarted" if event.verb == "watch" and not refused else "ResponseComplete"
    return event if raw.get("stage") in {counted, "Panic"} else None


def _event(raw: dict[str, Any]) -> AuditEvent:
    target: dict[str, str] = raw.get("objectRef") or {}
    acted_for: dict[str, str] = raw.get("impersonatedUser") or raw.get("user") or {}
    return AuditEvent(
        user=acted_for.get("username", ""),
        verb=raw.get("verb", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=(raw.get("responseStatus") or {}).get("code", 0),
        time=raw.get("requestReceivedTimestamp", ""),
        user_agent=raw.get("userAgent", ""),
        dry_run="dryRun" in parse_qs(urlsplit(raw.get("requestURI", "")).query),
    )
