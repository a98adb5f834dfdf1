"""A Certificate that names another CA than the one that issued what it serves."""

from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import a_world, ca, go_on, judge_settled, one_root, rotate

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import views
from anchorline.pki import TrustBundle
from anchorline.plan.world import LeafSecret

WEB = ObjectKey("Certificate", "shop", "web")


def names(world: RotationWorld, authority: str, *, granted: bool) -> None:
    """Somebody writes another CA into the Certificate, and names that it grants, or does not."""
    dns = ["web.shop.svc"] if granted else ["acme.example"]
    world.api.edit(WEB, lambda obj: obj["spec"].update(caRef={"name": authority}, dnsNames=dns))
    world.happened()
    world.settle()


def beside(world: RotationWorld) -> TrustBundle:
    """Its ca.crt."""
    return views.shared_bundle(views.data(world.api.get(ObjectKey("Secret", "shop", "web-tls")), naming.CA_CERT))


def roots(world: RotationWorld, name: str) -> set[str]:
    """Fingerprints of a CA's roots."""
    return {root.certificate.fingerprint for root in world.material(name).roots if root.certificate is not None}


def test_it_is_issued_anew_under_the_new_ca_together_with_its_root() -> None:
    world = a_world()
    names(world, "partners", granted=True)
    assert set(beside(world).fingerprints) == roots(world, "partners")
    leaf = world.leaf("shop", "web-tls")
    assert isinstance(leaf, LeafSecret)
    assert leaf.authority == "partners"


def test_refused_by_the_new_ca_it_keeps_the_root_under_which_it_is_served() -> None:
    world = a_world()
    names(world, "partners", granted=False)
    assert world.condition(WEB)["status"] == "False"
    assert set(beside(world).fingerprints) == roots(world, "internal")


def test_it_waits_for_a_ca_that_is_only_being_made_with_what_it_has() -> None:
    world = a_world()
    names(world, "new", granted=True)
    assert "new does not exist" in world.condition(WEB, "Issuing")["message"]
    world.put(ca("new"))
    assert world.crashed(ObjectKey("PrivateCA", "", "new"), 1)
    assert len(roots(world, "new")) == 1
    world.reconcile(WEB)
    assert set(beside(world).fingerprints) == roots(world, "internal")
    world.settle()
    assert set(beside(world).fingerprints) == roots(world, "new")


def test_refused_it_follows_the_rotation_of_its_old_ca_and_holds_up_none_of_the_new_one() -> None:
    world = a_world()
    names(world, "partners", granted=False)
    rotate(world, name="partners")
    go_on(world, lambda world: one_root(world) and len(roots(world, "partners")) == 1)
    rotate(world)
    world.settle()
    assert set(beside(world).fingerprints) == roots(world, "internal")
    assert len(roots(world, "internal")) == 2
    go_on(world, one_root)
    judge_settled(world)


def test_what_a_ca_that_is_gone_issued_stays_as_it_is() -> None:
    world = a_world()
    names(world, "partners", granted=False)
    before = world.api.get(ObjectKey("Secret", "shop", "web-tls"))
    world.delete("PrivateCA", "internal")
    world.settle()
    assert world.api.get(ObjectKey("Secret", "shop", "web-tls")) == before
