"""What the API server can take: our own client writing equal objects without thinking, as the operator's account."""

import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.stage import AUTHORITY, Object, Stage, spread

from anchorline.api import naming
from anchorline.kube.resources import CERTIFICATES, CONFIG_MAPS, SECRETS, Resource

AT_ONCE = (16, 50)
Name = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many objects a second, and the CPU of API server and etcd for each."""

    per_second: float
    server_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the operator wrote for one Certificate: the Secret and the status."""

    secret: Object
    status: Object


def wish(name: Name) -> Object:
    """A Certificate as people write it."""
    namespace, own = name
    spec = {
        "caRef": {"name": AUTHORITY},
        "secretName": f"{own}-tls",
        "dnsNames": [f"{own}.{namespace}.svc", f"{own}.{namespace}.svc.cluster.local"],
    }
    return {"metadata": {"name": own, "namespace": namespace}, "spec": spec}


def names(namespaces: Sequence[str], count: int, prefix: str = "web") -> list[Name]:
    """Names of `count` Certificates, evenly over the namespaces."""
    return [(namespaces[number % len(namespaces)], f"{prefix}-{number}") for number in range(count)]


async def sample(stage: Stage, name: Name) -> Sample:
    """Take over what the operator wrote for a Certificate."""
    namespace, own = name
    secret = await stage.admin.get(SECRETS, f"{own}-tls", namespace)
    certificate = await stage.admin.get(CERTIFICATES, own, namespace)
    return Sample(secret=secret, status=certificate["status"])


class Pairs:
    """Writes a Secret and a status for each of many Certificates; nothing is looked at, nothing is decided."""

    def __init__(self, stage: Stage, model: Sample, namespaces: Sequence[str]) -> None:
        self._stage, self._model, self._namespaces = stage, model, namespaces
        self._uids: dict[Name, str] = {}
        self._seen: dict[Name, str] = {}
        self._versions: dict[Name, str] = {}
        self._new: defaultdict[int, list[Rate]] = defaultdict(list)
        self._again: defaultdict[int, list[Rate]] = defaultdict(list)

    async def take(self, count: int, *, at_once: Sequence[int] = AT_ONCE, replaced: bool = True) -> None:
        """Measure once more, so many of each: new Secret + status, and the same replaced."""
        for workers in at_once:
            wanted = names(self._namespaces, count, f"raw{workers}")
            await spread(wanted, self._wish)
            await self._stage.quiet()
            self._new[workers].append(await measured(self._stage, wanted, self._create, workers))
            if replaced:
                await self._stage.quiet()
                self._again[workers].append(await measured(self._stage, wanted, self._replace, workers))
            await empty(self._stage, self._namespaces)

    @property
    def new(self) -> Rate:
        """Rate of a new Secret and a status, of all that was measured."""
        return better(self._new)

    @property
    def again(self) -> Rate:
        """Rate of a replaced Secret and a status, of all that was measured."""
        return better(self._again)

    async def _wish(self, name: Name) -> None:
        made = await self._stage.admin.create(CERTIFICATES, wish(name))
        self._uids[name], self._seen[name] = made["metadata"]["uid"], made["metadata"]["resourceVersion"]

    async def _create(self, name: Name) -> None:
        written = await self._stage.peer.create(SECRETS, self._secret(name, "1"), protobuf=True)
        self._versions[name] = written["metadata"]["resourceVersion"]
        await self._status(name, 1)

    async def _replace(self, name: Name) -> None:
        secret = self._secret(name, "2")
        secret["metadata"]["resourceVersion"] = self._versions[name]
        await self._stage.peer.replace(SECRETS, secret, protobuf=True)
        await self._status(name, 2)

    async def _status(self, name: Name, revision: int) -> None:
        obj = {
            "metadata": {"namespace": name[0], "name": name[1], "resourceVersion": self._seen[name]},
            "status": {**self._model.status, "revision": revision},
        }
        written = await self._stage.peer.replace(CERTIFICATES, obj, subresource="status")
        self._seen[name] = written["metadata"]["resourceVersion"]

    def _secret(self, name: Name, revision: str) -> Object:
        meta = self._model.secret["metadata"]
        owner = {**meta["ownerReferences"][0], "name": name[1], "uid": self._uids[name]}
        metadata = {
            "name": f"{name[1]}-tls",
            "namespace": name[0],
            "labels": meta["labels"],
            "annotations": {**meta["annotations"], naming.REVISION_ANNOTATION: revision},
            "ownerReferences": [owner],
        }
        return {**self._model.secret, "metadata": metadata, "apiVersion": "v1", "kind": "Secret"}


async def stores(stage: Stage, model: Object, namespaces: Sequence[str]) -> Rate:
    """The better rate of replaced trust stores, of the bytes of `model`."""
    rates: dict[int, list[Rate]] = {}
    for at_once in AT_ONCE:
        found = await stage.peer.list(
            CONFIG_MAPS, labels=f"{naming.ROLE_LABEL}={naming.ROLE_TRUST_STORE}", metadata_only=True
        )
        versions = {each["metadata"]["namespace"]: each["metadata"]["resourceVersion"] for each in found.items}

        async def replace(name: str, versions: dict[str, str] = versions, round_: str = str(at_once)) -> None:
            obj = _store(model, name, resourceVersion=versions[name], annotations={"bench": round_})
            await stage.peer.replace(CONFIG_MAPS, obj, protobuf=True)

        await stage.quiet()
        rates[at_once] = [await measured(stage, namespaces, replace, at_once)]
    return better(rates)


def _store(model: Object, namespace: str, **more: Any) -> Object:
    metadata = {"name": naming.TRUST_STORE, "namespace": namespace, "labels": model["metadata"]["labels"], **more}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": model["data"]}


async def measured(stage: Stage, items: Sequence[Any], work: Callable[[Any], Awaitable[object]], at_once: int) -> Rate:
    """The rate at which `work` is done, so many at once."""
    before = stage.server_cpu()
    seconds = await spread(items, work, at_once=at_once)
    return Rate(per_second=len(items) / seconds, server_ms=(stage.server_cpu() - before) / len(items) * 1000)


def better(rates: Mapping[int, Sequence[Rate]]) -> Rate:
    """The mean rate of the better number at once: the best single one would be that of this machine's best second."""
    means = (
        Rate(
            per_second=statistics.harmonic_mean([each.per_second for each in same]),
            server_ms=statistics.fmean(each.server_ms for each in same),
        )
        for same in rates.values()
    )
    return max(means, key=lambda rate: rate.per_second)


async def empty(stage: Stage, namespaces: Sequence[str]) -> None:
    """Delete all Certificates and all leaf Secrets of some namespaces."""

    async def delete(namespace: str, resource: Resource, selector: str = "") -> None:
        answer = await stage.admin.request("DELETE", resource.path(namespace) + selector)
        if answer.status >= 400:
            raise RuntimeError(answer.body.decode(errors="replace"))

    for namespace in namespaces:
        await delete(namespace, CERTIFICATES)
        await delete(namespace, SECRETS, f"?labelSelector={naming.MANAGED_LABEL}%3D{naming.MANAGED}")
