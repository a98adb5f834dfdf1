"""Observe, plan, apply: one key at a time, until there is nothing left to do for it."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from anchorline.api.certificate import Certificate
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.errors import AnchorlineError, ClusterError, InvalidSpec, NotReady
from anchorline.kube.apply import Applier
from anchorline.kube.denials import LASTING
from anchorline.kube.observe import Observer
from anchorline.kube.world import World
from anchorline.plan.actions import Emit
from anchorline.plan.world import Authority
from anchorline.shell.metrics import Metrics
from anchorline.shell.planner import Planner

log = logging.getLogger("anchorline.reconcile")

# A plan that is not done after so many looks in a row waits for its turn again.
ROUNDS = 8
Adder = Callable[[ObjectKey], None]


@dataclass
class Reconciler:
    """Brings what a key names to its desired state."""

    world: World
    observer: Observer
    planner: Planner
    applier: Applier
    metrics: Metrics
    now: Callable[[], datetime]
    add: Adder
    add_soon: Adder
    looking: Adder = lambda _key: None
    _told: dict[str, tuple[object, ...]] = field(default_factory=dict)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Work on one key; the seconds until it wants another look, None for not without an event.

        Raises AnchorlineError, after telling of it, when it should be tried again.
        """
        with self.metrics.reconcile(key.kind):
            try:
                return await self._rounds(key)
            except AnchorlineError as error:
                self.metrics.failed(key.kind, error.reason)
                level = logging.DEBUG if isinstance(error, NotReady) else logging.WARNING
                log.log(level, "cannot finish", extra={"key": str(key), "reason": error.reason, "why": error.message})
                await self._refused(key, error)
                raise
            except Exception:
                self.metrics.failed(key.kind, "Unexpected")
                log.exception("unexpected error", extra={"key": str(key)})
                raise

    async def _refused(self, key: ObjectKey, error: AnchorlineError) -> None:
        """Have a person told what goes on being refused: by a Certificate's status, or by an event."""
        lasting = isinstance(error, ClusterError) and error.status in LASTING
        certificate = self.world.certificates.get((key.namespace, key.name)) if key.kind == "Certificate" else None
        if certificate is not None and isinstance(error, ClusterError):
            self.world.denials.note(key, certificate.metadata.generation, error)
        elif certificate is None and (lasting or isinstance(error, InvalidSpec)):
            ca = self.world.cas.get(key.name) if key.kind == "PrivateCA" else None
            uid = ca.metadata.uid if ca is not None else ""
            with suppress(AnchorlineError):
                note = Emit(about=key, uid=uid, warning=True, reason=error.reason, note=error.message)
                await self.applier.events.say(note, self.now())

    async def _rounds(self, key: ObjectKey) -> float | None:
        for _ in range(ROUNDS):
            # Our own writes ask for another look: this one sees them.
            self.looking(key)
            todo = await self.planner.plan(key)
            if todo:
                log.info("planned", extra={"key": str(key), "plan": str(todo)})
            await self.applier.apply(todo)
            if not todo.again:
                self._tell(key)
                return None if todo.look_again is None else max(0.0, (todo.look_again - self.now()).total_seconds())
        raise NotReady(f"{key} did not settle in {ROUNDS} steps; it is looked at again")

    def _tell(self, key: ObjectKey) -> None:
        """Have those looked at for whom it matters what this key has become."""
        if key.kind == "PrivateCA":
            self._tell_dependents(key.name, self.world.cas.get(key.name))
        elif key.kind == "Namespace":
            for name in self.observer.asked_by(key.name):
                self.add_soon(ObjectKey("PrivateCA", "", name))
        elif key.kind == "Certificate":
            resource = self.world.certificates.get((key.namespace, key.name))
            for name in filter(self.observer.rotating, self._authorities(resource)):
                self.add_soon(ObjectKey("PrivateCA", "", name))

    def _authorities(self, resource: Certificate | None) -> set[str]:
        """The CA that a Certificate names, and the one that issued what its Secret holds."""
        return {resource.spec.ca_ref.name, self.world.served_by(resource)} if resource is not None else set()

    def _tell_dependents(self, name: str, ca: PrivateCA | None) -> None:
        """When what a CA means has changed, everything that depends on it is looked at again."""
        meaning = _essence(self.observer.authority(ca, self.now()) if ca else None, ca, self.observer, name)
        if self._told.get(name) == meaning:
            return
        self._told[name] = meaning
        for resource in self.world.certificates.values():
            if name in self._authorities(resource):
                self.add(ObjectKey("Certificate", resource.metadata.namespace, resource.metadata.name))
        for each in self.world.namespaces.values():
            self.add(ObjectKey("Namespace", "", each.name))


def _essence(meaning: Authority | None, ca: PrivateCA | None, observer: Observer, name: str) -> tuple[object, ...]:
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
        (meaning.reissue_from, meaning.reissue_over, meaning.paused),
    )
