"""Trust stores over a thousand namespaces, when a root is added."""

import time

from tests.bench import machine, processes, raw
from tests.bench.figures import Sheet
from tests.bench.stage import AUTHORITY, Object, Sight, Stage, staged

from anchorline.api import naming
from anchorline.kube.resources import CONFIG_MAPS, PRIVATE_CAS


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
    """`count` namespaces that trust one CA; its root is replaced, and all stores get the new one.

    The raw rate is that of replacing the same stores afterwards: a fresh control plane with fewer of them is faster.
    """
    async with staged() as stage:
        sheet = await machine.judged_by_the_server(sheet, stage)
        await stage.authority()
        with stage.operator() as operator:
            async with Sight(stage.admin, CONFIG_MAPS, is_store, metadata_only=True) as sight:
                spaces = await stage.namespaces("bench", count, {naming.TRUST: AUTHORITY})
                await sight.reach(count, operator)
            speed, server = await _added(stage, sheet, operator, count)
        # Who counts costs the API server something, too: it watches here as it did there.
        async with Sight(stage.admin, CONFIG_MAPS, is_store, metadata_only=True):
            rate = await raw.stores(stage, await stage.admin.get(CONFIG_MAPS, naming.TRUST_STORE, spaces[0]), spaces)
        sheet.note("raw: replaced store", rate.per_second, "/s")
        sheet.note("raw: API server and etcd CPU for each", rate.server_ms, "ms")
        sheet.least("stores written, against the raw rate", speed / rate.per_second, 0.7, "x")
        sheet.note("API server and etcd CPU, against the raw one", server / rate.server_ms, "x")


async def _added(stage: Stage, sheet: Sheet, operator: processes.Operator, count: int) -> tuple[float, float]:
    """Stores a second with the new root, and milliseconds of API server and etcd for each."""
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
    sheet.note("operator CPU for each", (processes.cpu_seconds(operator.pid) - cpu) / count * 1000, "ms")
    spent = (stage.server_cpu() - server) / count * 1000
    sheet.note("API server and etcd CPU for each", spent, "ms")
    sheet.note("RSS", processes.memory(operator.pid), "MB")
    writes = stage.writes(mark)
    sheet.most("API writes for each store", round(writes.get("update configmaps", 0) / count, 3), 1.0)
    return count / seconds, spent
