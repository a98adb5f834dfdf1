"""What starts the replacement of a root: a person, its own end, or another root in the Secret that a user brought."""

from dataclasses import replace
from datetime import datetime, timedelta

from anchorline.api import naming
from anchorline.api.privateca import Phase, RootSource
from anchorline.plan.actions import Action
from anchorline.plan.authority import AT_ONCE, COMPROMISED, is_compromise
from anchorline.plan.roots import new_root, record_root
from anchorline.plan.world import AuthoritySeen, RootSeen

ROTATED, ENDS, BROUGHT = "rotate: ", "its end", "changed: "


def live(seen: AuthoritySeen) -> tuple[RootSeen, ...]:
    """Roots that are trusted, oldest first."""
    return tuple(sorted(seen.material.roots, key=lambda root: root.generation))


def _causes(seen: AuthoritySeen) -> set[str]:
    """Why there ever was a root: as the Secrets say, and the status of those whose record was deleted."""
    roots = {each.cause for each in seen.material.roots} | {each.cause for each in seen.material.retired}
    return roots | {each.cause for each in seen.resource.status.generations}


def _condemned(seen: AuthoritySeen) -> str:
    """The cause of a root that is made because the one before must not be trusted any more, "" when none is wanted."""
    meta = seen.resource.metadata
    reason = (meta.annotation(naming.COMPROMISED_ANNOTATION) or "").strip()
    if not reason or {COMPROMISED + reason, AT_ONCE + reason} & _causes(seen):
        return ""
    at_once = (meta.annotation(naming.AT_ONCE_ANNOTATION) or "").lower() == "true"
    return (AT_ONCE if at_once else COMPROMISED) + reason


def cause(seen: AuthoritySeen, now: datetime) -> str:
    """Why a new root is wanted, "" when none is; the same reason never makes two."""
    condemned = _condemned(seen)
    if condemned:
        return condemned
    if len(seen.material.roots) != 1:
        return ""  # one at a time: what else is asked for waits until this one is done
    reason = asked(seen)
    return ROTATED + reason if reason else _ends(seen, now)


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
    root = new_root(seen.resource, number, _first_phase(why), why, now)
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
    why = _condemned(seen)
    known = any(root.certificate and root.certificate.fingerprint == fingerprint for root in roots)
    if known or (len(roots) != 1 and not why):
        return ()
    reason = asked(seen)
    changed = f"{BROUGHT}Secret {brought.secret} holds root {fingerprint[:16]}"
    why = why or (ROTATED + reason if reason else changed)
    return (record_root(seen.resource, brought, number, _first_phase(why), why, now),)


def _first_phase(why: str) -> Phase:
    """What replaces a root that must not be trusted for one moment more is in use at once."""
    return Phase.ACTIVE if why.startswith(AT_ONCE) else Phase.DISTRIBUTING


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


def asked(seen: AuthoritySeen) -> str:
    """The reason that a person gave for a rotation, "" when there is none or it had its rotation."""
    reason = (seen.resource.metadata.annotation(naming.ROTATE_ANNOTATION) or "").strip()
    return "" if ROTATED + reason in _causes(seen) else reason


def queued(seen: AuthoritySeen) -> str:
    """The reason of a rotation that waits until the one that is running is done, "" when none does."""
    return asked(seen) if len(seen.material.roots) > 1 else ""


def unanswered(seen: AuthoritySeen) -> str:
    """What a person wants that only a person can begin, as a sentence: another root where a user brings it."""
    reason = _condemned(seen) or asked(seen)
    root = seen.resource.spec.root
    if root.source is not RootSource.SECRET or not reason or len(seen.material.roots) != 1:
        return ""
    return f"another root was asked for ({reason}): put it, with its key, into Secret {root.secret_name}"
