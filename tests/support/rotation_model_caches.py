"""The operator's own caches and gates on a simulated cluster: what its watches would show is put into them."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tests.support.apiserver import ApiServer
from tests.support.builders import OPERATOR_NAMESPACE
from tests.support.observed import public_roots

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import views, world

T = TypeVar("T")


class Simulated(Protocol):
    """A cluster with a clock that does not jump."""

    api: ApiServer
    clock: float

    def view(self, obj: dict[str, Any], project: Any) -> Any:
        """A projection of an object."""

    def injected(self, space: str) -> tuple[dict[str, Any], ...]:
        """Running injected pods."""


class Watched(world.World):
    """The operator's own caches, fed from the simulated cluster instead of by a watch."""

    def __init__(self, sim: Simulated) -> None:
        surroundings = world.Surroundings(namespace=OPERATOR_NAMESPACE)
        super().__init__(_Pods(sim), surroundings, public_roots(), lambda _key: None)  # type: ignore[arg-type]
        self._sim, self._fed = sim, dict[ObjectKey, str]()

    def _roots_changed(self, old: frozenset[str], new: frozenset[str]) -> None:
        for fingerprint in old ^ new:
            self.trust_changed[fingerprint] = self._sim.clock

    def feed(self) -> None:
        """Take over what has changed."""
        kinds = {"Secret": (self.secrets, views.secret_view), "ConfigMap": (self.stores, views.store_view)}
        kinds |= {"Namespace": (self.namespaces, views.namespace_view)}  # type: ignore[dict-item]
        kinds |= {"Certificate": (self.certificates, views.certificate_view)}  # type: ignore[dict-item]
        there = {key: obj for key, obj in self._sim.api.objects.items() if key.kind in kinds and _watched(key, obj)}
        for key in self._fed.keys() - there.keys():
            kinds[key.kind][0].forget((key.namespace, key.name))
            del self._fed[key]
        for key, obj in there.items():
            version = obj["metadata"]["resourceVersion"]
            if self._fed.get(key) != version:
                self._fed[key] = version
                cache, project = kinds[key.kind]
                cache.put(self._sim.view(obj, project), version, key=(key.namespace, key.name))


def _watched(key: ObjectKey, obj: dict[str, Any]) -> bool:
    ours = (obj["metadata"].get("labels") or {}).get(naming.MANAGED_LABEL) == naming.MANAGED
    return ours or key.kind in ("Namespace", "Certificate")


@dataclass
class _Pods:
    """The one list that the gates ask of the API server."""

    sim: Simulated

    async def list(self, *_: object, **__: object) -> Any:
        """Running injected pods."""
        spaces = [obj["metadata"]["name"] for obj in self.sim.api.list("Namespace")]
        return type("Listing", (), {"items": [pod for space in spaces for pod in self.sim.injected(space)]})


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that waits for nothing returns."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise RuntimeError("it waits for something")
