"""Plan for one namespace: its trust store in the formats that it asks for, and the label that switches injection.

The label goes on after the ConfigMap is there, and off before it goes: a pod is never pointed at a missing file. The
same holds for each format: its file comes before the label names it, and goes after the last pod that may read it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.errors import Reason
from anchorline.pki import TrustBundle
from anchorline.plan.actions import Action, DeleteTrustStore, Emit, LabelNamespace, Plan, PutTrustStore
from anchorline.plan.findings import shortened
from anchorline.plan.overlooked import NAMED_AT_MOST, named, running
from anchorline.plan.world import ForeignObject, NamespaceSeen, StoreSeen, TrustedCA, TrustSeen

COUNT_PODS_AGAIN = timedelta(seconds=30)
COUNT_PODS_OF_FORMATS_AGAIN = timedelta(minutes=5)
LOOK_AT_FOREIGN_AGAIN = timedelta(minutes=1)
# The API server's limit for what is in a ConfigMap, in bytes.
MOST_BYTES = 1_048_576


def store_digest(private: TrustBundle, public_digest: str, formats: tuple[str, ...] = ()) -> str:
    """What a trust store holds, as one value: the same roots, public roots and formats give the same digest."""
    return sha256("\n".join((private.digest, public_digest, *formats)).encode()).hexdigest()


def counted(seen: NamespaceSeen, store: StoreSeen | ForeignObject | None, authorities: Iterable[TrustedCA]) -> bool:
    """Whether the plan must know how many injected pods run: it may take away what they have mounted.

    Pods are counted after the label is right: one that is created in between would not be seen.
    """
    if not isinstance(store, StoreSeen):
        return False
    label = seen.label(naming.TRUST)
    if not any(each.trust for each in authorities):
        return label is None
    return not set(store.formats) <= set(naming.label_formats(label))


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
    said = _said(seen, wanted)
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
    chosen = _chosen(seen, wanted)
    held = _held(seen, store, chosen)
    formats = _ordered({*chosen, *held})
    actions: list[Action] = []
    if store is None or store.digest != store_digest(wanted, seen.public_digest if _public(seen) else "", formats):
        actions.append(_put(seen, wanted, store, formats))
    relabel = seen.namespace.label(naming.TRUST) != naming.trust_label(chosen)
    if relabel:
        actions.append(LabelNamespace(namespace=seen.namespace.name, enabled=True, formats=chosen))
    later = now + COUNT_PODS_OF_FORMATS_AGAIN if held else None
    return Plan(actions=tuple(actions), look_again=later, again=relabel and bool(held))


def _formats(seen: TrustSeen) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Formats that the namespace asks for, and its words that are none."""
    return naming.trust_formats(seen.namespace.annotation(naming.TRUST_FORMATS_ANNOTATION))


def _chosen(seen: TrustSeen, wanted: TrustBundle) -> tuple[str, ...]:
    """Formats that the namespace asks for, as far as they fit into its ConfigMap."""
    known, _ = _formats(seen)
    return known if _fits(seen, wanted) else tuple(each for each in known if each != naming.JKS)


def _fits(seen: TrustSeen, wanted: TrustBundle) -> bool:
    """Whether a JKS fits. A root's entry in it is smaller than its PEM block, so this errs on the safe side."""
    private, public = len(wanted.pem), seen.public_size if _public(seen) else 0
    return 3 * private + 2 * public <= MOST_BYTES


