"""The look for pods that were created without trust: one list of metadata, and whole pods only of what stands out."""

from collections import defaultdict
from typing import Any

from anchorline.api import naming, times
from anchorline.kube.resources import PODS
from anchorline.kube.workloads import RUNNING
from anchorline.kube.world import World
from anchorline.plan.overlooked import overlooked, spared, suspects
from anchorline.plan.world import NamespaceSeen, PodSeen

NOT_INJECTED = f"!{naming.INJECTED_LABEL}"
_ALWAYS_EXEMPT = "kube-system"


class Overlooked:
    """Finds them again and again; what it knows of a pod's spec, which does not change, it keeps."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._exempt = frozenset({_ALWAYS_EXEMPT, world.surroundings.namespace})
        self._known: dict[str, bool] = {}

    async def look(self) -> dict[str, tuple[str, ...]]:
        """Names of such pods, by namespace, both in order. Raises ClusterError."""
        namespaces = {each.name: each for each in self._world.namespaces.values()}
        if not any(naming.is_enabled(each.label(naming.TRUST)) for each in namespaces.values()):
            return {}
        found = await self._suspects(namespaces)
        for namespace in {each.namespace for each in found if each.uid not in self._known}:
            await self._learn(namespace)
        self._known = {each.uid: self._known[each.uid] for each in found if each.uid in self._known}
        names: dict[str, list[str]] = defaultdict(list)
        for each in found:
            if self._known.get(each.uid):
                names[each.namespace].append(each.name)
        return {namespace: tuple(sorted(names[namespace])) for namespace in sorted(names)}

    async def _suspects(self, namespaces: dict[str, NamespaceSeen]) -> list[PodSeen]:
        found: list[PodSeen] = []
        known = {uid for uid, verdict in self._known.items() if verdict}
        pages = self._world.client.pages(PODS, labels=NOT_INJECTED, fields=RUNNING, metadata_only=True)
        async for page in pages:
            if page.first:
                found = []
            found += suspects(map(_seen, page.items), namespaces, self._exempt, known)
        return found

    async def _learn(self, namespace: str) -> None:
        """Look at the whole of a namespace's pods that have no label; a pod that is gone meanwhile stays unknown."""
        async for page in self._world.client.pages(PODS, namespace, labels=NOT_INJECTED, fields=RUNNING):
            for pod in page.items:
                self._known[pod["metadata"]["uid"]] = overlooked(pod)


def _seen(obj: dict[str, Any]) -> PodSeen:
    meta = obj["metadata"]
    return PodSeen(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        created=times.parse_time(meta["creationTimestamp"]),
        spared=spared(meta),
    )
