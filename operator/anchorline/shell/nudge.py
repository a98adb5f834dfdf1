"""Opt-in: after a trust store changed, its pods' kubelets are told, within bounds per second and per node."""

import asyncio
import logging
from hashlib import sha256

from anchorline.errors import ClusterError
from anchorline.kube.client import Client
from anchorline.kube.workloads import by_node, injected_pods, nudge

log = logging.getLogger("anchorline.nudge")

PER_SECOND = 20.0
PER_NODE_SECONDS = 0.5


class Nudger:
    """Touches injected pods of namespaces whose trust store changed; failing to is harmless, only slower."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._namespaces: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._node_free_at: dict[str, float] = {}

    def changed(self, namespace: str, content: str) -> None:
        """A trust store has other content now, named by a digest."""
        self._namespaces.put_nowait((namespace, sha256(content.encode()).hexdigest()[:16]))

    async def run(self) -> None:
        """Nudge until cancelled."""
        while True:
            namespace, word = await self._namespaces.get()
            try:
                await self._nudge(namespace, word)
            except ClusterError as error:
                log.warning("cannot nudge pods", extra={"namespace": namespace, "why": error.message})

    async def _nudge(self, namespace: str, word: str) -> None:
        for node, pod in by_node(await injected_pods(self._client, namespace)):
            await self._turn(node)
            try:
                await nudge(self._client, namespace, pod, word)
            except ClusterError as error:
                log.info("cannot nudge pod", extra={"pod": f"{namespace}/{pod}", "why": error.message})

    async def _turn(self, node: str) -> None:
        """Keep to the bounds: so many a second, and one at a time for each node."""
        loop = asyncio.get_running_loop()
        wait = max(1 / PER_SECOND, self._node_free_at.get(node, 0.0) - loop.time())
        await asyncio.sleep(wait)
        self._node_free_at[node] = loop.time() + PER_NODE_SECONDS
