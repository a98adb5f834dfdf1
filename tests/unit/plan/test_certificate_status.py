"""The status of a Certificate: what the Secret holds, when the condition changed, and what to be warned of."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support import builders, certificates
from tests.support.builders import a_certificate, a_namespace, a_private_ca
from tests.support.certificates import DAY, NOW
from tests.support.simulation import World, settled

from anchorline.api.meta import ObjectKey
from anchorline.plan.certificate import certificate
from anchorline.plan.renewals import generation_of
from anchorline.plan.world import RotationSeen

WEB, SECRET = ObjectKey("Certificate", "shop", "web"), ObjectKey("Secret", "shop", "web-tls")


def a_world(**spec: Any) -> World:
    return settled(a_private_ca(), a_namespace(), a_certificate(**spec))


def test_the_status_tells_what_the_secret_holds() -> None:
    world = a_world()
    status, have = world.api.get(WEB)["status"], world.leaves()[SECRET][1][0]
    renewal = datetime.fromisoformat(status["renewalTime"])
    assert have.not_after - timedelta(days=12) < renewal < have.not_after - timedelta(days=9)
    assert world.plan(WEB).look_again == renewal
    assert (status["serialNumber"], status["fingerprint"]) == (have.serial_hex, have.fingerprint)
    assert (status["authority"], status["revision"], status["observedGeneration"]) == (1, 1, 1)
    world.settle(NOW + 25 * DAY)
    assert world.api.get(WEB)["status"]["revision"] == 2


def test_a_transition_time_moves_only_with_the_status() -> None:
    world = a_world()
    world.settle(NOW + 25 * DAY)
    assert world.condition(WEB)["lastTransitionTime"] == "2026-06-01T12:00:00Z"
    world.put(a_certificate(dnsNames=["web.billing.svc"]))
    world.settle()
    assert world.condition(WEB)["lastTransitionTime"] == "2026-06-26T12:00:00Z"
    world.put(a_certificate(dnsNames=["db.billing.svc"]))
    world.settle(NOW + 26 * DAY)
    assert world.condition(WEB)["lastTransitionTime"] == "2026-06-26T12:00:00Z"


@pytest.mark.parametrize(("key", "warned"), [({"algorithm": "Ed25519"}, True), ({"size": 521}, True), ({}, False)])
def test_a_key_that_clients_refuse_is_warned_of(key: dict[str, Any], warned: bool) -> None:
    assert ("keys are refused by browsers, gRPC and NSS" in a_world(privateKey=key).condition(WEB)["message"]) is warned


def an_hour_under_an_hour() -> World:
    """A leaf that lives as long as its intermediate, which therefore ends with it."""
    ca = a_private_ca(intermediate={"validity": "1h"}, leaf={"duration": "1h"})
    world = settled(ca, a_namespace())
    world.now += timedelta(minutes=5)
    world.put(a_certificate())
    return world.settle()


def test_a_leaf_that_ends_with_its_intermediate_is_renewed_at_the_time_that_it_tells() -> None:
    world = an_hour_under_an_hour()
    for _ in range(3):
        status, (have, *_) = world.api.get(WEB)["status"], world.leaves()[SECRET][1]
        told = datetime.fromisoformat(status["renewalTime"])
        assert told < have.not_after - timedelta(minutes=10), "not at its very end"
        assert f"to be renewed at {told:%Y-%m-%dT%H:%M:%SZ}" in world.condition(WEB)["message"]
        while world.api.get(WEB)["status"]["revision"] == status["revision"]:
            world.settle(world.now + timedelta(minutes=1))
            told = max(told, datetime.fromisoformat(world.api.get(WEB)["status"]["renewalTime"]))
            assert world.now < told + timedelta(minutes=1)


def test_an_intermediate_that_is_late_is_not_promised_again() -> None:
    world = an_hour_under_an_hour()
    told = datetime.fromisoformat(world.api.get(WEB)["status"]["renewalTime"])
    world.now = told + timedelta(seconds=59)
    assert world.plan(WEB).look_again == told + timedelta(minutes=1)
    world.now = told + timedelta(minutes=1)
    world.reconcile(WEB)
    assert "renewalTime" not in world.api.get(WEB)["status"]
    assert "to be renewed as soon as another intermediate signs" in world.condition(WEB)["message"]
    assert world.plan(WEB).look_again == world.leaves()[SECRET][1][0].not_after


def test_nothing_is_promised_for_the_intermediate_that_somebody_else_replaces() -> None:
    root = certificates.a_root()
    signer = certificates.an_intermediate(root, not_after=NOW + 10 * DAY)
    brought = builders.a_brought_secret([signer.certificate, root.certificate], signer.key)
    world = settled(brought, builders.a_brought_ca(), a_namespace(), a_certificate())
    assert "renewalTime" not in world.api.get(WEB)["status"]
    assert "valid until 2026-06-11T12:00:00Z, to be renewed as soon as another" in world.condition(WEB)["message"]


def test_what_the_cluster_denies_is_said_and_tried_again_in_a_minute() -> None:
    world = settled(a_private_ca(), a_namespace())
    world.put(a_certificate())
    seen = world.observe_certificate("shop", "web")
    assert seen is not None
    told = certificate(replace(seen, denied="cannot create Secret shop/web-tls: quota"), NOW)
    assert [str(each) for each in told.actions] == [
        "set status of Certificate shop/web: Ready=False Forbidden: cannot create Secret shop/web-tls: quota",
        "event on Certificate shop/web: Forbidden: cannot create Secret shop/web-tls: quota",
    ]
    assert told.look_again == NOW + timedelta(minutes=1)


@pytest.mark.parametrize("days", [25, 0], ids=["renewal", "chain"])
def test_a_valid_certificate_stays_ready_while_the_cluster_denies_the_next(days: int) -> None:
    world = a_world()
    if not days:
        world.api.edit(SECRET, lambda obj: obj["data"].update({"ca.crt": ""}))
    world.now = NOW + days * DAY
    seen = world.observe_certificate("shop", "web")
    assert seen is not None
    told = certificate(replace(seen, denied="quota"), world.now)
    assert "Ready=True Ready: valid until 2026-07-01T12:00:00Z, and cannot be renewed now" in str(told)
    assert certificate(replace(seen, denied=""), world.now).actions[0] != told.actions[0]


def test_an_old_denial_is_no_matter_of_a_certificate_that_fits() -> None:
    seen = a_world().observe_certificate("shop", "web")
    assert seen is not None
    assert not certificate(replace(seen, denied="quota"), NOW).actions


class Watched(World):
    """A world in which every gate of a rotation has been seen open for a day, but for leaves that have not moved."""

    def rotation_seen(self, ca: Any) -> RotationSeen:
        meaning = self.authority(ca)
        under = {generation_of(chain[0], meaning) or 0: 1 for _, chain, _ in self.leaves().values()}
        return RotationSeen(steady=DAY, moved=DAY, under=tuple(under.items()), pods=())


def test_while_a_root_is_replaced_a_leaf_moves_when_its_turn_comes_and_verifies_at_every_step() -> None:
    world = Watched()
    world.watch = lambda _action: world.verify_all()
    world.put(a_private_ca(), a_namespace(trust="internal"), a_certificate())
    world.settle()
    world.annotate(ObjectKey("PrivateCA", "", "internal"), rotate="drill")
    world.settle()
    turn = world.plan(WEB).look_again
    assert turn is not None
    assert NOW <= turn <= NOW + timedelta(minutes=10)
    assert world.api.get(WEB)["status"]["authority"] == 1
    world.settle(turn)
    assert world.api.get(WEB)["status"]["authority"] == 2
    ((_, served, _),) = world.leaves().values()
    assert len(served) == 3, "leaf, intermediate, and the new root signed by the old one"
