"""Observe, plan, apply: one key at a time, until there is nothing left to do for it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.errors import AnchorlineError, NotReady
from anchorline.kube.apply import Applier
from anchorline.kube.observe import Observer
from anchorline.kube.world import World
from anchorline.plan.actions import Plan
from anchorline.plan.authority_plan import authority, orphaned
from anchorline.plan.certificate import certificate
from anchorline.plan.trust import namespace
from anchorline.plan.world import Authority
from anchorline.shell.metrics import Metrics

log = logging.getLogger("anchorline.reconcile")

# A plan that is not done after so many looks in a row waits for its turn again.
ROUNDS = 8
Adder = Callable[[ObjectKey], None]


@dataclass
class Reconciler:
    """Brings what a key names to its desired state."""

    world: World
    observer: Observer
    applier: Applier
    metrics: Metrics
    now: Callable[[], datetime]
    add: Adder
    _told: dict[str, tuple[object, ...]] = field(default_factory=dict)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Work on one key; the seconds until it wants another look, None for not without an event.

        Raises AnchorlineError, after telling of it, when it should be tried again.
        """
        with self.metrics.reconcile(key.kind):
            try:
                return await self._rounds(key, self._planner(key))
            except AnchorlineError as error:
                self.metrics.failed(key.kind, error.reason)
                level = logging.DEBUG if isinstance(error, NotReady) else logging.WARNING
                log.log(level, "cannot finish", extra={"key": str(key), "reason": error.reason, "why": error.message})
                raise
            except Exception:
                self.metrics.failed(key.kind, "Unexpected")
                log.exception("unexpected error", extra={"key": str(key)})
                raise

    def _planner(self, key: ObjectKey) -> Callable[[ObjectKey], Awaitable[Plan]]:
        planners = {"PrivateCA": self._private_ca, "Certificate": self._certificate, "Namespace": self._namespace}
        return planners[key.kind]

    async def _rounds(self, key: ObjectKey, planner: Callable[[ObjectKey], Awaitable[Plan]]) -> float | None:
        for _ in range(ROUNDS):
            todo = await planner(key)
            if todo:
                log.info("planned", extra={"key": str(key), "plan": str(todo)})
            await self.applier.apply(todo)
            if not todo.again:
                return None if todo.look_again is None else max(0.0, (todo.look_again - self.now()).total_seconds())
        raise NotReady(f"{key} did not settle in {ROUNDS} steps; it is looked at again")

    async def _private_ca(self, key: ObjectKey) -> Plan:
        seen = await self.observer.private_ca(key.name, self.now())
        todo = authority(seen, self.now()) if seen is not None else self._orphans(key.name)
        if not todo.again:
            self._tell_dependents(key.name, seen.resource if seen else None)
        return todo

    def _orphans(self, name: str) -> Plan:
        material = self.observer.material(name)
        retired = tuple(each.secret for each in material.retired)
        return replace(orphaned(material.roots, material.intermediates, retired), again=False)

    async def _certificate(self, key: ObjectKey) -> Plan:
        seen = await self.observer.certificate((key.namespace, key.name), self.now())
        return certificate(seen, self.now()) if seen is not None else Plan()

    async def _namespace(self, key: ObjectKey) -> Plan:
        seen = await self.observer.namespace(key.name, self.now())
        todo = namespace(seen, self.now()) if seen is not None else Plan()
        for name in self._interested(key.name):
            self.add(ObjectKey("PrivateCA", "", name))
        return todo

    def _interested(self, namespace_name: str) -> tuple[str, ...]:
        """CAs whose status tells of this namespace's trust store."""
        seen = self.world.namespaces.get(("", namespace_name))
        named = naming.trusted_names(seen.annotation(naming.TRUST)) if seen else ()
        return tuple(name for name in named if name in self.world.cas)

    def _tell_dependents(self, name: str, ca: PrivateCA | None) -> None:
        """When what a CA means has changed, everything that depends on it is looked at again."""
        meaning = _essence(self.observer.authority(ca, self.now()) if ca else None, ca, self.observer, name, self.now())
        if self._told.get(name) == meaning:
            return
        self._told[name] = meaning
        for resource in self.world.certificates.values():
            if resource.spec.ca_ref.name == name:
                self.add(ObjectKey("Certificate", resource.metadata.namespace, resource.metadata.name))
        for each in self.world.namespaces.values():
            self.add(ObjectKey("Namespace", "", each.name))


def _essence(
    meaning: Authority | None, ca: PrivateCA | None, observer: Observer, name: str, now: datetime
) -> tuple[object, ...]:
    """What Certificates and trust stores depend on, without what changes all the time."""
    if meaning is None or ca is None:
        return (None, tuple(root.secret for root in observer.material(name).roots))
    signer = meaning.signer
    return (
        ca.spec,
        meaning.trust,
        (signer.certificate, signer.tail) if signer else None,
        tuple((each.generation, each.tail) for each in meaning.issuers),
        meaning.problem,
        meaning.reissue_from,
    )
