"""Formats of trust stores: the file before the label, the label before the file goes, and never without its roots."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import a_private_ca
from tests.support.certificates import NOW
from tests.support.observed import public_roots
from tests.support.simulation import World
from tests.unit.plan.test_trust import SHOP, STORE, a_world, files, kinds, label, notes

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.errors import Reason
from anchorline.kube import objects
from anchorline.plan.actions import LabelNamespace, PutTrustStore
from anchorline.plan.trust import MOST_BYTES, counted, namespace
from anchorline.plan.world import ForeignObject

BUNDLES = {naming.FULL_BUNDLE, naming.PRIVATE_BUNDLE}
JKS, WGETRC = naming.JAVA_TRUSTSTORE, naming.WGETRC_FILE


def asking(formats: str | None, **annotations: str) -> World:
    more = {} if formats is None else {"trust_formats": formats}
    return a_world(**more, **annotations)


def java(world: World) -> bytes:
    return base64.b64decode(world.api.get(STORE)["binaryData"][JKS])


def roots(world: World, name: str = "internal-root-1") -> tuple[pki.Certificate, ...]:
    return (world.made[name],)


@pytest.mark.parametrize(
    ("formats", "wanted", "value"),
    [
        (None, BUNDLES, "enabled"),
        ("", BUNDLES, "enabled"),
        ("jks", BUNDLES | {JKS}, "enabled.jks"),
        ("wgetrc", BUNDLES | {WGETRC}, "enabled.wgetrc"),
        ("WGETRC , jks", BUNDLES | {JKS, WGETRC}, "enabled.jks.wgetrc"),
    ],
)
def test_the_store_has_the_formats_and_the_label_names_them(formats: str | None, wanted: set[str], value: str) -> None:
    world = asking(formats)
    assert files(world) == wanted
    assert label(world) == value
    assert not world.todo(SHOP).actions


def test_the_java_store_holds_private_and_public_roots() -> None:
    public = pki.decode_certificates(public_roots().pem)
    world = asking("jks")
    assert java(world) == pki.java_keystore((*roots(world), *public))
    world = asking("jks", public_roots="false")
    assert java(world) == pki.java_keystore(roots(world))


def test_wgetrc_names_the_full_bundle() -> None:
    content = asking("wgetrc").api.get(STORE)["data"][WGETRC]
    assert content == "ca_certificate = /etc/anchorline/trust/ca-bundle.crt\n"


def test_a_format_that_is_added_comes_before_the_label_names_it() -> None:
    world = asking(None)
    world.annotate(SHOP, **{"trust-formats": "jks"})
    put, named = world.plan(SHOP).actions
    assert isinstance(put, PutTrustStore)
    assert str(put).endswith("Acme Internal Root 1 + public roots, also as jks (formats added)")
    assert named == LabelNamespace(namespace="shop", enabled=True, formats=("jks",))
    assert str(named) == "label namespace shop for injection with jks"
    world.settle()
    assert JKS in files(world)


def test_a_format_that_goes_leaves_the_label_first_and_the_store_after_the_last_pod() -> None:
    world = asking("jks,wgetrc")
    world.run_pod("old", "shop")
    world.annotate(SHOP, **{"trust-formats": "wgetrc"})
    plan = world.plan(SHOP)
    assert plan.actions == (LabelNamespace(namespace="shop", enabled=True, formats=("wgetrc",)),)
    assert plan.again
    world.settle()
    assert label(world) == "enabled.wgetrc"
    assert files(world) == BUNDLES | {JKS, WGETRC}
    assert world.plan(SHOP).look_again == NOW + timedelta(minutes=5)
    world.delete("Pod", "old", "shop")
    (put,) = world.plan(SHOP).actions
    assert isinstance(put, PutTrustStore)
    assert put.why == "formats removed"
    world.settle()
    assert files(world) == BUNDLES | {WGETRC}
    assert not world.plan(SHOP)


def test_a_format_that_is_held_for_a_pod_has_new_roots_too() -> None:
    world = asking("jks", public_roots="false")
    world.run_pod("old", "shop")
    world.annotate(SHOP, trust="partners", **{"trust-formats": None})
    world.settle()
    assert label(world) == "enabled"
    assert java(world) == pki.java_keystore(roots(world, "partners-root-1"))


def test_a_format_that_comes_as_another_goes() -> None:
    world = asking("jks")
    world.annotate(SHOP, **{"trust-formats": "wgetrc"})
    assert kinds(world) == ["PutTrustStore", "LabelNamespace"]
    world.settle()
    assert (files(world), label(world)) == (BUNDLES | {WGETRC}, "enabled.wgetrc")


@pytest.mark.parametrize(
    "change",
    [
        {"binaryData": {JKS: base64.b64encode(b"edited").decode()}},
        {"binaryData": None},
        {"binaryData": {JKS: "not base64"}},
        {"data": {WGETRC: "check_certificate = off\n"}},
        {"data": {WGETRC: None}},
        {"data": {JKS: "as text"}},
        {"binaryData": {"more": ""}},
        {"data": {naming.FULL_BUNDLE: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}},
    ],
)
def test_an_edited_format_is_restored(change: dict[str, Any]) -> None:
    world = asking("jks,wgetrc")
    before = world.api.get(STORE)

    def edit(obj: dict[str, Any]) -> None:
        for part, entries in change.items():
            there = {**obj.pop(part, {}), **entries} if entries else {}
            obj |= {part: {name: value for name, value in there.items() if value is not None}}

    world.api.edit(STORE, edit)
    assert kinds(world) == ["PutTrustStore"]
    world.settle()
    for part in ("data", "binaryData"):
        assert world.api.get(STORE)[part] == before[part]


def test_a_broken_bundle_under_a_java_store_is_restored() -> None:
    world = asking("jks")
    before = world.api.get(STORE)
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    world.api.edit(
        STORE, lambda obj: obj["data"].update({naming.FULL_BUNDLE: before["data"]["private-ca.crt"] + broken})
    )
    world.settle()
    assert world.api.get(STORE)["data"] == before["data"]


def test_an_unknown_format_is_said_and_the_known_ones_work() -> None:
    world = asking("p12,jks")
    assert label(world) == "enabled.jks"
    (note,) = notes(world)
    assert note.startswith("annotation anchorline.dev/trust-formats names p12, which Anchorline does not write: known")
    assert "are jks, wgetrc" in note
    assert next(each for each in world.events if each.about == SHOP).reason is Reason.TRUST_FORMAT_UNKNOWN


def test_of_many_unknown_formats_a_few_are_named() -> None:
    (note,) = notes(asking("a,b,c,d,e,f,g"))
    assert "names a, b, c, d, e, ..., which" in note


def test_a_namespace_that_trusts_nothing_is_told_nothing_of_formats() -> None:
    assert notes(a_world(trust=None, trust_formats="p12")) == []


def test_a_java_store_that_would_not_fit_is_refused_and_the_rest_works() -> None:
    world = asking(None)
    world.annotate(SHOP, **{"trust-formats": "jks,wgetrc"})
    seen = world.observe_namespace("shop")
    assert seen is not None
    large = namespace(replace(seen, public_size=MOST_BYTES // 2), NOW)
    put, named, said = large.actions
    assert isinstance(put, PutTrustStore)
    assert put.formats == ("wgetrc",)
    assert named == LabelNamespace(namespace="shop", enabled=True, formats=("wgetrc",))
    assert "a JKS of 1 private roots does not fit into a ConfigMap" in str(said)
    small = replace(seen, public_size=(MOST_BYTES - 3 * len(roots(world)[0].pem)) // 2)
    assert len(namespace(small, NOW).actions) == 2


def test_what_fits_by_the_estimate_fits_the_api_servers_limit() -> None:
    made = tuple(roots(asking(None)))
    private = pki.TrustBundle(made)
    store = objects.trust_store("shop", private, public_roots(), naming.TRUST_FORMATS)
    held = sum(len(value) for value in store["data"].values())
    held += sum(len(base64.b64decode(value)) for value in store["binaryData"].values())
    assert held <= 3 * len(private.pem) + 2 * len(public_roots().pem)


def test_formats_stay_for_running_pods_when_nothing_is_asked_for_or_all_cas_are_gone() -> None:
    world = asking("jks,wgetrc")
    world.run_pod("old", "shop")
    world.annotate(SHOP, trust=None)
    world.settle()
    assert label(world) is None
    assert files(world) == BUNDLES | {JKS, WGETRC}
    world.delete("Pod", "old", "shop")
    assert world.settle().api.find(STORE) is None


def test_a_java_store_keeps_the_public_roots_when_all_cas_are_gone_for_good() -> None:
    world = World()
    world.put(a_private_ca(deletionPolicy="Delete"), a_world(trust_formats="jks").api.get(SHOP))
    world.settle()
    world.run_pod("old", "shop")
    world.delete("PrivateCA", "internal")
    world.settle()
    assert files(world) == {naming.FULL_BUNDLE, JKS}
    assert java(world) == pki.java_keystore(pki.decode_certificates(public_roots().pem))


def test_pods_are_counted_only_when_something_may_be_taken_from_them() -> None:
    world = asking("jks")
    seen = world.observe_namespace("shop")
    assert seen is not None
    assert not counted(seen.namespace, seen.store, seen.authorities)
    assert not counted(seen.namespace, ForeignObject(), seen.authorities)
    assert not counted(seen.namespace, None, seen.authorities)
    assert not counted(seen.namespace, seen.store, ()), "the label goes first"
    assert counted(replace(seen.namespace, labels=()), seen.store, ())
    assert counted(replace(seen.namespace, labels=((naming.TRUST, "enabled"),)), seen.store, seen.authorities)


def test_pods_that_started_with_a_format_are_injected_pods() -> None:
    world = asking("jks")
    world.run_pod("java", "shop")
    assert world.api.get(ObjectKey("Pod", "shop", "java"))["metadata"]["labels"] == {naming.INJECTED_LABEL: "true"}
