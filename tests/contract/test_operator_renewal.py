"""A Certificate's Secret in time and trouble: renewed, capped, restored when somebody edits, breaks or deletes it."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.contract.conftest import Scene, entry, leaf, reissued, serial, verified
from tests.support.certificates import ec_key
from tests.support.operator import Object, Operator, awaited, condition

pytestmark = pytest.mark.contract


def with_data(scene: Scene, **data: bytes | None) -> None:
    """Have somebody write into the Secret."""
    body = {key.replace("_", "."): base64.b64encode(value).decode() if value else None for key, value in data.items()}
    scene.api.merge("Secret", "web-tls", scene.name, body={"data": body})


def restored(scene: Scene, before: Object) -> Object:
    """Wait until all of a Secret is as it was, but for what changes with every write."""

    def look() -> Object | None:
        found = scene.api.get("Secret", "web-tls", scene.name)
        if found is None or found["data"] != before["data"]:
            return None
        return found if found["metadata"]["labels"] == before["metadata"]["labels"] else None

    return awaited(look, "the Secret is as it was")


def test_an_edited_trust_set_is_restored_with_the_same_leaf(scene: Scene) -> None:
    before = scene.issued(scene.ca())
    with_data(scene, ca_crt=b"nothing")
    restored(scene, before)
    with_data(scene, ca_crt=None)
    restored(scene, before)


def test_a_shortened_chain_is_restored_with_the_same_leaf(scene: Scene) -> None:
    before = scene.issued(scene.ca())
    with_data(scene, tls_crt=entry(before, "tls.crt").split(b"-----END")[0] + b"-----END CERTIFICATE-----\n")
    restored(scene, before)


def test_labels_of_ours_are_restored(scene: Scene) -> None:
    before = scene.issued(scene.ca())
    body = {"metadata": {"labels": {"anchorline.dev/authority": "another", "team": "x"}}}
    scene.api.merge("Secret", "web-tls", scene.name, body=body)
    awaited(
        lambda: scene.secret()["metadata"]["labels"].get("anchorline.dev/authority") != "another", "the label restored"
    )
    assert scene.secret()["data"] == before["data"]


@pytest.mark.parametrize(
    "content",
    [{"tls_key": b"broken"}, {"tls_crt": b"broken"}, {"tls_key": ec_key(7).to_pem()}],
    ids=["key broken", "certificate broken", "key of another"],
)
def test_a_broken_secret_is_replaced(scene: Scene, tmp_path: Path, content: dict[str, bytes]) -> None:
    before = scene.issued(scene.ca())
    with_data(scene, **content)
    after = reissued(scene, before)
    assert verified(after, tmp_path).endswith(": OK\n")
    awaited(lambda: scene.resource("Certificate", "web")["status"]["revision"] == 2, "revision 2 in status")


def test_a_deleted_secret_is_made_again(scene: Scene) -> None:
    before = scene.issued(scene.ca())
    scene.api.delete("Secret", "web-tls", scene.name)
    after = reissued(scene, before)
    assert entry(after, "tls.key") != entry(before, "tls.key")
    scene.ready("Certificate", "web")


def test_a_secret_that_is_not_marked_any_more_is_not_ours_any_more(scene: Scene) -> None:
    before = scene.issued(scene.ca())
    scene.api.merge("Secret", "web-tls", scene.name, body={"metadata": {"labels": {"anchorline.dev/managed": None}}})
    scene.refused("Certificate", "web", "SecretNotOurs", "web-tls", "delete it")
    assert scene.secret()["data"] == before["data"]


def test_renewal_with_a_new_key(scene: Scene, tmp_path: Path) -> None:
    before = scene.issued(scene.ca(), duration="40s", renewBefore="37s")
    due = scene.resource("Certificate", "web")["status"]["renewalTime"]
    after = reissued(scene, before)
    assert after["metadata"]["annotations"]["anchorline.dev/revision"] == "2", "once, not again and again"
    assert f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" >= due  # noqa: TID251
    assert entry(after, "tls.key") != entry(before, "tls.key")
    assert leaf(after).not_valid_after_utc > leaf(before).not_valid_after_utc
    assert verified(after, tmp_path).endswith(": OK\n")


def test_renewal_that_keeps_the_key(scene: Scene, operator: Operator) -> None:
    before = scene.issued(scene.ca(), duration="40s", renewBeforePercentage=90, privateKey={"rotationPolicy": "Never"})
    after = reissued(scene, before)
    assert entry(after, "tls.key") == entry(before, "tls.key")
    assert "Renewing" in operator.log


def test_no_leaf_outlives_its_intermediate(scene: Scene) -> None:
    ca = scene.ca(intermediate={"validity": "1h"}, leaf={"duration": "30m"})
    secret = scene.issued(ca, duration="48h", renewBefore="1m")
    end = condition(scene.resource("PrivateCA", ca), "Ready")["message"].split("until ")[1]
    assert f"{leaf(secret).not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}" == end
    note = scene.event("web", "DurationCapped")
    assert "no certificate outlives its intermediate" in note
    assert "asked for 2 days" in note
    said = condition(scene.resource("Certificate", "web"), "Ready")["message"]
    assert "shortened from 2 days, 0:00:00: no certificate outlives its intermediate" in said


def test_a_whole_certificate_is_not_called_shortened(scene: Scene) -> None:
    scene.issued(scene.ca(), duration="24h")
    assert "shortened" not in condition(scene.resource("Certificate", "web"), "Ready")["message"]
    assert scene.events("web") == []


def test_two_writers_at_one_secret_end_in_peace(scene: Scene, tmp_path: Path) -> None:
    """Somebody writes again and again what the operator puts right: conflicts are seen, and nothing is lost."""
    before = scene.issued(scene.ca())
    for number in range(40):
        body = {"metadata": {"annotations": {"storm": str(number)}}, "data": {"ca.crt": "bm9uZQ=="}}
        scene.api.merge("Secret", "web-tls", scene.name, body=body)
    after = restored(scene, before)
    assert serial(after) == serial(before)
    assert verified(after, tmp_path).endswith(": OK\n")
