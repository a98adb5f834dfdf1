"""The audit log's lines, as the API server writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from anchorline.lab import audit


def line(**changes: Any) -> bytes:
    raw = {
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/secrets/web/status?fieldManager=x",
        "verb": "patch",
        "user": {"username": "alice"},
        "userAgent": "anchorline/0.1",
        "objectRef": {"resource": "secrets", "subresource": "status", "namespace": "shop", "name": "web"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-11-23T20:00:00.000001Z",
    }
    return json.dumps(raw | changes).encode() + b"\n"


def parsed(**changes: Any) -> audit.AuditEvent:
    event = audit.parse(line(**changes))
    assert event
    return event


def test_a_line_is_read_in_full() -> None:
    assert parsed() == audit.AuditEvent(
        user="alice",
        verb="patch",
        resource="secrets",
        subresource="status",
        namespace="shop",
        name="web",
        code=200,
        time="2026-11-23T20:00:00.000001Z",
        user_agent="anchorline/0.1",
        dry_run=False,
    )


def test_the_user_is_the_impersonated_one() -> None:
    assert parsed(impersonatedUser={"username": "bob"}).user == "bob"


def test_a_request_without_an_object_has_empty_parts() -> None:
    event = parsed(objectRef=None, responseStatus=None, verb="get")
    assert (event.resource, event.name, event.code, event.write) == ("", "", 0, False)


def test_a_dry_run_is_not_a_write() -> None:
    assert not parsed(requestURI="/api/v1/namespaces?dryRun=All").write
    assert parsed().write


@pytest.mark.parametrize(
    ("verb", "stage", "code", "counts"),
    [
        ("create", "ResponseComplete", 201, True),
        ("create", "Panic", 500, True),
        ("create", "ResponseStarted", 0, False),
        ("watch", "ResponseStarted", 200, True),
        ("watch", "ResponseComplete", 200, False),
        ("watch", "ResponseComplete", 403, True),
    ],
)
def test_a_request_counts_once(verb: str, stage: str, code: int, counts: bool) -> None:
    seen = audit.parse(line(verb=verb, stage=stage, responseStatus={"code": code}))
    assert (seen is not None) is counts


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    log = audit.AuditLog(tmp_path / "audit.log")
    assert (log.mark(), log.since()) == (0, [])


def test_only_what_came_after_the_mark_and_passes_the_filters_is_counted(tmp_path: Path) -> None:
    log = audit.AuditLog(tmp_path / "audit.log")
    log.path.write_bytes(line(verb="create"))
    mark = log.mark()
    with log.path.open("ab") as file:
        file.write(line() + line(verb="get") + line(user={"username": "bob"}) + line()[:40])
    assert log.writes_by("alice", mark) == {("patch", "secrets/status"): 1}
    assert log.writes_by("alice").total() == 2
    assert [event.verb for event in log.since(mark, user="alice", namespace="shop")] == ["patch", "get"]
    assert log.since(mark, resource="configmaps") == []
    assert len(log.since(mark, verbs={"patch"})) == 2
