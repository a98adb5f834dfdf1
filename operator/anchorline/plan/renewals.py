"""When a leaf is replaced, and which generation it is under."""

from datetime import UTC, datetime
from hashlib import sha256

from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.pki import Certificate, renewal_time
from anchorline.plan.world import Authority, CertificateSeen, Issued


def renewal(seen: CertificateSeen, leaf: Certificate) -> datetime:
    """When this leaf is renewed; the object's UID spreads the load and a restart does not move it.

    The life is counted from when it was issued, not from its backdated notBefore: a leaf of a minute, backdated by
    five, would be due as soon as it is there. One that ends with its issuer is not renewed before a new one would last
    longer.
    """
    signer = seen.authority.signer if seen.authority is not None else None
    if signer is not None and leaf.not_after >= signer.certificate.not_after:
        return leaf.not_after
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
