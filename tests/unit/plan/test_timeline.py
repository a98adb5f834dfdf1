"""The timeline of a rotation: what is printed for a person, in each phase."""

from collections.abc import Callable
from datetime import timedelta

from tests.support import certificates
from tests.support.builders import a_brought_ca, a_brought_secret, a_private_ca
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import a_world, go_on, phases, rotate

from anchorline.plan.timeline import timeline


def printed(world: RotationWorld) -> str:
    seen = world.observe_private_ca("internal")
    assert seen is not None
    return timeline(seen, world.now)


def in_phase(*wanted: str) -> Callable[[RotationWorld], bool]:
    return lambda world: tuple(phase for _, phase in phases(world)) == wanted


def test_a_ca_without_a_root_has_nothing_to_replace() -> None:
    world = RotationWorld()
    world.put(a_private_ca())
    assert printed(world) == "PrivateCA internal has no root yet: there is nothing to replace"


def test_a_ca_at_rest_says_when_it_is_replaced_and_what_a_rotation_would_do() -> None:
    text = printed(a_world())
    assert "no rotation is running; it is replaced by itself at 2034-05" in text
    assert "now: create Secret internal-root-2: root" in text
    assert "2026-06-01T12:10:00Z Active: every trust store has carried the new root for 0:10:00" in text
    assert "and when no pod runs that started before" in text
    # No certificate of a day is issued beyond half as much again (ADR 5): the old root ends with that horizon.
    assert "2026-06-03T00:00:00Z Retired" in text


def test_a_ca_that_waits_for_no_pods_says_nothing_of_them() -> None:
    world = a_world(rotation={"waitForPods": False})
    assert "no pod runs" not in printed(world)


def test_a_brought_ca_is_replaced_when_its_secret_changes() -> None:
    root = certificates.a_root()
    world = RotationWorld()
    world.put(a_brought_secret([root.certificate], root.key), a_brought_ca())
    world.happened()
    world.settle()
    assert "it is replaced when its Secret changes" in printed(world)


def test_a_rotation_that_was_just_asked_for_prints_its_first_step() -> None:
    world = a_world()
    rotate(world)
    assert "now: create Secret internal-root-2" in printed(world)


def test_a_rotation_under_way_prints_what_it_waits_for_and_what_comes() -> None:
    world = a_world()
    rotate(world)
    world.settle()
    text = printed(world)
    assert "waiting: generation 2 waits for running pods to read the trust stores" in text
    assert "then, at the earliest: 2026-06-01T12:10:00Z Active" in text
    world.later(timedelta(minutes=9))
    world.restart()
    assert "then, at the earliest: 2026-06-01T12:10:00Z Active" in printed(world), "whoever looks has watched nothing"
    go_on(world, in_phase("Retiring", "Active"), at_least=timedelta(minutes=1))
    assert "generation 1: Retiring since" in printed(world)
    assert "at the earliest" not in printed(world)


def test_a_compromise_prints_that_nobody_is_waited_for() -> None:
    world = a_world()
    rotate(world, compromised="leak")
    world.settle()
    assert "then: old roots leave the trust stores as soon as nothing is served under them any more" in printed(world)
