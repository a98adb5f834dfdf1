"""One fresh control plane with the chart installed, its clients, and an operator beside it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.bench import processes
from tests.chart.cluster import NAMESPACE, OPERATOR
from tests.chart.cluster import Cluster as Installed

from anchorline.kube.cache import Cache
from anchorline.kube.client import Client
from anchorline.kube.connection import Connection, in_cluster
from anchorline.kube.resources import NAMESPACES, PRIVATE_CAS, Resource
from anchorline.lab import AuditLog, ControlPlane

T = TypeVar("T")
Object = dict[str, Any]
LEASES_RESOURCE = "leases"
AUTHORITY = "internal"
# At rest: less than so much of a core, at so many looks in a row.
CALM, CALM_LOOKS, LOOK_SECONDS, QUIET_SECONDS = 0.15, 3, 0.5, 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A control plane; `admin` prepares, `peer` writes as the operator's own ServiceAccount does."""

    plane: ControlPlane
    admin: Client
    peer: Client
    account: Path

    def operator(self, *arguments: str) -> AbstractContextManager[processes.Operator]:
        """The operator as it runs in production, as the chart's ServiceAccount."""
        environment = {
            "ANCHORLINE_SERVICE_ACCOUNT_DIR": str(self.account),
            "ANCHORLINE_API_SERVER": self.plane.server,
            "POD_NAMESPACE": NAMESPACE,
        }
        log = Path(os.environ.get("BENCH_LOG", self.plane.directory / "operator.log"))
        return processes.operator(environment, arguments, log)

    def mark(self) -> int:
        """The end of the audit log now."""
        return AuditLog(self.plane.audit_log).mark()

    def writes(self, mark: int) -> dict[str, int]:
        """Writes of the operator since `mark`, by resource; the Lease is not among them."""
        counted = AuditLog(self.plane.audit_log).writes_by(OPERATOR, mark)
        return {f"{verb} {resource}": n for (verb, resource), n in counted.items() if resource != LEASES_RESOURCE}

    def server_cpu(self, *programs: str) -> float:
        """CPU seconds of kube-apiserver and etcd, or of one of them, until now."""
        folder = self.plane.directory
        chosen = programs or ("kube-apiserver", "etcd")
        return sum(processes.cpu_seconds(processes.pid_of(name, folder)) for name in chosen)

    async def quiet(self) -> None:
        """Wait until the control plane has done what it has to do in the background, before anything is measured.

        Raises TimeoutError when it does not come to rest.
        """
        async with asyncio.timeout(QUIET_SECONDS):
            calm = 0
            while calm < CALM_LOOKS:
                before = self.server_cpu()
                await asyncio.sleep(LOOK_SECONDS)
                calm = calm + 1 if self.server_cpu() - before < CALM * LOOK_SECONDS else 0

    async def namespaces(self, prefix: str, count: int, annotations: dict[str, str] | None = None) -> list[str]:
        """Namespaces PREFIX-0 to PREFIX-(count-1)."""
        names = [f"{prefix}-{number}" for number in range(count)]
        meta = {"annotations": annotations} if annotations else {}
        await spread(names, lambda name: self.admin.create(NAMESPACES, {"metadata": {"name": name, **meta}}))
        return names

    async def authority(self, **spec: Any) -> None:
        """The PrivateCA that everything here is issued by."""
        obj = {"metadata": {"name": AUTHORITY}, "spec": {"subject": {"commonName": "Bench"}, **spec}}
        await self.admin.create(PRIVATE_CAS, obj)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A fresh control plane for one scenario: what others have left in etcd would change its rates.

    The limits were set on two cores that etcd, kube-apiserver and the controller share (`facts/peers-and-signers.md`,
    part 5): kube-controller-manager ends before anything is measured. Nothing here needs its garbage collector.
    """
    with await asyncio.to_thread(ControlPlane.started) as plane:
        await asyncio.to_thread(Installed(plane.kubeconfig).install, "--set", "deployments.enabled=false")
        await asyncio.to_thread(plane.stop, "kube-controller-manager")
        account = plane.service_account_directory(NAMESPACE, "anchorline-operator")
        peer = in_cluster(account, {"ANCHORLINE_API_SERVER": plane.server})
        admin = Connection(server=plane.server, ca_file=plane.ca_file, token=plane.admin_token)
        async with Client(admin) as first, Client(peer) as second:
            yield Stage(plane=plane, admin=first, peer=second, account=account)


async def spread(items: Iterable[T], work: Callable[[T], Awaitable[object]], *, at_once: int = 32) -> float:
    """Do the work for all items, so many at once; the seconds that it took."""
    rest = iter(items)

    async def worker() -> None:
        for item in rest:
            await work(item)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return time.perf_counter() - began


class Sight:
    """Watches one kind and counts the objects that `passes` likes; times are those of time.perf_counter."""

    def __init__(
        self, client: Client, resource: Resource, passes: Callable[[Object], bool], *, metadata_only: bool = False
    ) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0
        self._moved = asyncio.Event()
        self._cache: Cache[bool] = Cache(
            client, resource, project=passes, on_change=self._changed, metadata_only=metadata_only
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._cache.run())
        await self._cache.synced.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _changed(self, _key: tuple[str, str], old: bool | None, new: bool | None) -> None:
        if bool(old) == bool(new):
            return
        self.count += 1 if new else -1
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self._moved.set()

    async def reach(self, wanted: int, operator: processes.Operator, *, silence: float = 120.0) -> None:
        """Wait until so many pass; raises TimeoutError when nothing moves, RuntimeError when the operator ended."""
        while self.count < wanted:
            self._moved.clear()
            async with asyncio.timeout(silence):
                await self._moved.wait()
            operator.running()
