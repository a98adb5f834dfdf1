"""Pods that were created while the webhook was away: which they are, and how people are told of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import a_namespace, a_private_ca
from tests.support.certificates import NOW
from tests.support.simulation import World, settled

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PodsWithoutTrust
from anchorline.kube.views import namespace_view
from anchorline.plan.actions import Emit, SetStatus
from anchorline.plan.authority_plan import authority
from anchorline.plan.injection import VARIABLES
from anchorline.plan.overlooked import overlooked, sentence, spared, summary, suspects
from anchorline.plan.trust import namespace
from anchorline.plan.world import AuthoritySeen, NamespaceSeen, PodSeen, TrustSeen

SECOND = timedelta(seconds=1)
SHOP = NamespaceSeen(name="shop", labels=((naming.TRUST, "enabled.jks"),), labelled_since=NOW)
MIRROR = {"annotations": {"kubernetes.io/config.mirror": "1"}}
STATIC = {"ownerReferences": [{"kind": "Node", "name": "n"}]}
OPTED_OUT = {"annotations": {naming.INJECT_ANNOTATION: "false"}}


def a_pod(**more: Any) -> PodSeen:
    return replace(PodSeen(namespace="shop", name="web", uid="u", created=NOW + SECOND), **more)


def found(pod: PodSeen, seen: NamespaceSeen = SHOP, known: frozenset[str] = frozenset()) -> bool:
    return list(suspects([pod], {seen.name: seen}, {"kube-system"}, known)) == [pod]


def test_a_pod_that_came_after_the_label_was_overlooked() -> None:
    assert found(a_pod())


@pytest.mark.parametrize(
    ("pod", "seen"),
    [
        (a_pod(created=NOW), SHOP),
        (a_pod(spared=True), SHOP),
        (a_pod(namespace="elsewhere"), SHOP),
        (a_pod(namespace="kube-system"), replace(SHOP, name="kube-system")),
        (a_pod(), replace(SHOP, labels=())),
        (a_pod(), replace(SHOP, labels=((naming.TRUST, "disabled"),))),
        (a_pod(), replace(SHOP, deleting=True)),
        (a_pod(), replace(SHOP, labelled_since=None)),
    ],
    ids=["older", "spared", "unknown", "exempt", "did not ask", "foreign label", "deleting", "nobody knows since when"],
)
def test_others_were_not(pod: PodSeen, seen: NamespaceSeen) -> None:
    assert not found(pod, seen)


def test_it_stays_so_when_the_label_changes_its_value() -> None:
    later = replace(SHOP, labelled_since=NOW + timedelta(hours=1))
    assert not found(a_pod(), later)
    assert found(a_pod(), later, frozenset({"u"}))


@pytest.mark.parametrize("metadata", [MIRROR, STATIC, OPTED_OUT, {"deletionTimestamp": "2026-11-25T00:00:00Z"}])
def test_metadata_spares(metadata: dict[str, Any]) -> None:
    assert spared({"name": "web", **metadata})


def test_other_metadata_spares_nobody() -> None:
    assert not spared({"name": "web", "labels": {"app": "web"}, "annotations": {naming.INJECT_ANNOTATION: "true"}})


MAIN: dict[str, Any] = {"name": "main", "image": "web:1"}
MOUNT = {"name": "t", "mountPath": "/etc/anchorline/trust"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [MAIN]}, True),
        ({"containers": [MAIN], "os": {"name": "windows"}}, False),
        ({"containers": [MAIN], "volumes": [{"name": naming.TRUST_VOLUME, "emptyDir": {}}]}, False),
        ({"containers": [{**MAIN, "volumeMounts": [MOUNT]}], "volumes": [{"name": "t", "emptyDir": {}}]}, False),
        ({}, False),
    ],
    ids=["plain", "windows", "a foreign volume", "a foreign mount", "no pod"],
)
def test_the_spec_decides_the_rest(spec: dict[str, Any], expected: bool) -> None:
    assert overlooked({"metadata": {"name": "web"}, "spec": spec}) is expected


def test_a_pod_that_brought_the_trust_store_itself_lacks_nothing_but_the_label() -> None:
    env = [{"name": name, "value": "/etc/anchorline/trust/ca-bundle.crt"} for name in VARIABLES]
    volume = {"name": "t", "configMap": {"name": naming.TRUST_STORE}}
    spec = {"containers": [{**MAIN, "env": env, "volumeMounts": [MOUNT]}], "volumes": [volume]}
    assert not overlooked({"metadata": {"name": "web"}, "spec": spec})


def managed(manager: str, time: str | None, *labels: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": manager,
        "fieldsV1": {"f:metadata": {"f:labels": {f"f:{name}": {} for name in labels}}},
    }
    return entry if time is None else {**entry, "time": time}


def test_the_label_is_as_old_as_its_first_writer_says() -> None:
    fields = [
        managed("kubectl", "2026-01-01T00:00:00Z", "team"),
        managed("anchorline", "2026-01-03T00:00:00Z", naming.TRUST),
        managed("somebody", "2026-01-02T00:00:00Z", "team", naming.TRUST),
        managed("timeless", None, naming.TRUST),
        {"manager": "kube-controller-manager", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:status": {}}},
    ]
    seen = namespace_view({"metadata": {"name": "shop", "managedFields": fields}})
    assert f"{seen.labelled_since:%Y-%m-%d}" == "2026-01-02"
    assert namespace_view({"metadata": {"name": "shop"}}).labelled_since is None


def test_a_summary_names_a_handful() -> None:
    assert summary(()) is None
    many = summary(tuple(f"shop/p{number}" for number in range(7)))
    assert many == PodsWithoutTrust(count=7, pods=("shop/p0", "shop/p1", "shop/p2", "shop/p3", "shop/p4"))
    assert sentence(many).startswith("7 running pods were created without them")
    assert "shop/p4, ...)" in sentence(many)
    assert sentence(PodsWithoutTrust(count=1, pods=("shop/a",))).startswith("1 running pod was")


def a_world() -> World:
    return settled(a_private_ca(), a_namespace(trust="internal"))


def trust_seen(world: World, *pods: str) -> TrustSeen:
    seen = world.observe_namespace("shop")
    assert seen is not None
    return replace(seen, overlooked=pods)


def test_an_event_says_it_and_what_to_do() -> None:
    world = a_world()
    (said,) = namespace(trust_seen(world, "a", "b"), world.now).actions
    assert isinstance(said, Emit)
    assert (said.about, said.reason, said.warning) == (ObjectKey("Namespace", "", "shop"), "PodsWithoutTrust", True)
    assert said.note == (
        "2 running pods were created without trust in namespace shop, as Anchorline's webhook was away; restart: a, b"
        " (kubectl get pods -n shop -l '!anchorline.dev/injected')"
    )
    assert namespace(trust_seen(world), world.now).actions == ()


def ca_seen(world: World, *pods: str) -> AuthoritySeen:
    seen = world.observe_private_ca("internal")
    assert seen is not None
    return replace(seen, overlooked=pods)


def test_the_status_says_it_once_and_keeps_it_while_nobody_has_looked() -> None:
    world = a_world()
    assert authority(ca_seen(world), world.now).actions == ()
    (change,) = authority(ca_seen(world, "shop/a"), world.now).actions
    assert isinstance(change, SetStatus)
    status: Any = change.status
    assert status.pods_without_trust == PodsWithoutTrust(count=1, pods=("shop/a",))
    (told,) = (each for each in status.conditions if each.type == "Distributed")
    assert told.status == "True"
    assert told.message == (
        "all 1 namespaces that ask have these roots; 1 running pod was created without them, as the webhook was away"
        " (shop/a): restart them"
    )
    seen = ca_seen(world, "shop/a")
    now_told = replace(seen, resource=replace(seen.resource, status=status))
    assert authority(now_told, world.now).actions == ()
    assert authority(replace(now_told, overlooked=None), world.now).actions == ()
    (over,) = authority(replace(now_told, overlooked=()), world.now).actions
    assert isinstance(over, SetStatus)
    assert over.status == ca_seen(world).resource.status
