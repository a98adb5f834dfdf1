"""The status of a Certificate: what its Secret holds, and what a person should know about it."""

from datetime import datetime

from anchorline.api.certificate import CertificateStatus
from anchorline.api.meta import Condition, ObjectKey
from anchorline.errors import Reason
from anchorline.pki import BACKDATE, Certificate, KeyAlgorithm, KeySpec
from anchorline.plan import renewals
from anchorline.plan.actions import Action, Emit, Plan, SetStatus
from anchorline.plan.findings import Finding, condition, settled, soonest
from anchorline.plan.world import CertificateSeen, LeafSecret

# Trouble of the CA, or of the cluster, is not the certificate's: one that is valid stays Ready meanwhile.
_OTHERS_TROUBLE = (Reason.AUTHORITY_NOT_FOUND, Reason.AUTHORITY_NOT_READY, Reason.FORBIDDEN)


def status_plan(seen: CertificateSeen, refused: Finding | None, now: datetime, *, look_again: datetime | None) -> Plan:
    """Write the status when it differs, and tell a person of a new refusal by an event."""
    status = _status(seen, refused, now)
    leaf = _leaf(seen)
    again = soonest(look_again, leaf.not_after if leaf is not None and leaf.not_after > now else None)
    if status == seen.resource.status:
        return Plan(look_again=again)
    meta = seen.resource.metadata
    about = ObjectKey("Certificate", meta.namespace, meta.name)
    actions: tuple[Action, ...] = (SetStatus(target=about, status=status, replaces=meta.resource_version),)
    if refused is not None:
        note = Emit(
            about=about, uid=meta.uid, warning=True, reason=refused.reason, note=refused.message, action="Issue"
        )
        actions = (*actions, note)
    return Plan(actions=actions, look_again=again)


def _leaf(seen: CertificateSeen) -> Certificate | None:
    return seen.secret.certificate if isinstance(seen.secret, LeafSecret) and not seen.secret.problem else None


def _status(seen: CertificateSeen, refused: Finding | None, now: datetime) -> CertificateStatus:
    leaf = _leaf(seen)
    conditions = settled(_conditions(seen, refused, now), seen.resource.status.conditions, now)
    generation = seen.resource.metadata.generation
    if leaf is None:
        return CertificateStatus(
            observed_generation=generation, conditions=conditions, revision=seen.resource.status.revision
        )
    assert isinstance(seen.secret, LeafSecret)  # noqa: S101 - a leaf was found in it
    return CertificateStatus(
        observed_generation=generation,
        conditions=conditions,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        renewal_time=renewals.expected(seen, leaf, now),
        serial_number=leaf.serial_hex,
        fingerprint=leaf.fingerprint,
        authority=renewals.generation_of(leaf, seen.authority) or seen.resource.status.authority,
        revision=seen.secret.revision,
    )


def _conditions(seen: CertificateSeen, refused: Finding | None, now: datetime) -> tuple[Condition, Condition]:
    generation = seen.resource.metadata.generation
    leaf = _leaf(seen)
    valid = leaf is not None and leaf.valid_at(now)
    if refused is None:
        return (
            condition("Ready", ok=True, reason=Reason.READY, message=_good(seen, leaf, now), generation=generation),
            condition("Issuing", ok=False, reason="Issued", message="", generation=generation),
        )
    if valid and refused.reason in _OTHERS_TROUBLE:
        assert leaf is not None  # noqa: S101
        kept = f"valid until {_time(leaf.not_after)}, and cannot be renewed now"
        return (
            condition("Ready", ok=True, reason=Reason.READY, message=kept, generation=generation),
            condition("Issuing", ok=True, reason=refused.reason, message=refused.message, generation=generation),
        )
    return (
        condition("Ready", ok=False, reason=refused.reason, message=refused.message, generation=generation),
        condition(
            "Issuing",
            ok=False,
            reason=refused.reason,
            message="waiting for the cause to be removed",
            generation=generation,
        ),
    )


def _good(seen: CertificateSeen, leaf: Certificate | None, now: datetime) -> str:
    assert leaf is not None  # noqa: S101 - nothing was refused and nothing is to be issued
    renewed = renewals.expected(seen, leaf, now)
    when = f"at {_time(renewed)}" if renewed is not None else "as soon as another intermediate signs: its own ends then"
    message = f"valid until {_time(leaf.not_after)}, to be renewed {when}"
    return "; ".join((message, *_capped(seen, leaf), *_warnings(seen)))


def _capped(seen: CertificateSeen, leaf: Certificate) -> tuple[str, ...]:
    assert seen.ca is not None  # noqa: S101
    wanted = seen.resource.spec.duration or seen.ca.spec.leaf.duration
    issuer = renewals.issuer_of(leaf, seen.authority) if seen.authority is not None else None
    ends_with_issuer = issuer is not None and leaf.not_after >= issuer.ends
    # A certificate is backdated: a full one lasts that much longer than was asked for.
    if not ends_with_issuer or leaf.not_after - leaf.not_before >= wanted + BACKDATE:
        return ()
    return (f"shortened from {wanted}: no certificate outlives its intermediate",)


def _warnings(seen: CertificateSeen) -> tuple[str, ...]:
    key = seen.resource.spec.private_key
    warning = KeySpec.of(KeyAlgorithm(str(key.algorithm)), key.size).warning
    return (warning,) if warning else ()


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
