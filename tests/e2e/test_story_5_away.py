"""Story 5: the operator's pod is deleted in the middle of everything; the webhook is away while pods are created."""

import json
import threading

from tests.e2e.stage import SYSTEM, Object, Stage, awaited, container, pod, pod_spec

COMPONENT = "app.kubernetes.io/component"
AT_ONCE = ("--grace-period=0", "--force", "--wait=false")
PODS = 16


def kill(stage: Stage, component: str) -> set[str]:
    """Delete every pod of a component at once, and return what they were called."""
    names = {each["metadata"]["name"] for each in stage.items("pods", SYSTEM, f"{COMPONENT}={component}")}
    stage.kubectl("delete", "pods", "-n", SYSTEM, *names, *AT_ONCE)
    return names


def versions(stage: Stage, *places: tuple[str, str]) -> dict[str, str]:
    """Return the version of each Secret that is ours."""
    found: list[Object] = []
    for kind, namespace in places:
        found += stage.items(kind, namespace, "anchorline.dev/managed=true")
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found}


def test_the_operators_pod_is_deleted_while_certificates_are_issued(stage: Stage) -> None:
    stage.authority("steady")
    stage.namespace("steady", trust="steady")
    stage.certificate("before", "steady", "steady")
    places = (("secrets", SYSTEM), ("secrets", "steady"), ("configmaps", "steady"))
    before = versions(stage, *places)
    names = [f"c{number}" for number in range(12)]
    stage.apply(
        *(
            {
                "apiVersion": "anchorline.dev/v1alpha1",
                "kind": "Certificate",
                "metadata": {"name": name, "namespace": "steady"},
                "spec": {"caRef": {"name": "steady"}, "secretName": f"{name}-tls", "dnsNames": [f"{name}.steady.svc"]},
            }
            for name in names
        )
    )
    gone = kill(stage, "operator")
    for name in names:
        stage.ready("certificate", name, "steady")
    issued = {each["metadata"]["name"]: each["status"]["revision"] for each in stage.items("certificates", "steady")}
    after = versions(stage, *places)
    changed = [name for name, version in before.items() if after.get(name) != version]
    twice = [name for name, revision in issued.items() if revision != 1]
    stage.show(
        "Story 5: the operator's pod is deleted while 12 certificates are issued",
        [
            f"deleted {', '.join(gone)}; all 12 Ready; issued more than once: {twice}",
            f"Secrets and trust stores that were there before and changed: {changed}",
        ],
    )
    assert set(issued.values()) == {1}
    assert changed == []


def test_pods_start_while_every_webhook_replica_is_gone(stage: Stage) -> None:
    stage.authority("steady")
    stage.namespace("steady", trust="steady")
    spec = pod_spec(container("true"))
    pods = [pod(f"p{number}", "steady", spec, labels={"away": "yes"}) for number in range(PODS)]
    thread = threading.Thread(target=lambda: [stage.apply(each) for each in pods])
    thread.start()
    awaited(lambda: len(stage.items("pods", "steady", "away=yes")) > 2, "pods are being created")
    gone = kill(stage, "webhook")
    thread.join()
    over = stage.ended("steady", "away=yes", PODS)
    assert [each["status"]["phase"] for each in over] == ["Succeeded"] * PODS
    without = [each["metadata"]["name"] for each in over if "anchorline.dev/injected" not in each["metadata"]["labels"]]
    found = json.loads(stage.kubectl("get", "events", "-A", "-o", "json").stdout)["items"]
    told = [each["message"] for each in found if "without trust" in each.get("message", "")]
    stage.show(
        "Story 5: both webhook replicas are deleted while pods are created",
        [
            f"deleted {', '.join(sorted(gone))}; {PODS} of {PODS} pods ran; without trust: {without}",
            f"told: {told}",
        ],
    )
    stage.kubectl("wait", "-n", SYSTEM, "deployment/anchorline-webhook", "--for=condition=Available", "--timeout=90s")
    _injected_again(stage)


def _injected_again(stage: Stage) -> None:
    """A pod that is created once the webhook is back has trust again: its address may take a second to be known."""

    def look() -> bool:
        stage.kubectl("delete", "pod", "again", "-n", "steady", "--ignore-not-found", *AT_ONCE)
        stage.apply(pod("again", "steady", pod_spec(container("true"))))
        return "anchorline.dev/injected" in stage.get("pod", "again", "steady")["metadata"].get("labels", {})

    awaited(look, "pods have trust again", seconds=30)
