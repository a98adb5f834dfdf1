"""Replacing a root: what starts it, the gates between its phases, and the steps that lead through them.

Distributing -> Active -> Retiring -> Retired, each the phase of one root. The newest root is the incoming one, all
others are on their way out. A gate is something that was seen, and a time for which it has been seen; times are those
of a clock that does not jump (`steady`), so that no jump of the wall clock opens a gate too early (P1).
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import Phase, RootSource
from anchorline.plan.actions import Action, AnnotateAuthority, DeleteAuthority, Emit, RecordRetired
from anchorline.plan.authority import AT_ONCE, COMPROMISED, is_compromise, signing_root
from anchorline.plan.findings import Waiting
from anchorline.plan.roots import new_root, record_root
from anchorline.plan.world import AuthoritySeen, IntermediateSeen, RootSeen

ROTATED, ENDS, BROUGHT = "rotate: ", "its end", "changed: "
WAIT_A_LITTLE = timedelta(seconds=5)
NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What rotation does now, and what it waits for."""

    actions: tuple[Action, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    notes: tuple[Emit, ...] = ()
    look_again: datetime | None = None


def live(seen: AuthoritySeen) -> tuple[RootSeen, ...]:
    """Roots that are trusted, oldest first."""
    return tuple(sorted(seen.material.roots, key=lambda root: root.generation))


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


# --- what starts a rotation


def _causes(seen: AuthoritySeen) -> set[str]:
    """Why there ever was a root: as the Secrets say, and the status of those whose record was deleted."""
    roots = {each.cause for each in seen.material.roots} | {each.cause for each in seen.material.retired}
    return roots | {each.cause for each in seen.resource.status.generations}


def cause(seen: AuthoritySeen, now: datetime) -> str:
    """Why a new root is wanted, "" when none is; the same reason never makes two."""
    known = _causes(seen)
    meta = seen.resource.metadata
    reason = (meta.annotation(naming.COMPROMISED_ANNOTATION) or "").strip()
    if reason and not {COMPROMISED + reason, AT_ONCE + reason} & known:
        at_once = (meta.annotation(naming.AT_ONCE_ANNOTATION) or "").lower() == "true"
        return (AT_ONCE if at_once else COMPROMISED) + reason
    if len(seen.material.roots) != 1:
        return ""  # one at a time: what else is asked for waits until this one is done
    reason = (meta.annotation(naming.ROTATE_ANNOTATION) or "").strip()
    if reason and ROTATED + reason not in known:
        return ROTATED + reason
    return _ends(seen, now)


def _ends(seen: AuthoritySeen, now: datetime) -> str:
    root = live(seen)[-1]
    due = renewal(seen, root)
    return f"{ENDS}: generation {root.generation} ends" if due is not None and now >= due else ""


def renewal(seen: AuthoritySeen, root: RootSeen) -> datetime | None:
    """When a root of ours is replaced because it ends; None for one that a user brought."""
    if root.certificate is None or root.brought:
        return None
    life = root.certificate.not_after - root.certificate.not_before
    before = seen.resource.spec.root.renew_before
    return root.certificate.not_after - (before if before is not None and before < life else life / 5)


def start(seen: AuthoritySeen, now: datetime) -> tuple[Action, ...]:
    """The action that begins a rotation, nothing when none is wanted."""
    roots = live(seen)
    number = next_generation(seen)
    if seen.resource.spec.root.source is RootSource.SECRET:
        return _start_brought(seen, roots, number, now)
    why = cause(seen, now)
    if not why:
        return ()
    phase = Phase.ACTIVE if why.startswith(AT_ONCE) else Phase.DISTRIBUTING
    root = new_root(seen.resource, number, phase, why, now)
    old = roots[-1]
    until = bridge_until(old, now)
    if is_compromise(why) or until is None or not old.has_key:
        return (root,)
    return (replace(root, bridge_from=old.secret, bridge_until=min(until, root.profile.not_after)),)


def _start_brought(seen: AuthoritySeen, roots: tuple[RootSeen, ...], number: int, now: datetime) -> tuple[Action, ...]:
    """The user's Secret holds another root: it gets a generation of its own, beside the one before."""
    brought = seen.material.brought
    if brought is None or brought.problem or not brought.chain:
        return ()
    fingerprint = brought.chain[-1].fingerprint
    if len(roots) != 1 or any(root.certificate and root.certificate.fingerprint == fingerprint for root in roots):
        return ()
    why = f"{BROUGHT}Secret {brought.secret} holds root {fingerprint[:16]}"
    return (record_root(seen.resource, brought, number, Phase.DISTRIBUTING, why, now),)


def next_generation(seen: AuthoritySeen) -> int:
    """A number that no generation ever had: also one that is only remembered by the status counts."""
    live, gone = seen.material.roots, seen.material.retired
    numbers = [*(each.generation for each in live), *(each.generation for each in gone)]
    return max([*numbers, *(each.number for each in seen.resource.status.generations)], default=0) + 1


def bridge_until(old: RootSeen, now: datetime) -> datetime | None:
    """End of a cross certificate: an hour, or a tenth of what is left, before the old root's; None when that ended."""
    if old.certificate is None or old.certificate.not_after <= now:
        return None
    left = old.certificate.not_after - now
    return (old.certificate.not_after - min(timedelta(hours=1), left / 10)).replace(microsecond=0)


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


def queued(seen: AuthoritySeen) -> str:
    """The reason of a rotation that waits until the one that is running is done, "" when none does."""
    reason = (seen.resource.metadata.annotation(naming.ROTATE_ANNOTATION) or "").strip()
    return reason if len(seen.material.roots) > 1 and ROTATED + reason not in _causes(seen) else ""


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
