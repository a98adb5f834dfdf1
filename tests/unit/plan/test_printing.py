"""How plans print, against the files in tests/golden/plans; UPDATE_GOLDEN=1 rewrites them."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support import builders, certificates
from tests.support.builders import a_certificate, a_namespace, a_private_ca
from tests.support.certificates import DAY, NOW
from tests.support.simulation import World, settled

from anchorline import pki
from anchorline.api import naming
from anchorline.api.certificate import CertificateStatus
from anchorline.api.meta import ObjectKey
from anchorline.plan.actions import CreateRoot, Plan, PutTrustStore, RecordRetired, SetStatus

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"
SHOP = ObjectKey("Namespace", "", "shop")


def whole_way(world: World) -> str:
    """Every plan that is made until the world is settled, in the order in which they are made."""
    said: list[str] = []
    world.watch = lambda action: said.append(str(action))
    world.settle()
    return "\n".join(said) + "\n"


def a_world() -> World:
    return settled(a_private_ca(), a_namespace(trust="internal"), a_certificate())


def new_cluster() -> str:
    world = World()
    world.put(a_private_ca(), a_namespace(trust="internal"), a_certificate())
    return whole_way(world)


def brought() -> str:
    root = certificates.a_root()
    world = World()
    world.put(builders.a_brought_secret([root.certificate], root.key), builders.a_brought_ca())
    return whole_way(world)


def capped() -> str:
    world = settled(a_private_ca())
    world.put(a_namespace(), a_certificate(duration="20000h"))
    return whole_way(world)


def renewal() -> str:
    world = a_world()
    world.now += 25 * DAY
    return whole_way(world)


def wider_policy() -> str:
    world = a_world()
    world.put(a_private_ca(policy={"dnsNames": ["*.{namespace}.acme.example"]}, deletionPolicy="Delete"))
    return whole_way(world)


def refused() -> str:
    world = a_world()
    world.put(a_certificate(dnsNames=["web.billing.svc", "shop.example"]))
    return whole_way(world)


def unreadable() -> str:
    world = a_world()
    world.corrupt("internal-root-1")
    return whole_way(world)


def ca_deleted() -> str:
    world = settled(a_private_ca(deletionPolicy="Delete"), a_namespace(trust="internal"), a_certificate())
    world.delete("PrivateCA", "internal")
    return whole_way(world)


def annotation_removed() -> str:
    world = a_world()
    world.annotate(SHOP, trust=None)
    return whole_way(world)


def template_changed() -> str:
    world = a_world()
    world.put(a_certificate(secretTemplate={"labels": {"team": "a"}}))
    return whole_way(world)


CASES: tuple[Callable[[], str], ...] = (
    new_cluster,
    brought,
    capped,
    renewal,
    wider_policy,
    refused,
    unreadable,
    ca_deleted,
    annotation_removed,
    template_changed,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_plan_prints_as_in_its_golden_file(case: Callable[[], str]) -> None:
    path = GOLDEN / f"{case.__name__.replace('_', '-')}.txt"
    printed = case()
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(printed)
    assert printed == path.read_text()


def test_the_empty_plan_says_so_and_counts_as_nothing() -> None:
    assert str(Plan()) == "nothing to do"
    assert not Plan(again=True)


def test_actions_of_a_rotation_print() -> None:
    root = certificates.a_root().certificate
    profile = pki.RootProfile(subject=pki.Subject("Root 2"), not_before=NOW, not_after=NOW + DAY)
    create = CreateRoot(
        authority="internal",
        generation=2,
        secret="internal-root-2",
        profile=profile,
        key=pki.KeySpec.of(pki.KeyAlgorithm.ECDSA),
        phase="Distributing",  # type: ignore[arg-type]
        since=NOW,
        cause="rotate: drill",
        deletion_policy="Retain",
        bridge_from="internal-root-1",
        bridge_until=NOW + timedelta(hours=23),
    )
    words = "root CN=Root 2 (ECDSA P-256, cross-signed by internal-root-1; rotate: drill)"
    assert str(create) == f"create Secret internal-root-2: {words}"
    retired = RecordRetired(
        authority="internal",
        generation=1,
        secret=naming.retired_secret("internal", 1),
        certificate=root,
        since=NOW,
        cause="",
        deletion_policy="Retain",
    )
    assert str(retired).endswith("certificate of retired root CN=Acme Internal 1,O=Acme")


def test_a_store_without_roots_and_a_status_without_ready_print() -> None:
    put = PutTrustStore(namespace="shop", private=pki.TrustBundle(), public=False, replaces="", why="missing")
    assert str(put) == "put trust store of namespace shop: no private roots (missing)"
    target = ObjectKey("Certificate", "shop", "web")
    assert str(SetStatus(target=target, status=CertificateStatus())) == "set status of Certificate shop/web: no Ready"
