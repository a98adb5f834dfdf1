"""Trust stores over a thousand namespaces, when a root is added."""

import time

from tests.bench import processes, raw
from tests.bench.figures import Sheet
from tests.bench.stage import AUTHORITY, Object, Sight, Stage, staged

from anchorline.api import naming
from anchorline.kube.resources import CONFIG_MAPS, PRIVATE_CAS

RAW = 300


class Second:
    """Tells stores that have been written twice: the second version of each that is seen."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def __call__(self, obj: Object) -> bool:
        meta = obj["metadata"]
        version: str = meta["resourceVersion"]
        return is_store(obj) and self._first.setdefault(meta["namespace"], version) != version


def is_store(obj: Object) -> bool:
    """Whether a ConfigMap is a trust store."""
    name: str = obj["metadata"]["name"]
    return name == naming.TRUST_STORE


async def spread_root(sheet: Sheet, count: int) -> None:
    """`count` namespaces that trust one CA; its root is replaced, and all stores get the new one."""
    async with staged() as stage:
        await stage.authority()
        new, again = await _raw(stage, sheet, count)
        with stage.operator() as operator:
            async with Sight(stage.admin, CONFIG_MAPS, is_store, metadata_only=True) as sight:
                await stage.namespaces("bench", count, {naming.TRUST: AUTHORITY})
                await sight.reach(count, operator)
            await _added(stage, sheet, operator, count, again)
    sheet.note("raw: new store", new.per_second, "/s")


async def _raw(stage: Stage, sheet: Sheet, count: int) -> tuple[raw.Rate, raw.Rate]:
    (space,) = await stage.namespaces("model", 1, {naming.TRUST: AUTHORITY})
    with stage.operator() as operator:
        async with Sight(stage.admin, CONFIG_MAPS, is_store, metadata_only=True) as sight:
            await sight.reach(1, operator)
    model = await stage.admin.get(CONFIG_MAPS, naming.TRUST_STORE, space)
    await stage.admin.request("DELETE", f"/api/v1/namespaces/{space}")
    new, again = await raw.stores(stage, model, await stage.namespaces("raw", min(count, RAW)))
    sheet.note("size of a store", sum(len(each) for each in model["data"].values()) / 1000, "kB")
    sheet.note("raw: replaced store", again.per_second, "/s")
    sheet.note("raw: API server and etcd CPU for each", again.server_ms, "ms")
    return new, again


async def _added(stage: Stage, sheet: Sheet, operator: processes.Operator, count: int, raw_rate: raw.Rate) -> None:
    await stage.quiet()
    mark, cpu, server = stage.mark(), processes.cpu_seconds(operator.pid), stage.server_cpu()
    async with Sight(stage.admin, CONFIG_MAPS, Second(), metadata_only=True) as sight:
        began = time.perf_counter()
        annotations = {"annotations": {naming.ROTATE_ANNOTATION: "bench"}}
        await stage.admin.merge_patch(PRIVATE_CAS, AUTHORITY, "", {"metadata": annotations})
        await sight.reach(count, operator)
    seconds = sight.last - began
    sheet.note(f"{count} stores with the new root", seconds, "s")
    sheet.least("stores written", count / seconds, 80.0, "/s")
    sheet.least("stores written, against the raw rate", count / seconds / raw_rate.per_second, 0.7, "x")
    sheet.note("operator CPU for each", (processes.cpu_seconds(operator.pid) - cpu) / count * 1000, "ms")
    spent = (stage.server_cpu() - server) / count * 1000
    sheet.note("API server and etcd CPU for each", spent, "ms")
    sheet.note("API server and etcd CPU, against the raw one", spent / raw_rate.server_ms, "x")
    sheet.note("RSS", processes.memory(operator.pid), "MB")
    writes = stage.writes(mark)
    sheet.most("API writes for each store", round(writes.get("update configmaps", 0) / count, 3), 1.0)
