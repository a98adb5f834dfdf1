"""Plan for one namespace: its trust store, and the label that switches injection.

The label goes on after the ConfigMap is there, and off before it goes: a pod is never pointed at a missing file.
"""

from datetime import datetime, timedelta
from hashlib import sha256

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.errors import Reason
from anchorline.pki import TrustBundle
from anchorline.plan.actions import Action, DeleteTrustStore, Emit, LabelNamespace, Plan, PutTrustStore
from anchorline.plan.world import ForeignObject, StoreSeen, TrustedCA, TrustSeen

COUNT_PODS_AGAIN = timedelta(seconds=30)
LOOK_AT_FOREIGN_AGAIN = timedelta(minutes=1)


def store_digest(private: TrustBundle, public_digest: str) -> str:
    """What a trust store holds, as one value: the same roots and the same public roots give the same digest."""
    return sha256(f"{private.digest}\n{public_digest}".encode()).hexdigest()


def asks(seen: TrustSeen) -> tuple[str, ...]:
    """Names of the CAs that this namespace trusts: those it names, then those that select it."""
    named = naming.trusted_names(seen.namespace.annotation(naming.TRUST))
    selecting = (each.name for each in seen.authorities if each.selects)
    return tuple(dict.fromkeys((*named, *selecting)))


def namespace(seen: TrustSeen, now: datetime) -> Plan:
    """Give the namespace the trust store that it asks for, or take back one that it no longer asks for."""
    if seen.namespace.deleting:
        return Plan()
    wanted = _roots(seen)
    said = _said(seen)
    plan = _with(seen, wanted, now) if asks(seen) and wanted else _without(seen, now)
    return Plan(actions=(*plan.actions, *said), look_again=plan.look_again, again=plan.again)


def _roots(seen: TrustSeen) -> TrustBundle:
    names = set(asks(seen))
    bundle = TrustBundle.of((), now=None)
    for each in seen.authorities:
        if each.name in names:
            bundle |= each.trust
    unreadable = any(each.problem for each in seen.authorities if each.name in names)
    if unreadable and isinstance(seen.store, StoreSeen):
        # A CA whose Secrets cannot be read is still trusted by those who trusted it (P4): nothing is taken away.
        bundle |= seen.store.private
    return bundle


def _public(seen: TrustSeen) -> bool:
    return (seen.namespace.annotation(naming.PUBLIC_ROOTS_ANNOTATION) or "").lower() != "false"


def _with(seen: TrustSeen, wanted: TrustBundle, now: datetime) -> Plan:
    store = seen.store
    if isinstance(store, ForeignObject):
        return Plan(actions=(*_unlabelled(seen), _refused(seen)), look_again=now + LOOK_AT_FOREIGN_AGAIN)
    actions: list[Action] = []
    digest = store_digest(wanted, seen.public_digest if _public(seen) else "")
    if store is None or store.digest != digest:
        actions.append(_put(seen, wanted, store))
    if seen.namespace.label(naming.TRUST) != naming.TRUST_ENABLED:
        actions.append(LabelNamespace(namespace=seen.namespace.name, enabled=True))
    return Plan(actions=tuple(actions))


def _put(seen: TrustSeen, wanted: TrustBundle, store: StoreSeen | None) -> PutTrustStore:
    return PutTrustStore(
        namespace=seen.namespace.name,
        private=wanted,
        public=_public(seen),
        replaces=store.resource_version if store else "",
        why=_why(wanted, store),
    )


def _why(wanted: TrustBundle, store: StoreSeen | None) -> str:
    if store is None:
        return "missing"
    want, have = frozenset(wanted.fingerprints), frozenset(store.private.fingerprints)
    if want == have:
        return "its content was changed"
    return " and ".join(word for word, roots in (("roots added", want - have), ("roots removed", have - want)) if roots)


def _without(seen: TrustSeen, now: datetime) -> Plan:
    """The label goes at once; the store only after the last pod that has it mounted."""
    actions = _unlabelled(seen)
    if not isinstance(seen.store, StoreSeen):
        return Plan(actions=actions)
    if seen.injected_pods is None or actions:
        # Pods are counted after the label is gone: one that is created in between would not be seen.
        return Plan(actions=actions, again=bool(actions), look_again=now + COUNT_PODS_AGAIN)
    if seen.injected_pods:
        return Plan(actions=tuple(_emptied(seen)), look_again=now + COUNT_PODS_AGAIN)
    return Plan(
        actions=(DeleteTrustStore(namespace=seen.namespace.name, why="the namespace does not ask for it any more"),)
    )


def _unlabelled(seen: TrustSeen) -> tuple[Action, ...]:
    if seen.namespace.label(naming.TRUST) is None:
        return ()
    return (LabelNamespace(namespace=seen.namespace.name, enabled=False),)


def _emptied(seen: TrustSeen) -> tuple[Action, ...]:
    """Running pods keep the public roots when all CAs that the namespace asked for are gone for good (P8)."""
    assert isinstance(seen.store, StoreSeen)  # noqa: S101 - the caller has looked
    nothing = TrustBundle.of((), now=None)
    gone = bool(asks(seen)) and not _roots(seen)
    if not gone or not _public(seen) or seen.store.digest == store_digest(nothing, seen.public_digest):
        return ()
    return (_put(seen, nothing, seen.store),)


def _refused(seen: TrustSeen) -> Emit:
    return _event(
        seen,
        Reason.CONFIG_MAP_NOT_OURS,
        f"ConfigMap {naming.TRUST_STORE} exists in namespace {seen.namespace.name} and is not marked as Anchorline's:"
        " it is left as it is and pods get no trust store; delete or rename it",
    )


def _said(seen: TrustSeen) -> tuple[Emit, ...]:
    known = {each.name: each for each in seen.authorities}
    notes = (_note(name, known.get(name)) for name in asks(seen))
    return tuple(_event(seen, reason, note) for reason, note in filter(None, notes))


def _note(name: str, ca: TrustedCA | None) -> tuple[Reason, str] | None:
    if ca is None or (not ca.exists and not ca.trust):
        return (
            Reason.AUTHORITY_NOT_FOUND,
            (
                f"annotation {naming.TRUST} names PrivateCA {name}, which does not exist: its roots cannot be trusted"
                " here; create it or correct the annotation"
            ),
        )
    if not ca.exists:
        return (
            Reason.AUTHORITY_DELETED,
            (
                f"PrivateCA {name} was deleted and its roots are retained: they stay trusted here until the annotation"
                f" {naming.TRUST} no longer names it"
            ),
        )
    return None


def _event(seen: TrustSeen, reason: Reason, note: str) -> Emit:
    about = ObjectKey("Namespace", "", seen.namespace.name)
    return Emit(about=about, uid="", warning=True, reason=reason, note=note, action="Trust")
