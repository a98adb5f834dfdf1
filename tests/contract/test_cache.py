"""The cache on a real API server: what it says is what is there, also after an outage."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.fake_api import until

from anchorline.kube import resources as r
from anchorline.kube.cache import Cache
from anchorline.kube.client import Client
from anchorline.kube.connection import from_kubeconfig
from anchorline.lab import Cluster, ControlPlane

pytestmark = pytest.mark.contract

Changes = list[tuple[str, str | None, str | None]]
Story = Callable[[Client, Cache[str], str, Changes], Awaitable[None]]


def config_map(namespace: str, name: str, value: str) -> dict[str, Any]:
    labels = {"anchorline.dev/managed": "true"}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "data": {"value": value}}


def on(plane: Cluster, story: Story, **options: Any) -> None:
    """Run `story` with a cache of the values of ConfigMaps in a namespace that has `before` already."""
    changes: Changes = []

    async def whole() -> None:
        namespace = f"cache-{uuid.uuid4().hex[:8]}"
        async with Client(from_kubeconfig(plane.kubeconfig)) as client:
            await client.apply(r.NAMESPACES, {"metadata": {"name": namespace}})
            await client.create(r.CONFIG_MAPS, config_map(namespace, "before", "x"))
            cache: Cache[str] = Cache(
                client,
                r.CONFIG_MAPS,
                namespace=namespace,
                labels="anchorline.dev/managed=true",
                project=lambda obj: str(obj["data"]["value"]),
                on_change=lambda key, old, new: changes.append((key[1], old, new)),
                **options,
            )
            task = asyncio.create_task(cache.run())
            await asyncio.wait_for(cache.synced.wait(), 20)
            try:
                await story(client, cache, namespace, changes)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await client.delete(r.NAMESPACES, namespace)

    asyncio.run(whole())


def test_it_follows_what_happens(plane: Cluster) -> None:
    async def story(client: Client, cache: Cache[str], namespace: str, changes: Changes) -> None:
        assert cache.get((namespace, "before")) == "x"
        made = await client.create(r.CONFIG_MAPS, config_map(namespace, "a", "1"))
        await client.replace(r.CONFIG_MAPS, {**made, "data": {"value": "2"}})
        await client.delete(r.CONFIG_MAPS, "a", namespace)
        await client.merge_patch(r.CONFIG_MAPS, "before", namespace, {"metadata": {"labels": None}})
        await until(lambda: len(cache) == 0, "the object whose label went is gone")
        assert changes == [
            ("before", None, "x"),
            ("a", None, "1"),
            ("a", "1", "2"),
            ("a", "2", None),
            ("before", "x", None),
        ]

    on(plane, story)


def test_our_own_writes_are_there_at_once_and_reported_once(plane: Cluster) -> None:
    async def story(client: Client, cache: Cache[str], namespace: str, changes: Changes) -> None:
        for number in range(50):
            obj = config_map(namespace, f"n{number}", "ours")
            written = await client.create(r.CONFIG_MAPS, obj, protobuf=True)
            cache.put(obj, written["metadata"]["resourceVersion"])
            assert cache.get((namespace, f"n{number}")) == "ours"
        await client.create(r.CONFIG_MAPS, config_map(namespace, "last", "theirs"))
        await until(lambda: cache.get((namespace, "last")) is not None, "somebody else's write")
        assert changes == [
            ("before", None, "x"),
            *((f"n{n}", None, "ours") for n in range(50)),
            ("last", None, "theirs"),
        ]

    on(plane, story)


def test_as_metadata_only_it_reads_what_others_wrote(plane: Cluster) -> None:
    read: list[str] = []

    async def story(client: Client, _: Cache[str], namespace: str, __: Changes) -> None:
        async def hydrate(key: tuple[str, str], obj: dict[str, Any]) -> str | None:
            assert "data" not in obj
            read.append(key[1])
            found = await client.find(r.CONFIG_MAPS, key[1], key[0])
            return str(found["data"]["value"]) if found else None

        large: Cache[str] = Cache(
            client, r.CONFIG_MAPS, namespace=namespace, labels="anchorline.dev/managed=true", metadata_only=True,
            hydrate=hydrate, project=lambda obj: str(obj["data"]["value"]), on_change=lambda *_: None,
        )  # fmt: skip
        task = asyncio.create_task(large.run())
        await asyncio.wait_for(large.synced.wait(), 20)
        ours = config_map(namespace, "ours", "1")
        written = await client.create(r.CONFIG_MAPS, ours, protobuf=True)
        large.put(ours, written["metadata"]["resourceVersion"])
        await client.create(r.CONFIG_MAPS, config_map(namespace, "theirs", "2"))
        await until(lambda: large.get((namespace, "theirs")) == "2", "somebody else's write is read")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert set(read) <= {"ours", "theirs"}
        assert (large.get((namespace, "before")), large.get((namespace, "ours"))) == ("x", "1")

    on(plane, story)


def test_it_waits_for_a_kind_that_is_not_there_yet(plane: Cluster) -> None:
    group = f"x{uuid.uuid4().hex[:6]}.example"
    things = r.Resource(group, "v1", "things", "Thing", namespaced=True)
    definitions = r.Resource(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
    )
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }

    async def whole() -> None:
        async with Client(from_kubeconfig(plane.kubeconfig)) as client:
            cache: Cache[str] = Cache(
                client, things, project=lambda _: "x", on_change=lambda *_: None, backoff=(0.05, 0.2)
            )
            task = asyncio.create_task(cache.run())
            await until(lambda: cache.error is not None, "the first refusal")
            await client.create(definitions, definition)
            await until(cache.synced.is_set, "the cache is there after the CRD", seconds=30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.delete(definitions, f"things.{group}")

    asyncio.run(whole())


def test_it_goes_on_after_an_outage_of_the_server(own_plane: ControlPlane) -> None:
    async def story(client: Client, cache: Cache[str], namespace: str, changes: Changes) -> None:
        await asyncio.to_thread(own_plane.stop, "kube-apiserver")
        await until(lambda: cache.error is not None, "the outage is noticed", seconds=30)
        assert cache.get((namespace, "before")) == "x"
        await asyncio.to_thread(own_plane.start, "kube-apiserver")
        await client.create(r.CONFIG_MAPS, config_map(namespace, "after", "y"))
        await until(lambda: cache.get((namespace, "after")) == "y", "the write after the outage", seconds=60)
        assert changes == [("before", None, "x"), ("after", None, "y")]

    on(own_plane, story, backoff=(0.05, 0.5))
