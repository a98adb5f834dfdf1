"""Story 4, with rotation.nudgePods and rotation.restartWorkloads: what a rotation then does to pods, and how fast."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.e2e.conftest import install
from tests.e2e.runtimes import REACHED, refused
from tests.e2e.stage import Object, Stage, awaited, container, pod, pod_spec

from anchorline.lab import AuditLog

SPACE = "nudged"
READERS = 5
OPTIONS = ("rotation.nudgePods", "rotation.restartWorkloads")
# The file of a nudged pod follows within seconds: the time for it may be as short.
SOON = {"propagation": "5s", "reissueOver": "0s", "overlap": "5s"}
# Prints when, and how many private roots there are, whenever the file has changed.
READER = """\
while sleep 0.05; do
  now=$(sha256sum < /etc/anchorline/trust/private-ca.crt)
  [ "$now" = "$before" ] && continue
  before=$now
  echo "$(date +%s.%N) $(grep -c BEGIN /etc/anchorline/trust/private-ca.crt)"
done
"""
RELOADING = tuple(each for each in REACHED if each.name in {"curl", "openssl", "python", "perl"})


@pytest.fixture
def nudging(stage: Stage, chart: Path) -> Iterator[Stage]:
    """The chart with both options, for as long as these stories last."""
    install(stage, chart, *(f"--set={option}=true" for option in OPTIONS))
    yield stage
    install(stage, chart, *(f"--set={option}=false" for option in OPTIONS))


def rotate(stage: Stage, ca: str, *words: str) -> float:
    """Give the command that a user types; returns when it was given."""
    began = time.time()
    command = (sys.executable, "-m", "anchorline", "rotate", ca, "--kubeconfig", str(stage.cluster.kubeconfig), *words)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return began


def roots(stage: Stage, ca: str) -> dict[int, str]:
    """Phase of each root that a CA ever had."""
    status = stage.get("privateca", ca)["status"]
    return {each["number"]: each["phase"] for each in status["generations"]}


def deployment(name: str, **annotations: str) -> Object:
    spec = {"containers": [container("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done")]}
    body = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {**spec, "terminationGracePeriodSeconds": 2}},
    }
    metadata = {"name": name, "namespace": SPACE, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": body}


def revision(stage: Stage, name: str) -> int:
    """How many templates a Deployment has rolled out."""
    return int(stage.get("deployment", name, SPACE)["metadata"]["annotations"]["deployment.kubernetes.io/revision"])


def rolled_out(stage: Stage, name: str) -> None:
    stage.kubectl("rollout", "status", f"deployment/{name}", "-n", SPACE, "--timeout=120s")


def read(stage: Stage, number: int, count: int) -> float | None:
    """When a reader's file first had so many roots."""
    lines = (line.split() for line in stage.logs(f"reader-{number}", SPACE).splitlines())
    return next((float(words[0]) for words in lines if words[1:] == [str(count)]), None)


class Store:
    """When the trust store was written, by the API server's own record; a user's cluster shows us none."""

    def __init__(self, log: Path | None) -> None:
        self._log = AuditLog(log) if log else None
        self._mark = self._log.mark() if self._log else 0

    def followed(self, at: list[float]) -> str:
        """Say how long after the write something was."""
        if self._log is None:
            return "in a time that is not known here"
        written = awaited(self._written, "the write of the store is on record")
        return f"after {', '.join(f'{each - written:.1f}' for each in sorted(at))} s"

    def _written(self) -> float | None:
        assert self._log is not None
        writes = self._log.since(self._mark, verbs={"update"}, resource="configmaps", namespace=SPACE)
        return datetime.fromisoformat(writes[-1].time).timestamp() if writes else None


