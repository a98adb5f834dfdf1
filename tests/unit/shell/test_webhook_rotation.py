"""Whatever happens in whatever order, what a ready replica serves verifies under what is published."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.depth import examples
from tests.unit.shell.test_webhook_process import DICE, SmallCluster, Time

from anchorline.api import naming
from anchorline.errors import ClusterError
from anchorline.kube.resources import Resource
from anchorline.shell.webhook import rotation, serving

REPLICAS = 3
WHICH = st.integers(0, REPLICAS - 1)
NAMES = rotation.alternative_names(["anchorline-webhook.anchorline.svc"])


class Crash(BaseException):
    """The process ends here."""


class Slow(SmallCluster):
    """Lets others act between the reads and the write of one replica, or ends it before or after the write."""

    def __init__(self) -> None:
        super().__init__()
        self.before_write: Any = None
        self.after_write: Any = None

    async def _written(self, write: Any, resource: Resource, obj: dict[str, Any], **keywords: Any) -> dict[str, Any]:
        before, after, self.before_write, self.after_write = self.before_write, self.after_write, None, None
        if before:
            await before()
        result: dict[str, Any] = await write(resource, obj, **keywords)
        if after:
            await after()
        return result

    async def create(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        return await self._written(super().create, resource, obj)

    async def replace(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        return await self._written(super().replace, resource, obj)

    async def apply(
        self, resource: Resource, obj: dict[str, Any], *, force: bool = True, manager: str = ""
    ) -> dict[str, Any]:
        return await self._written(super().apply, resource, obj, force=force, manager=manager)


LAG = timedelta(seconds=59)


class Rotation(RuleBasedStateMachine):
    """Three replicas, one Secret, one caBundle; time passes, replicas crash and interleave, the Secret is lost."""

    @initialize()
    def start(self) -> None:
        """Install."""
        self.time, self.cluster = Time(), Slow()
        self.cluster.with_configuration()
        self.replicas = [self.fresh() for _ in range(REPLICAS)]
        # A certificate once verifiable must stay so until it expires, whatever the others do.
        self.was_ready: list[rotation.Served | None] = [None] * REPLICAS
        self.history = [(self.time.now, self.cluster.published)]
        self.lost = 0

    def fresh(self) -> serving.Keeper:
        """A replica that has just started."""
        config = serving.Settings(namespace="anchorline", names=NAMES)
        return serving.Keeper(self.cluster, config, use=lambda _: None, dice=DICE, now=self.time)

    async def _step(self, number: int) -> None:
        try:
            await self.replicas[number].advance()
        except ClusterError as error:
            assert error.status == 409  # noqa: PT017 - the only refusal that this cluster knows

    @rule(number=WHICH)
    def step(self, number: int) -> None:
        """One replica does one thing."""
        asyncio.run(self._step(number))

    @rule(number=WHICH)
    def look(self, number: int) -> None:
        """One replica does all that there is to do."""
        asyncio.run(self.replicas[number].look())

    @rule(number=WHICH, other=WHICH, steps=st.integers(1, 4), seconds=st.integers(0, 90))
    def interleave(self, number: int, other: int, steps: int, seconds: int) -> None:
        """One replica reads, sleeps while another works, and only then writes."""

        async def meanwhile() -> None:
            self.time.pass_(seconds=seconds)
            for _ in range(steps):
                await self._step(other)

        self.cluster.before_write = meanwhile if other != number else None
        asyncio.run(self._step(number))
        self.cluster.before_write = None

    @rule(number=WHICH, written=st.booleans())
    def crash(self, number: int, written: bool) -> None:
        """One replica ends right before or right after its write, and is started again."""

        async def end() -> None:
            raise Crash

        setattr(self.cluster, "after_write" if written else "before_write", end)
        with contextlib.suppress(Crash):
            asyncio.run(self._step(number))
        self.cluster.before_write = self.cluster.after_write = None
        self.replicas[number], self.was_ready[number] = self.fresh(), None

    @rule(amount=st.sampled_from([timedelta(seconds=61), timedelta(days=6), timedelta(days=40), timedelta(days=130)]))
    def pass_time(self, amount: timedelta) -> None:
        """Time passes."""
        self.time.now += amount

    @precondition(lambda self: self.lost < 4 and ("Secret", naming.WEBHOOK_SECRET) in self.cluster.objects)
    @rule(broken=st.booleans())
    def lose_the_secret(self, broken: bool) -> None:
        """Somebody deletes the Secret, or writes nonsense into it."""
        self.lost += 1
        if broken:
            self.cluster.objects["Secret", naming.WEBHOOK_SECRET]["data"]["tls.crt"] = "AAAA"
        else:
            del self.cluster.objects["Secret", naming.WEBHOOK_SECRET]

    @invariant()
    def remember_what_is_published(self) -> None:
        """Bundles, and when each came."""
        if self.cluster.published != self.history[-1][1]:
            self.history.append((self.time.now, self.cluster.published))

    def check_slow_api_servers(self, old: rotation.Served | None, new: rotation.Served | None) -> None:
        """An API server that is LAG behind verifies what a replica changes to, or starts with."""
        assert new
        working = old is not None and self.time.now < old.pair.certificate.not_after
        installed = self.lost == 0 and len(self.history) > 1 and self.history[1][0] + LAG < self.time.now
        if not working and not (installed and self.alive_throughout()):
            return
        ends = [time for time, _ in self.history[1:]] + [self.time.now]
        for (_, published), end in zip(self.history, ends, strict=True):
            assert end < self.time.now - LAG or new.authority in published

    def alive_throughout(self) -> bool:
        """No CA has ended by itself, with everybody asleep: nothing could have been announced in time then."""
        return all(each.not_after > self.time.now for _, published in self.history[-4:] for each in published)

    @invariant()
    def what_was_ready_verifies(self) -> None:
        """The promise."""
        for number, keeper in enumerate(self.replicas):
            if keeper.ready and self.was_ready[number] != keeper.served:
                self.check_slow_api_servers(self.was_ready[number], keeper.served)
                self.was_ready[number] = keeper.served
            served = self.was_ready[number]
            if served is None or served != keeper.served or served.pair.certificate.not_after <= self.time.now:
                continue
            assert served.pair.certificate.is_issued_by(served.authority)
            assert served.authority in self.cluster.published
            assert served.pair.certificate.not_after <= served.authority.not_after

    @invariant()
    def the_bundle_is_small(self) -> None:
        """It does not grow without end."""
        assert len(self.cluster.published) <= rotation.MOST_PREVIOUS + 2

    def teardown(self) -> None:
        """Left alone, all replicas agree, are ready, and find nothing more to do."""
        for _ in range(4):
            self.time.pass_(seconds=61)
            for keeper in self.replicas:
                asyncio.run(keeper.look())
        assert all(keeper.ready for keeper in self.replicas)
        assert len({keeper.served.pair.certificate for keeper in self.replicas if keeper.served}) == 1
        writes = len(self.cluster.writes)
        for keeper in self.replicas:
            asyncio.run(keeper.look())
        assert len(self.cluster.writes) == writes


TestRotation = Rotation.TestCase
TestRotation.settings = settings(max_examples=examples(4), stateful_step_count=15)
TestRotation.pytestmark = [pytest.mark.timeout(1200)]  # type: ignore[attr-defined]
