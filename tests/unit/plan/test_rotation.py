"""Rotations of a root in which something is wrong: each ends, or says what it waits for, and nobody is cut off."""

from tests.support import certificates
from tests.support.builders import Object, a_brought_ca, a_brought_secret, a_namespace
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import a_world, certificate, go_on, judge_settled, one_root, rotate

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import views

TURN = {"propagation": "10m", "reissueOver": "10m", "overlap": "1h"}
CA = ObjectKey("PrivateCA", "", "internal")


def ended(world: RotationWorld) -> bool:
    return one_root(world) and sum(1 for root in world.roots.values() if root.ca == "internal") > 1


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
