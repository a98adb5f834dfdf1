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


def versions(stage: Stage) -> dict[str, str]:
    """Return the version of each object of this CA and of its namespace; others go on with their own work meanwhile."""
    found: list[Object] = stage.items("secrets", SYSTEM, "anchorline.dev/authority=steady")
    for kind in ("secrets", "configmaps"):
        found += stage.items(kind, "steady", "anchorline.dev/managed=true")
    return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found}


def test_the_operators_pod_is_deleted_while_certificates_are_issued(stage: Stage) -> None:
    stage.authority("steady")
    stage.namespace("steady", trust="steady")
    stage.certificate("before", "steady", "steady")
    before = versions(stage)
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
    after = versions(stage)
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
    spec = pod_spec(container("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"))
    names = [f"p{number}" for number in range(PODS)]
    thread = threading.Thread(
        target=lambda: [stage.apply(pod(name, "steady", spec, labels={"away": "yes"})) for name in names]
    )
    thread.start()
    awaited(lambda: len(stage.items("pods", "steady", "away=yes")) > 2, "pods are being created")
    gone = kill(stage, "webhook")
    thread.join()
    for name in names:
        stage.ready("pod", name, "steady")
    without = sorted(
        each["metadata"]["name"]
        for each in stage.items("pods", "steady", "away=yes")
        if "anchorline.dev/injected" not in each["metadata"]["labels"]
    )
    assert without, "the webhook was back before any pod was created"
    stage.kubectl("wait", "-n", SYSTEM, "deployment/anchorline-webhook", "--for=condition=Available", "--timeout=90s")
    _injected_again(stage)
    note = awaited(lambda: told(stage, without), "an event names the pods without trust", seconds=180)
    sentence = awaited(lambda: distributed(stage, without), "the status of the CA tells of them")
    stage.show(
        "Story 5: both webhook replicas are deleted while pods are created",
        [
            f"deleted {', '.join(sorted(gone))}; {PODS} of {PODS} pods run; without trust: {', '.join(without)}",
            f"event on the namespace: {note}",
            f"status of the PrivateCA: {sentence}",
        ],
    )
    stage.kubectl("delete", "pods", "-n", "steady", "-l", "away=yes", *AT_ONCE)


def told(stage: Stage, pods: list[str]) -> str:
    """What an event on the namespace says of these pods, "" while there is none."""
    found = json.loads(stage.kubectl("get", "events", "-A", "-o", "json").stdout)["items"]
    notes = [each["message"] for each in found if each["reason"] == "PodsWithoutTrust"]
    return next((note for note in notes if note.startswith(f"{len(pods)} ") and pods[0] in note), "")


def distributed(stage: Stage, pods: list[str]) -> str:
    """What the CA says of its distribution, once it counts these pods."""
    status = stage.get("privateca", "steady")["status"]
    if status.get("podsWithoutTrust", {}).get("count") != len(pods):
        return ""
    return next(str(each["message"]) for each in status["conditions"] if each["type"] == "Distributed")


def _injected_again(stage: Stage) -> None:
    """A pod that is created once the webhook is back has trust again: its address may take a second to be known."""

    def look() -> bool:
        stage.kubectl("delete", "pod", "again", "-n", "steady", "--ignore-not-found", *AT_ONCE)
        stage.apply(pod("again", "steady", pod_spec(container("true"))))
        return "anchorline.dev/injected" in stage.get("pod", "again", "steady")["metadata"].get("labels", {})

    awaited(look, "pods have trust again", seconds=30)
