"""Leader election by a Lease, so that one operator acts at a time.

Expiry is judged by our own clock that never goes back: a holder lives as long as its Lease is seen to change. What
others write as time is not compared with anything. Whoever cannot renew stops before others may take over.
"""

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from anchorline.api import naming
from anchorline.errors import ClusterError
from anchorline.kube import lease_record as records
from anchorline.kube.client import ApiError, Client
from anchorline.kube.lease_record import Record
from anchorline.kube.resources import LEASES

log = logging.getLogger("anchorline.kube.lease")

_RELEASE_SECONDS: Final = 3.0


def _steady_clock() -> float:
    """Seconds that also pass while the machine is suspended: CLOCK_BOOTTIME where there is one."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Elector:
    """One candidate. `identity` must be unique to the process; times are in seconds.

    A leader that has not renewed for `renew` seconds, counted from before its last good request was sent, leads no
    more; others wait for `lease` seconds without a change. `wall_clock` is only written into the Lease, for people.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        *,
        identity: str,
        name: str = naming.LEASE,
        lease: float = 15.0,
        renew: float = 10.0,
        retry: float = 2.0,
        wall_clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = _steady_clock,
    ) -> None:
        if not lease > renew > retry > 0:
            raise ValueError("lease must be longer than renew, and renew longer than retry")
        self.identity = identity
        self._client, self._namespace, self._name = client, namespace, name
        self._lease, self._renew, self._retry = lease, renew, retry
        self._wall_clock, self._steady_clock = wall_clock, steady_clock
        self._held: dict[str, Any] | None = None
        self._until = 0.0
        self._seen: Record | None = None
        self._seen_at = 0.0

    @property
    def is_leader(self) -> bool:
        """Whether nobody else can be leading now; false at the deadline even if nothing has run since."""
        return self._held is not None and self._steady_clock() < self._until

    async def run(
        self, on_started: Callable[[], Awaitable[None]], on_lost: Callable[[], Awaitable[None] | None]
    ) -> None:
        """Campaign, lead, and campaign again, until cancelled; then the Lease is released.

        While leading `on_started()` runs; when the Lease is lost it is cancelled, then `on_lost()` is called. Should
        it end by itself, leadership goes on; what it raises is raised here, after the release.
        """
        try:
            while True:
                await self._acquire()
                await self._lead(on_started)
                done = on_lost()
                if inspect.isawaitable(done):
                    await done
        finally:
            await self._release()

    async def _acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not self.is_leader:
            try:
                await self._try()
            except ClusterError as error:
                log.warning("cannot take the Lease yet: %s", error)
            if not self.is_leader:
                await asyncio.sleep(self._retry * random.uniform(1, 1.2))  # noqa: S311 - so that candidates spread
        log.info("%s leads now", self.identity)

    async def _try(self) -> None:
        """Look once, and take the Lease if it is free."""
        lease = await self._client.find(LEASES, self._name, self._namespace, within=self._request_seconds())
        if lease is None:
            lease = records.fresh(self._namespace, self._name)
        elif not self._free(Record.of(lease)):
            return
        await self._write(lease)

    def _free(self, record: Record) -> bool:
        """Whether nobody holds it, or its holder has shown no life for the time that it asked for."""
        now = self._steady_clock()
        if self._seen != record:
            self._seen, self._seen_at = record, now
        if record.holder in ("", self.identity):
            return True
        return now - self._seen_at >= max(record.seconds, self._lease)

    async def _write(self, lease: dict[str, Any]) -> None:
        """Take or renew; only if nobody changed it since it was read. Raises ClusterError."""
        sent = self._steady_clock()
        body = records.held(lease, self.identity, self._lease, self._wall_clock())
        send = self._client.replace if lease["metadata"].get("resourceVersion") else self._client.create
        self._held = await send(LEASES, body, within=self._request_seconds())
        self._until = sent + self._renew

    def _request_seconds(self) -> float:
        """Time for one request: two of them fit before the deadline."""
        left = self._until - self._steady_clock() if self._held else self._renew
        return max(0.05, min(left, self._renew / 2))

    async def _lead(self, on_started: Callable[[], Awaitable[None]]) -> None:
        """Work and renew until the Lease is lost, or the work fails."""
        work = asyncio.ensure_future(on_started())
        try:
            while await self._renewed():
                await asyncio.wait({work}, timeout=self._retry * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
                if work.done():
                    work.result()
                    await asyncio.sleep(self._retry)
            log.warning("%s does not lead any more", self.identity)
        finally:
            await self._end(work)

    async def _end(self, work: asyncio.Future[None]) -> None:
        """Cancel the work, and wait for it no longer than until others may take over."""
        work.cancel()
        done, _ = await asyncio.wait({work}, timeout=self._lease - self._renew)
        if not done:
            log.error("the work goes on although the Lease is lost; another operator may be acting now")
        elif not work.cancelled() and (error := work.exception()):
            log.warning("the work ended with %s", type(error).__name__)

    async def _renewed(self) -> bool:
        """Renew; tries until the deadline. False when somebody else has the Lease, or the deadline came."""
        while self.is_leader and self._held:
            try:
                await self._write(self._held)
            except ApiError as error:
                log.warning("cannot renew the Lease: %s", error)
                if (error.conflict or error.not_found) and not await self._still_ours():
                    break
            except ClusterError as error:
                log.warning("cannot renew the Lease: %s", error)
            else:
                return True
            await asyncio.sleep(min(self._retry / 4, max(0.0, self._until - self._steady_clock())))
        self._held = None
        return False

    async def _still_ours(self) -> bool:
        """After a conflict: read again. An answer that was lost leaves our own name there, with a new version."""
        try:
            lease = await self._client.find(LEASES, self._name, self._namespace, within=self._request_seconds())
        except ClusterError:
            return True  # nobody knows; the deadline decides
        if lease is None or Record.of(lease).holder != self.identity:
            return False
        self._held = lease
        return True

    async def _release(self) -> None:
        """Give the Lease up, so that the next one leads within a retry; its failure costs the others a wait only."""
        lease, self._held = (self._held if self.is_leader else None), None
        if lease is None:
            return
        try:
            await self._give_up(lease)
        except ClusterError as error:
            log.warning("cannot release the Lease: %s", error)

    async def _give_up(self, lease: dict[str, Any]) -> None:
        try:
            await self._client.replace(LEASES, records.released(lease, self._wall_clock()), within=_RELEASE_SECONDS)
        except ApiError as error:
            # A renewal that was under way when the end came has been written all the same, unseen by us.
            if not error.conflict or not await self._still_ours() or self._held is None:
                raise
            renewed, self._held = records.released(self._held, self._wall_clock()), None
            await self._client.replace(LEASES, renewed, within=_RELEASE_SECONDS)
