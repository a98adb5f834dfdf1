"""Story 6: every kind of workload, in a namespace with Pod Security `restricted` and a ResourceQuota."""

from typing import Any

import pytest
from tests.e2e.stage import Object, Stage, awaited, container

RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
PYTHON = "python3 /opt/clients/client.py"
SPACE = "strict"


def template(url: str, app: str, **more: Any) -> Object:
    """A pod in which an init container, a sidecar and the main container each need trust."""
    asks = f"{PYTHON} {url} once"
    first = container("sh", "-c", asks, name="first", resources=RESOURCES)
    waits = f"{asks} && trap 'exit 0' TERM && while :; do sleep 1; done"
    beside = container("sh", "-c", waits, name="beside", restartPolicy="Always", resources=RESOURCES)
    stays = asks if more.get("restartPolicy") == "Never" else waits
    main = container("sh", "-c", stays, resources=RESOURCES)
    spec = {"initContainers": [first, beside], "containers": [main], "terminationGracePeriodSeconds": 2, **more}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def workload(group: str, kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": SPACE}, "spec": spec}


@pytest.fixture
def url(stage: Stage) -> str:
    """A server, and the strict namespace beside it."""
    stage.authority("internal")
    stage.namespace("shop")
    stage.namespace(SPACE, trust="internal", labels={"pod-security.kubernetes.io/enforce": "restricted"})
    hard = {"pods": "12", "requests.cpu": "2", "requests.memory": "2Gi", "limits.memory": "2Gi"}
    stage.apply(workload("v1", "ResourceQuota", "quota", {"hard": hard}))
    return stage.server("web", "shop", "internal")


def test_every_kind_of_workload_has_trust_in_every_container(stage: Stage, url: str) -> None:
    once = {"restartPolicy": "Never"}
    job = {"backoffLimit": 0, "template": template(url, "job", **once)}
    cron = {
        "schedule": "0 0 1 1 *",
        "jobTemplate": {"spec": {"backoffLimit": 0, "template": template(url, "cron", **once)}},
    }
    stage.apply(
        workload("batch/v1", "Job", "job", job),
        workload("batch/v1", "CronJob", "cron", cron),
        *(
            workload(
                "apps/v1",
                kind,
                name,
                {"selector": {"matchLabels": {"app": name}}, **more, "template": template(url, name)},
            )
            for kind, name, more in (
                ("Deployment", "deployment", {"replicas": 1}),
                ("StatefulSet", "stateful", {"replicas": 1, "serviceName": "stateful"}),
                ("DaemonSet", "daemon", {}),
            )
        ),
    )
    stage.kubectl("create", "job", "by-cron", "--from=cronjob/cron", "-n", SPACE)
    for name in ("job", "by-cron"):
        stage.kubectl("wait", f"job/{name}", "-n", SPACE, "--for=condition=Complete", "--timeout=120s")
    for name in ("deployment/deployment", "statefulset/stateful", "daemonset/daemon"):
        stage.kubectl("rollout", "status", name, "-n", SPACE, "--timeout=120s")
    lines = []
    for each in stage.items("pods", SPACE):
        said = {
            part: stage.logs(each["metadata"]["name"], SPACE, "-c", part).split()
            for part in ("first", "beside", "main")
        }
        lines.append(
            f"{each['metadata']['name']:<32} {'  '.join(f'{part}: {words[0]}' for part, words in said.items())}"
        )
        assert {words[0] for words in said.values()} == {"ok"}, lines[-1]
    stage.show("Story 6: Pod Security restricted, ResourceQuota, every kind of workload", sorted(lines))
    assert len(lines) == 5


def test_an_ephemeral_container_joins_an_injected_pod(stage: Stage, url: str) -> None:
    name = "debugged"
    # The debugger's profile asks for a user that is not root, and leaves it to the pod which one.
    spec = template(url, name, securityContext={"runAsUser": 10001})
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SPACE}, "spec": spec["spec"]}
    stage.apply(body)
    stage.ready("pod", name, SPACE)
    image = spec["spec"]["containers"][0]["image"]
    command = (
        "--image",
        image,
        "--profile=restricted",
        "--image-pull-policy=IfNotPresent",
        "-c",
        "look",
        "--target=main",
    )
    stage.kubectl("debug", name, "-n", SPACE, *command, "--", "true")

    def ended() -> bool:
        found = stage.get("pod", name, SPACE)["status"].get("ephemeralContainerStatuses", [])
        return any("terminated" in each["state"] and each["state"]["terminated"]["exitCode"] == 0 for each in found)

    awaited(ended, "the ephemeral container has run")
