"""A rotation as a timeline for people: what will happen when, what waits for what, as far as it can be known now."""

from dataclasses import replace
from datetime import datetime

from anchorline.api import naming
from anchorline.api.meta import Metadata
from anchorline.api.privateca import Phase
from anchorline.plan import rotation, rotation_start
from anchorline.plan.authority import is_compromise
from anchorline.plan.findings import Waiting
from anchorline.plan.world import AuthoritySeen, RootSeen


def timeline(seen: AuthoritySeen, now: datetime) -> str:
    """What a rotation of this CA does from now on; when none is running, what it would do if started now."""
    roots = rotation_start.live(seen)
    if not roots:
        return f"PrivateCA {seen.resource.metadata.name} has no root yet: there is nothing to replace"
    if len(roots) == 1 and not rotation_start.cause(seen, now):
        return _idle(seen, roots[0], now)
    turn = rotation.step(seen, now)
    lines = [_root(root) for root in roots]
    lines += [f"now: {action}" for action in turn.actions]
    waiting = _waiting(seen, turn, now)
    lines += [f"waiting: generation {each.generation} waits for {each.text}" for each in waiting]
    return "\n".join((*lines, *_ahead(seen, roots, waiting, now)))


def _waiting(seen: AuthoritySeen, turn: rotation.Step, now: datetime) -> tuple[Waiting, ...]:
    """In the operator's words where there are some: its gates have watched for longer than whoever prints this."""
    told = {
        each.number: Waiting(generation=each.number, what=each.waiting_for, until=each.waiting_until)
        for each in seen.resource.status.generations
        if each.waiting_for and (each.waiting_until is None or each.waiting_until >= now)
    }
    return tuple(dict.fromkeys(told.get(each.generation, each) for each in turn.waiting))


def _root(root: RootSeen) -> str:
    return f"generation {root.generation}: {root.phase} since {_time(root.since)} ({root.cause})"


def _idle(seen: AuthoritySeen, root: RootSeen, now: datetime) -> str:
    due = rotation_start.renewal(seen, root)
    planned = f"it is replaced by itself at {_time(due)}" if due else "it is replaced when its Secret changes"
    how = f"anchorline rotate {seen.resource.metadata.name} --reason ..."
    if root.brought:
        how = f"another root in Secret {seen.resource.spec.root.secret_name}, without a bridge"
    waits = rotation_start.unanswered(seen)
    lines = [f"{_root(root)}; no rotation is running; {planned}", *([waits] if waits else [])]
    lines += [f"if it were started now ({how}):", *(f"  {line}" for line in _if_started(seen, root, now))]
    return "\n".join(lines)


def _if_started(seen: AuthoritySeen, root: RootSeen, now: datetime) -> tuple[str, ...]:
    meta = seen.resource.metadata
    wish = tuple(sorted({**dict(meta.annotations), naming.ROTATE_ANNOTATION: "asked by a plan"}.items()))
    asked: Metadata = replace(meta, annotations=wish)
    begun = replace(seen, resource=replace(seen.resource, metadata=asked))
    active = now + seen.resource.spec.rotation.propagation
    return (*(f"now: {action}" for action in rotation_start.start(begun, now)), *_schedule(seen, (root,), active))


def _ahead(
    seen: AuthoritySeen, roots: tuple[RootSeen, ...], waiting: tuple[Waiting, ...], now: datetime
) -> tuple[str, ...]:
    incoming = roots[-1]
    if is_compromise(incoming.cause):
        return ("then: old roots leave the trust stores as soon as nothing is served under them any more",)
    if incoming.phase is Phase.DISTRIBUTING:
        known = [each.until for each in waiting if each.until is not None]
        active = max(known, default=now + seen.resource.spec.rotation.propagation)
        return tuple(f"then, at the earliest: {line}" for line in _schedule(seen, roots[:-1], active))
    return ()


def _schedule(seen: AuthoritySeen, outgoing: tuple[RootSeen, ...], active: datetime) -> tuple[str, ...]:
    """The earliest times, if every gate opens as soon as it may and no certificate is issued before."""
    spec = seen.resource.spec.rotation
    moved = active + spec.reissue_over
    horizons = (rotation.issued_until(seen, root) for root in outgoing)
    retired = max(moved + max(spec.overlap, spec.propagation), *(each or moved for each in horizons))
    pods = ", and when no pod runs that started before the new root could be read" if spec.wait_for_pods else ""
    return (
        f"{_time(active)} Active: every trust store has carried the new root for {spec.propagation}; it begins to sign",
        f"{_time(moved)} Retiring: all certificates have been issued anew, over {spec.reissue_over}",
        f"{_time(retired)} Retired: rotation.overlap has passed and the last old certificate has ended{pods}",
    )


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
