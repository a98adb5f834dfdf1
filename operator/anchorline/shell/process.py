"""The operator process: caches, queue, leadership, health, with kopf in front."""

import argparse
import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack

import uvloop
from aiohttp import web

from anchorline.api.meta import ObjectKey
from anchorline.errors import AnchorlineError, ClusterError
from anchorline.kube.apply import Applier
from anchorline.kube.client import Client
from anchorline.kube.connection import Connection, discover
from anchorline.kube.events import Events
from anchorline.kube.lease import Elector
from anchorline.kube.observe import Observer
from anchorline.kube.public_roots import public_roots
from anchorline.kube.resources import LEASES, Resource
from anchorline.kube.world import Surroundings, World
from anchorline.shell import handlers, logs
from anchorline.shell.census import Census
from anchorline.shell.clock import Clock
from anchorline.shell.collector import quiet_collector
from anchorline.shell.health import Health
from anchorline.shell.listening import listen
from anchorline.shell.metrics import Metrics
from anchorline.shell.nudge import Nudger
from anchorline.shell.planner import Planner
from anchorline.shell.reconcile import Reconciler
from anchorline.shell.restarter import Restarter
from anchorline.shell.settings import Settings, from_arguments, namespace_of
from anchorline.shell.sweep import sweep
from anchorline.shell.workqueue import WorkQueue

log = logging.getLogger("anchorline.operator")

TOGETHER_SECONDS = 0.5
SWEEP_AGAIN_SECONDS = 1.0
# The API server looks through all events of a cluster for ours; certificates do not wait for it any longer.
RECALL_SECONDS = 10.0


def main(arguments: argparse.Namespace) -> int:
    """`anchorline operator`: run until a signal. 0 after one, 1 when it cannot go on."""
    settings = from_arguments(arguments)
    logs.configure(settings.log_level)
    try:
        uvloop.run(run(settings))
    except AnchorlineError as error:
        log.error(  # noqa: TRY400 - the sentence is for a person, the traceback is not
            "cannot go on", extra={"reason": error.reason, "why": error.message}
        )
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Run the operator until kopf ends: by a signal, or because it gives up."""
    connection = discover(settings.kubeconfig)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            Client(
                connection, on_request=lambda verb, resource, code, _s: metrics.requested(verb, resource.plural, code)
            )
        )
        operator = Operator(settings, connection, client, metrics)
        await operator.run()


class Operator:
    """One operator process and its parts."""

    def __init__(self, settings: Settings, connection: Connection, client: Client, metrics: Metrics) -> None:
        self._settings, self._connection, self._metrics = settings, connection, metrics
        self._queue: WorkQueue[ObjectKey] = WorkQueue()
        self._clock = Clock(lambda: client.server_time)
        namespace = namespace_of(settings, connection)
        surroundings = Surroundings(namespace=namespace, cluster_domain=settings.cluster_domain)
        self.world = World(client, surroundings, public_roots(), self._queue.add)
        observer = Observer(self.world)
        self._nudger = Nudger(client) if settings.nudge_pods else None
        self._census = Census(self.world, self._queue.add)
        self._restarter = Restarter(self.world, observer) if settings.restart_workloads else None
        self._events = Events(client, settings.identity)
        applier = Applier(self.world, self._clock.now, self._events, metrics.issued)
        if self._nudger is not None:
            applier.store_changed = self._nudger.changed
        self._reconciler = Reconciler(
            world=self.world,
            observer=observer,
            planner=Planner(self.world, observer, self._clock.now, self._events),
            applier=applier,
            metrics=metrics,
            now=self._clock.now,
            add=self._queue.add,
            looking=self._queue.looking,
            # A thousand stores that change in a second are one look at their CA, not a thousand.
            add_soon=lambda key: self._queue.add_after(key, TOGETHER_SECONDS),
        )
        self._elector = Elector(client, namespace, identity=settings.identity)
        client.may_write = self._may_write
        self._kopf_ready = asyncio.Event()

    async def run(self) -> None:
        """Run until kopf ends. Our tasks are made before kopf starts: it cancels at its end what came after."""
        self._metrics.watch(self.world, self._queue.__len__)
        tasks = [asyncio.create_task(each) for each in self._parts()]
        runner = await self._serve_health()

        async def stop() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()

        try:
            await self._watch_over(tasks, stop)
        finally:
            await stop()

    def _may_write(self, resource: Resource) -> bool:
        """Only the leader writes, and every candidate its Lease."""
        return not self._settings.leader_elect or resource is LEASES or self._elector.is_leader

    def _parts(self) -> list[Coroutine[None, None, None]]:
        return [*(cache.run() for cache in self.world.caches), self._lead()]

    async def _watch_over(self, tasks: list[asyncio.Task[None]], stop: Callable[[], Awaitable[None]]) -> None:
        """Run kopf; end with it, and end when one of our own parts fails: half an operator is worse than none."""
        front = asyncio.create_task(handlers.run(self._connection, self._queue.add, self._kopf_ready, stop))
        done, _ = await asyncio.wait({front, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if front not in done and any(task.cancelled() for task in done):
            done, _ = await asyncio.wait({front})  # kopf is on its way out and has ended our parts
        front.cancel()
        await asyncio.gather(front, return_exceptions=True)
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                raise task.exception() or AssertionError

    async def _serve_health(self) -> web.AppRunner:
        health = Health(self.world, self._metrics, self._kopf_ready.is_set)
        runner = web.AppRunner(health.application(), access_log=None)
        await runner.setup()
        address, port = self._settings.address, self._settings.health_port
        await listen(web.TCPSite(runner, address, port), address, port, "--health-port")
        return runner

    async def _lead(self) -> None:
        """Work while this process leads; without leader election, at once."""
        await asyncio.gather(*(cache.synced.wait() for cache in self.world.caches))
        quiet_collector()
        if not self._settings.leader_elect:
            await self._work()
            return
        await self._elector.run(self._work, self._lost)

    async def _lost(self) -> None:
        self._metrics.leading(now=False)
        log.warning("lost the Lease; another operator may be acting now")

    async def _sweep(self) -> None:
        """Look at everything once; an API server that is away for a moment is no reason to end."""
        while True:
            try:
                await sweep(self.world, self._queue.add)
            except ClusterError as error:
                log.warning("cannot look at everything yet", extra={"why": error.message})
                await asyncio.sleep(SWEEP_AGAIN_SECONDS)
            else:
                return

    async def _recall(self) -> None:
        """Learn what other processes have said; without it, what was said is said once more."""
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                await self._events.recall()
        except (ClusterError, TimeoutError) as error:
            log.warning(
                "cannot read the events that were said before", extra={"why": str(error) or "it takes too long"}
            )

    async def _work(self) -> None:
        self._metrics.leading(now=True)
        log.info("leading", extra={"identity": self._settings.identity})
        await self._recall()
        await self._sweep()
        async with asyncio.TaskGroup() as group:
            for part in (self._census, self._nudger, self._restarter):
                if part is not None:
                    group.create_task(part.run())
            await self._queue.run(self._reconciler.reconcile, workers=self._settings.workers)
