"""Trust stores: who gets which roots, in which order the label moves, and what is never taken away too early."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support import builders
from tests.support.builders import a_namespace, a_private_ca
from tests.support.certificates import NOW
from tests.support.observed import public_roots
from tests.support.simulation import World, settled

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.plan.actions import DeleteTrustStore, LabelNamespace, PutTrustStore
from anchorline.plan.trust import namespace
from anchorline.plan.world import TrustedCA

SHOP, STORE = ObjectKey("Namespace", "", "shop"), ObjectKey("ConfigMap", "shop", naming.TRUST_STORE)


def a_world(trust: str | None = "internal", **annotations: str) -> World:
    more = {f"{naming.GROUP}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return settled(a_private_ca(), a_private_ca("partners"), a_namespace(trust=trust, annotations=more))


def names(world: World) -> list[str]:
    """Common names of the private roots in the store, as a client reads them."""
    content = world.api.get(STORE)["data"].get(naming.PRIVATE_BUNDLE, "").encode()
    return sorted(root.common_name for root in pki.decode_certificates(content))


def label(world: World) -> str | None:
    return world.namespace_seen("shop").label(naming.TRUST)


def labelled(world: World) -> bool:
    return label(world) == naming.TRUST_ENABLED


def files(world: World) -> set[str]:
    """Names of the files in the store."""
    store = world.api.get(STORE)
    return {*store["data"], *store.get("binaryData", {})}


def kinds(world: World) -> list[str]:
    return [type(action).__name__ for action in world.todo(SHOP).actions]


def notes(world: World) -> list[str]:
    return [each.note for each in world.events if each.about == SHOP]


def test_a_namespace_that_asks_gets_private_and_public_roots_and_then_its_label() -> None:
    world = World()
    world.put(a_private_ca(), a_namespace(trust="internal"))
    world.reconcile(ObjectKey("PrivateCA", "", "internal"))
    assert kinds(world) == ["PutTrustStore", "LabelNamespace"]
    world.settle()
    data = world.api.get(STORE)["data"]
    assert data[naming.FULL_BUNDLE].encode() == data[naming.PRIVATE_BUNDLE].encode() + public_roots().pem
    assert names(world) == ["Acme Internal Root 1"]
    assert labelled(world)


def test_a_namespace_that_does_not_ask_gets_nothing() -> None:
    world = a_world(trust=None)
    assert world.api.find(STORE) is None
    assert not labelled(world)


def test_a_selector_of_the_ca_gives_its_roots_without_an_annotation() -> None:
    ca = a_private_ca(trust={"namespaceSelector": {"matchLabels": {"team": "a"}}})
    world = settled(ca, a_namespace(labels={"team": "a"}), a_namespace("billing"))
    assert names(world) == ["Acme Internal Root 1"]
    assert world.store("billing") is None


@pytest.mark.parametrize(("value", "public"), [("false", False), ("False", False), ("true", True), ("", True)])
def test_public_roots_are_there_unless_the_namespace_says_otherwise(value: str, public: bool) -> None:
    data = a_world(public_roots=value).api.get(STORE)["data"]
    assert (data[naming.FULL_BUNDLE] != data[naming.PRIVATE_BUNDLE]) is public


def test_an_unknown_ca_is_said_once_and_the_others_arrive() -> None:
    world = a_world("internal, nobody")
    assert names(world) == ["Acme Internal Root 1"]
    (note,) = notes(world)
    assert note.startswith(f"annotation {naming.TRUST} names PrivateCA nobody, which does not exist")


def test_many_unknown_cas_are_one_event() -> None:
    world = a_world(", ".join(["internal", "x" * 5000, *(f"nobody-{number}" for number in range(200))]))
    assert names(world) == ["Acme Internal Root 1"]
    (note,) = notes(world)
    listed = ", ".join(("x" * 60 + "...", *(f"nobody-{number}" for number in range(4)), "..."))
    assert note.startswith(f"annotation {naming.TRUST} names PrivateCAs {listed}, none of which exists: their roots ")


def test_only_an_unknown_ca_makes_no_store_and_no_label() -> None:
    world = a_world("nobody")
    assert world.api.find(STORE) is None
    assert not labelled(world)


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        (naming.FULL_BUNDLE, "edited"),
        (naming.PRIVATE_BUNDLE, "edited"),
        (naming.PRIVATE_BUNDLE, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("more", "of somebody's"),
    ],
)
def test_an_edited_store_is_restored(entry: str, content: str) -> None:
    world = a_world()
    before = world.api.get(STORE)["data"]
    world.api.edit(STORE, lambda obj: obj["data"].update({entry: content}))
    (put,) = world.plan(SHOP).actions
    assert isinstance(put, PutTrustStore)
    world.settle()
    assert world.api.get(STORE)["data"] == before


def test_a_deleted_store_is_restored() -> None:
    world = a_world()
    world.api.delete(STORE)
    assert str(world.plan(SHOP)).endswith("Acme Internal Root 1 + public roots (missing)")
    assert names(world.settle()) == ["Acme Internal Root 1"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("internal,partners", "roots added"),
        ("partners", "roots added and roots removed"),
    ],
)
def test_a_changed_annotation_changes_the_store_and_says_how(asked: str, why: str) -> None:
    world = a_world()
    world.annotate(SHOP, trust=asked)
    (put,) = world.plan(SHOP).actions
    assert isinstance(put, PutTrustStore)
    assert put.why == why


def test_roots_that_are_not_asked_for_any_more_are_removed() -> None:
    world = a_world("internal,partners")
    world.annotate(SHOP, trust="partners")
    (put,) = world.plan(SHOP).actions
    assert isinstance(put, PutTrustStore)
    assert put.why == "roots removed"
    assert put.private.fingerprints == (world.made["partners-root-1"].fingerprint,)


def test_the_label_goes_first_and_the_store_only_after_the_last_injected_pod() -> None:
    world = a_world()
    world.run_pod("old", "shop")
    world.annotate(SHOP, trust=None)
    assert world.plan(SHOP).actions == (LabelNamespace(namespace="shop", enabled=False),)
    world.settle()
    assert not labelled(world)
    assert names(world) == ["Acme Internal Root 1"]
    assert world.plan(SHOP).look_again == NOW + timedelta(seconds=30)
    world.run_pod("new", "shop")
    world.delete("Pod", "old", "shop")
    assert world.plan(SHOP).actions == (
        DeleteTrustStore(namespace="shop", why="the namespace does not ask for it any more"),
    )
    assert world.settle().api.find(STORE) is None


def test_pods_that_have_ended_do_not_hold_the_store() -> None:
    world = a_world()
    world.put(builders.a_pod("done", phase="Succeeded"), builders.a_pod("failed", phase="Failed"))
    world.annotate(SHOP, trust=None)
    assert world.settle().api.find(STORE) is None


def test_a_config_map_of_somebody_else_is_left_alone_and_nothing_is_injected() -> None:
    mine = builders.an_object("ConfigMap", naming.TRUST_STORE, "shop", version="v1", data={"mine": "yes"})
    world = settled(mine, a_private_ca(), a_namespace(trust="internal", labels={naming.TRUST: "enabled"}))
    assert world.api.get(STORE)["data"] == {"mine": "yes"}
    assert not labelled(world)
    assert "is not marked as Anchorline's: it is left as it is and pods get no trust store" in notes(world)[0]
    assert world.plan(SHOP).look_again == NOW + timedelta(minutes=1)
    world.annotate(SHOP, trust=None)
    assert world.settle().api.get(STORE)["data"] == {"mine": "yes"}
    world.annotate(SHOP, trust="internal")
    world.api.delete(STORE)
    assert labelled(world.settle())


def test_a_deleted_ca_that_is_retained_stays_trusted_where_it_is_named_and_that_is_said() -> None:
    world = a_world()
    world.delete("PrivateCA", "internal")
    world.settle()
    assert names(world) == ["Acme Internal Root 1"]
    assert notes(world)[0].startswith("PrivateCA internal was deleted and its roots are retained")


@pytest.mark.parametrize(("public", "left"), [("true", []), ("false", ["Acme Internal Root 1"])])
def test_running_pods_keep_the_public_roots_when_all_cas_are_gone_for_good(public: str, left: list[str]) -> None:
    gone = a_private_ca(deletionPolicy="Delete")
    annotations = {naming.PUBLIC_ROOTS_ANNOTATION: public}
    world = settled(gone, a_namespace(trust="internal", annotations=annotations))
    world.run_pod("old", "shop")
    world.delete("PrivateCA", "internal")
    world.settle()
    assert not labelled(world)
    assert names(world) == left
    assert world.api.get(STORE)["data"][naming.FULL_BUNDLE], "a file is never empty"
    world.delete("Pod", "old", "shop")
    assert world.settle().api.find(STORE) is None


def test_an_unreadable_ca_keeps_its_root_in_the_store_while_others_come_and_go() -> None:
    world = a_world()
    world.corrupt("internal-root-1")
    world.annotate(SHOP, trust="internal,partners")
    world.settle()
    assert len(names(world)) == 2


def test_a_namespace_that_is_being_deleted_is_left_alone() -> None:
    world = a_world()
    world.api.delete(STORE)
    world.api.edit(SHOP, lambda obj: obj["metadata"].update(deletionTimestamp="2026-06-01T12:00:00Z"))
    assert not world.plan(SHOP)


def test_a_ca_that_the_namespace_does_not_ask_for_is_not_trusted() -> None:
    world = a_world()
    seen, other = world.observe_namespace("shop"), world.material("partners").roots[0].certificate
    assert seen is not None
    assert other is not None
    more = TrustedCA(name="partners", trust=pki.TrustBundle([other]), exists=True)
    assert not namespace(replace(seen, authorities=(*seen.authorities, more)), NOW)


@pytest.mark.parametrize(
    ("spaces", "foreign", "sentence"),
    [
        (
            0,
            0,
            "no namespace asks for these roots yet; annotate one: kubectl annotate namespace NAME ",
        ),
        (2, 0, "all 2 namespaces that ask have these roots"),
        (3, 1, "1 of 3 namespaces do not have these roots yet: n0"),
        (7, 6, "6 of 7 namespaces do not have these roots yet: n0, n1, n2, n3, n4, ..."),
    ],
)
def test_the_ca_tells_how_far_its_roots_have_come(spaces: int, foreign: int, sentence: str) -> None:
    taken = (
        builders.an_object("ConfigMap", naming.TRUST_STORE, f"n{n}", version="v1", data={}) for n in range(foreign)
    )
    asking = (a_namespace(f"n{n}", trust="internal") for n in range(spaces))
    found = settled(a_private_ca(), *asking, *taken).condition(ObjectKey("PrivateCA", "", "internal"), "Distributed")
    assert found["message"].startswith(sentence)
    assert (found["status"] == "True") is not bool(foreign)
