"""The model can fail: each mutant is caught, by the name of the promise that it breaks; the real thing breaks none."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.property import mutants
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_notes import Broken
from tests.support.rotation_model_story import (
    DAY,
    HOUR,
    MINUTE,
    a_small_world,
    a_world,
    certificate,
    go_on,
    judge_settled,
    one_root,
    rotate,
)

from anchorline.api import naming
from anchorline.api.meta import ObjectKey

pytestmark = pytest.mark.no_cover
Story = Callable[[], object]
CA, SHOP = ObjectKey("PrivateCA", "", "internal"), ObjectKey("Namespace", "", "shop")
TURN = {"propagation": "10m", "reissueOver": "10m", "overlap": "1h"}


def ended(world: RotationWorld) -> bool:
    return one_root(world) and sum(root.ca == "internal" for root in world.roots.values()) > 1


def a_whole_rotation() -> RotationWorld:
    """Nobody interferes."""
    world = a_world()
    rotate(world)
    go_on(world, ended)
    judge_settled(world)
    return world


def a_rotation_with_a_process_that_read_once() -> None:
    """A pod that started before the new root could be read runs for two days."""
    world = a_small_world()
    world.start_pod("old", "shop")
    rotate(world)
    go_on(world, lambda world: ended(world) or world.clock > 2 * DAY.total_seconds())
    assert not one_root(world)
    world.end_pod("old")
    go_on(world, ended)


def a_rotation_of_an_old_ca() -> None:
    """Its certificates have been renewed for days."""
    world = a_small_world()
    go_on(world, lambda world: world.clock > 3 * DAY.total_seconds())
    rotate(world)
    go_on(world, ended)


def a_root_that_comes_to_its_end() -> None:
    """And a process that nobody restarts, so that the old root is trusted until then."""
    world = a_small_world(root={"validity": "60h"}, intermediate={"validity": "30h"}, leaf={"duration": "5h"})
    go_on(world, lambda world: world.clock > 47 * HOUR.total_seconds())
    world.start_pod("old", "shop")
    go_on(world, ended)
    judge_settled(world)


def a_compromise() -> None:
    """Everything is issued anew, without a bridge and without patience."""
    world = a_world(rotation={**TURN, "reissueOver": "0s"})
    rotate(world, compromised="leak")
    go_on(world, ended)


def stores_that_are_written_late() -> None:
    """The CA and its Certificates are looked at, and for a while no namespace is."""
    world = a_world()
    rotate(world)
    world.reconcile(CA)
    for space, name in (("shop", "web"), ("billing", "api"), ("billing", "db")):
        world.reconcile(ObjectKey("Certificate", space, name))
    world.reconcile(CA)
    world.later(11 * MINUTE)
    world.reconcile(CA)
    world.settle()


def a_store_that_is_undone_and_mended_between_two_looks() -> None:
    """Somebody puts the old content back; the operator mends that before it looks at the CA again."""
    world = a_world()
    key = ObjectKey("ConfigMap", "shop", naming.TRUST_STORE)
    before = world.api.get(key)["data"]
    rotate(world)
    world.settle()
    world.later(6 * MINUTE)
    world.api.edit(key, lambda obj: obj.update(data=before))
    world.happened(honest=False)
    world.reconcile(SHOP)
    world.later(timedelta(minutes=5))
    world.settle()


def a_certificate_that_asks_for_more_than_its_chain_has() -> None:
    """It gets what there is."""
    world = a_world()
    world.put(certificate("long", "shop", duration="1000h"))
    world.settle()


STORIES: tuple[Story, ...] = (
    a_whole_rotation,
    a_rotation_with_a_process_that_read_once,
    a_rotation_of_an_old_ca,
    a_root_that_comes_to_its_end,
    a_compromise,
    stores_that_are_written_late,
    a_store_that_is_undone_and_mended_between_two_looks,
    a_certificate_that_asks_for_more_than_its_chain_has,
)
CAUGHT: tuple[tuple[mutants.Mutation, Story, str], ...] = (
    (mutants.sign_before_distributed, a_whole_rotation, "P1"),
    (mutants.sign_before_it_was_read, a_whole_rotation, "P1"),
    (mutants.sign_before_a_rewritten_store_was_read, a_store_that_is_undone_and_mended_between_two_looks, "P1"),
    (mutants.gate_by_counter, stores_that_are_written_late, "P1"),
    (mutants.gate_by_wall_clock, stores_that_are_written_late, "P1"),
    (mutants.no_bridge, a_rotation_with_a_process_that_read_once, "P2"),
    (mutants.bridge_not_served, a_rotation_with_a_process_that_read_once, "P2"),
    (mutants.pods_ignored, a_rotation_with_a_process_that_read_once, "P2"),
    (mutants.old_root_dropped_early, a_whole_rotation, "P2"),
    (mutants.horizon_ignored, a_whole_rotation, "P2"),
    (mutants.horizon_not_raised, a_rotation_of_an_old_ca, "P2"),
    (mutants.moved_ignored, a_compromise, "P2"),
    (mutants.expired_bridge_served, a_root_that_comes_to_its_end, "an expired bridge is never served"),
    (mutants.leaf_outlives_its_chain, a_certificate_that_asks_for_more_than_its_chain_has, "P3"),
    (mutants.reason_rotates_twice, a_whole_rotation, "the same reason never rotates twice"),
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_without_a_mutant_no_promise_is_broken_in(story: Story) -> None:
    story()


@pytest.mark.parametrize(("mutation", "story", "promise"), CAUGHT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mutant_is_caught(
    mutation: mutants.Mutation, story: Story, promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    with pytest.raises(Broken, match=f"^{promise}:"):
        story()
