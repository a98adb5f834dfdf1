"""One queue of keys: each key is worked on by one worker at a time, and added ten times it is worked on once."""

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from anchorline.errors import AnchorlineError, Reason

K = TypeVar("K", bound=Hashable)
Work = Callable[[K], Awaitable[float | None]]

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 60.0
# Somebody else wrote meanwhile: when they are done, ours is put right soon.
LONGEST_AFTER_CONFLICT = 5.0


class WorkQueue(Generic[K]):
    """Coalescing, per-key serialised, with backoff and wake-ups; all times are in seconds of the loop's clock."""

    def __init__(self) -> None:
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._wake_at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = itertools.count()
        self._signal = asyncio.Event()
        self._heap_changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready) + len(self._running)

    def add(self, key: K) -> None:
        """Have the key worked on soon; while it is being worked on, once more afterwards."""
        self._wake_at.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._signal.set()

    def looking(self, key: K) -> None:
        """The key is looked at now: what was asked for while it is being worked on is in that look."""
        self._again.discard(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key worked on in a while, unless that is asked for sooner anyway."""
        if seconds <= 0:
            self.add(key)
            return
        if key in self._waiting or key in self._again:
            return
        at = asyncio.get_running_loop().time() + seconds
        if at < self._wake_at.get(key, float("inf")):
            self._wake_at[key] = at
            heapq.heappush(self._heap, (at, next(self._count), key))
            if self._heap[0][0] == at:
                self._heap_changed.set()

    async def run(self, work: Work[K], *, workers: int) -> None:
        """Work until cancelled. `work` returns the seconds until the key wants another look, None for never."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            for _ in range(workers):
                group.create_task(self._worker(work))

    async def _worker(self, work: Work[K]) -> None:
        while True:
            while not self._ready:
                self._signal.clear()
                await self._signal.wait()
            key = self._ready.popleft()
            self._waiting.discard(key)
            self._running.add(key)
            await self._once(work, key)

    async def _once(self, work: Work[K], key: K) -> None:
        try:
            look_again = await work(key)
        except Exception as error:  # noqa: BLE001 - `work` reports its own errors; here they mean: try again later
            self._running.discard(key)
            conflict = isinstance(error, AnchorlineError) and error.reason == Reason.CONFLICT
            self._failed(key, LONGEST_AFTER_CONFLICT if conflict else LONGEST_BACKOFF)
            return
        finally:
            self._running.discard(key)
        self._failures.pop(key, None)
        if look_again is not None:
            self.add_after(key, look_again)
        self._again_if_asked(key)

    def _failed(self, key: K, longest: float) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        backoff = min(longest, FIRST_BACKOFF * 2 ** min(count - 1, 16))
        # An event that came meanwhile does not skip the backoff: it may be the echo of what just failed.
        self._again.discard(key)
        self.add_after(key, backoff * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret

    def _again_if_asked(self, key: K) -> None:
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._heap_changed.clear()
            self._wake_due(loop.time())
            timeout = self._heap[0][0] - loop.time() if self._heap else None
            try:
                async with asyncio.timeout(timeout):
                    await self._heap_changed.wait()
            except TimeoutError:
                continue

    def _wake_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            # An entry that was overtaken by an earlier one, or by an event, is dead.
            if self._wake_at.get(key) == at:
                del self._wake_at[key]
                self.add(key)
