"""Certificates: many that wait at the start, a restart, one on an idle system, all of them under a new root.

CPU of the operator for each certificate is what a process takes beyond a start with nothing to do, as in
`facts/libraries.md` (A2 takes the start off, and part F's 1.8 ms for each of 1,000 leave no room for one); with the
start it is noted, too.
"""

import asyncio
import statistics
import time

from tests.bench import machine, processes, raw
from tests.bench.figures import Sheet
from tests.bench.processes import Operator
from tests.bench.raw import Name, Rate
from tests.bench.stage import AUTHORITY, Object, Sight, Stage, spread, staged

from anchorline.api import naming
from anchorline.kube.resources import CERTIFICATES, PRIVATE_CAS

SPACES = 10
SINGLES = 20
ROTATION = {"propagation": "1s", "reissueOver": "0s"}


def ready(obj: Object) -> bool:
    """Whether a Certificate says that it is Ready."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def issued_again(obj: Object) -> bool:
    """Whether it is Ready with its second certificate."""
    return ready(obj) and obj["status"].get("revision", 0) == 2


async def few(sheet: Sheet, count: int) -> float:
    """`count` Certificates that wait, a restart, and single ones; returns the milliseconds of each that waited."""
    async with staged() as stage:
        sheet = await machine.judged_by_the_server(sheet, stage)
        new, _ = await _raw(stage, sheet, count)
        start = await _start(stage, sheet)
        cost = await _waiting(stage, sheet, count, new, start, limits=(8.0 * count / 1000, 100.0))
        with stage.operator() as operator:
            await _restart(stage, sheet, operator, count)
            await _singles(stage, sheet, operator, count)
        return cost


async def many(sheet: Sheet, count: int, raws: int, cost_of_few: float | None) -> None:
    """`count` Certificates that wait, then all of them under a new root; the raw rate is that of `raws` pairs."""
    async with staged() as stage:
        sheet = await machine.judged_by_the_server(sheet, stage)
        new, again = await _raw(stage, sheet, raws)
        start = await _start(stage, sheet)
        cost = await _waiting(stage, sheet, count, new, start, limits=(0.0, 150.0))
        if cost_of_few is not None:
            sheet.most("cost of each, against that of the few", cost / cost_of_few, 1.2, "x")
        with stage.operator() as operator:
            await _restart(stage, sheet, operator, count)
            await _rotation(stage, sheet, operator, count, again)


async def _raw(stage: Stage, sheet: Sheet, count: int) -> tuple[Rate, Rate]:
    """Let the operator make the CA and one Certificate, and write copies of that as fast as it goes."""
    spaces = await stage.namespaces("raw", SPACES)
    await stage.authority(rotation=ROTATION)
    model = (spaces[0], "model")
    await stage.admin.create(CERTIFICATES, raw.wish(model))
    with stage.operator() as operator:
        async with Sight(stage.admin, CERTIFICATES, ready) as sight:
            await sight.reach(1, operator)
    pairs = raw.Pairs(stage, await raw.sample(stage, model), spaces)
    # Who counts costs the API server something, too: it watches here as it does when the operator writes.
    async with Sight(stage.admin, CERTIFICATES, ready):
        new, again = await pairs.rates(count)
    sheet.note("raw: new Secret + status", new.per_second, "/s")
    sheet.note("raw: API server and etcd CPU for each", new.server_ms, "ms")
    sheet.note("raw: replaced Secret + status", again.per_second, "/s")
    return new, again


async def _start(stage: Stage, sheet: Sheet) -> float:
    """CPU seconds of a start with a CA and no Certificates, until all of it was looked at."""
    await stage.quiet()
    with stage.operator() as operator:
        await _looked_at(operator, "PrivateCA", 1)
        start = processes.cpu_seconds(operator.pid)
    sheet.note("operator CPU for a start with nothing to do", start * 1000, "ms")
    return start


async def _waiting(
    stage: Stage, sheet: Sheet, count: int, rate: Rate, start: float, *, limits: tuple[float, float]
) -> float:
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
    seconds = sight.last - began
    _say_times(sheet, sight, seconds, count, rate, limits[0])
    sheet.note("taken by the machine's host meanwhile", stolen.percent(), "%")
    sheet.note("API server and etcd CPU for each", server / count * 1000, "ms")
    sheet.note("API server and etcd CPU, against the raw one", server / count * 1000 / rate.server_ms, "x")
    sheet.note("operator CPU, against the servers'", cpu / server, "x")
    sheet.most("operator CPU for each", (cpu - start) / count * 1000, 3.0, "ms")
    sheet.note("operator CPU for each, with the start", cpu / count * 1000, "ms")
    sheet.most("RSS", rss, limits[1], "MB")
    sheet.note("RSS, most", most, "MB")
    _writes(sheet, stage.writes(mark), count, 2.0)
    return (sight.last - sight.first) / count * 1000


def _say_times(sheet: Sheet, sight: Sight, seconds: float, count: int, rate: Rate, limit: float) -> None:
    if limit:
        sheet.most(f"{count} waiting ones Ready, from process start", seconds, limit, "s")
    else:
        sheet.note(f"{count} waiting ones Ready, from process start", seconds, "s")
    running = (count - 1) / (sight.last - sight.first)
    sheet.note("first one Ready, from process start", seconds - (sight.last - sight.first), "s")
    sheet.note("Ready, once running", running, "/s")
    sheet.least("Ready, once running, against the raw rate", running / rate.per_second, 0.6, "x")
    sheet.note("Ready, with the start, against the raw rate", count / seconds / rate.per_second, "x")


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


async def _rotation(stage: Stage, sheet: Sheet, operator: Operator, count: int, rate: Rate) -> None:
    """A new root, reissueOver 0s: the ca.crt of all, then a new certificate for all."""
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
    sheet.least("rotation: issued again, against the raw rate", speed / rate.per_second, 0.6, "x")
    sheet.note("rotation: operator CPU for each leaf", cpu / count * 1000, "ms")
    sheet.note("rotation: RSS", processes.memory(operator.pid), "MB")
    _writes(sheet, stage.writes(mark), count, 3.01)
