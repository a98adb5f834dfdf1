"""What is there and is not ours, of every kind: refused, said, left byte for byte, and mended when it goes (P10)."""

import pytest
from tests.contract.conftest import Scene
from tests.support.operator import SYSTEM, Object, Operator, awaited, fresh

pytestmark = pytest.mark.contract
BYTES = {"tls.crt": "bWluZQ==", "tls.key": "bWluZQ=="}
OURS = {"anchorline.dev/managed": "true"}


def foreign(scene: Scene, kind: str, name: str, namespace: str, labels: dict[str, str] | None = None) -> Object:
    """Create an object that belongs to somebody else."""
    metadata = {"name": name, "namespace": namespace, "labels": {"team": "mine", **(labels or {})}}
    data = {"ca-bundle.crt": "mine"} if kind == "ConfigMap" else BYTES
    return scene.api.create({"kind": kind, "metadata": metadata, "data": data})


def test_a_foreign_secret_in_the_place_of_a_leaf(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    mine = foreign(scene, "Secret", "web-tls", scene.name)
    scene.certificate(ca)
    message = scene.refused("Certificate", "web", "SecretNotOurs", "web-tls", "choose another secretName, or delete it")
    assert scene.event("web", "SecretNotOurs") == message
    operator.idle()
    assert scene.secret() == mine
    scene.api.delete("Secret", "web-tls", scene.name)
    # What is not ours is not watched: it is looked for once a minute, or when the Certificate changes.
    scene.certificate(ca, duration="24h")
    scene.ready("Certificate", "web")


@pytest.mark.usefixtures("counted")
def test_a_secret_that_was_left_alone_costs_no_writes(scene: Scene, operator: Operator) -> None:
    foreign(scene, "Secret", "web-tls", scene.name)
    ca = scene.ca()
    mark = scene.site.audit.mark()
    scene.certificate(ca)
    scene.refused("Certificate", "web", "SecretNotOurs")
    scene.event("web", "SecretNotOurs")
    operator.idle()
    written = [(e.verb, e.resource, e.code) for e in scene.site.writes(mark, scene.name) if e.resource != "events"]
    assert written == [("create", "secrets", 409), ("update", "certificates", 200)]


@pytest.mark.parametrize("what", ["root-1", "intermediate-1-1"])
def test_a_foreign_secret_in_the_place_of_an_authority(scene: Scene, operator: Operator, what: str) -> None:
    ca, other = fresh("ca"), scene.ca()
    mine = foreign(scene, "Secret", f"{ca}-{what}", SYSTEM)
    try:
        scene.put_ca(ca)
        message = scene.refused("PrivateCA", ca, "SecretNotOurs", f"Secret {ca}-{what}", "delete or rename it")
        assert scene.event(ca, "SecretNotOurs") == message
        scene.issued(other)
        operator.idle()
        assert scene.api.get("Secret", f"{ca}-{what}", SYSTEM) == mine
    finally:
        scene.api.delete("Secret", f"{ca}-{what}", SYSTEM)
    scene.put_ca(ca, leaf={"duration": "24h"})
    scene.ready("PrivateCA", ca)


def test_a_foreign_trust_store(scene: Scene, operator: Operator) -> None:
    mine = foreign(scene, "ConfigMap", "anchorline-trust", scene.name)
    ca = scene.ca()
    scene.trust(ca)
    note = scene.event(scene.name, "ConfigMapNotOurs")
    assert "left as it is" in note
    operator.idle()
    assert scene.store() == mine
    assert not scene.labelled, "no pod is pointed at somebody else's file"
    scene.api.delete("ConfigMap", "anchorline-trust", scene.name)
    scene.trust(ca, hurry="please")
    awaited(lambda: scene.labelled, "the trust store came, and the label")


def test_a_config_map_with_our_label_that_is_no_trust_store(scene: Scene, operator: Operator) -> None:
    mine = foreign(scene, "ConfigMap", "anchorline-trust", scene.name, OURS)
    scene.trust(scene.ca())
    scene.event(scene.name, "ConfigMapNotOurs")
    operator.idle()
    assert scene.store() == mine


def test_a_secret_of_ours_with_another_role_in_the_place_of_a_leaf(scene: Scene, operator: Operator) -> None:
    mine = foreign(scene, "Secret", "web-tls", scene.name, {**OURS, "anchorline.dev/role": "intermediate"})
    scene.certificate(scene.ca())
    scene.refused("Certificate", "web", "SecretNotOurs", "web-tls")
    operator.idle()
    assert scene.secret() == mine


def test_a_secret_that_calls_itself_an_authority_elsewhere_counts_for_nothing(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    real = scene.api.get("Secret", f"{ca}-root-1", SYSTEM)
    assert real is not None
    labels = {**real["metadata"]["labels"], "anchorline.dev/generation": "9"}
    planted = {"name": f"{ca}-root-9", "namespace": scene.name, "labels": labels}
    scene.api.create({"kind": "Secret", "metadata": planted, "data": {"tls.crt": "eA=="}})
    scene.issued(ca)
    operator.idle()
    assert [each["number"] for each in scene.resource("PrivateCA", ca)["status"]["generations"]] == [1]
