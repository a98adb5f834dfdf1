"""Replacing a root: the gates between its phases, and the steps that lead through them; `rotation_start` begins it.

Distributing -> Active -> Retiring -> Retired, each the phase of one root. The newest root is the incoming one, all
others are on their way out. A gate is something that was seen, and a time for which it has been seen; times are those
of a clock that does not jump (`steady`), so that no jump of the wall clock opens a gate too early (P1).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import Phase
from anchorline.plan.actions import Action, AnnotateAuthority, DeleteAuthority, Emit, RecordRetired
from anchorline.plan.authority import AT_ONCE, is_compromise, signing_root
from anchorline.plan.findings import Waiting
from anchorline.plan.rotation_start import live, renewal, start
from anchorline.plan.world import AuthoritySeen, IntermediateSeen, RootSeen

WAIT_A_LITTLE = timedelta(seconds=5)
NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What rotation does now, and what it waits for."""

    actions: tuple[Action, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    notes: tuple[Emit, ...] = ()
    look_again: datetime | None = None


def step(seen: AuthoritySeen, now: datetime) -> Step:
    """The next step of a rotation: at most one change of one root, then what is waited for."""
    roots = live(seen)
    if not roots:
        return Step()
    if seen.resource.spec.rotation.paused:
        return _paused(roots)
    started = start(seen, now)
    if started:
        return Step(actions=started)
    incoming, outgoing = roots[-1], roots[:-1]
    unfinished = _unfinished(seen, outgoing)
    if unfinished is not None:
        return Step(actions=retire(seen, unfinished, now))
    if incoming.phase is Phase.DISTRIBUTING:
        return _distributing(seen, incoming, now)
    for root in outgoing:
        if root.phase is not Phase.RETIRING:
            return _moving(seen, root, incoming, now)
    return _retiring(seen, outgoing[0], incoming, now) if outgoing else Step()


def _paused(roots: tuple[RootSeen, ...]) -> Step:
    if len(roots) == 1:
        return Step()
    waiting = Waiting(generation=roots[-1].generation, what="spec.rotation.paused to be taken back")
    return Step(waiting=(waiting,))


def _unfinished(seen: AuthoritySeen, outgoing: tuple[RootSeen, ...]) -> RootSeen | None:
    """A root whose end is on record, there again after a crash or from a backup: retired is for good."""
    signing, recorded = signing_root(seen.material), {each.generation for each in seen.material.retired}
    newest = signing.generation if signing is not None else 0
    return next((root for root in outgoing if root.generation in recorded and root.generation < newest), None)


# --- the gates


def _distributing(seen: AuthoritySeen, root: RootSeen, now: datetime) -> Step:
    """Until every trust store and every ca.crt is seen to carry the new root, and has had time to be read."""
    gate, generation = seen.rotation, root.generation
    if now >= last_call(seen, root):
        why = "the root before it ends: who does not carry the new one would fail in any case, and waiting saves nobody"
        return Step(actions=(_mark(root.secret, Phase.ACTIVE, now, why),))
    lacking = (*gate.stores_lacking, *gate.leaves_lacking)
    if lacking:
        what = f"{len(lacking)} trust stores that do not carry it yet: {_named(lacking)}"
        return Step(waiting=(Waiting(generation=generation, what=what),), look_again=now + WAIT_A_LITTLE)
    rest = seen.resource.spec.rotation.propagation - gate.steady
    if rest > timedelta(0):
        what = "running pods to read the trust stores that carry it"
        return Step(waiting=(Waiting(generation=generation, what=what, until=now + rest),), look_again=now + rest)
    # Pods that run now started before: also those that a clock dated which was ahead of the one that is right now.
    youngest = gate.youngest
    since = now if youngest is None else max(now, youngest + timedelta(seconds=1))
    return Step(actions=(_mark(root.secret, Phase.ACTIVE, since, "every trust store has carried it long enough"),))


def last_call(seen: AuthoritySeen, root: RootSeen) -> datetime:
    """From when on waiting helps nobody: what the older roots still vouch for ends before it could be issued anew."""
    ends = [old.certificate.not_after for old in live(seen) if old.generation < root.generation and old.certificate]
    if not ends:
        return datetime.max.replace(tzinfo=UTC)
    propagation = seen.resource.spec.rotation.propagation
    return max(max(ends) - propagation, min(root.since + propagation, max(ends)))


def _moving(seen: AuthoritySeen, old: RootSeen, incoming: RootSeen, now: datetime) -> Step:
    """Until no live leaf is under an old root; one that must not be trusted at all does not wait for that."""
    under = dict(seen.rotation.under).get(old.generation, 0)
    at_once = incoming.cause.startswith(AT_ONCE)
    if at_once or not under:
        why = "it must not be trusted any more" if at_once else "no live certificate is under it"
        return Step(actions=(_mark(old.secret, Phase.RETIRING, now, why),))
    until = incoming.since + seen.resource.spec.rotation.reissue_over
    what = f"{under} certificates that are still under it to be issued anew"
    return Step(
        waiting=(Waiting(generation=old.generation, what=what, until=until if until > now else None),),
        look_again=now + WAIT_A_LITTLE,
    )


def _retiring(seen: AuthoritySeen, old: RootSeen, incoming: RootSeen, now: datetime) -> Step:
    if incoming.cause.startswith(AT_ONCE):
        return Step(actions=retire(seen, old, now))
    waits = [*_settling(seen, old, now), *([] if is_compromise(incoming.cause) else _patience(seen, old, now))]
    if old.certificate is not None and now >= old.certificate.not_after:
        waits = []
    if not waits:
        return Step(actions=retire(seen, old, now))
    times = [each.until for each in waits if each.until is not None]
    notes = _forewarned(seen, old, now)
    return Step(waiting=tuple(waits), notes=notes, look_again=min([*times, now + timedelta(minutes=1)]))


def _forewarned(seen: AuthoritySeen, old: RootSeen, now: datetime) -> tuple[Emit, ...]:
    """The old root's own end ends all waiting: a person is told a tenth of its life, at most a month, ahead."""
    if old.certificate is None:
        return ()
    end, life = old.certificate.not_after, old.certificate.not_after - old.certificate.not_before
    if now < end - min(life / 10, timedelta(days=30)):
        return ()
    note = (
        f"root generation {old.generation} is still waited for and ends at {end:%Y-%m-%dT%H:%M:%SZ}: then it is"
        " retired in any case, and processes that know no other root will fail; see status.generations for who they are"
    )
    meta = seen.resource.metadata
    about = ObjectKey("PrivateCA", "", meta.name)
    return (Emit(about=about, uid=meta.uid, warning=True, reason="RootEnds", note=note, action="Rotate"),)


def _settling(seen: AuthoritySeen, old: RootSeen, now: datetime) -> list[Waiting]:
    """Servers have read their new certificates: what was under the old root is served by nobody any more."""
    under = dict(seen.rotation.under).get(old.generation, 0)
    if under:
        what = f"{under} certificates that came under it again to be issued anew"
        return [Waiting(generation=old.generation, what=what, until=now + WAIT_A_LITTLE)]
    rest = seen.resource.spec.rotation.propagation - seen.rotation.moved
    if rest > timedelta(0):
        return [Waiting(generation=old.generation, what="servers to read their new certificates", until=now + rest)]
    return []


def _patience(seen: AuthoritySeen, old: RootSeen, now: datetime) -> list[Waiting]:
    """Nobody is cut off: the overlap, certificates that were ever issued, and pods that read their trust once."""
    found = []
    overlap = old.since + seen.resource.spec.rotation.overlap
    if now < overlap:
        found.append(Waiting(generation=old.generation, what="rotation.overlap to pass", until=overlap))
    horizon = issued_until(seen, old)
    if horizon is not None and now < horizon:
        what = "the last certificate that was ever issued under it to end"
        found.append(Waiting(generation=old.generation, what=what, until=horizon))
    due = renewal(seen, live(seen)[-1])
    # A new root that has to be replaced itself waits for no pod: else both would come to their end.
    if not found and seen.resource.spec.rotation.wait_for_pods and (due is None or now < due):
        found += _pods(seen, old, now)
    return found


def _pods(seen: AuthoritySeen, old: RootSeen, now: datetime) -> list[Waiting]:
    pods = seen.rotation.pods
    if pods is None:
        what = "the pods that started before the new root could be read to be counted"
        return [Waiting(generation=old.generation, what=what, until=now + WAIT_A_LITTLE)]
    if not pods:
        return []
    number = sum(count for _, count in pods)
    where = _named(tuple(f"{namespace} ({count})" for namespace, count in pods))
    what = f"{number} running pods that started before the new root could be read to be restarted, in {where}"
    return [Waiting(generation=old.generation, what=what)]


def issued_until(seen: AuthoritySeen, root: RootSeen) -> datetime | None:
    """The horizon: no certificate that was ever issued under a root lasts longer."""
    horizons = [each.issued_until for each in _under(seen, root)]
    if horizons or root.brought:
        return max([*horizons, root.issued_until])
    if root.certificate is None or root.phase is not Phase.RETIRING:
        return None
    # Its intermediates are gone, and the horizon with them: no certificate could have been given longer.
    spec = seen.resource.spec
    longest = max(spec.leaf.duration, spec.policy.max_duration or spec.intermediate.validity)
    return min(root.since + longest, root.certificate.not_after)


def _under(seen: AuthoritySeen, root: RootSeen) -> tuple[IntermediateSeen, ...]:
    return tuple(
        each for each in seen.material.intermediates if each.generation == root.generation and not each.brought
    )


def retire(seen: AuthoritySeen, old: RootSeen, now: datetime) -> tuple[Action, ...]:
    """Keep the certificate, then delete the keys; the root leaves the trust stores with its Secret."""
    ca = seen.resource
    record: tuple[Action, ...] = ()
    if old.certificate is not None and old.generation not in {each.generation for each in seen.material.retired}:
        record = (
            RecordRetired(
                authority=ca.metadata.name,
                generation=old.generation,
                secret=naming.retired_secret(ca.metadata.name, old.generation),
                certificate=old.certificate,
                since=now.replace(microsecond=0),
                cause=old.cause,
                deletion_policy=str(ca.spec.deletion_policy),
            ),
        )
    why = f"root generation {old.generation} is retired"
    intermediates = tuple(DeleteAuthority(secret=each.secret, why=why) for each in _under(seen, old))
    return (*record, *intermediates, DeleteAuthority(secret=old.secret, why=why))


def _mark(secret: str, phase: Phase, since: datetime, why: str) -> AnnotateAuthority:
    annotations = ((naming.PHASE_ANNOTATION, str(phase)), (naming.SINCE_ANNOTATION, f"{since:%Y-%m-%dT%H:%M:%SZ}"))
    return AnnotateAuthority(secret=secret, annotations=annotations, why=f"{phase}: {why}")


def _named(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def told(seen: AuthoritySeen, turn: Step) -> tuple[Emit, ...]:
    """The steps of a rotation as events, for whoever looks later at what was done and when."""
    meta = seen.resource.metadata
    about = ObjectKey("PrivateCA", "", meta.name)
    return tuple(
        Emit(about=about, uid=meta.uid, warning=False, reason="Rotating", note=str(action), action="Rotate")
        for action in turn.actions
    )
