"""What a person is told by events when a Certificate is issued: that it was replaced and why, or shortened."""

from datetime import datetime, timedelta

from anchorline.api.meta import ObjectKey
from anchorline.plan.actions import Emit
from anchorline.plan.findings import Finding
from anchorline.plan.world import CertificateSeen, Signer


def replaced(seen: CertificateSeen, why: Finding) -> tuple[Emit, ...]:
    """Why a certificate that was there is issued anew.

    The first one needs no words, its status is enough; a rotation has its own, and would say the same ten thousand
    times.
    """
    if not seen.resource.status.revision or why.reason == "Rotating":
        return ()
    note = f"issued anew, as revision {seen.resource.status.revision + 1}: {why.message}"
    return (_event(seen, warning=False, reason="Issuing", note=note),)


def capped(seen: CertificateSeen, wanted: timedelta, signer: Signer, not_after: datetime) -> tuple[Emit, ...]:
    """That a certificate is shorter than was asked for (P3)."""
    note = (
        f"asked for {wanted}, issued until {not_after:%Y-%m-%dT%H:%M:%SZ}: no certificate outlives its intermediate"
        f" {signer.secret}"
    )
    return (_event(seen, warning=True, reason="DurationCapped", note=note),)


def _event(seen: CertificateSeen, *, warning: bool, reason: str, note: str) -> Emit:
    meta = seen.resource.metadata
    about = ObjectKey("Certificate", meta.namespace, meta.name)
    return Emit(about=about, uid=meta.uid, warning=warning, reason=reason, note=note, action="Issue")
