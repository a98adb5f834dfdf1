"""Trust stores on a real API server: asked for, kept right, taken back; the label after the store, off before it."""

import base64
from typing import Any

import pytest
from tests.contract.conftest import Scene, entry
from tests.support.operator import SYSTEM, USER, Object, Operator, awaited, condition

from anchorline import pki
from anchorline.kube.public_roots import public_roots

pytestmark = pytest.mark.contract
STORE = "anchorline-trust"
PUBLIC = public_roots().pem.decode()


def root(scene: Scene, ca: str) -> str:
    """The root of a CA, as PEM."""
    found = scene.api.get("Secret", f"{ca}-root-1", SYSTEM)
    assert found is not None
    return base64.b64decode(found["data"]["tls.crt"]).decode()


def stored(scene: Scene, private: str, *, public: bool = True) -> Object:
    """Wait until the store holds exactly these roots."""
    wanted = {"ca-bundle.crt": private + (PUBLIC if public else "")}
    wanted |= {"private-ca.crt": private} if private else {}
    return awaited(
        lambda: found if (found := scene.store()) and found["data"] == wanted else None, f"the store of {scene.name}"
    )


def switched(scene: Scene, *, on: bool) -> None:
    awaited(lambda: scene.labelled is on, f"injection is {'on' if on else 'off'} in {scene.name}")


def trusting(scene: Scene, **spec: Any) -> str:
    """A CA whose root this namespace has."""
    ca = scene.ca(**spec)
    scene.trust(ca)
    switched(scene, on=True)
    return ca


