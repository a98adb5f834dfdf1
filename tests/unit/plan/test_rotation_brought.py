"""Rotations where a user brings the root: it is the user who begins them, and a person is told what to do."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support import certificates
from tests.support.builders import Object, a_brought_ca, a_brought_secret, a_namespace
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import certificate, go_on, judge_settled, one_root, rotate

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import views
from anchorline.plan import rotation_start

TURN = {"propagation": "10m", "reissueOver": "10m", "overlap": "1h"}
CA = ObjectKey("PrivateCA", "", "internal")


def ended(world: RotationWorld) -> bool:
    return one_root(world) and len(world.roots) > 1


def a_brought_intermediate(number: int) -> Object:
    root = certificates.a_root(f"Brought {number}", certificates.ec_key(10 + number))
    made = certificates.an_intermediate(root, f"Brought Intermediate {number}", certificates.ec_key(20 + number))
    return a_brought_secret([made.certificate, root.certificate], made.key)


def a_brought_world() -> RotationWorld:
    world = RotationWorld()
    world.put(a_brought_intermediate(1), a_brought_ca(leaf={"duration": "24h"}, rotation=TURN))
    world.put(a_namespace("shop", trust="internal"), certificate("web", "shop"))
    world.happened()
    return world.settle()  # type: ignore[return-value]


def served(world: RotationWorld, space: str, name: str) -> tuple[int, int]:
    """How many certificates a Secret serves, and how many roots are in its ca.crt."""
    obj = world.api.get(ObjectKey("Secret", space, name))
    return len(views.key_pair(obj)[0]), len(views.shared_bundle(views.data(obj, naming.CA_CERT)))


def test_another_brought_intermediate_is_distributed_while_nobody_can_sign_and_then_takes_over() -> None:
    world = a_brought_world()
    world.put(a_brought_intermediate(2))
    world.happened()
    world.settle()
    assert served(world, "shop", "web-tls") == (2, 2)
    go_on(world, ended)
    judge_settled(world)
    assert served(world, "shop", "web-tls") == (2, 1)


def told(world: RotationWorld) -> str:
    return str(world.condition(CA, "Rotating")["message"])


def test_another_root_that_is_asked_for_has_to_be_brought_and_then_answers() -> None:
    world = a_brought_world()
    rotate(world, "yearly")
    world.settle()
    assert told(world).endswith("another root was asked for (yearly): put it, with its key, into Secret brought")
    world.put(a_brought_intermediate(2))
    world.happened()
    go_on(world, ended)
    assert told(world) == "one root is in use"
    assert world.private_cas()[0].status.generations[0].cause == "rotate: yearly"


@pytest.mark.parametrize("hasty", [None, "true"])
def test_a_brought_root_that_is_compromised_goes_as_soon_as_another_is_brought(hasty: str | None) -> None:
    world = a_brought_world()
    rotate(world, compromised="leak", **{"compromised-now": hasty})
    world.settle()
    assert "compromised" in told(world)
    assert "put it, with its key, into Secret brought" in told(world)
    world.put(a_brought_intermediate(2))
    world.happened()
    go_on(world, ended)
    assert world.clock < timedelta(hours=1).total_seconds(), "neither overlap nor old certificates are waited for"
    assert told(world) == "one root is in use"


def test_a_brought_secret_that_is_gone_starts_nothing() -> None:
    world = a_brought_world()
    there = world.observe_private_ca("internal")
    assert there is not None
    without = replace(there, material=replace(there.material, brought=None))
    assert rotation_start.start(without, world.now) == ()
