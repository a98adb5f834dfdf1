"""/healthz, /readyz and /metrics of the operator: what they say is looked up, not remembered."""

from collections.abc import Callable

from aiohttp import web

from anchorline.kube.world import World
from anchorline.shell.metrics import Metrics

# A watch brings an event or a bookmark at least once a minute, and is opened anew every five.
STALE_SECONDS = 600.0


class Health:
    """Serves the health of one operator process."""

    def __init__(self, world: World, metrics: Metrics, started: Callable[[], bool]) -> None:
        self._world, self._metrics, self._started = world, metrics, started

    def complaints(self) -> list[str]:
        """Why the process is not healthy."""
        found = [] if self._started() else ["kopf is not running"]
        return found + [
            f"nothing was heard of {cache.resource.plural} for {cache.age():.0f} seconds"
            for cache in self._world.caches
            if cache.synced.is_set() and cache.age() > STALE_SECONDS
        ]

    def unready(self) -> list[str]:
        """Why the process is not ready."""
        unsynced = [cache.resource.plural for cache in self._world.caches if not cache.synced.is_set()]
        return self.complaints() + ([f"not read yet: {', '.join(unsynced)}"] if unsynced else [])

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._show_metrics)
        return application

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _answer(self.complaints())

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _answer(self.unready())

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )


def _answer(complaints: list[str]) -> web.Response:
    if complaints:
        return web.Response(status=503, text="\n".join(complaints) + "\n")
    return web.Response(text="ok\n")
