"""Rotations of a root in which something is wrong: each ends, or says what it waits for, and nobody is cut off."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.builders import OPERATOR_NAMESPACE as OPERATOR
from tests.support.builders import a_namespace
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import (
    a_small_world,
    a_world,
    ca,
    certificate,
    go_on,
    judge_settled,
    one_root,
    rotate,
)

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import views
from anchorline.plan import rotation, rotation_start
from anchorline.plan.renewals import reissue_at
from anchorline.plan.upkeep import upkeep
from anchorline.plan.world import AuthoritySeen, Material

TURN = {"propagation": "10m", "reissueOver": "10m", "overlap": "1h"}
CA, STORE = ObjectKey("PrivateCA", "", "internal"), ObjectKey("ConfigMap", "billing", naming.TRUST_STORE)


def ended(world: RotationWorld) -> bool:
    return one_root(world) and sum(1 for root in world.roots.values() if root.ca == "internal") > 1


def served(world: RotationWorld, space: str, name: str) -> tuple[int, int]:
    """How many certificates a Secret serves, and how many roots are in its ca.crt."""
    obj = world.api.get(ObjectKey("Secret", space, name))
    return len(views.key_pair(obj)[0]), len(views.shared_bundle(views.data(obj, naming.CA_CERT)))


def test_a_certificate_that_is_refused_now_holds_up_no_rotation_and_its_chain_is_kept_right() -> None:
    world = a_world()
    world.api.edit(ObjectKey("Certificate", "shop", "web"), lambda obj: obj["spec"].update(dnsNames=["acme.example"]))
    world.settle()
    rotate(world)
    world.settle()
    assert world.condition(ObjectKey("Certificate", "shop", "web"))["status"] == "False"
    assert served(world, "shop", "web-tls") == (2, 2)
    go_on(world, ended)
    judge_settled(world)


def test_a_certificate_that_is_refused_in_the_middle_stops_serving_the_bridge_when_the_old_root_is_gone() -> None:
    world = a_world()
    rotate(world)
    go_on(world, lambda world: served(world, "shop", "web-tls")[0] == 3)
    world.put(certificate("web", "shop", duration="240h"))
    world.settle()
    world.api.edit(ObjectKey("Certificate", "shop", "web"), lambda obj: obj["spec"].update(dnsNames=["acme.example"]))
    go_on(world, ended)
    judge_settled(world)
    assert served(world, "shop", "web-tls") == (2, 1)


def test_a_retired_root_that_a_backup_brings_back_goes_again_and_its_record_stays() -> None:
    world = a_world()
    kept = [world.api.get(ObjectKey("Secret", OPERATOR, f"internal-{name}-1")) for name in ("root", "intermediate-1")]
    rotate(world)
    go_on(world, ended)
    for each in kept:
        world.api.create(each, world.now)
    world.happened()
    world.settle()
    assert [root.generation for root in world.material("internal").roots] == [2]
    assert [root.generation for root in world.material("internal").retired] == [1]
    judge_settled(world)


def test_a_lost_intermediate_takes_no_horizon_with_it() -> None:
    world = a_small_world(policy={"maxDuration": "48h"})
    rotate(world)
    go_on(world, lambda world: "Retiring" in {root.phase for root in world.material("internal").roots})
    world.delete("Secret", "internal-intermediate-1-1", OPERATOR)
    world.happened()
    since = world.material("internal").roots[0].since
    go_on(world, ended)
    assert world.now >= since + timedelta(hours=48)


def test_a_new_root_that_is_due_itself_waits_for_no_pod() -> None:
    world = a_small_world(root={"validity": "60h"}, intermediate={"validity": "30h"}, leaf={"duration": "5h"})
    world.start_pod("for ever", "shop")
    rotate(world)
    go_on(world, lambda world: len([1 for root in world.roots.values() if root.ca == "internal"]) > 2)
    assert world.now < min(root.certificate.not_after for root in world.roots.values() if root.ca == "internal")


def test_a_store_that_cannot_be_written_holds_up_a_rotation_until_the_old_root_ends_and_no_longer() -> None:
    world = a_small_world(root={"validity": "60h"}, intermediate={"validity": "30h"}, leaf={"duration": "5h"})
    world.api.edit(STORE, lambda obj: obj["metadata"]["labels"].clear())
    world.happened(honest=False)
    end = world.material("internal").roots[0].certificate.not_after  # type: ignore[union-attr]
    go_on(world, lambda world: world.now > end - timedelta(hours=1))
    assert [root.phase for root in world.material("internal").roots] == ["Active", "Distributing"]
    assert "trust stores that do not carry it yet: billing" in world.condition(CA, "Rotating")["message"]
    go_on(world, lambda world: world.now > end)
    world.settle()
    assert len({chain[0].not_after > world.now for _, chain, _ in world.leaves().values()}) == 1
    assert {root.generation for root in world.material("internal").roots} <= {1, 2}
    assert world.condition(CA)["status"] == "True"


def test_a_root_that_ended_while_the_operator_was_away_does_not_hold_up_what_replaces_it() -> None:
    """Nobody can sign then, and what came before is still in ca.crt: that it ended is no loss."""
    world = a_small_world(root={"validity": "240h"}, intermediate={"validity": "120h"})
    world.later(timedelta(hours=100))
    world.settle()
    rotate(world)
    world.settle()
    rotate(world, compromised="leak")
    world.reconcile(CA)
    first, second, _ = (each.certificate.not_after for each in world.material("internal").roots if each.certificate)
    world.later(first - world.now + timedelta(hours=1))
    go_on(world, ended)
    assert world.now < first + timedelta(hours=5) < second
    judge_settled(world)


def test_a_leaf_secret_that_was_deleted_and_made_anew_begins_the_time_to_read_anew() -> None:
    world = a_world()
    rotate(world, compromised="leak")
    world.reconcile(CA)
    world.delete("Secret", "web-tls", "shop")
    world.happened(honest=False)
    for key in (key for key in tuple(world.keys()) if key.name != "web"):
        world.reconcile(key)
    world.later(timedelta(minutes=9))
    world.settle()
    world.later(timedelta(minutes=2))
    world.settle()
    assert [root.phase for root in world.material("internal").roots] == ["Active", "Distributing"]
    go_on(world, ended)


def seen(world: RotationWorld) -> AuthoritySeen:
    found = world.observe_private_ca("internal")
    assert found is not None
    return found


def retiring(world: RotationWorld) -> bool:
    return world.material("internal").roots[0].phase == "Retiring"


def test_a_rotation_stands_still_while_it_is_paused_at_any_step_and_goes_on_after() -> None:
    world = a_small_world()
    world.put(ca("internal", rotation={**TURN, "paused": True}))
    assert rotation.step(seen(world), world.now) == rotation.Step()
    world.put(ca("internal", rotation=TURN))
    rotate(world)
    world.settle()
    world.put(ca("internal", rotation={**TURN, "paused": True}))
    for hours in (1, 10, 100):
        world.settle(world.now + timedelta(hours=hours))
        assert [root.phase for root in world.material("internal").roots] == ["Active", "Distributing"]
    assert "spec.rotation.paused to be taken back" in world.condition(CA, "Rotating")["message"]
    world.put(ca("internal", rotation=TURN))
    go_on(world, ended)


def test_a_ca_without_a_readable_root_is_not_rotated() -> None:
    world = a_world()
    nothing = seen(world)
    assert rotation.step(replace(nothing, material=Material()), world.now) == rotation.Step()
    lost = replace(nothing.material.roots[0], certificate=None)
    assert rotation_start.bridge_until(lost, world.now) is None
    assert rotation.last_call(nothing, nothing.material.roots[0]) == datetime.max.replace(tzinfo=UTC)
    assert rotation.issued_until(replace(nothing, material=Material()), lost) is None
    assert rotation.retire(replace(nothing, material=Material()), lost, world.now)[0].secret == lost.secret  # type: ignore[union-attr]


def test_a_certificate_that_comes_under_an_old_root_again_is_waited_for() -> None:
    world = a_world()
    rotate(world)
    go_on(world, retiring)
    there = seen(world)
    again = replace(there, rotation=replace(there.rotation, under=((1, 2),)))
    step = rotation.step(again, world.now)
    assert next(each.what for each in step.waiting) == "2 certificates that came under it again to be issued anew"


def test_pods_that_were_not_counted_are_waited_for() -> None:
    world = a_world()
    rotate(world)
    go_on(world, retiring)
    late, there = world.now + timedelta(days=3), seen(world)
    uncounted = replace(there, rotation=replace(there.rotation, moved=timedelta(hours=1), pods=None))
    step = rotation.step(uncounted, late)
    assert [each.what for each in step.waiting] == [
        "the pods that started before the new root could be read to be counted"
    ]


def test_a_pod_that_was_dated_by_a_faster_clock_is_waited_for() -> None:
    """It started before the new root could be read, and seems younger: the clocks were set back in between."""
    world = a_small_world(rotation=TURN)
    world.start_pod("old", "shop")
    world.clocks_behind(behind=True)
    rotate(world)
    for _ in range(30):
        world.later(timedelta(minutes=1))
        world.settle()
    world.clocks_behind(behind=False)
    go_on(world, lambda world: world.clock > timedelta(days=3).total_seconds())
    assert not one_root(world)
    world.end_pod("old")
    go_on(world, ended)


def test_a_reason_whose_record_was_deleted_rotates_nothing_again() -> None:
    world = a_small_world(rotation=TURN)
    rotate(world, "yearly")
    go_on(world, ended)
    world.delete("Secret", "internal-retired-1", OPERATOR)
    rotate(world, "monthly")
    go_on(world, lambda world: one_root(world) and len(world.roots) == 3)
    world.delete("Secret", "internal-retired-2", OPERATOR)
    world.settle()
    rotate(world, "yearly")
    world.settle()
    assert one_root(world)
    told = world.private_cas()[0].status.generations
    assert [each.number for each in told] == [3, 2, 1]


def test_a_person_is_told_ahead_when_the_end_of_an_old_root_will_end_the_waiting() -> None:
    world = a_small_world(root={"validity": "240h"})
    go_on(world, lambda world: world.clock > 7 * 86400)
    world.start_pod("old", "shop")
    go_on(world, lambda world: any(each.reason == "RootEnds" for each in world.events))
    note = next(each.note for each in world.events if each.reason == "RootEnds")
    assert note.startswith("root generation 1 is still waited for and ends at 2026-06-11T12:00:00Z")
    known = seen(world)
    lost = replace(known.material.roots[0], certificate=None)
    assert rotation._forewarned(known, lost, world.now) == ()


def test_the_chain_is_brought_up_to_date_where_only_the_chain_is_old() -> None:
    world = a_world()
    rotate(world)
    go_on(world, lambda world: served(world, "shop", "web-tls")[0] == 3)
    found = world.observe_certificate("shop", "web")
    assert found is not None
    assert found.serving is not None
    issuers = tuple(replace(each, tail=each.tail[:1]) for each in found.serving.issuers)
    plan = upkeep(replace(found, serving=replace(found.serving, issuers=issuers)))
    assert str(plan).endswith("(the served chain is not the one for this phase)")


def test_a_rotation_that_is_asked_for_during_another_waits_for_its_turn_and_says_so() -> None:
    world = a_small_world()
    rotate(world)
    world.settle()
    rotate(world, "once more")
    world.settle()
    told = world.condition(CA, "Rotating")["message"]
    assert told.endswith("then a rotation follows that was asked for meanwhile (once more)")
    go_on(world, lambda world: len(world.roots) > 2)


def test_a_ca_that_has_lost_its_secrets_stops_and_takes_no_root_from_anybody() -> None:
    world = a_small_world()
    rotate(world)
    world.settle()
    world.delete("Secret", "internal-intermediate-1-1", OPERATOR)
    world.delete("Secret", "internal-root-1", OPERATOR)
    world.happened(honest=False)
    world.put(a_namespace("tools", trust="internal"))
    world.settle()
    assert world.stopped("internal")
    assert world.condition(CA)["status"] == "False"


def test_a_rotation_of_a_ca_whose_secret_is_unreadable_is_stopped_and_says_so() -> None:
    world = a_small_world()
    rotate(world)
    world.settle()
    world.corrupt("internal-intermediate-1-1")
    world.settle()
    assert world.condition(CA, "Rotating")["message"] == "stopped: see Ready"


def test_what_is_older_than_a_condemned_root_signs_no_more_from_the_moment_it_is_there() -> None:
    world = a_small_world()
    rotate(world, compromised="leak", **{"compromised-now": "true"})
    assert world.crashed(CA, 1)
    found = world.private_ca("internal")
    assert found is not None
    assert world.authority(found).signer is None
    go_on(world, ended)


def test_without_a_time_to_begin_at_a_leaf_is_issued_anew_at_once() -> None:
    found = a_small_world().observe_certificate("shop", "web")
    assert found is not None
    assert found.authority is not None
    never = replace(found.authority, reissue_from=None)
    assert reissue_at(found.resource, never) == datetime.min.replace(tzinfo=UTC)
