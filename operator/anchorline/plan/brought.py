"""Why a CA that a user brought in a Secret cannot be used, as sentences that say what to do."""

from datetime import datetime, timedelta

from anchorline.errors import Reason
from anchorline.pki import Certificate
from anchorline.plan.findings import Finding
from anchorline.plan.world import AuthoritySeen, BroughtSeen

STRICT = "strict clients, such as Python 3.13, refuse it; have it issued anew"


def brought_trouble(seen: AuthoritySeen, now: datetime) -> Finding | None:
    """Why the Secret of `spec.root.secretName` cannot be used, None when it can."""
    name, brought = seen.resource.spec.root.secret_name or "", seen.material.brought
    if brought is None:
        return Finding(
            reason=Reason.SECRET_NOT_FOUND,
            message=f"Secret {name} of spec.root.secretName is not in the operator's namespace; create it there",
        )
    if brought.problem:
        return Finding(reason=Reason.CORRUPT_MATERIAL, message=f"Secret {name} cannot be used: {brought.problem}")
    return brought_fault(brought, now)


def brought_fault(brought: BroughtSeen, now: datetime) -> Finding | None:
    """Why a chain that a user brought cannot be a CA of ours."""
    signer, root = brought.chain[0], brought.chain[-1]
    for each in brought.chain:
        fault = _ca_fault(each, now)
        if fault:
            return Finding(reason=Reason.NOT_A_CA, message=f"Secret {brought.secret}: {each.subject_text} {fault}")
    if not root.is_self_signed:
        return Finding(
            reason=Reason.MATERIAL_INCOMPLETE,
            message=(
                f"Secret {brought.secret}: the chain ends with {root.subject_text}, which is not self-signed; put the"
                " root behind it in tls.crt, or into ca.crt: clients trust roots only"
            ),
        )
    for lower, upper in zip(brought.chain, brought.chain[1:], strict=False):
        if not lower.is_issued_by(upper):
            named = f"{lower.subject_text} was not signed by {upper.subject_text}"
            message = f"Secret {brought.secret}: {named}; put the chain in order"
            return Finding(reason=Reason.MATERIAL_INCOMPLETE, message=message)
    if not brought.has_key:
        named = f"tls.key does not belong to the first certificate of tls.crt ({signer.subject_text})"
        return Finding(reason=Reason.KEY_MISMATCH, message=f"Secret {brought.secret}: {named}")
    return _too_deep(brought)


def _too_deep(brought: BroughtSeen) -> Finding | None:
    """Whether a CA of the chain allows fewer CAs below it than there are (RFC 5280 4.2.1.9)."""
    # Under a root we make an intermediate; an intermediate signs itself.
    ours = 1 if len(brought.chain) == 1 else 0
    for below, each in enumerate(brought.chain, ours):
        if each.path_length is not None and each.path_length < below:
            allowed = f"{each.path_length} intermediates" if each.path_length else "no intermediate"
            named = f"{each.subject_text} allows {allowed} below it (pathLenConstraint is {each.path_length})"
            return Finding(reason=Reason.NOT_A_CA, message=f"Secret {brought.secret}: {named}")
    return None


def _ca_fault(each: Certificate, now: datetime) -> str:
    if not each.is_ca:
        return "is not a CA certificate (basicConstraints CA:TRUE is missing)"
    if not each.can_sign_certificates:
        return f"may not sign certificates (keyUsage keyCertSign is missing): {STRICT}"
    if each.key_fault:
        return f"{each.key_fault}; make a CA with another key"
    if each.has_broken_signature:
        return "is signed with SHA-1 or MD5, which OpenSSL and Go refuse; have it issued anew"
    if each.strict_fault:
        return f"{each.strict_fault}: {STRICT}"
    if now >= each.not_after:
        return f"expired at {each.not_after:%Y-%m-%dT%H:%M:%SZ}"
    # A clock may be a little off; a CA of the future is somebody's mistake.
    if each.not_before > now + timedelta(minutes=5):
        return f"is not valid before {each.not_before:%Y-%m-%dT%H:%M:%SZ}"
    return ""
