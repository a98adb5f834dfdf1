"""Certificates: many that wait at the start, a restart, one on an idle system, all of them under a new root.

CPU of the operator for each certificate is what a process takes beyond a start with nothing to do, as in
`facts/libraries.md` (A2 takes the start off, and part F's 1.8 ms for each of 1,000 leave no room for one); with the
start it is noted, too.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass

from tests.bench import machine, processes, raw
from tests.bench.figures import Sheet
from tests.bench.processes import Operator
from tests.bench.raw import Name, Rate
from tests.bench.stage import AUTHORITY, Object, Sight, Stage, spread, staged

from anchorline.api import naming
from anchorline.kube.resources import CERTIFICATES, PRIVATE_CAS

SPACES = 10
ROUNDS = 3
# The limit of time from process start is for so many.
FEW = 1000
# So many writes at once when there are many.
FAST = 50
SINGLES = 20
ROTATION = {"propagation": "1s", "reissueOver": "0s"}


def ready(obj: Object) -> bool:
    """Whether a Certificate says that it is Ready."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def issued_again(obj: Object) -> bool:
    """Whether it is Ready with its second certificate."""
    return ready(obj) and obj["status"].get("revision", 0) == 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How many that waited became Ready: from process start to the first and to the last, and what it cost."""

    spaces: list[str]
    count: int
    first: float
    last: float
    server_ms: float

    @property
    def running(self) -> float:
        """So many a second once the first was Ready."""
        return (self.count - 1) / (self.last - self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Milliseconds of each once the first was Ready, and how many times those of writing it without thinking."""

    ms: float
    against_raw: float


async def few(sheet: Sheet, count: int) -> Cost:
    """`count` Certificates that wait, a restart, and single ones, in rounds; what each that waited has cost."""
    rounds = [await _round(each, count) for each in sheet.rounds(ROUNDS)]
    sheet.together(each for each, _ in rounds)
    costs = [cost for _, cost in rounds]
    return Cost(
        ms=statistics.median(each.ms for each in costs),
        against_raw=statistics.median(each.against_raw for each in costs),
    )


async def _round(sheet: Sheet, count: int) -> tuple[Sheet, Cost]:
    """One round on a control plane of its own."""
    print(f"{sheet.scenario}: round {sheet.round} of {ROUNDS}", flush=True)
    async with staged() as stage:
        sheet = await machine.judged_by_the_server(sheet, stage)
        pairs = await _pairs(stage)
        await _raw(stage, pairs, count, replaced=False)
        start = await _start(stage, sheet)
        waited = await _waiting(stage, sheet, count, start, limits=(8.0 if count == FEW else 0.0, 100.0))
        with stage.operator() as operator:
            await _restart(stage, sheet, operator, count)
            await _singles(stage, sheet, operator, count)
        await _raw(stage, pairs, count, replaced=False)
        return sheet, _against_raw(sheet, waited, pairs.new)


async def many(sheet: Sheet, count: int, of_few: Cost | None) -> None:
    """`count` Certificates that wait, then all of them under a new root.

    The raw rate is that of as many, since the API server takes the longer for each write the more there is: its
    collector goes through all that it keeps in memory.
    """
    async with staged() as stage:
        sheet = await machine.judged_by_the_server(sheet, stage)
        pairs = await _pairs(stage)
        await _raw(stage, pairs, count, at_once=(FAST,))
        start = await _start(stage, sheet)
        waited = await _waiting(stage, sheet, count, start, limits=(0.0, 150.0))
        with stage.operator() as operator:
            await _restart(stage, sheet, operator, count)
            speed = await _rotation(stage, sheet, operator, count)
        await raw.empty(stage, waited.spaces)
        await _raw(stage, pairs, count, at_once=(FAST,))
        cost = _against_raw(sheet, waited, pairs.new)
        if of_few is not None:
            # Minutes lie between both, and others use this machine: what the API server can take says how fast it was.
            against_raw = cost.against_raw / of_few.against_raw
            sheet.most("cost of each against raw, against that of the few", against_raw, 1.2, "x")
            sheet.note("cost of each by the clock, against that of the few", cost.ms / of_few.ms, "x")
        sheet.note("raw: replaced Secret + status", pairs.again.per_second, "/s")
        sheet.least("rotation: issued again, against the raw rate", speed / pairs.again.per_second, 0.6, "x")