def test_a_rotation_reaches_running_pods_and_restarts_what_asked_for_it_once(nudging: Stage) -> None:
    stage = nudging
    stage.authority("swift", rotation=SOON, leaf={"duration": "1m"})
    stage.namespace(SPACE, trust="swift")
    stage.certificate("web", SPACE, "swift", duration="1m", renewBefore="30s")
    readers = [pod(f"reader-{n}", SPACE, pod_spec(container("sh", "-c", READER))) for n in range(READERS)]
    asked, silent = deployment("asked", **{"anchorline.dev/restart-on-rotation": "true"}), deployment("silent")
    stage.apply(*readers, asked, silent)
    for name in ("asked", "silent"):
        rolled_out(stage, name)
    for number in range(READERS):
        awaited(lambda number=number: read(stage, number, 1), f"reader {number} reads")  # type: ignore[misc]

    record = Store(stage.cluster.audit_log)
    rotate(stage, "swift", "--reason", "a drill")
    at = [awaited(lambda n=n: read(stage, n, 2), f"reader {n} has both roots") for n in range(READERS)]  # type: ignore[misc]
    notes = stage.get("pod", "reader-0", SPACE)["metadata"]["annotations"]
    lines = [f"the files of {READERS} running pods follow the write of the store {record.followed(at)}"]
    assert "anchorline.dev/nudged" in notes

    awaited(lambda: revision(stage, "asked") == 2, "the Deployment that asked is restarted", seconds=300)
    rolled_out(stage, "asked")
    # What did not ask is waited for: its processes may have read their trust once.
    assert roots(stage, "swift")[1] == "Retiring"
    names = [f"pod/reader-{number}" for number in range(READERS)]
    stage.kubectl("delete", "-n", SPACE, "deployment/silent", *names, "--wait=false")
    awaited(lambda: roots(stage, "swift")[1] == "Retired", "the old root is retired", seconds=300)
    revisions = revision(stage, "asked")
    lines.append(f"rollouts of the Deployment that asked for restarts, by the end: {revisions - 1}")
    stage.show("Story 4: a rotation with nudging and restarts", lines)
    assert revisions == 2


def test_a_compromised_root_is_trusted_for_seconds_only(nudging: Stage) -> None:
    """Whoever stole key and certificate before serves on; every client that reads its trust anew turns away."""
    stage = nudging
    stage.authority("stolen", rotation=SOON)
    stage.namespace("loot")
    stage.namespace(SPACE, trust="stolen")
    stage.certificate("thief", "loot", "stolen")
    secret = stage.get("secret", "thief-tls", "loot")
    copy = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "copied", "namespace": "loot"}}
    stage.apply({**copy, "data": secret["data"]})
    url = stage.serve("thief", "loot", "copied")
    stage.apply(*(pod(each.name, SPACE, pod_spec(container(*each.asks(url, "count")))) for each in RELOADING))
    for each in RELOADING:
        awaited(lambda name=each.name: "ok" in stage.logs(name, SPACE), f"{each.name} connects")  # type: ignore[misc]

    old = stage.get("configmap", "anchorline-trust", SPACE)["data"]["private-ca.crt"].strip()
    began = rotate(stage, "stolen", "--compromised", "--reason", "a laptop was stolen")
    awaited(lambda: old not in store(stage), "the old root is in no store", seconds=120)
    gone = time.time()
    ends = {each.name: awaited(lambda name=each.name: turned_away(stage, name), each.name) for each in RELOADING}  # type: ignore[misc]
    lines = [
        f"no store holds the old root after {gone - began:.1f} s from the command",
        *(f"{name:<8} trusts it no more after {moment - began:.1f} s" for name, moment in ends.items()),
        f"no pod that reads its trust anew trusts it after {max(ends.values()) - began:.1f} s",
    ]
    stage.show("Story 4: a compromised root, with nudging", lines)


def store(stage: Stage) -> str:
    return str(stage.get("configmap", "anchorline-trust", SPACE)["data"]["private-ca.crt"])


def turned_away(stage: Stage, name: str) -> float | None:
    """When a client refused the certificate for the first time."""
    for line in stage.logs(name, SPACE, "--timestamps").splitlines():
        moment, _, said = line.partition(" ")
        if said.startswith("FAIL"):
            assert refused(said), said
            return datetime.fromisoformat(moment).timestamp()
    return None
