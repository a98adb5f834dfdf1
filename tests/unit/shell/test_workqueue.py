"""A key whose work fails is tried again, later and later, up to a longest pause that a conflict has for itself."""

import asyncio

import pytest

from anchorline.errors import ClusterError, NotReady
from anchorline.kube.client import ApiError
from anchorline.shell import workqueue
from anchorline.shell.workqueue import WorkQueue

FAILURES = 12
CONFLICT = ApiError("somebody else wrote meanwhile", status=409)


@pytest.mark.parametrize(
    ("error", "short", "long"),
    [
        (CONFLICT, "LONGEST_AFTER_CONFLICT", "LONGEST_BACKOFF"),
        (NotReady("not yet"), "LONGEST_BACKOFF", "LONGEST_AFTER_CONFLICT"),
        (ClusterError("away", status=503), "LONGEST_BACKOFF", "LONGEST_AFTER_CONFLICT"),
    ],
)
def test_each_kind_of_failure_has_its_longest_pause(
    monkeypatch: pytest.MonkeyPatch, error: Exception, short: str, long: str
) -> None:
    # Without its own longest pause, each of the twelve failures would wait for longer than this test.
    monkeypatch.setattr(workqueue, short, 0.002)
    monkeypatch.setattr(workqueue, long, 3600.0)
    monkeypatch.setattr(workqueue, "FIRST_BACKOFF", 60.0)
    assert asyncio.run(tries(error)) == FAILURES + 1


async def tries(error: Exception) -> int:
    """How often a key is worked on until it succeeds, after FAILURES of one kind."""
    done, count = asyncio.Event(), 0

    async def work(_key: str) -> float | None:
        nonlocal count
        count += 1
        if count <= FAILURES:
            raise error
        done.set()
        return None

    queue = WorkQueue[str]()
    queue.add("key")
    running = asyncio.create_task(queue.run(work, workers=2))
    try:
        async with asyncio.timeout(10):
            await done.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return count
