"""When leaves and intermediates are replaced, and which generation a leaf is under."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.api.privateca import PrivateCASpec
from anchorline.pki import Certificate, renewal_time
from anchorline.plan.remembered import by_identity
from anchorline.plan.world import Authority, CertificateSeen, Issued

# An intermediate that is not there so long after its time may have to wait for a person.
LATE = timedelta(minutes=1)


def due(seen: CertificateSeen, leaf: Certificate) -> datetime:
    """When this leaf is replaced; the object's UID spreads the load and a restart does not move it.

    One that ends with its issuer is not replaced before a new one would last longer.
    """
    return leaf.not_after if _ends_with_signer(seen, leaf) else _share_of_life(seen, leaf)


def expected(seen: CertificateSeen, leaf: Certificate, now: datetime) -> datetime | None:
    """When people are told that this leaf is replaced; None when that is not ours to say.

    One that ends with its issuer waits for the next intermediate, whose time is known as long as it is not late.
    """
    if not _ends_with_signer(seen, leaf):
        return _share_of_life(seen, leaf)
    assert seen.ca is not None and seen.authority is not None  # noqa: S101, PT018 - it ends with their signer
    signer = seen.authority.signer
    assert signer is not None  # noqa: S101 - as above
    if not signer.followed:
        return None
    time = max(
        _share_of_life(seen, leaf), intermediate_renewal(seen.ca.spec, signer.certificate).replace(microsecond=0)
    )
    return time if now < time + LATE else None


def _ends_with_signer(seen: CertificateSeen, leaf: Certificate) -> bool:
    signer = seen.authority.signer if seen.authority is not None else None
    return signer is not None and leaf.not_after >= signer.ends


@by_identity(8)
def _share_of_life(seen: CertificateSeen, leaf: Certificate) -> datetime:
    """The life is counted from when it was issued, not from its backdated notBefore.

    A leaf of a minute, backdated by five, would be due as soon as it is there.
    """
    spec = seen.resource.spec
    duration = spec.duration or (
        seen.ca.spec.leaf.duration if seen.ca is not None else leaf.not_after - leaf.not_before
    )
    return renewal_time(
        max(leaf.not_before, leaf.not_after - duration),
        leaf.not_after,
        renew_before=spec.renew_before,
        percentage=spec.renew_before_percentage,
        seed=seen.resource.metadata.uid,
    )


def intermediate_renewal(spec: PrivateCASpec, current: Certificate) -> datetime:
    """Before it would cap a leaf: the longest leaf that may be asked for still fits when the next one takes over."""
    life = current.not_after - current.not_before
    margin = spec.intermediate.renew_before or life / 3
    longest = max(spec.leaf.duration, spec.policy.max_duration or timedelta(0)) * 1.05
    return current.not_after - min(max(margin, longest), life * 0.8)


def issuer_of(leaf: Certificate, authority: Authority) -> Issued | None:
    """The intermediate that signed the leaf, by key identifier and signature."""
    return next((each for each in authority.issuers if leaf.is_issued_by(each.certificate)), None)


def generation_of(leaf: Certificate, authority: Authority | None) -> int | None:
    """Generation of the root that the leaf is under, None when it is not this authority's."""
    issuer = issuer_of(leaf, authority) if authority is not None else None
    return issuer.generation if issuer is not None else None


def reissue_at(resource: CertificateResource, authority: Authority) -> datetime:
    """This Certificate's turn while a root is replaced: by UID, so spread evenly, over all namespaces alike."""
    if authority.reissue_from is None:
        return datetime.min.replace(tzinfo=UTC)
    place = int.from_bytes(sha256(resource.metadata.uid.encode()).digest()[:8], "big") / 2**64
    return authority.reissue_from + authority.reissue_over * place
