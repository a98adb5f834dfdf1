"""Every few minutes: which pods were created without trust, while the webhook was away. Not a watch: there are many."""

import asyncio
import logging
from collections.abc import Callable

from anchorline.api.meta import ObjectKey
from anchorline.errors import ClusterError
from anchorline.kube.overlooked import Overlooked
from anchorline.kube.world import World

log = logging.getLogger("anchorline.census")

EVERY_SECONDS = 120.0


class Census:
    """Takes a look at its start and then every two minutes; who has to tell of a change is looked at again."""

    def __init__(self, world: World, add: Callable[[ObjectKey], None]) -> None:
        self._world, self._add, self._overlooked = world, add, Overlooked(world)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self._tell(await self._overlooked.look())
            except ClusterError as error:
                log.warning("cannot look for pods without trust", extra={"why": error.message})
            await asyncio.sleep(EVERY_SECONDS)

    def _tell(self, found: dict[str, tuple[str, ...]]) -> None:
        before, self._world.overlooked = self._world.overlooked, found
        if before is None:
            # What a status says may be of a time before this process.
            for name in tuple(self._world.cas):
                self._add(ObjectKey("PrivateCA", "", name))
        before = before or {}
        for namespace in sorted({*before, *found}):
            if before.get(namespace) != found.get(namespace):
                # The namespace's own event, and from there the status of the CAs that it asks for.
                self._add(ObjectKey("Namespace", "", namespace))
