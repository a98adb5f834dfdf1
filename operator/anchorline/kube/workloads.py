"""Workloads and their pods, for the two things that a rotation may do to them when it is allowed: restart and nudge."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from anchorline.api import naming, times
from anchorline.kube.client import Client
from anchorline.kube.resources import CONTROLLER_KINDS, PODS, Resource
from anchorline.plan.restarts import Workload

RUNNING = "status.phase!=Succeeded,status.phase!=Failed"


async def injected_pods(client: Client, namespace: str) -> list[dict[str, Any]]:
    """Pods of a namespace that have the trust store mounted and may still run."""
    listing = await client.list(PODS, namespace, labels=f"{naming.INJECTED_LABEL}=true", fields=RUNNING)
    return listing.items


async def willing(client: Client, namespace: str, *, all_of_it: bool, readable: datetime) -> list[Workload]:
    """Workloads of a namespace that asked for restarts (`all_of_it`: the namespace asked for all of them)."""
    pods = [each for each in await injected_pods(client, namespace) if _older(each, readable)]
    found = []
    for resource in CONTROLLER_KINDS:
        listing = await client.list(resource, namespace)
        found += [_workload(resource, each, pods) for each in listing.items if all_of_it or _asked(each)]
    return found


def _older(pod: Mapping[str, Any], readable: datetime) -> bool:
    return times.parse_time(pod["metadata"]["creationTimestamp"]) < readable


def _asked(obj: Mapping[str, Any]) -> bool:
    return str((obj["metadata"].get("annotations") or {}).get(naming.RESTART_ANNOTATION)).lower() == "true"


def _workload(resource: Resource, obj: Mapping[str, Any], old: list[dict[str, Any]]) -> Workload:
    template = obj["spec"]["template"]["metadata"]
    return Workload(
        kind=resource.kind,
        namespace=obj["metadata"]["namespace"],
        name=obj["metadata"]["name"],
        token=(template.get("annotations") or {}).get(naming.RESTARTED_ANNOTATION, ""),
        rolled_out=_rolled_out(resource, obj),
        old_pods=sum(1 for pod in old if _selects(obj["spec"]["selector"], pod["metadata"].get("labels") or {})),
    )


def _rolled_out(resource: Resource, obj: Mapping[str, Any]) -> bool:
    """Whether every pod is of the newest template and ready (as `kubectl rollout status` judges)."""
    status = obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return False
    if resource.kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(status.get("updatedNumberScheduled", 0) == wanted and status.get("numberAvailable", 0) == wanted)
    wanted = obj["spec"].get("replicas", 1)
    current = status.get("updatedReplicas", 0) == wanted and status.get("readyReplicas", 0) == wanted
    return bool(current and status.get("replicas", 0) == wanted)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(each, labels.get(each["key"])) for each in selector.get("matchExpressions") or ())


def _meets(requirement: Mapping[str, Any], value: str | None) -> bool:
    match requirement["operator"]:
        case "In":
            return value in tuple(requirement["values"])
        case "NotIn":
            return value not in tuple(requirement["values"])
        case "Exists":
            return value is not None
        case _:
            return value is None


async def restart(client: Client, workload: Workload, token: str) -> None:
    """Roll a workload out once more: its pod template is told for which rotation."""
    resource = next(each for each in CONTROLLER_KINDS if each.kind == workload.kind)
    template = {"metadata": {"annotations": {naming.RESTARTED_ANNOTATION: token}}}
    await client.merge_patch(resource, workload.name, workload.namespace, {"spec": {"template": template}})


async def nudge(client: Client, namespace: str, pod: str, word: str) -> None:
    """Touch an annotation of a pod: its kubelet then brings changed ConfigMaps at once."""
    patch = {"metadata": {"annotations": {naming.NUDGED_ANNOTATION: word}}}
    await client.merge_patch(PODS, pod, namespace, patch)


def by_node(pods: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Names of pods with their nodes, one of each node after the other, so that no kubelet gets all at once."""
    nodes: dict[str, list[str]] = {}
    for pod in pods:
        nodes.setdefault(pod["spec"].get("nodeName", ""), []).append(pod["metadata"]["name"])
    nodes.pop("", None)  # a pod that has no node has no kubelet to be told
    for turn in range(max(map(len, nodes.values()), default=0)):
        for node, names in nodes.items():
            if turn < len(names):
                yield node, names[turn]
