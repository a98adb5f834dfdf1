"""The elector when answers are lost, and the Lease it writes."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.support import fake_api as fake

from anchorline.kube import lease_record as records
from anchorline.kube.lease import Elector


def lease(holder: str, version: str) -> dict[str, Any]:
    metadata = {"name": "anchorline-operator", "namespace": "ns", "resourceVersion": version}
    return {"metadata": metadata, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 1, "leaseTransitions": 3}}


def campaign(
    condition: Callable[[fake.FakeApi, list[str]], bool], *answers: fake.Answer
) -> tuple[list[str], list[fake.Seen]]:
    """Run an elector `me` against these answers until `condition`; returns what it was told and what it asked."""
    told: list[str] = []

    async def work() -> None:
        told.append("started")
        await asyncio.Event().wait()

    async def whole() -> list[fake.Seen]:
        async with fake.FakeApi(*answers) as api, api.client() as client:
            elector = Elector(client, "ns", identity="me", lease=0.4, renew=0.3, retry=0.01)
            task = asyncio.create_task(elector.run(work, lambda: told.append("lost")))
            await fake.until(lambda: condition(api, told), "the story's end")
            seen = list(api.seen)
            task.cancel()
            # It may try to release, which a server that hangs would hold up.
            asyncio.get_running_loop().call_later(0.05, task.cancel)
            await asyncio.gather(task, return_exceptions=True)
            return seen

    return told, asyncio.run(whole())


def test_a_renewal_whose_answer_was_lost_does_not_end_leadership() -> None:
    told, seen = campaign(
        lambda api, _: len(api.seen) >= 6,
        fake.json_of(lease("", "1")),
        fake.json_of(lease("me", "2")),
        fake.refusal(500, "InternalError"),  # it was done all the same
        fake.refusal(409, "Conflict"),
        fake.json_of(lease("me", "3")),
        fake.json_of(lease("me", "4")),
    )
    assert told == ["started"]
    assert [each.method for each in seen[:6]] == ["GET", "PUT", "PUT", "PUT", "GET", "PUT"]
    assert orjson.loads(seen[5].body)["metadata"]["resourceVersion"] == "3"


def test_a_conflict_with_another_holder_ends_it_at_once() -> None:
    told, _ = campaign(
        lambda _, told: "lost" in told,
        fake.json_of(lease("", "1")),
        fake.json_of(lease("me", "2")),
        fake.refusal(409, "Conflict"),
        fake.json_of(lease("other", "3")),
    )
    assert told == ["started", "lost"]


def test_a_server_that_hangs_ends_it_by_the_deadline() -> None:
    told, _ = campaign(
        lambda _, told: "lost" in told, fake.json_of(lease("", "1")), fake.json_of(lease("me", "2")), fake.hang()
    )
    assert told == ["started", "lost"]


def test_work_that_fails_is_raised_after_the_release() -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    async def whole() -> list[fake.Seen]:
        mine = fake.json_of(lease("me", "2"))
        async with fake.FakeApi(fake.json_of(lease("", "1")), mine, mine, mine) as api, api.client() as client:
            elector = Elector(client, "ns", identity="me", lease=5, renew=4, retry=0.01)
            with pytest.raises(RuntimeError, match="broken"):
                await elector.run(fail, lambda: None)
            return api.seen

    assert orjson.loads(asyncio.run(whole())[-1].body)["spec"]["holderIdentity"] == ""


def test_a_renewal_that_the_end_cut_off_does_not_keep_the_lease() -> None:
    async def work() -> None:
        raise ValueError("broken")

    async def whole() -> list[fake.Seen]:
        answers = (
            fake.json_of(lease("", "1")),
            fake.json_of(lease("me", "2")),
            fake.json_of(lease("me", "3")),
            fake.refusal(409, "Conflict"),  # of the release
            fake.json_of(lease("me", "4")),
            fake.json_of(lease("", "5")),
        )
        async with fake.FakeApi(*answers) as api, api.client() as client:
            with pytest.raises(ValueError, match="broken"):
                await Elector(client, "ns", identity="me", lease=5, renew=4, retry=0.01).run(work, lambda: None)
            return list(api.seen)

    seen = asyncio.run(whole())
    assert [each.method for each in seen] == ["GET", "PUT", "PUT", "PUT", "GET", "PUT"]
    released = orjson.loads(seen[5].body)
    assert (released["metadata"]["resourceVersion"], released["spec"]["holderIdentity"]) == ("4", "")


def test_leadership_ends_by_the_clock_even_when_nothing_runs() -> None:
    now = 100.0

    async def whole() -> None:
        nonlocal now
        answers = (fake.json_of(lease("", "1")), fake.json_of(lease("me", "2")), fake.json_of(lease("me", "3")))
        async with fake.FakeApi(*answers) as api, api.client() as client:
            elector = Elector(client, "ns", identity="me", steady_clock=lambda: now)
            task = asyncio.create_task(elector.run(asyncio.Event().wait, lambda: None))  # type: ignore[arg-type]
            await fake.until(lambda: elector.is_leader, "it leads")
            now += 9.9
            assert elector.is_leader
            now += 0.2
            assert not elector.is_leader
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(whole())


def test_the_lease_counts_transitions_and_writes_utc() -> None:
    taken = records.held(lease("other", "5"), "me", 1.2, 0.0)
    assert taken["spec"]["leaseTransitions"] == 4
    assert taken["spec"]["renewTime"] == taken["spec"]["acquireTime"] == "1970-01-01T00:00:00.000000Z"
    assert taken["spec"]["leaseDurationSeconds"] == 2
    renewed = records.held(taken, "me", 15, 1.5)
    assert renewed["spec"]["leaseTransitions"] == 4
    assert renewed["spec"]["acquireTime"] == "1970-01-01T00:00:00.000000Z"
    assert renewed["spec"]["renewTime"] == "1970-01-01T00:00:01.500000Z"


def test_times_that_could_give_two_leaders_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        Elector(None, "ns", identity="me", lease=10, renew=10)  # type: ignore[arg-type]