async def _pairs(stage: Stage) -> raw.Pairs:
    """Let the operator make the CA and one Certificate: copies of it are what is written without thinking."""
    spaces = await stage.namespaces("raw", SPACES)
    await stage.authority(rotation=ROTATION)
    model = (spaces[0], "model")
    await stage.admin.create(CERTIFICATES, raw.wish(model))
    with stage.operator() as operator:
        async with Sight(stage.admin, CERTIFICATES, ready) as sight:
            await sight.reach(1, operator)
    return raw.Pairs(stage, await raw.sample(stage, model), spaces)


async def _raw(
    stage: Stage, pairs: raw.Pairs, count: int, *, at_once: tuple[int, ...] = raw.AT_ONCE, replaced: bool = True
) -> None:
    """Write as fast as it goes: before the operator does and after, as others use this machine from time to time."""
    # Who counts costs the API server something, too: it watches here as it does when the operator writes.
    async with Sight(stage.admin, CERTIFICATES, ready):
        await pairs.take(count, at_once=at_once, replaced=replaced)


def _against_raw(sheet: Sheet, waited: Waited, rate: Rate) -> Cost:
    sheet.note("raw: new Secret + status", rate.per_second, "/s")
    sheet.note("raw: API server and etcd CPU for each", rate.server_ms, "ms")
    sheet.note("API server and etcd CPU, against the raw one", waited.server_ms / rate.server_ms, "x")
    sheet.least("Ready, once running, against the raw rate", waited.running / rate.per_second, 0.6, "x")
    with_start = waited.count / waited.last / rate.per_second
    sheet.note("Ready, with the start, against the raw rate", with_start, "x")
    each = (waited.last - waited.first) / waited.count
    return Cost(ms=each * 1000, against_raw=each * rate.per_second)


async def _start(stage: Stage, sheet: Sheet) -> float:
    """CPU seconds of a start with a CA and no Certificates, until all of it was looked at."""
    await stage.quiet()
    with stage.operator() as operator:
        await _looked_at(operator, "PrivateCA", 1)
        start = processes.cpu_seconds(operator.pid)
    sheet.note("operator CPU for a start with nothing to do", start * 1000, "ms")
    return start


async def _waiting(stage: Stage, sheet: Sheet, count: int, start: float, *, limits: tuple[float, float]) -> Waited:
    spaces = await stage.namespaces("bench", SPACES)
    await spread(raw.names(spaces, count), lambda name: stage.admin.create(CERTIFICATES, raw.wish(name)))
    async with Sight(stage.admin, CERTIFICATES, ready) as sight:
        await stage.quiet()
        mark, server, stolen = stage.mark(), stage.server_cpu(), machine.Stolen()
        with stage.operator() as operator:
            await sight.reach(count, operator)
            cpu, rss = processes.cpu_seconds(operator.pid), processes.memory(operator.pid)
            most, began = processes.memory(operator.pid, "VmHWM"), operator.began
        server = stage.server_cpu() - server
    waited = Waited(
        spaces=spaces, count=count, first=sight.first - began, last=sight.last - began, server_ms=server / count * 1000
    )
    _say_times(sheet, waited, limits[0])
    sheet.note("taken by the machine's host meanwhile", stolen.percent(), "%")
    sheet.note("API server and etcd CPU for each", waited.server_ms, "ms")
    sheet.note("operator CPU, against the servers'", cpu / server, "x")
    sheet.most("operator CPU for each", (cpu - start) / count * 1000, 3.0, "ms")
    sheet.note("operator CPU for each, with the start", cpu / count * 1000, "ms")
    sheet.most("RSS", rss, limits[1], "MB")
    sheet.note("RSS, most", most, "MB")
    _writes(sheet, stage.writes(mark), count, 2.0)
    return waited


