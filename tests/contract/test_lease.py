"""The elector on a real API server: one leader at a time, whatever happens to it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from tests.support.fake_api import until

from anchorline.kube import resources as r
from anchorline.kube.client import Client
from anchorline.kube.connection import from_kubeconfig
from anchorline.kube.lease import Elector
from anchorline.lab import Cluster, ControlPlane

pytestmark = pytest.mark.contract

# A machine that is busy with other work may let nobody run for a second.
LEASE, RENEW, RETRY = 4.0, 3.0, 0.1


class Candidate:
    """An elector with its task, and what it was told."""

    def __init__(self, client: Client, namespace: str, identity: str) -> None:
        self.told: list[str] = []
        self.elector = Elector(client, namespace, identity=identity, lease=LEASE, renew=RENEW, retry=RETRY)
        self.task = asyncio.create_task(self.elector.run(self._work, lambda: self.told.append("lost")))

    async def _work(self) -> None:
        self.told.append("started")
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("stopped")

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def leads(self) -> None:
        await until(lambda: self.elector.is_leader and "started" in self.told, f"{self.elector.identity} leads")


Story = Callable[[Client, str], Awaitable[None]]


def on(plane: Cluster, story: Story) -> None:
    async def whole() -> None:
        namespace = f"lease-{uuid.uuid4().hex[:8]}"
        async with Client(from_kubeconfig(plane.kubeconfig)) as client:
            await client.apply(r.NAMESPACES, {"metadata": {"name": namespace}})
            try:
                await story(client, namespace)
            finally:
                await client.delete(r.NAMESPACES, namespace)

    asyncio.run(whole())


async def spec_of(client: Client, namespace: str) -> dict[str, object]:
    found = await client.get(r.LEASES, "anchorline-operator", namespace)
    spec: dict[str, object] = found["spec"]
    return spec


def test_one_leads_and_the_other_takes_over_at_once_when_it_is_released(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        first = Candidate(client, namespace, "first")
        await first.leads()
        second = Candidate(client, namespace, "second")
        before = (await spec_of(client, namespace))["renewTime"]
        loop = asyncio.get_running_loop()
        end = loop.time() + LEASE * 1.5
        await until(lambda: loop.time() > end or second.elector.is_leader, "longer than a lease")
        assert first.elector.is_leader
        assert not second.elector.is_leader
        spec = await spec_of(client, namespace)
        assert spec["renewTime"] != before
        assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("first", 0, 4)
        began = loop.time()
        await first.stop()
        assert first.told == ["started", "stopped"]
        await second.leads()
        assert loop.time() - began < LEASE
        assert (await spec_of(client, namespace))["leaseTransitions"] == 1
        await second.stop()
        assert (await spec_of(client, namespace)).get("holderIdentity", "") == ""

    on(plane, story)


def test_a_leader_that_died_is_replaced_after_its_lease(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        lease = {
            "metadata": {"name": "anchorline-operator", "namespace": namespace},
            # Its clock was hours ahead: that must not matter.
            "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": "2099-01-01T00:00:00.000000Z"},
        }
        await client.create(r.LEASES, lease)
        loop = asyncio.get_running_loop()
        began = loop.time()
        heir = Candidate(client, namespace, "heir")
        await heir.leads()
        assert loop.time() - began >= LEASE
        await heir.stop()

    on(plane, story)


def test_a_leader_whose_lease_was_taken_stops(plane: Cluster) -> None:
    async def story(client: Client, namespace: str) -> None:
        robbed = Candidate(client, namespace, "robbed")
        await robbed.leads()
        thief = {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 60}}
        await client.merge_patch(r.LEASES, "anchorline-operator", namespace, thief)
        await until(lambda: "lost" in robbed.told, "the loss is noticed")
        assert robbed.told == ["started", "stopped", "lost"]
        await robbed.stop()
        assert (await spec_of(client, namespace))["holderIdentity"] == "thief"

    on(plane, story)


def test_without_a_server_the_leader_stops_before_others_may_take_over(own_plane: ControlPlane) -> None:
    async def story(client: Client, namespace: str) -> None:
        alone = Candidate(client, namespace, "alone")
        await alone.leads()
        stopping = asyncio.create_task(asyncio.to_thread(own_plane.stop, "kube-apiserver"))
        await until(lambda: not alone.elector.is_leader, "leadership ends", seconds=30)
        await until(lambda: "stopped" in alone.told, "the work ends", seconds=LEASE - RENEW)
        await stopping
        await asyncio.to_thread(own_plane.start, "kube-apiserver")
        await until(lambda: alone.told.count("started") == 2, "it leads again", seconds=30)
        await alone.stop()

    on(own_plane, story)
