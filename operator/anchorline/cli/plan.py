"""`anchorline plan`: what the operator would do now, for a live cluster, without doing it."""

import argparse
import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

from anchorline.api.meta import ObjectKey
from anchorline.errors import ClusterError, InvalidSpec, NotReady
from anchorline.kube.client import Client
from anchorline.kube.connection import discover
from anchorline.kube.events import Events
from anchorline.kube.observe import Observer
from anchorline.kube.public_roots import public_roots
from anchorline.kube.views import AuthoritySecret
from anchorline.kube.world import Surroundings, World
from anchorline.plan.timeline import timeline
from anchorline.shell.clock import Clock
from anchorline.shell.planner import Planner
from anchorline.shell.sweep import sweep

READ_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_NOT_FOUND = 404


def register(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `anchorline plan` to the commands."""
    command = sub.add_parser("plan", help="print what the operator would do now, without doing it")
    command.add_argument("what", nargs="*", metavar="rotation NAME", help="the timeline of one PrivateCA's rotation")
    command.add_argument("--kubeconfig", type=Path, help="the cluster; default: service account, KUBECONFIG")
    command.add_argument(
        "--namespace", default=os.environ.get("POD_NAMESPACE", "anchorline-system"), help="the operator's namespace"
    )
    command.add_argument("--cluster-domain", default="cluster.local", help="DNS domain of the cluster")
    command.set_defaults(func=_plan)


def _plan(arguments: argparse.Namespace) -> int:
    if arguments.what and (len(arguments.what), arguments.what[0]) != (2, "rotation"):
        raise InvalidSpec("say `anchorline plan`, or `anchorline plan rotation NAME`")
    # What the caches would log is told in one sentence at the end.
    logging.getLogger("anchorline").addHandler(logging.NullHandler())
    print(asyncio.run(_printed(arguments)))
    return 0


async def _printed(arguments: argparse.Namespace) -> str:
    async with Client(discover(arguments.kubeconfig)) as client:
        clock = Clock(lambda: client.server_time)
        keys: dict[ObjectKey, None] = {}
        surroundings = Surroundings(namespace=arguments.namespace, cluster_domain=arguments.cluster_domain)
        world = World(client, surroundings, public_roots(), lambda _key: None)
        readers = [asyncio.create_task(cache.run()) for cache in world.caches]
        try:
            await _read(world)
            _require_place(world)
            await sweep(world, keys.setdefault)
            if arguments.what:
                return await _timeline(Observer(world), arguments.what[1], clock)
            events = Events(client, identity="")
            with suppress(ClusterError):  # whoever may not list events is told them all
                await events.recall()
            return await _plans(Planner(world, Observer(world), clock.now, events), tuple(keys))
        finally:
            for reader in readers:
                reader.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*readers)


async def _read(world: World) -> None:
    """Wait until everything is read; the first refusal is the answer, since nobody waits here for a cluster to come."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            while waiting := [cache for cache in world.caches if not cache.synced.is_set()]:
                for error in (cache.error for cache in waiting if cache.error is not None):
                    raise NotReady(f"{error.message}; are the CRDs installed?") if error.status == _NOT_FOUND else error
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        slow = ", ".join(cache.resource.plural for cache in world.caches if not cache.synced.is_set())
        raise NotReady(f"the cluster's {slow} could not be read within {READ_SECONDS:.0f} s") from None


def _require_place(world: World) -> None:
    """Raise InvalidSpec for a namespace that is not the operator's: there, every root would look lost."""
    own = world.surroundings.namespace
    places = {each.namespace for each in world.secrets.values() if isinstance(each, AuthoritySecret)}
    if places and own not in places:
        raise InvalidSpec(
            f"namespace {own} has no Secret of an authority, but {', '.join(sorted(places))} has: give the operator's"
            " namespace with --namespace"
        )


async def _timeline(observer: Observer, name: str, clock: Clock) -> str:
    seen = await observer.private_ca(name, clock.now())
    if seen is None:
        raise InvalidSpec(f"PrivateCA {name} does not exist; see: kubectl get privateca")
    return timeline(seen, clock.now())


async def _plans(planner: Planner, keys: tuple[ObjectKey, ...]) -> str:
    lines = []
    for key in keys:
        todo = await planner.plan(key)
        if todo:
            lines.append(f"{key}:\n" + "\n".join(f"  {line}" for line in str(todo).splitlines()))
    return "\n".join(lines) or f"nothing to do: all {len(keys)} objects are as they should be"