def _say_times(sheet: Sheet, waited: Waited, limit: float) -> None:
    if limit:
        sheet.most(f"{waited.count} waiting ones Ready, from process start", waited.last, limit, "s")
    else:
        sheet.note(f"{waited.count} waiting ones Ready, from process start", waited.last, "s")
    sheet.note("first one Ready, from process start", waited.first, "s")
    sheet.note("Ready, once running", waited.running, "/s")


def _writes(sheet: Sheet, writes: dict[str, int], count: int, limit: float) -> None:
    sheet.most("API writes for each", round(sum(writes.values()) / count, 2), limit)
    for kind, number in sorted(writes.items()):
        sheet.note(f"  {kind}", number)


async def _restart(stage: Stage, sheet: Sheet, operator: Operator, count: int) -> None:
    """Everything is as it should be: the operator looks at all of it and writes nothing (P5)."""
    mark = stage.mark()
    await _looked_at(operator, "Certificate", count)
    sheet.note("restart: all looked at, from process start", time.perf_counter() - operator.began, "s")
    sheet.note("restart: operator CPU for each", processes.cpu_seconds(operator.pid) / count * 1000, "ms")
    sheet.note("restart: RSS", processes.memory(operator.pid), "MB")
    sheet.most("restart: API writes but the Lease's", sum(stage.writes(mark).values()), 0)


async def _looked_at(operator: Operator, kind: str, count: int) -> None:
    """Wait until so many of a kind have been looked at, and nothing waits. Raises RuntimeError when it has ended."""
    looked = f'anchorline_reconcile_duration_seconds_count{{kind="{kind}"}}'
    while operator.metric(looked) < count or operator.metric("anchorline_workqueue_depth"):
        operator.running()
        await asyncio.sleep(0.1)


async def _singles(stage: Stage, sheet: Sheet, operator: Operator, count: int) -> None:
    """One after the other on an idle system: what a person waits for."""
    (space,) = await stage.namespaces("single", 1)
    taken = []
    await stage.quiet()
    async with Sight(stage.admin, CERTIFICATES, ready) as sight:
        for number in range(SINGLES):
            name: Name = (space, f"one-{number}")
            began = time.perf_counter()
            await stage.admin.create(CERTIFICATES, raw.wish(name))
            await sight.reach(count + number + 1, operator)
            taken.append((time.perf_counter() - began) * 1000)
    sheet.most("one alone, create to Ready, p50", statistics.median(taken), 40.0, "ms")
    sheet.note("one alone, create to Ready, longest", max(taken), "ms")


async def _rotation(stage: Stage, sheet: Sheet, operator: Operator, count: int) -> float:
    """A new root, reissueOver 0s: the ca.crt of all, then a new certificate for all; returns how many a second."""
    await stage.quiet()
    mark, cpu, began = stage.mark(), processes.cpu_seconds(operator.pid), time.perf_counter()
    async with Sight(stage.admin, CERTIFICATES, issued_again) as sight:
        annotations = {"annotations": {naming.ROTATE_ANNOTATION: "bench"}}
        await stage.admin.merge_patch(PRIVATE_CAS, AUTHORITY, "", {"metadata": annotations})
        await sight.reach(count, operator)
        cpu = processes.cpu_seconds(operator.pid) - cpu
        sheet.note("rotation: all under the new root", sight.last - began, "s")
        speed = (count - 1) / (sight.last - sight.first)
        sheet.note("rotation: first one issued again", sight.first - began, "s")
    sheet.note("rotation: issued again", speed, "/s")
    sheet.note("rotation: operator CPU for each leaf", cpu / count * 1000, "ms")
    sheet.note("rotation: RSS", processes.memory(operator.pid), "MB")
    _writes(sheet, stage.writes(mark), count, 3.01)
    return speed
