"""Pods that were created while the webhook was away, as it always is here: found, said once, and forgotten again."""

import re
import time
from collections.abc import Iterator

import pytest
from tests.contract.conftest import Scene, a_scene
from tests.support.operator import Object, Operator, Site, awaited, condition

pytestmark = pytest.mark.contract
TRUST = "anchorline.dev/trust"


@pytest.fixture(scope="module")
def restarted(site: Site) -> Iterator[Operator]:
    """An operator that looks for such pods whenever a test starts it anew."""
    process = Operator(site, "pod-counting")
    try:
        yield process.start()
    finally:
        process.end()


@pytest.fixture
def stage(restarted: Operator) -> Iterator[Scene]:
    """A scene with that operator."""
    yield from a_scene(restarted.site)


def labelled_long_ago(stage: Scene) -> None:
    """Wait until the next pod is of a later second than the label."""
    awaited(lambda: stage.labelled, "the namespace is labelled")
    fields = stage.resource("Namespace", stage.name)["metadata"]["managedFields"]
    (since,) = (each["time"] for each in fields if f"f:{TRUST}" in each["fieldsV1"]["f:metadata"].get("f:labels", ()))
    awaited(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > since, "a second later")


def a_pod(stage: Scene, name: str, *, annotations: Object | None = None, **spec: object) -> None:
    body = {"containers": [{"name": "main", "image": "none"}], "terminationGracePeriodSeconds": 0, **spec}
    metadata = {"name": name, "namespace": stage.name, "annotations": annotations or {}}
    awaited(lambda: stage.api.get("ServiceAccount", "default", stage.name), "the namespace's service account")
    stage.api.create({"kind": "Pod", "metadata": metadata, "spec": body})


def again(operator: Operator) -> None:
    operator.stop()
    operator.start()


def told(stage: Scene, ca: str) -> str:
    return str(condition(stage.resource("PrivateCA", ca), "Distributed")["message"])


@pytest.mark.usefixtures("counted")
def test_they_are_told_of_once_until_they_are_gone(stage: Scene, restarted: Operator) -> None:
    ca = stage.ca()
    stage.pod("older", {})
    stage.trust(ca)
    labelled_long_ago(stage)
    a_pod(stage, "web")
    a_pod(stage, "own-will", annotations={"anchorline.dev/inject": "false"})
    a_pod(stage, "other-os", os={"name": "windows"})
    stage.pod("injected", {"anchorline.dev/injected": "true"})
    again(restarted)
    note = stage.event(stage.name, "PodsWithoutTrust")
    assert re.fullmatch(rf"1 running pod was created without trust in namespace {stage.name}, .* restart: web .*", note)
    awaited(lambda: f"({stage.name}/web): restart them" in told(stage, ca), "the status of the CA")
    assert stage.resource("PrivateCA", ca)["status"]["podsWithoutTrust"] == {"count": 1, "pods": [f"{stage.name}/web"]}
    assert restarted.metric("anchorline_pods_without_trust") == 1

    restarted.idle()
    mark = stage.site.audit.mark()
    again(restarted)
    awaited(lambda: restarted.metric("anchorline_pods_without_trust") == 1, "the pods are counted")
    restarted.idle()
    assert stage.site.writes(mark) == []

    stage.api.delete("Pod", "web", stage.name)
    again(restarted)
    awaited(lambda: "podsWithoutTrust" not in stage.resource("PrivateCA", ca)["status"], "nothing to tell any more")
    assert told(stage, ca) == "all 1 namespaces that ask have these roots"
    assert restarted.metric("anchorline_pods_without_trust") == 0
