"""Story 1: the chart with nothing but the image; upgrade while certificates are issued; uninstall and re-install."""

import time
from pathlib import Path

from tests.e2e.conftest import install
from tests.e2e.stage import SYSTEM, Object, Stage, awaited

DEPLOYMENTS = ("anchorline-operator", "anchorline-webhook")
MANY = 12


def available(stage: Stage) -> dict[str, int]:
    return {name: stage.get("deployment", name, SYSTEM)["status"].get("availableReplicas", 0) for name in DEPLOYMENTS}


def content(stage: Stage, *places: tuple[str, str]) -> dict[str, tuple[str, str]]:
    """Identity and version of every Secret and trust store."""
    found = {}
    for kind, namespace in places:
        for each in stage.items(kind, namespace):
            metadata = each["metadata"]
            found[f"{kind} {namespace}/{metadata['name']}"] = (metadata["uid"], metadata["resourceVersion"])
    return {key: value for key, value in found.items() if "sh.helm" not in key and "kube-root-ca" not in key}


def certificate(number: int) -> Object:
    spec = {"caRef": {"name": "first"}, "secretName": f"c{number}-tls", "dnsNames": [f"c{number}.first.svc"]}
    metadata = {"name": f"c{number}", "namespace": "first"}
    return {"apiVersion": "anchorline.dev/v1alpha1", "kind": "Certificate", "metadata": metadata, "spec": spec}


def test_install_upgrade_uninstall_and_install_again(bare: Stage, chart: Path) -> None:
    stage, began = bare, time.monotonic()
    install(stage, chart)
    lines = [f"helm install --wait: {time.monotonic() - began:.1f} s, available {available(stage)}"]
    assert available(stage) == {"anchorline-operator": 1, "anchorline-webhook": 2}
    stage.authority("first", deletionPolicy="Retain")
    stage.namespace("first", trust="first")

    stage.apply(*(certificate(number) for number in range(MANY)))
    began = time.monotonic()
    install(stage, chart, "--set=logLevel=debug", "--set=webhook.replicas=3")
    for number in range(MANY):
        stage.ready("certificate", f"c{number}", "first")
    lines.append(f"helm upgrade while {MANY} certificates are issued: {time.monotonic() - began:.1f} s, all Ready")
    issued = [each["status"]["revision"] for each in stage.items("certificates", "first")]
    assert issued == [1] * MANY

    places = (("secrets", SYSTEM), ("secrets", "first"), ("configmaps", "first"))
    before = content(stage, *places)
    stage.cluster.helm("uninstall", "anchorline", "--namespace", SYSTEM, "--wait")
    awaited(lambda: not stage.items("pods", SYSTEM), "every pod of ours is gone", seconds=90)
    assert content(stage, *places) == before
    began = time.monotonic()
    install(stage, chart)
    stage.ready("privateca", "first")
    stage.certificate("late", "first", "first")  # it works again
    after = content(stage, *places)
    changed = [key for key, value in before.items() if after.get(key) != value]
    lines.append(
        f"uninstall and install again: {time.monotonic() - began:.1f} s, {len(before)} objects, changed {changed}"
    )
    stage.show("Story 1: the chart", lines)
    assert changed == []
