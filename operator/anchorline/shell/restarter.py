"""Opt-in: while an old root retires, workloads that asked for it are restarted, a few at a time, each waited for."""

import asyncio
import logging
from datetime import datetime

from anchorline.api import naming
from anchorline.api.privateca import Phase
from anchorline.errors import ClusterError
from anchorline.kube.observe import Observer
from anchorline.kube.workloads import restart, willing
from anchorline.kube.world import World
from anchorline.plan.restarts import Workload, restarts, token_of
from anchorline.plan.world import NamespaceSeen

log = logging.getLogger("anchorline.restart")

EVERY_SECONDS = 5.0


class Restarter:
    """Looks at running rotations every few seconds."""

    def __init__(self, world: World, observer: Observer) -> None:
        self._world, self._observer = world, observer

    async def run(self) -> None:
        """Restart until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            for name in tuple(self._world.cas):
                try:
                    await self._look(name)
                except ClusterError as error:
                    log.warning("cannot restart workloads", extra={"authority": name, "why": error.message})

    async def _look(self, name: str) -> None:
        roots = sorted(self._observer.material(name).roots, key=lambda root: root.generation)
        if len(roots) < 2 or not any(root.phase is Phase.RETIRING for root in roots):
            return
        ca, incoming = self._world.cas[name], roots[-1]
        if ca.spec.rotation.paused:
            return
        token = token_of(name, incoming.generation)
        found: list[Workload] = []
        for namespace in self._observer.asking(ca):
            found += await self._willing(namespace, incoming.since)
        for workload in restarts(found, token):
            log.info("restarting", extra={"workload": str(workload), "rotation": token})
            await restart(self._world.client, workload, token)

    async def _willing(self, namespace: NamespaceSeen, readable: datetime) -> list[Workload]:
        all_of_it = (namespace.annotation(naming.RESTART_ANNOTATION) or "").lower() == "true"
        return await willing(self._world.client, namespace.name, all_of_it=all_of_it, readable=readable)