@pytest.mark.usefixtures("counted")
def test_the_store_comes_before_the_label(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    operator.idle()
    mark = scene.site.audit.mark()
    scene.trust(ca)
    switched(scene, on=True)
    operator.idle()
    writes = [(e.verb, e.resource, e.name) for e in scene.site.writes(mark) if e.resource != "privatecas"]
    assert writes == [("create", "configmaps", STORE), ("patch", "namespaces", scene.name)]
    store = stored(scene, root(scene, ca))
    assert store["metadata"]["labels"]["anchorline.dev/managed"] == "true"


def test_status_tells_of_distribution(scene: Scene) -> None:
    ca = scene.ca()
    assert "annotate one" in condition(scene.resource("PrivateCA", ca), "Distributed")["message"]
    scene.trust(ca)
    awaited(
        lambda: "all 1 namespaces" in condition(scene.resource("PrivateCA", ca), "Distributed")["message"],
        "the status counts the store",
    )


def test_several_cas_in_one_store(scene: Scene) -> None:
    first, second = scene.ca(), scene.ca()
    scene.trust(f"{first}, {second}")
    found = awaited(
        lambda: s if (s := scene.store()) and s["data"]["private-ca.crt"].count("BEGIN") == 2 else None, "both roots"
    )
    assert root(scene, first) in found["data"]["private-ca.crt"]
    assert root(scene, second) in found["data"]["private-ca.crt"]
    assert found["data"]["ca-bundle.crt"] == found["data"]["private-ca.crt"] + PUBLIC
    scene.trust(second)
    stored(scene, root(scene, second))


def test_an_unknown_ca_is_said_and_the_others_arrive(scene: Scene) -> None:
    ca = scene.ca()
    scene.trust(f"{ca},nobody-{scene.name}")
    stored(scene, root(scene, ca))
    note = scene.event(scene.name, "AuthorityNotFound")
    assert f"nobody-{scene.name}" in note
    assert "create it or correct the annotation" in note


def test_an_unknown_ca_alone_switches_nothing_on(scene: Scene, operator: Operator) -> None:
    scene.trust(f"nobody-{scene.name}")
    scene.event(scene.name, "AuthorityNotFound")
    operator.idle()
    assert scene.store() is None
    assert not scene.labelled
    scene.put_ca(f"nobody-{scene.name}")
    switched(scene, on=True)


def test_without_public_roots(scene: Scene) -> None:
    ca = trusting(scene)
    scene.trust(ca, **{"anchorline.dev/public-roots": "false"})
    stored(scene, root(scene, ca), public=False)
    scene.trust(ca, **{"anchorline.dev/public-roots": None})
    stored(scene, root(scene, ca))


@pytest.mark.parametrize(
    "change", [{"ca-bundle.crt": "x"}, {"private-ca.crt": None}, {"more": "x"}], ids=["edited", "removed", "added"]
)
def test_an_edited_store_is_restored(scene: Scene, change: Object) -> None:
    ca = trusting(scene)
    before = stored(scene, root(scene, ca))
    scene.edit_store(change)
    assert stored(scene, root(scene, ca))["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_deleted_store_is_restored(scene: Scene) -> None:
    ca = trusting(scene)
    before = stored(scene, root(scene, ca))
    scene.edit_store(None)
    awaited(
        lambda: s if (s := scene.store()) and s["metadata"]["uid"] != before["metadata"]["uid"] else None, "a new store"
    )
    stored(scene, root(scene, ca))


def test_the_label_is_restored(scene: Scene) -> None:
    trusting(scene)
    scene.api.merge("Namespace", scene.name, body={"metadata": {"labels": {"anchorline.dev/trust": None}}})
    switched(scene, on=True)


def test_a_label_that_nobody_asked_for_goes(scene: Scene) -> None:
    scene.api.merge("Namespace", scene.name, body={"metadata": {"labels": {"anchorline.dev/trust": "enabled"}}})
    switched(scene, on=False)


@pytest.mark.usefixtures("counted")
def test_the_annotation_removed_takes_the_label_then_the_store(scene: Scene, operator: Operator) -> None:
    trusting(scene)
    operator.idle()
    mark = scene.site.audit.mark()
    scene.trust(None)
    awaited(lambda: scene.store() is None, "the store is gone")
    assert not scene.labelled
    operator.idle()
    writes = [(e.verb, e.resource, e.name) for e in scene.site.writes(mark) if e.resource != "privatecas"]
    assert writes == [("patch", "namespaces", scene.name), ("delete", "configmaps", STORE)]


@pytest.mark.usefixtures("counted")
def test_the_store_stays_while_an_injected_pod_is_there(scene: Scene, operator: Operator) -> None:
    trusting(scene)
    scene.pod("injected", {"anchorline.dev/injected": "true"})
    mark = scene.site.audit.mark()
    scene.trust(None)
    switched(scene, on=False)
    awaited(
        lambda: scene.site.audit.since(mark, user=USER, resource="pods", namespace=scene.name), "the pods are counted"
    )
    operator.idle()
    assert scene.store() is not None
    scene.api.delete("Pod", "injected", scene.name)
    # Pods are not watched but counted, twice a minute; any word of the namespace has them counted at once.
    scene.trust(None, hurry="please")
    awaited(lambda: scene.store() is None, "the store goes after the last injected pod")


def test_a_ca_that_selects_namespaces(scene: Scene) -> None:
    ca = scene.ca(trust={"namespaceSelector": {"matchLabels": {"zone": scene.name}}})
    scene.api.merge("Namespace", scene.name, body={"metadata": {"labels": {"zone": scene.name}}})
    stored(scene, root(scene, ca))
    switched(scene, on=True)
    scene.put_ca(ca, trust={"namespaceSelector": {"matchLabels": {"zone": "elsewhere"}}})
    switched(scene, on=False)


def test_a_deleted_ca_that_is_retained_stays_trusted(scene: Scene, operator: Operator) -> None:
    ca = trusting(scene, deletionPolicy="Retain")
    pem = root(scene, ca)
    scene.api.delete("PrivateCA", ca)
    note = scene.event(scene.name, "AuthorityDeleted")
    assert "retained" in note
    operator.idle()
    stored(scene, pem)
    assert scene.labelled
    scene.put_ca(ca)
    scene.ready("PrivateCA", ca)


def test_a_deleted_ca_is_no_longer_trusted(scene: Scene) -> None:
    trusting(scene)
    scene.api.delete("PrivateCA", scene.cas[0])
    switched(scene, on=False)
    awaited(lambda: scene.store() is None, "the store is gone")


def test_a_leaf_is_trusted_by_its_store(scene: Scene) -> None:
    ca = trusting(scene)
    assert entry(scene.issued(ca), "ca.crt").decode() == stored(scene, root(scene, ca))["data"]["private-ca.crt"]


FORMATS = "anchorline.dev/trust-formats"


def formatted(scene: Scene, value: str, *names: str) -> Object:
    """Wait until the label has this value and the store these files besides the PEM bundles."""

    def look() -> Object | None:
        label = scene.resource("Namespace", scene.name)["metadata"].get("labels", {}).get("anchorline.dev/trust")
        found = scene.store() or {"data": {}}
        files = {*found["data"], *found.get("binaryData", {})} - {"ca-bundle.crt", "private-ca.crt"}
        return found if (label, files) == (value, set(names)) else None

    return awaited(look, f"label {value} and files {names} in {scene.name}")


@pytest.mark.usefixtures("counted")
def test_formats_come_before_the_label_names_them(scene: Scene, operator: Operator) -> None:
    ca = trusting(scene)
    operator.idle()
    mark = scene.site.audit.mark()
    scene.trust(ca, **{FORMATS: "wgetrc, p12, jks"})
    store = formatted(scene, "enabled.jks.wgetrc", "truststore.jks", "wgetrc")
    private = pki.decode_certificates(root(scene, ca).encode())
    public = pki.decode_certificates(PUBLIC.encode())
    assert base64.b64decode(store["binaryData"]["truststore.jks"]) == pki.java_keystore((*private, *public))
    assert store["data"]["wgetrc"] == "ca_certificate = /etc/anchorline/trust/ca-bundle.crt\n"
    assert "names p12, which Anchorline does not write" in scene.event(scene.name, "TrustFormatUnknown")
    operator.idle()
    writes = [
        (e.verb, e.resource, e.name) for e in scene.site.writes(mark) if e.resource in ("configmaps", "namespaces")
    ]
    assert writes == [("update", "configmaps", STORE), ("patch", "namespaces", scene.name)]


def test_an_edited_format_is_restored(scene: Scene) -> None:
    ca = trusting(scene)
    scene.trust(ca, **{FORMATS: "jks,wgetrc"})
    before = formatted(scene, "enabled.jks.wgetrc", "truststore.jks", "wgetrc")
    scene.edit_store({"wgetrc": "check_certificate = off"})
    awaited(
        lambda: (s := scene.store()) and (s["data"], s["binaryData"]) == (before["data"], before["binaryData"]),
        "the store is restored",
    )


def test_formats_go_from_the_label_first_and_from_the_store_after_the_last_pod(
    scene: Scene, operator: Operator
) -> None:
    ca = trusting(scene)
    scene.trust(ca, **{FORMATS: "jks,wgetrc"})
    formatted(scene, "enabled.jks.wgetrc", "truststore.jks", "wgetrc")
    scene.pod("injected", {"anchorline.dev/injected": "true"})
    scene.trust(ca, **{FORMATS: "wgetrc"})
    formatted(scene, "enabled.wgetrc", "truststore.jks", "wgetrc")
    operator.idle()
    formatted(scene, "enabled.wgetrc", "truststore.jks", "wgetrc")
    scene.api.delete("Pod", "injected", scene.name)
    # Pods are not watched but counted; any word of the namespace has them counted at once.
    scene.trust(ca, hurry="please")
    formatted(scene, "enabled.wgetrc", "wgetrc")
    scene.trust(ca, **{FORMATS: None})
    formatted(scene, "enabled")
