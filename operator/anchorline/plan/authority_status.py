"""The status of a PrivateCA: which roots there are, whether it can sign, and how far its roots are distributed."""

from datetime import datetime

from anchorline.api.meta import Condition, ObjectKey
from anchorline.api.privateca import GenerationStatus, Phase, PodsWithoutTrust, PrivateCAStatus
from anchorline.errors import Reason
from anchorline.pki import Certificate
from anchorline.plan.actions import Action, Emit, Plan, SetStatus
from anchorline.plan.authority import newest, signing_root
from anchorline.plan.findings import Finding, Waiting, condition, settled
from anchorline.plan.overlooked import sentence, summary
from anchorline.plan.rotation_start import queued, unanswered
from anchorline.plan.world import AuthoritySeen, RetiredSeen, RootSeen

NAMED_AT_MOST = 5


def status_plan(
    seen: AuthoritySeen,
    found: Finding | None,
    now: datetime,
    *,
    look_again: datetime | None,
    waiting: tuple[Waiting, ...] = (),
) -> Plan:
    """Write the status when it differs, and tell a person of new trouble by an event."""
    status = _status(seen, found, now, waiting)
    if status == seen.resource.status:
        return Plan(look_again=look_again)
    meta = seen.resource.metadata
    about = ObjectKey("PrivateCA", "", meta.name)
    actions: tuple[Action, ...] = (SetStatus(target=about, status=status),)
    if found is not None:
        note = Emit(
            about=about, uid=meta.uid, warning=True, reason=found.reason, note=found.message, action="Reconcile"
        )
        actions = (*actions, note)
    return Plan(actions=actions, look_again=look_again)


def _status(seen: AuthoritySeen, found: Finding | None, now: datetime, waiting: tuple[Waiting, ...]) -> PrivateCAStatus:
    generation = seen.resource.metadata.generation
    conditions = (_ready(seen, found, now), _distributed(seen, generation), _rotating(seen, found, waiting))
    root = signing_root(seen.material)
    signer = newest(seen.material, root.generation, now) if root else None
    return PrivateCAStatus(
        observed_generation=generation,
        conditions=settled(conditions, seen.resource.status.conditions, now),
        generations=_generations(seen, waiting),
        intermediate_not_after=signer.certificate.not_after if signer and signer.certificate else None,
        public_roots=seen.public_roots,
        pods_without_trust=_overlooked(seen),
    )


def _overlooked(seen: AuthoritySeen) -> PodsWithoutTrust | None:
    """While nobody has looked, what was found by the last one who did: a restart writes nothing."""
    return seen.resource.status.pods_without_trust if seen.overlooked is None else summary(seen.overlooked)


def _ready(seen: AuthoritySeen, found: Finding | None, now: datetime) -> Condition:
    generation = seen.resource.metadata.generation
    if found is not None:
        return condition("Ready", ok=False, reason=found.reason, message=found.message, generation=generation)
    root = signing_root(seen.material)
    signer = newest(seen.material, root.generation, now) if root else None
    if root is None or signer is None or signer.certificate is None:
        message = "no intermediate can sign; see the operator's log"
        return condition("Ready", ok=False, reason=Reason.PENDING, message=message, generation=generation)
    lasts = _time(signer.certificate.not_after)
    message = f"root generation {root.generation} signs through {signer.secret}, which lasts until {lasts}"
    return condition("Ready", ok=True, reason=Reason.READY, message=message, generation=generation)


def _distributed(seen: AuthoritySeen, generation: int) -> Condition:
    stores = seen.stores
    if not stores.wanted:
        message = (
            "no namespace asks for these roots yet; annotate one: kubectl annotate namespace NAME anchorline.dev/trust="
        )
        return condition(
            "Distributed",
            ok=True,
            reason="NobodyAsks",
            message=message + seen.resource.metadata.name,
            generation=generation,
        )
    if not stores.missing:
        found = _overlooked(seen)
        message = f"all {stores.wanted} namespaces that ask have these roots"
        message += f"; {sentence(found)}" if found else ""
        return condition("Distributed", ok=True, reason="Distributed", message=message, generation=generation)
    named = ", ".join(stores.missing[:NAMED_AT_MOST]) + (", ..." if len(stores.missing) > NAMED_AT_MOST else "")
    message = f"{len(stores.missing)} of {stores.wanted} namespaces do not have these roots yet: {named}"
    return condition("Distributed", ok=False, reason="Distributing", message=message, generation=generation)


def _rotating(seen: AuthoritySeen, found: Finding | None, waiting: tuple[Waiting, ...]) -> Condition:
    """One sentence about the rotation: what is going on, what it waits for, and until when."""
    generation = seen.resource.metadata.generation
    roots = sorted(seen.material.roots, key=lambda root: root.generation)
    if len(roots) <= 1:
        message = "; ".join(filter(None, ("one root is in use", unanswered(seen))))
        return condition("Rotating", ok=False, reason="NotRotating", message=message, generation=generation)
    if found is not None:
        return condition("Rotating", ok=True, reason="Stopped", message="stopped: see Ready", generation=generation)
    incoming, outgoing = roots[-1], roots[0]
    paused = seen.resource.spec.rotation.paused
    phase = incoming.phase if incoming.phase is Phase.DISTRIBUTING else outgoing.phase
    reason = "Paused" if paused else "Reissuing" if phase is Phase.ACTIVE else str(phase)
    bridge = ", without a bridge: the key that would make one is not ours" if incoming.brought else ""
    message = f"generation {incoming.generation} replaces {outgoing.generation} ({incoming.cause}){bridge}; "
    message += _waits(waiting)
    next_one = queued(seen)
    if next_one:
        message += f"; then a rotation follows that was asked for meanwhile ({next_one})"
    return condition("Rotating", ok=True, reason=reason, message=message, generation=generation)


def _waits(waiting: tuple[Waiting, ...]) -> str:
    return "; ".join(f"generation {each.generation} waits for {each.text}" for each in waiting) or "going on"


def _generations(seen: AuthoritySeen, waiting: tuple[Waiting, ...]) -> tuple[GenerationStatus, ...]:
    live = {
        each.generation: _generation(each, each.phase, each.certificate, _of(each.generation, waiting))
        for each in seen.material.roots
        if each.certificate
    }
    gone = {
        each.generation: _generation(each, Phase.RETIRED, each.certificate, ())
        for each in seen.material.retired
        if each.certificate and each.generation not in live
    }
    # What was once there is not forgotten while its Secret is gone or cannot be read: nothing is made in its place, and
    # what it was made for does not make another one.
    missed = {each.number: each for each in seen.resource.status.generations if each.number not in {**gone, **live}}
    return tuple(each for _, each in sorted({**missed, **gone, **live}.items(), reverse=True))


def _of(generation: int, waiting: tuple[Waiting, ...]) -> tuple[Waiting, ...]:
    return tuple(each for each in waiting if each.generation == generation)


def _generation(
    seen: RootSeen | RetiredSeen, phase: Phase, certificate: Certificate, waiting: tuple[Waiting, ...]
) -> GenerationStatus:
    return GenerationStatus(
        number=seen.generation,
        phase=phase,
        since=seen.since,
        cause=seen.cause,
        waiting_for="; ".join(each.what for each in waiting),
        waiting_until=max((each.told for each in waiting if each.told is not None), default=None),
        fingerprint=certificate.fingerprint,
        subject=certificate.subject_text,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        secret_name=seen.secret,
    )


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
