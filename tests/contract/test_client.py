"""The client on a real API server: what it writes is what is there, and refusals are what they say."""

import asyncio
import base64
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certifi
import pytest

from anchorline.errors import ClusterError
from anchorline.kube import resources as r
from anchorline.kube.client import ApiError, Client
from anchorline.kube.connection import from_kubeconfig
from anchorline.lab import Cluster

pytestmark = pytest.mark.contract

Story = Callable[[Client, str], Awaitable[None]]


def on(plane: Cluster, story: Story) -> None:
    """Run `story` with a client and a namespace of its own."""

    async def whole() -> None:
        namespace = f"client-{uuid.uuid4().hex[:8]}"
        async with Client(from_kubeconfig(plane.kubeconfig)) as client:
            await client.apply(r.NAMESPACES, {"metadata": {"name": namespace}})
            try:
                await story(client, namespace)
            finally:
                await client.delete(r.NAMESPACES, namespace)

    asyncio.run(whole())


def secret(namespace: str, name: str = "web") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"anchorline.dev/managed": "true", "empty": ""},
            "annotations": {"note": "Zürich ☃ \n two lines"},
        },
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(key.encode() * 50).decode() for key in ("tls.crt", "tls.key", "ca.crt")},
        "immutable": True,
    }


def config_map(namespace: str, size: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "roots", "namespace": namespace},
        "data": {"ca-bundle.crt": "ä" * (size // 2), "empty": ""},
        "binaryData": {"blob": base64.b64encode(bytes(range(256))).decode()},
    }


def same(sent: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether everything that was sent, and nothing else of content, is there."""
    metadata = {key: found["metadata"].get(key) for key in sent["metadata"]}
    content = {key: value for key, value in found.items() if key not in ("metadata", "kind", "apiVersion")}
    return sent == {**content, "metadata": metadata}


@pytest.mark.parametrize("protobuf", [True, False])
def test_a_secret_is_stored_as_it_was_sent(plane: Cluster, protobuf: bool) -> None:
    async def story(client: Client, namespace: str) -> None:
        uid = (await client.get(r.NAMESPACES, namespace))["metadata"]["uid"]
        sent = secret(namespace)
        # A real owner: the garbage collector would delete what has none.
        sent["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": uid, "controller": True}
        ]
        answer = await client.create(r.SECRETS, sent, protobuf=protobuf)
        found = await client.get(r.SECRETS, "web", namespace)
        assert same(sent, found)
        for key in ("name", "namespace", "uid", "resourceVersion"):
            assert answer["metadata"][key] == found["metadata"][key]

    on(plane, story)


@pytest.mark.parametrize("protobuf", [True, False])
def test_a_large_config_map_is_created_and_replaced(plane: Cluster, protobuf: bool) -> None:
    async def story(client: Client, namespace: str) -> None:
        sent = config_map(namespace, 200_000)
        first = await client.create(r.CONFIG_MAPS, sent, protobuf=protobuf)
        found = await client.get(r.CONFIG_MAPS, "roots", namespace)
        assert same(sent, found)
        changed = {**found, "data": {"only": "this"}}
        second = await client.replace(r.CONFIG_MAPS, changed, protobuf=protobuf)
        assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
        assert (await client.get(r.CONFIG_MAPS, "roots", namespace))["data"] == {"only": "this"}
        with pytest.raises(ApiError) as caught:
            await client.replace(r.CONFIG_MAPS, changed, protobuf=protobuf)
        assert caught.value.conflict

    on(plane, story)


def test_refusals(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        await client.create(r.SECRETS, secret(namespace), protobuf=True)
        for protobuf in (True, False):
            with pytest.raises(ApiError) as caught:
                await client.create(r.SECRETS, secret(namespace), protobuf=protobuf)
            assert caught.value.already_exists
            assert not caught.value.conflict
        assert await client.find(r.SECRETS, "none", namespace) is None
        bad = {**secret(namespace, "bad"), "data": {"tls.key": base64.b64encode(b"hidden").decode()}}
        with pytest.raises(ApiError, match=r"data\[tls.crt\]") as caught:
            await client.create(r.SECRETS, bad)
        assert caught.value.status == 422
        assert "hidden" not in str(caught.value)

    on(plane, story)


def test_deleting_minds_its_conditions(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        made = (await client.create(r.SECRETS, secret(namespace), protobuf=True))["metadata"]
        with pytest.raises(ApiError) as caught:
            await client.delete(r.SECRETS, "web", namespace, uid="another")
        assert caught.value.conflict
        assert await client.delete(r.SECRETS, "web", namespace, uid=made["uid"], dry_run=True)
        version = made["resourceVersion"]
        assert await client.delete(r.SECRETS, "web", namespace, uid=made["uid"], resource_version=version)
        assert not await client.delete(r.SECRETS, "web", namespace)

    on(plane, story)


def test_a_dry_run_changes_nothing(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        await client.create(r.SECRETS, secret(namespace), protobuf=True, dry_run=True)
        assert await client.find(r.SECRETS, "web", namespace) is None

    on(plane, story)


def test_applying_owns_only_what_it_names_and_the_second_time_changes_nothing(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        await client.merge_patch(r.NAMESPACES, namespace, "", {"metadata": {"labels": {"theirs": "stays"}}})
        ours = {"metadata": {"name": namespace, "labels": {"anchorline.dev/trust": "enabled"}}}
        first = await client.apply(r.NAMESPACES, ours)
        second = await client.apply(r.NAMESPACES, ours)
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
        await client.apply(r.NAMESPACES, {"metadata": {"name": namespace}})
        labels = (await client.get(r.NAMESPACES, namespace))["metadata"]["labels"]
        assert labels["theirs"] == "stays"
        assert "anchorline.dev/trust" not in labels

    on(plane, story)


def test_a_list_is_the_same_whatever_its_pages(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        for number in range(7):
            await client.create(r.SECRETS, secret(namespace, f"s{number}"), protobuf=True)
        labels = "anchorline.dev/managed=true"
        for limit in (1, 3, 7, 500):
            found = await client.list(r.SECRETS, namespace, labels=labels, limit=limit)
            assert [item["metadata"]["name"] for item in found.items] == [f"s{number}" for number in range(7)]
        bare = await client.list(r.SECRETS, namespace, metadata_only=True)
        assert all("data" not in item for item in bare.items)
        one = await client.list(r.SECRETS, namespace, fields="metadata.name=s3")
        assert len(one.items) == 1
        assert "data" not in await client.get(r.SECRETS, "s3", namespace, metadata_only=True)

    on(plane, story)


@pytest.mark.parametrize(
    ("changed", "trusted"),
    [
        ({"tls_server_name": "kubernetes.default.svc"}, True),
        ({"tls_server_name": "kubernetes.elsewhere.svc"}, False),
        ({"ca_file": Path(certifi.where())}, False),
    ],
)
def test_whose_certificate_the_server_has_matters(plane: Cluster, changed: dict[str, Any], trusted: bool) -> None:
    async def story() -> None:
        async with Client(replace(from_kubeconfig(plane.kubeconfig), **changed)) as client:
            if trusted:
                assert (await client.get(r.NAMESPACES, "default"))["metadata"]["name"] == "default"
                (await client.watch(r.NAMESPACES, "", {})).close()
                return
            for ask in (client.get(r.NAMESPACES, "default"), client.watch(r.NAMESPACES, "", {})):
                with pytest.raises(ClusterError, match="certificate verify failed"):
                    await ask

    asyncio.run(story())


def test_the_servers_clock(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        made = await client.create(r.CONFIG_MAPS, config_map(namespace, 10))
        created = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
        assert client.server_time is not None
        assert client.server_time.tzinfo is UTC
        assert abs((client.server_time - created).total_seconds()) < 5
        assert client.clock_offset is not None

    on(plane, story)