def _held(seen: TrustSeen, store: StoreSeen | None, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Formats that are not wanted any more, and that running pods may have been pointed at."""
    named = naming.label_formats(seen.namespace.label(naming.TRUST))
    there = store.formats if store else ()
    return tuple(each for each in there if each not in chosen and (each in named or seen.injected_pods != 0))


def _ordered(formats: set[str]) -> tuple[str, ...]:
    return tuple(each for each in naming.TRUST_FORMATS if each in formats)


def _put(seen: TrustSeen, wanted: TrustBundle, store: StoreSeen | None, formats: tuple[str, ...]) -> PutTrustStore:
    return PutTrustStore(
        namespace=seen.namespace.name,
        private=wanted,
        public=_public(seen),
        formats=formats,
        replaces=store.resource_version if store else "",
        why=_why(wanted, formats, store),
    )


def _why(wanted: TrustBundle, formats: tuple[str, ...], store: StoreSeen | None) -> str:
    if store is None:
        return "missing"
    roots = set(wanted.fingerprints), set(store.private.fingerprints)
    kinds = {"roots": roots, "formats": (set(formats), set(store.formats))}
    words = [
        f"{kind} {done}"
        for kind, (want, have) in kinds.items()
        for done, difference in (("added", want - have), ("removed", have - want))
        if difference
    ]
    return " and ".join(words) or "its content was changed"


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
    formats = seen.store.formats
    if not gone or not _public(seen) or seen.store.digest == store_digest(nothing, seen.public_digest, formats):
        return ()
    return (_put(seen, nothing, seen.store, formats),)


def _refused(seen: TrustSeen) -> Emit:
    return _event(
        seen,
        Reason.CONFIG_MAP_NOT_OURS,
        f"ConfigMap {naming.TRUST_STORE} exists in namespace {seen.namespace.name} and is not marked as Anchorline's:"
        " it is left as it is and pods get no trust store; delete or rename it",
    )


def _said(seen: TrustSeen, wanted: TrustBundle) -> tuple[Emit, ...]:
    known = {each.name: each for each in seen.authorities}
    asked = [(name, known.get(name)) for name in asks(seen)]
    notes = [_absent([name for name, ca in asked if ca is None or not (ca.exists or ca.trust)])]
    notes += [_retained(name) for name, ca in asked if ca is not None and ca.trust and not ca.exists]
    if wanted:
        notes += [_unknown_formats(seen), _too_large(seen, wanted), _overlooked(seen)]
    return tuple(_event(seen, reason, note) for reason, note in filter(None, notes))


def _absent(names: list[str]) -> tuple[Reason, str] | None:
    """One event however many there are: whoever may annotate a namespace may not flood it with events."""
    if not names:
        return None
    one = len(names) == 1
    shown = _listed(names)
    found = (
        f"PrivateCA {shown}, which does not exist: its" if one else f"PrivateCAs {shown}, none of which exists: their"
    )
    what = f"roots cannot be trusted here; create {'it' if one else 'them'} or correct the annotation"
    return Reason.AUTHORITY_NOT_FOUND, f"annotation {naming.TRUST} names {found} {what}"


def _listed(names: Sequence[str]) -> str:
    """Some of the names that somebody wrote, none of them very long."""
    return named(tuple(map(shortened, names[:NAMED_AT_MOST])), len(names))


def _retained(name: str) -> tuple[Reason, str]:
    return (
        Reason.AUTHORITY_DELETED,
        (
            f"PrivateCA {name} was deleted and its roots are retained: they stay trusted here until the annotation"
            f" {naming.TRUST} no longer names it"
        ),
    )


def _unknown_formats(seen: TrustSeen) -> tuple[Reason, str] | None:
    _, unknown = _formats(seen)
    if not unknown:
        return None
    names = _listed(unknown)
    note = (
        f"annotation {naming.TRUST_FORMATS_ANNOTATION} names {names}, which Anchorline does not write: known are"
        f" {', '.join(naming.TRUST_FORMATS)}, and what else it names of these is written"
    )
    return Reason.TRUST_FORMAT_UNKNOWN, note


def _too_large(seen: TrustSeen, wanted: TrustBundle) -> tuple[Reason, str] | None:
    if naming.JKS not in _formats(seen)[0] or _fits(seen, wanted):
        return None
    note = (
        f"a JKS of {len(wanted)} private roots does not fit into a ConfigMap beside the PEM files: pods of namespace"
        f" {seen.namespace.name} get none; trust fewer CAs there, or set {naming.PUBLIC_ROOTS_ANNOTATION}=false"
    )
    return Reason.TRUST_STORE_TOO_LARGE, note


def _overlooked(seen: TrustSeen) -> tuple[Reason, str] | None:
    count = len(seen.overlooked)
    if not count:
        return None
    note = (
        f"{running(count)} created without trust in namespace {seen.namespace.name}, as Anchorline's webhook was away;"
        f" restart: {named(seen.overlooked[:NAMED_AT_MOST], count)}"
        f" (kubectl get pods -n {seen.namespace.name} -l '!{naming.INJECTED_LABEL}')"
    )
    return Reason.PODS_WITHOUT_TRUST, note


def _event(seen: TrustSeen, reason: Reason, note: str) -> Emit:
    about = ObjectKey("Namespace", "", seen.namespace.name)
    return Emit(about=about, uid="", warning=True, reason=reason, note=note, action="Trust")
